//! Couplings of images: some channels move by a map whose parameters the other channels determine.
use super::{Mask, NEAR_IDENTITY, conditioned_builders, indices};
use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::diff::Diff;
use crate::nn::{ConvNet, ConvNetConfig};
use crate::noise::{LayerNoise, Noise};
use crate::params::Params;
use crate::route::Route;
use crate::shape::check_shape;
use crate::univariate::{Univariate, UnivariateConfig, Visitor};
use crate::{Error, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Config of a coupling layer of images with a channel mask.
///
/// **Shapes**: `[B, C, H, W]` to the same, context `[B, C]`. The parameters of pixel `(i, j)` of a moved
/// channel come from a convolutional network of the kept channels. `log|det J|` is the sum of the
/// log-slopes. On the CPU the element-wise map is a fused operation, the convolutions are candle's.
///
/// **Reference**: Dinh et al. (2017), *Real NVP*, arXiv 1605.08803, section 3.4; with splines Durkan
/// et al. (2019), arXiv 1906.04032, section 5.2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ImageCouplingConfig {
    /// Shape `[C, H, W]` of a point.
    pub shape: Vec<usize>,
    /// Number of context features, 0 for none.
    #[serde(default)]
    pub context_dim: usize,
    /// Channels that move.
    pub mask: Mask,
    /// The element-wise map.
    #[serde(default)]
    pub map: UnivariateConfig,
    /// The conditioner.
    #[serde(default)]
    pub net: ConvNetConfig,
    /// Kernels or tensor operations; the numbers agree to rounding.
    #[serde(default)]
    pub route: Route,
}

impl ImageCouplingConfig {
    /// Rational-quadratic splines of 10 bins on `[-6, 6]`, 2 blocks of 32 channels, no context.
    pub fn new(shape: &[usize], mask: Mask) -> Self {
        Self {
            shape: shape.to_vec(),
            context_dim: 0,
            mask,
            map: UnivariateConfig::default(),
            net: ConvNetConfig::default(),
            route: Route::Auto,
        }
    }
    conditioned_builders!(ConvNetConfig);

    /// Create the layer; parameters `net.*`.
    ///
    /// # Errors
    /// If a field is out of range, no channel is kept, or a parameter does not fit.
    pub fn build(&self, params: &mut Params<'_>) -> Result<Arc<dyn Bijector>> {
        check_shape("image_coupling.shape", &self.shape)?;
        if self.shape.len() != 3 || self.shape[0] < 2 {
            let found = &self.shape;
            let reason = format!(
                "must be [channels, height, width] with 2 channels or more, found {found:?}"
            );
            return Err(Error::config("image_coupling.shape", reason));
        }
        self.net.validate("image_coupling.net")?;
        let scale = 1. / (self.net.hidden as f64).sqrt();
        self.map.visit(scale, Build { config: self, params })
    }
}

struct Build<'a, 'p> {
    config: &'a ImageCouplingConfig,
    params: &'a mut Params<'p>,
}

impl Visitor for Build<'_, '_> {
    type Output = Arc<dyn Bijector>;
    fn visit<U: Univariate>(self, map: U) -> Result<Self::Output> {
        let Self { config, params } = self;
        super::check_real(&map, "image_coupling.map")?;
        let halves = config.mask.halves(config.shape[0])?;
        if halves.keep.is_empty() {
            return Err(Error::config(
                "image_coupling.mask",
                "must keep a channel, found that all move",
            ));
        }
        let (moved, kept) = (halves.moved.len(), halves.keep.len());
        let net = ConvNet {
            inputs: kept,
            context: config.context_dim,
            outputs: moved * map.parameters(),
            config: config.net.clone(),
        };
        let theta = params.flat(net.pieces("net.", NEAR_IDENTITY, map.identity().repeat(moved)))?;
        let mut merge = vec![0; config.shape[0]];
        halves.keep.iter().chain(&halves.moved).enumerate().for_each(|(i, &k)| merge[k] = i);
        let index = |v: &[usize]| indices("image_coupling.shape", v, params.device());
        let (keep, moved, merge) = (index(&halves.keep)?, index(&halves.moved)?, index(&merge)?);
        let signature = Signature::event(&config.shape, params.dtype(), params.device())
            .with_context(config.context_dim);
        let route = config.route;
        Ok(Arc::new(ImageCoupling {
            map,
            net,
            theta,
            keep,
            moved,
            merge,
            route,
            noise: None,
            signature,
        }))
    }
}

/// `y_keep = x_keep`, `y_moved = g(x_moved; net(x_keep, c))` for channels of images.
#[derive(Clone, Debug)]
struct ImageCoupling<U> {
    map: U,
    net: ConvNet,
    theta: Tensor,
    keep: Tensor,
    moved: Tensor,
    merge: Tensor,
    route: Route,
    noise: Option<LayerNoise>,
    signature: Signature,
}

/// Channels by `index`; events are `[C, H, W]`, behind the batch and row axes.
fn channels<T: Diff>(x: &T, index: &Tensor) -> Result<T> {
    x.linear(|t| t.contiguous()?.index_select(index, 2))
}

impl<U: Univariate> Layer for ImageCoupling<U> {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        let (_, c, h, w) = x.value().dims4()?;
        let (keep, moved) = (channels(x, &self.keep)?, channels(x, &self.moved)?);
        let (n, per) = (moved.value().dim(1)?, self.map.parameters());
        let p = self.net.apply(&self.theta, &keep, context, self.noise.as_ref())?;
        // Channel `f P + k` holds parameter k of channel f.
        let p = p.reshape(&[n, per, h, w])?.permute(&[0, 2, 3, 1])?.reshape(&[n * h * w, per])?;
        let flat = moved.reshape(&[n * h * w])?;
        let Mapped { value, log_abs_det } = if self.route.fuses(&self.map, flat.value().device()) {
            flat.pointwise(&p, &self.map, direction)?
        } else {
            self.map.compose(direction, &flat, &p)?
        };
        let both = T::cat(&[&keep.reshape(&[(c - n) * h * w])?, &value])?.reshape(&[c, h, w])?;
        Ok(Mapped { value: channels(&both, &self.merge)?, log_abs_det })
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        if self.net.config.dropout == 0. {
            return Ok(None);
        }
        Ok(Some(Arc::new(Self { noise: Some(noise.layer()), ..self.clone() })))
    }
}
