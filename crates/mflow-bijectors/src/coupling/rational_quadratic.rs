//! The rational-quadratic spline coupling of neural spline flows.
use super::{Coupling, Mask, Route};
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::kernel::coupling::Plan;
use crate::nn::{ResidualConfig, ResidualNet};
use crate::params::Params;
use crate::spline::{RationalQuadratic, ScalarMap};
use crate::{Diff, Error, Result};
use serde::{Deserialize, Serialize};

/// Config of [`RqCoupling`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RqCouplingConfig {
    /// Number of features.
    pub dim: usize,
    /// Number of context features, 0 for none.
    #[serde(default)]
    pub context_dim: usize,
    /// Features that move.
    pub mask: Mask,
    /// Bins of the splines.
    #[serde(default = "default_bins")]
    pub bins: usize,
    /// Half the width of the box outside of which the map is the identity.
    #[serde(default = "default_bound")]
    pub tail_bound: f64,
    /// The conditioner.
    #[serde(default)]
    pub net: ResidualConfig,
    /// Kernels or tensor operations; the numbers agree to rounding.
    #[serde(default)]
    pub route: Route,
}

fn default_bins() -> usize {
    10
}
fn default_bound() -> f64 {
    6.
}

impl RqCouplingConfig {
    /// 10 bins on `[-6, 6]`, a conditioner of 2 blocks of width 100, no context.
    pub fn new(dim: usize, mask: Mask) -> Self {
        Self {
            dim,
            context_dim: 0,
            mask,
            bins: default_bins(),
            tail_bound: default_bound(),
            net: ResidualConfig::default(),
            route: Route::Auto,
        }
    }
    /// Condition on `context_dim` features.
    #[must_use]
    pub fn with_context(self, context_dim: usize) -> Self {
        Self { context_dim, ..self }
    }
    /// With another number of bins and tail bound.
    #[must_use]
    pub fn with_bins(self, bins: usize, tail_bound: f64) -> Self {
        Self { bins, tail_bound, ..self }
    }
    /// With another conditioner.
    #[must_use]
    pub fn with_net(self, net: ResidualConfig) -> Self {
        Self { net, ..self }
    }
    /// With the other route.
    #[must_use]
    pub fn with_route(self, route: Route) -> Self {
        Self { route, ..self }
    }

    /// Create the layer, taking its parameters from `params`.
    ///
    /// # Errors
    /// If a field is out of range or a parameter does not fit.
    pub fn build(&self, params: &mut Params<'_>) -> Result<RqCoupling> {
        if self.dim == 0 {
            return Err(Error::config("rq_coupling.dim", "must be positive, found 0"));
        }
        self.net.validate("rq_coupling.net")?;
        let halves = self.mask.halves(self.dim)?;
        let scale = 1. / (self.net.hidden as f64).sqrt();
        let map = RationalQuadratic::new(self.bins, self.tail_bound, scale)?;
        let net = ResidualNet {
            inputs: halves.keep.len(),
            context: self.context_dim,
            outputs: halves.moved.len() * map.parameters(),
            config: self.net.clone(),
        };
        // Equal bins with unit derivatives are the identity; small weights start near it.
        let mut element = vec![0.; map.parameters()];
        element[2 * self.bins..].fill(RationalQuadratic::unit_slope());
        let bias = element.repeat(halves.moved.len());
        let theta = params.flat(net.pieces("net.", NEAR_IDENTITY, bias))?;
        let plan = Plan { dim: self.dim, keep: halves.keep, moved: halves.moved, net, map };
        Ok(RqCoupling(Coupling::new(plan, theta, self.route)?))
    }
}

/// Initial weights of the last map, relative to the usual `1/sqrt(in)`.
const NEAR_IDENTITY: f64 = 0.1;

/// `y_keep = x_keep`, `y_moved = RQ(x_moved; net(x_keep, c))` with a [`RationalQuadratic`] spline.
///
/// **Shapes**: `[B, D]` to `[B, D]`, context `[B, C]`. `log|det J|` is the sum of the log-slopes of
/// the moved features. `forward` evaluates the spline, `inverse` solves its quadratic; both cost one
/// evaluation of the conditioner.
///
/// **Reference**: Durkan, Bekasov, Murray & Papamakarios (2019), *Neural Spline Flows*, arXiv
/// 1906.04032, section 3.1 and eq. 4 to 8. Published weights are for the direction data to latent:
/// they load into an [`crate::Inverted`] chain of these layers.
#[derive(Debug)]
pub struct RqCoupling(Coupling<RationalQuadratic>);

impl Layer for RqCoupling {
    fn signature(&self) -> &Signature {
        Layer::signature(&self.0)
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        self.0.apply(direction, x, context)
    }
}
