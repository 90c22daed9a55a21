//! Couplings of images: some channels move by a map whose parameters the other channels determine.
use super::{Coupling, Mask, NEAR_IDENTITY, check_real, conditioned_builders};
use crate::bijector::Bijector;
use crate::count::check_context;
use crate::flows::is_false;
use crate::kernel::coupling::Plan;
use crate::nn::{Grid, Net, NetConfig};
use crate::params::Params;
use crate::route::Route;
use crate::shape::check_image;
use crate::univariate::{Univariate, UnivariateConfig, Visitor};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Config of a coupling layer of images with a channel mask.
///
/// **Shapes**: `[B, H, W, C]` to the same, context `[B, C]`. The parameters of pixel `(i, j)` of a moved
/// channel come from a convolutional network ([`Net`]) of the kept channels. `log|det J|` is the sum of the
/// log-slopes. On the CPU all of it is one fused operation; elsewhere the convolutions are candle's.
///
/// **Reference**: Dinh et al. (2017), *Real NVP*, arXiv 1605.08803, section 3.4; with splines Durkan
/// et al. (2019), arXiv 1906.04032, section 5.2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ImageCouplingConfig {
    /// Shape `[H, W, C]` of a point.
    pub shape: Vec<usize>,
    /// Number of context features, 0 for none.
    #[serde(default)]
    pub context_dim: usize,
    /// Channels that move.
    pub mask: Mask,
    /// The element-wise map.
    #[serde(default)]
    pub map: UnivariateConfig,
    /// The conditioner; its width counts channels.
    #[serde(default)]
    pub net: NetConfig,
    /// Whether it starts as the identity exactly, by a last map of the conditioner that is 0; otherwise near it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub starts_at_identity: bool,
    /// Kernels or tensor operations; the numbers agree to rounding.
    #[serde(default)]
    pub route: Route,
}

impl ImageCouplingConfig {
    /// Rational-quadratic splines of 10 bins on `[-6, 6]`, 2 blocks of 100 channels, no context.
    pub fn new(shape: &[usize], mask: Mask) -> Self {
        Self {
            shape: shape.to_vec(),
            context_dim: 0,
            mask,
            map: UnivariateConfig::default(),
            net: NetConfig::default(),
            starts_at_identity: false,
            route: Route::Auto,
        }
    }
    conditioned_builders!(NetConfig);
    /// Whether it starts as the identity exactly.
    #[must_use]
    pub fn with_start_at_identity(self, starts_at_identity: bool) -> Self {
        Self { starts_at_identity, ..self }
    }

    /// Create the layer; parameters `net.*`.
    ///
    /// # Errors
    /// If a field is out of range, no channel is kept, or a parameter does not fit.
    pub fn build(&self, params: &mut Params<'_>) -> Result<Arc<dyn Bijector>> {
        let [height, width, channels] = check_image("image_coupling.shape", &self.shape)?;
        if channels < 2 {
            let reason = format!("must have 2 channels or more, found {:?}", self.shape);
            return Err(Error::config("image_coupling.shape", reason));
        }
        check_context("image_coupling.context_dim", self.context_dim)?;
        self.net.validate("image_coupling.net")?;
        let build = Build { config: self, grid: Grid { height, width }, channels, params };
        self.map.visit(self.net.logit_scale(), build)
    }
}

struct Build<'a, 'p> {
    config: &'a ImageCouplingConfig,
    grid: Grid,
    channels: usize,
    params: &'a mut Params<'p>,
}

impl Visitor for Build<'_, '_> {
    type Output = Arc<dyn Bijector>;
    fn visit<U: Univariate>(self, map: U) -> Result<Self::Output> {
        let Self { config, grid, channels, params } = self;
        check_real(&map, "image_coupling.map")?;
        let halves = config.mask.halves(channels)?;
        if halves.keep.is_empty() {
            return Err(Error::config(
                "image_coupling.mask",
                "must keep a channel, found that all move",
            ));
        }
        let moving = halves.moved.len();
        let net = Net {
            inputs: halves.keep.len(),
            context: config.context_dim,
            outputs: moving * map.parameters(),
            config: config.net.clone(),
            grid: Some(grid),
        };
        let bound = if config.starts_at_identity { 0. } else { NEAR_IDENTITY };
        let theta = params.flat(net.pieces("net.", bound, map.identity().repeat(moving)))?;
        let plan = Plan { dim: channels, keep: halves.keep, moved: halves.moved, net, map };
        Ok(Arc::new(Coupling::new(plan, theta, None, config.route)?))
    }
}
