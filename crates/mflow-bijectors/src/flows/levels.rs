//! What the flows of images share: levels of squeeze and steps, after each of which half of the channels is done.
use crate::config::BijectorConfig;
use crate::count::check_layers;
use crate::coupling::{ImageCouplingConfig, Mask};
use crate::linear::{LuLinearConfig, PermutationConfig};
use crate::nn::NetConfig;
use crate::norm::ActNormConfig;
use crate::shape::{SqueezeConfig, check_image};
use crate::univariate::UnivariateConfig;
use crate::{Error, Result};

/// Levels in the direction data to latent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels<'a> {
    /// Of the flow, for errors.
    pub(super) name: &'static str,
    /// Shape `[H, W, C]` of the images.
    pub(super) shape: &'a [usize],
    pub(super) levels: usize,
    /// In each level.
    pub(super) steps: usize,
    pub(super) map: &'a UnivariateConfig,
    pub(super) net: &'a NetConfig,
    pub(super) context_dim: usize,
    /// Whether each level ends in one more linear map of the channels.
    pub(super) closed: bool,
    /// Whether couplings start as the identity exactly.
    pub(super) starts_at_identity: bool,
}

impl Levels<'_> {
    fn refuse<T>(&self, field: &str, reason: impl Into<String>) -> Result<T> {
        Err(Error::config(format!("{}.{field}", self.name), reason))
    }

    /// The shapes `[H, W, C]` in which the levels end, before half of the channels goes.
    pub(super) fn shapes(&self) -> Result<Vec<[usize; 3]>> {
        for (field, v) in [("levels", self.levels), ("steps", self.steps)] {
            check_layers(format!("{}.{field}", self.name), v)?;
        }
        let [mut h, mut w, mut c] = check_image(&format!("{}.shape", self.name), self.shape)?;
        let mut shapes = vec![];
        for _ in 0..self.levels {
            if h % 2 != 0 || w % 2 != 0 {
                let (levels, shape) = (self.levels, self.shape);
                let reason =
                    format!("must have sides that are multiples of 2^{levels}, found {shape:?}");
                return self.refuse("shape", reason);
            }
            (h, w, c) = (h / 2, w / 2, 4 * c);
            shapes.push([h, w, c]);
            c /= 2;
        }
        Ok(shapes)
    }

    /// The levels, from images `[H, W, C]` to vectors.
    pub(super) fn bijector(&self) -> Result<BijectorConfig> {
        let levels = self.shapes()?.into_iter().map(|shape| self.level(shape)).collect();
        Ok(BijectorConfig::Multiscale { levels })
    }

    fn level(&self, [h, w, c]: [usize; 3]) -> BijectorConfig {
        let pixelwise = |layers| BijectorConfig::Pixelwise {
            height: h,
            width: w,
            of: Box::new(BijectorConfig::Chain { layers }),
        };
        // A 1x1 convolution.
        let mix = || {
            vec![
                BijectorConfig::Permutation(PermutationConfig::new(c)),
                BijectorConfig::LuLinear(LuLinearConfig::new(c)),
            ]
        };
        let mut layers = vec![BijectorConfig::Squeeze(SqueezeConfig::new(&[2 * h, 2 * w, c / 4]))];
        for step in 0..self.steps {
            let coupling = ImageCouplingConfig::new(&[h, w, c], Mask::alternating(step))
                .with_context(self.context_dim)
                .with_map(self.map.clone())
                .with_net(self.net.clone())
                .with_start_at_identity(self.starts_at_identity);
            let mut of_channels = vec![BijectorConfig::ActNorm(ActNormConfig::new(c))];
            of_channels.extend(mix());
            layers.push(pixelwise(of_channels));
            layers.push(BijectorConfig::ImageCoupling(coupling));
        }
        if self.closed {
            layers.push(pixelwise(mix()));
        }
        BijectorConfig::Chain { layers }
    }
}
