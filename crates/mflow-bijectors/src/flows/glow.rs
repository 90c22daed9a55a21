//! Glow: a multiscale flow of images.
use crate::config::BijectorConfig;
use crate::coupling::{ImageCouplingConfig, Mask};
use crate::linear::LuLinearConfig;
use crate::nn::NetConfig;
use crate::norm::ActNormConfig;
use crate::shape::{SqueezeConfig, check_image};
use crate::univariate::{AffineScale, UnivariateConfig};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Glow: levels of squeeze and `steps` times normalisation, 1x1 convolution and coupling, after each
/// of which half of the channels is done.
///
/// **Shapes**: `forward` maps latent vectors `[B, H W C]` to images `[B, H, W, C]`. The normalisations
/// are initialised by [`crate::Bijector::observe`] of a batch of images (direction inverse).
///
/// **Reference**: Kingma & Dhariwal (2018), *Glow*, arXiv 1807.03039, figure 2; with splines in the
/// place of affine maps Durkan et al. (2019), arXiv 1906.04032, section 5.2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GlowConfig {
    /// Shape `[H, W, C]` of the images; height and width are multiples of `2^levels`.
    pub shape: Vec<usize>,
    /// Number of levels.
    pub levels: usize,
    /// Number of steps in each level.
    pub steps: usize,
    /// The element-wise map of the couplings.
    pub map: UnivariateConfig,
    /// The conditioners.
    #[serde(default)]
    pub net: NetConfig,
}

impl GlowConfig {
    /// 2 levels of 4 steps, affine couplings, conditioners of 1 block of 32 channels.
    pub fn new(shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            levels: 2,
            steps: 4,
            map: UnivariateConfig::Affine { scale: AffineScale::Sigmoid },
            net: NetConfig::new(32, 1),
        }
    }
    /// With another number of levels and of steps in each.
    #[must_use]
    pub fn with_depth(self, levels: usize, steps: usize) -> Self {
        Self { levels, steps, ..self }
    }
    /// With another element-wise map.
    #[must_use]
    pub fn with_map(self, map: UnivariateConfig) -> Self {
        Self { map, ..self }
    }
    /// With another conditioner.
    #[must_use]
    pub fn with_net(self, net: NetConfig) -> Self {
        Self { net, ..self }
    }

    /// The bijector, with `context_dim` context features (0 for none).
    ///
    /// # Errors
    /// If there is no level or no step, or the sides of the images cannot be halved so often.
    pub fn bijector(&self, context_dim: usize) -> Result<BijectorConfig> {
        for (field, v) in [("glow.levels", self.levels), ("glow.steps", self.steps)] {
            if v == 0 {
                return Err(Error::config(field, "must be positive, found 0"));
            }
        }
        let [mut h, mut w, mut c] = check_image("glow.shape", &self.shape)?;
        let mut levels = vec![];
        for level in 0..self.levels {
            if h % 2 != 0 || w % 2 != 0 {
                let reason = format!(
                    "must have sides that are multiples of 2^{}, found {:?}",
                    self.levels, self.shape
                );
                return Err(Error::config("glow.shape", reason));
            }
            let mut layers = vec![BijectorConfig::Squeeze(SqueezeConfig::new(&[h, w, c]))];
            (h, w, c) = (h / 2, w / 2, 4 * c);
            let pixelwise = |of: BijectorConfig| BijectorConfig::Pixelwise {
                height: h,
                width: w,
                of: Box::new(of),
            };
            for step in 0..self.steps {
                let coupling = ImageCouplingConfig::new(&[h, w, c], Mask::alternating(step))
                    .with_context(context_dim)
                    .with_map(self.map.clone())
                    .with_net(self.net.clone());
                layers.push(pixelwise(BijectorConfig::ActNorm(ActNormConfig::new(c))));
                layers.push(pixelwise(BijectorConfig::LuLinear(LuLinearConfig::new(c))));
                layers.push(BijectorConfig::ImageCoupling(coupling));
            }
            levels.push(BijectorConfig::Chain { layers });
            if level + 1 < self.levels {
                c /= 2;
            }
        }
        let of = Box::new(BijectorConfig::Multiscale { levels });
        Ok(BijectorConfig::Inverted { of })
    }
}
