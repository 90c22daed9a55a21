//! Glow: a multiscale flow of images.
use super::levels::Levels;
use crate::Result;
use crate::config::BijectorConfig;
use crate::nn::NetConfig;
use crate::univariate::{AffineScale, UnivariateConfig};
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
        let levels = Levels {
            name: "glow",
            shape: &self.shape,
            levels: self.levels,
            steps: self.steps,
            map: &self.map,
            net: &self.net,
            context_dim,
            closed: false,
            starts_at_identity: false,
        };
        Ok(BijectorConfig::Inverted { of: Box::new(levels.bijector()?) })
    }
}
