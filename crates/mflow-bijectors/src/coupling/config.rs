//! [`CouplingConfig`]: a coupling layer as it is written in a config file.
use super::{Coupling, Mask, check_real, conditioned_builders};
use crate::Result;
use crate::bijector::Bijector;
use crate::chain::Chain;
use crate::count::{check_context, check_features};
use crate::elementwise::ElementwiseConfig;
use crate::flows::is_false;
use crate::kernel::coupling::Plan;
use crate::nn::{Net, NetConfig};
use crate::params::Params;
use crate::route::Route;
use crate::shape::PartialMap;
use crate::univariate::{Univariate, UnivariateConfig, Visitor};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Config of a coupling layer: `y_keep = x_keep`, `y_moved = g(x_moved; net(x_keep, c))`.
///
/// **Shapes**: `[B, D]` to `[B, D]`, context `[B, C]`. `log|det J|` is the sum of the log-slopes of
/// the moved features. Both directions cost one evaluation of the conditioner.
///
/// **Reference**: Dinh, Sohl-Dickstein & Bengio (2017), *Real NVP*, arXiv 1605.08803, eq. 4 to 8;
/// with splines Durkan, Bekasov, Murray & Papamakarios (2019), *Neural Spline Flows*, arXiv
/// 1906.04032, section 3.1. Published weights are for the direction data to latent: they load into
/// an [`crate::Inverted`] chain of these layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CouplingConfig {
    /// Number of features.
    pub dim: usize,
    /// Number of context features, 0 for none.
    #[serde(default)]
    pub context_dim: usize,
    /// Features that move.
    pub mask: Mask,
    /// The element-wise map `g`.
    #[serde(default)]
    pub map: UnivariateConfig,
    /// The conditioner.
    #[serde(default)]
    pub net: NetConfig,
    /// A map of the kept features, with parameters that depend on nothing; none leaves them as
    /// they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<UnivariateConfig>,
    /// Whether it starts as the identity exactly, by a last map of the conditioner that is 0; otherwise near it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub starts_at_identity: bool,
    /// Kernels or tensor operations; the numbers agree to rounding.
    #[serde(default)]
    pub route: Route,
}

impl CouplingConfig {
    /// Rational-quadratic splines of 10 bins on `[-6, 6]`, a conditioner of 2 blocks of width 100, no
    /// context.
    pub fn new(dim: usize, mask: Mask) -> Self {
        Self {
            dim,
            context_dim: 0,
            mask,
            map: UnivariateConfig::default(),
            net: NetConfig::default(),
            identity: None,
            starts_at_identity: false,
            route: Route::Auto,
        }
    }
    conditioned_builders!(NetConfig);
    /// With rational-quadratic splines of this number of bins and tail bound.
    #[must_use]
    pub fn with_bins(self, bins: usize, tail_bound: f64) -> Self {
        self.with_map(UnivariateConfig::RationalQuadratic { bins, tail_bound })
    }
    /// Whether it starts as the identity exactly.
    #[must_use]
    pub fn with_start_at_identity(self, starts_at_identity: bool) -> Self {
        Self { starts_at_identity, ..self }
    }
    /// Transform the kept features too, unconditionally.
    #[must_use]
    pub fn with_identity(self, map: UnivariateConfig) -> Self {
        Self { identity: Some(map), ..self }
    }

    /// The features that the conditioner moves, in their order.
    ///
    /// # Errors
    /// If the mask lists features that are not there, or none.
    pub fn moved(&self) -> Result<Vec<usize>> {
        Ok(self.mask.halves(self.dim)?.moved)
    }

    /// Create the layer: parameters `net.*`, and `identity.*` for the kept features.
    ///
    /// # Errors
    /// If a field is out of range or a parameter does not fit.
    pub fn build(&self, params: &mut Params<'_>) -> Result<Arc<dyn Bijector>> {
        check_features("coupling.dim", self.dim)?;
        check_context("coupling.context_dim", self.context_dim)?;
        self.net.validate("coupling.net")?;
        let keep = self.mask.halves(self.dim)?.keep;
        let coupling = self.map.visit(self.net.logit_scale(), Build { config: self, params })?;
        let Some(map) = self.identity.as_ref().filter(|_| !keep.is_empty()) else {
            return Ok(coupling);
        };
        let of_kept = ElementwiseConfig::new(&[keep.len()], map.clone()).with_route(self.route);
        let of_kept = of_kept.build(&mut params.scope("identity"))?;
        let of_kept = PartialMap::new(self.dim, &keep, of_kept)?;
        Ok(Arc::new(Chain::new(vec![coupling, Arc::new(of_kept)])?))
    }
}

/// Builds the coupling once the type of its map is known.
struct Build<'a, 'p> {
    config: &'a CouplingConfig,
    params: &'a mut Params<'p>,
}

impl Visitor for Build<'_, '_> {
    type Output = Arc<dyn Bijector>;
    fn visit<U: Univariate>(self, map: U) -> Result<Self::Output> {
        let Self { config, params } = self;
        check_real(&map, "coupling.map")?;
        let halves = config.mask.halves(config.dim)?;
        let net = Net {
            inputs: halves.keep.len(),
            context: config.context_dim,
            outputs: halves.moved.len() * map.parameters(),
            config: config.net.clone(),
            grid: None,
        };
        let bias = map.identity().repeat(halves.moved.len());
        let bound = if config.starts_at_identity { 0. } else { NEAR_IDENTITY };
        let theta = params.flat(net.pieces("net.", bound, bias))?;
        let plan = Plan { dim: config.dim, keep: halves.keep, moved: halves.moved, net, map };
        Ok(Arc::new(Coupling::new(plan, theta, None, config.route)?))
    }
}

/// Initial weights of the last map, relative to the usual `1/√in`: a layer starts near the identity.
pub(crate) const NEAR_IDENTITY: f64 = 0.1;
