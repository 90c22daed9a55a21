//! The flow of images of the published M-flow experiments.
use super::is_false;
use super::levels::Levels;
use crate::config::BijectorConfig;
use crate::elementwise::{Function, FunctionConfig};
use crate::linear::{LuLinearConfig, Order, PermutationConfig};
use crate::nn::NetConfig;
use crate::shape::{ReshapeConfig, size};
use crate::univariate::UnivariateConfig;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A flow of images as rows of numbers, whose first latents come from every level.
///
/// **Shapes**: `[B, D]` to `[B, D]` with `D = H W C`; rows of data are images in the order height, width, channels.
///
/// From data to latents: `levels` times squeeze, `steps` of [`crate::ActNorm`], 1x1 convolution and rational-quadratic coupling
/// with a convolutional conditioner, one more 1x1 convolution, after which half of the channels is done. Then some
/// channels of each level, `mixed` times 1, 2, 4, .. of them, are mixed by a linear map, and come first. A manifold of
/// `n` dimensions, which is the first `n` latents, so has coordinates that large and small structures of an image share.
///
/// Normalisation is not part of it. Brehmer & Cranmer (2020), arXiv 2003.13913, section 4.3 and their published code;
/// levels as in Kingma & Dhariwal (2018), *Glow*, arXiv 1807.03039, figure 2, with the couplings of Durkan et al.
/// (2019), arXiv 1906.04032, section 5.2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ImageFlowConfig {
    /// Shape `[H, W, C]` of the images; height and width are multiples of `2^levels`.
    pub shape: Vec<usize>,
    /// Number of levels.
    #[serde(default = "four")]
    pub levels: usize,
    /// Number of couplings in each level.
    #[serde(default = "five")]
    pub steps: usize,
    /// Bins of the splines.
    #[serde(default = "eleven")]
    pub bins: usize,
    /// Half the width of the box outside of which the splines are the identity.
    #[serde(default = "ten")]
    pub tail_bound: f64,
    /// The conditioners; their width counts channels.
    #[serde(default)]
    pub net: NetConfig,
    /// How many channels of the first level are mixed and come first; twice as many of the next, and so on. 0 mixes none:
    /// latents are in the order of the levels.
    #[serde(default = "one")]
    pub mixed: usize,
    /// Whether they are mixed by two linear maps with [`Function::LogTanh`] between them, as published. Beyond latents of
    /// about 1 its inverse, which decodes, grows exponentially: a latent of 10 is that of `e^22`. One linear map is tame.
    #[serde(default, skip_serializing_if = "is_false")]
    pub log_tanh: bool,
    /// Whether couplings start as the identity exactly, by a last map of their networks that is 0; otherwise near it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub starts_at_identity: bool,
}

fn one() -> usize {
    1
}
fn four() -> usize {
    4
}
fn five() -> usize {
    5
}
fn eleven() -> usize {
    11
}
fn ten() -> f64 {
    10.
}

/// Where the logarithm between the linear maps takes over, as published.
const CUT: f64 = 1.;

impl ImageFlowConfig {
    /// 4 levels of 5 couplings with 11 bins on `[-10, 10]`, conditioners of 2 blocks of 100 channels, `1, 2, 4, 8` channels
    /// mixed: the published flow of images of 64 by 64 pixels, but for [`ImageFlowConfig::log_tanh`].
    pub fn new(shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            levels: four(),
            steps: five(),
            bins: eleven(),
            tail_bound: ten(),
            net: NetConfig::default(),
            mixed: one(),
            log_tanh: false,
            starts_at_identity: false,
        }
    }
    /// With another number of levels and of couplings in each.
    #[must_use]
    pub fn with_depth(self, levels: usize, steps: usize) -> Self {
        Self { levels, steps, ..self }
    }
    /// With other conditioners.
    #[must_use]
    pub fn with_net(self, net: NetConfig) -> Self {
        Self { net, ..self }
    }
    /// With splines of this number of bins and tail bound.
    #[must_use]
    pub fn with_bins(self, bins: usize, tail_bound: f64) -> Self {
        Self { bins, tail_bound, ..self }
    }
    /// With so many channels mixed; see [`ImageFlowConfig::mixed`].
    #[must_use]
    pub fn with_mixed(self, mixed: usize) -> Self {
        Self { mixed, ..self }
    }

    /// With [`ImageFlowConfig::log_tanh`] or without.
    #[must_use]
    pub fn with_log_tanh(self, log_tanh: bool) -> Self {
        Self { log_tanh, ..self }
    }

    /// Number of features of a row.
    pub fn dim(&self) -> usize {
        size(&self.shape)
    }

    /// The bijector of vectors of [`ImageFlowConfig::dim`] features, with `context_dim` context features (0 for none).
    ///
    /// # Errors
    /// If there is no level or no step, the sides of the images cannot be halved so often, or a level has fewer channels than
    /// are to be mixed.
    pub fn bijector(&self, context_dim: usize) -> Result<BijectorConfig> {
        let (bins, tail_bound) = (self.bins, self.tail_bound);
        let map = UnivariateConfig::RationalQuadratic { bins, tail_bound };
        let levels = Levels {
            name: "image",
            shape: &self.shape,
            levels: self.levels,
            steps: self.steps,
            map: &map,
            net: &self.net,
            context_dim,
            closed: true,
            starts_at_identity: self.starts_at_identity,
        };
        let (shapes, dim) = (levels.shapes()?, self.dim());
        let mut layers = vec![
            BijectorConfig::Reshape(ReshapeConfig::new(&[dim], &self.shape)),
            levels.bijector()?,
        ];
        if self.mixed > 0 {
            layers.extend(self.mix(&self.first(&shapes)?));
        }
        Ok(BijectorConfig::Inverted { of: Box::new(BijectorConfig::Chain { layers }) })
    }

    /// The features of the mixed channels, after levels that end in these shapes.
    fn first(&self, shapes: &[[usize; 3]]) -> Result<Vec<usize>> {
        let (mut start, mut first) = (0, vec![]);
        for (level, [h, w, c]) in shapes.iter().enumerate() {
            // All that is left belongs to the last level.
            let channels = if level + 1 < shapes.len() { c - c / 2 } else { *c };
            let mixed = self.mixed << level;
            if mixed > channels {
                let reason = format!(
                    "must leave every level with enough channels: level {level} gives out {channels}, and \
                     {mixed} of them would be mixed, found {}",
                    self.mixed
                );
                return Err(Error::config("image.mixed", reason));
            }
            for pixel in 0..h * w {
                first.extend((0..mixed).map(|channel| start + pixel * channels + channel));
            }
            start += h * w * channels;
        }
        Ok(first)
    }

    /// Mixes these features and puts them first.
    #[expect(clippy::indexing_slicing, reason = "`first` gives features below `dim`")]
    fn mix(&self, first: &[usize]) -> [BijectorConfig; 2] {
        let (dim, mixed) = (self.dim(), first.len());
        let linear = || BijectorConfig::LuLinear(LuLinearConfig::new(mixed));
        let mut layers = vec![linear()];
        if self.log_tanh {
            let log = FunctionConfig::new(&[mixed], Function::LogTanh { cut: CUT });
            layers.extend([BijectorConfig::Function(log), linear()]);
        }
        let of = BijectorConfig::Chain { layers };
        let mut others = vec![true; dim];
        first.iter().for_each(|&feature| others[feature] = false);
        let others = (0..dim).filter(|&feature| others[feature]);
        let order = Order::Listed(first.iter().copied().chain(others).collect());
        let features = (0..mixed).collect();
        [
            BijectorConfig::Permutation(PermutationConfig::new(dim).with_order(order)),
            BijectorConfig::Partial { dim, features, of: Box::new(of) },
        ]
    }
}
