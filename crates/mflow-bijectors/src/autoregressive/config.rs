//! [`AutoregressiveConfig`]: an autoregressive layer as it is written in a config file.
use super::Autoregressive;
use crate::Result;
use crate::bijector::Bijector;
use crate::count::{check_context, check_features};
use crate::coupling::{Coupling, NEAR_IDENTITY, check_real, conditioned_builders};
use crate::kernel::coupling::Plan;
use crate::nn::{Net, NetConfig};
use crate::params::Params;
use crate::route::Route;
use crate::univariate::{Univariate, UnivariateConfig, Visitor};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Config of a masked autoregressive layer: `y_i = g(x_i; net(x_1 .. x_(i-1), c)_i)`.
///
/// **Shapes**: `[B, D]` to `[B, D]`, context `[B, C]`. The Jacobian is triangular: `log|det J|` is
/// the sum of the log-slopes. **Cost**: `forward` one evaluation of the network; `inverse` one per
/// feature, exact, and as many again for its gradient. A flow whose densities should be fast applies
/// it data to latent (MAF: [`crate::Inverted`]), one whose samples should be fast latent to data
/// (IAF).
///
/// **Reference**: Germain, Gregor, Murray & Larochelle (2015), *MADE*, arXiv 1502.03509; Kingma et
/// al. (2016), *IAF*, arXiv 1606.04934; Papamakarios, Pavlakou & Murray (2017), *MAF*, arXiv
/// 1705.07057, eq. 3 and 4; with splines Durkan et al. (2019), arXiv 1906.04032, section 3.2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AutoregressiveConfig {
    /// Number of features.
    pub dim: usize,
    /// Number of context features, 0 for none.
    #[serde(default)]
    pub context_dim: usize,
    /// The element-wise map `g`.
    #[serde(default)]
    pub map: UnivariateConfig,
    /// The conditioner, masked; residual networks and perceptrons alike.
    #[serde(default)]
    pub net: NetConfig,
    /// Kernels or tensor operations; the numbers agree to rounding.
    #[serde(default)]
    pub route: Route,
}

impl AutoregressiveConfig {
    /// Rational-quadratic splines of 10 bins on `[-6, 6]`, a masked residual network of 2 blocks of
    /// width 100, no context.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            context_dim: 0,
            map: UnivariateConfig::default(),
            net: NetConfig::default(),
            route: Route::Auto,
        }
    }
    conditioned_builders!(NetConfig);

    /// Create the layer; parameters `net.*`.
    ///
    /// # Errors
    /// If a field is out of range or a parameter does not fit.
    pub fn build(&self, params: &mut Params<'_>) -> Result<Arc<dyn Bijector>> {
        check_features("autoregressive.dim", self.dim)?;
        check_context("autoregressive.context_dim", self.context_dim)?;
        self.net.validate("autoregressive.net")?;
        // nflows does not divide the logits here.
        self.map.visit(1., Build { config: self, params })
    }
}

struct Build<'a, 'p> {
    config: &'a AutoregressiveConfig,
    params: &'a mut Params<'p>,
}

impl Visitor for Build<'_, '_> {
    type Output = Arc<dyn Bijector>;
    fn visit<U: Univariate>(self, map: U) -> Result<Self::Output> {
        let Self { config, params } = self;
        check_real(&map, "autoregressive.map")?;
        let dim = config.dim;
        let net = Net {
            inputs: dim,
            context: config.context_dim,
            outputs: dim * map.parameters(),
            config: config.net.clone(),
            grid: None,
        };
        let theta = params.flat(net.pieces("net.", NEAR_IDENTITY, map.identity().repeat(dim)))?;
        let mask = net.autoregressive_mask();
        let n = mask.len();
        let mask = Tensor::from_vec(mask, n, &Device::Cpu)?
            .to_dtype(params.dtype())?
            .to_device(params.device())?;
        let plan = Plan { dim, keep: (0..dim).collect(), moved: (0..dim).collect(), net, map };
        let parallel = Coupling::new(plan, theta, Some(mask), config.route)?;
        Ok(Arc::new(Autoregressive { parallel }))
    }
}
