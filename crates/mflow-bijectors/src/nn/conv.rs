//! The convolutional residual conditioner of images.
use super::net::check_dropout;
use super::{Activation, Linear};
use crate::noise::LayerNoise;
use crate::params::{Init, Piece};
use crate::{Diff, Error, Result, kernel};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Size of a convolutional conditioner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ConvNetConfig {
    /// Channels of the hidden layers.
    pub hidden: usize,
    /// Number of residual blocks, of two 3x3 convolutions each.
    pub blocks: usize,
    /// Activation function.
    pub activation: Activation,
    /// Probability that a hidden number is dropped while training.
    pub dropout: f64,
}

impl Default for ConvNetConfig {
    /// Two blocks of 32 channels, ReLU, no dropout.
    fn default() -> Self {
        Self { hidden: 32, blocks: 2, activation: Activation::Relu, dropout: 0. }
    }
}

impl ConvNetConfig {
    /// Channels and number of blocks, ReLU.
    pub fn new(hidden: usize, blocks: usize) -> Self {
        Self { hidden, blocks, ..Self::default() }
    }
    /// With another activation function.
    #[must_use]
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }
    /// With dropout of this probability while training.
    #[must_use]
    pub fn with_dropout(self, dropout: f64) -> Self {
        Self { dropout, ..self }
    }
    pub(crate) fn validate(&self, path: &str) -> Result<()> {
        if self.hidden == 0 {
            return Err(Error::config(format!("{path}.hidden"), "must be positive, found 0"));
        }
        check_dropout(path, self.dropout)
    }
}

/// A residual network of convolutions on `[B, inputs, H, W]` over one flat parameter vector.
///
/// ```text
/// h = conv1(x) + c Wc + bc
/// each block:  u = conv3(act(conv3(act(h))));   h = h + u * sigmoid(c Wc + bc)
/// output = conv1(h)
/// ```
///
/// `conv1` has 1x1 kernels, `conv3` 3x3 kernels and zeros around the image; a context `c` acts on all
/// pixels alike, without one those terms are absent. As in Durkan et al. (2019), arXiv 1906.04032,
/// B.2; kernels are stored `[out, in, rows, columns]` as in PyTorch.
#[derive(Clone, Debug)]
pub struct ConvNet {
    /// Number of input channels.
    pub inputs: usize,
    /// Number of context features, 0 if there is none.
    pub context: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// Hidden channels, blocks, activation.
    pub config: ConvNetConfig,
}

/// One piece of the network: a convolution of this kernel, or an affine map of the context.
#[derive(Clone, Copy)]
enum Part {
    Conv { inputs: usize, outputs: usize, kernel: usize },
    Context,
}

impl ConvNet {
    fn parts(&self) -> Vec<(String, Part)> {
        let hidden = self.config.hidden;
        let conv = |inputs, outputs, kernel| Part::Conv { inputs, outputs, kernel };
        let mut all = vec![("initial".to_owned(), conv(self.inputs, hidden, 1))];
        if self.context > 0 {
            all.push(("context".into(), Part::Context));
        }
        for i in 0..self.config.blocks {
            for k in 0..2 {
                all.push((format!("blocks.{i}.conv.{k}"), conv(hidden, hidden, 3)));
            }
            if self.context > 0 {
                all.push((format!("blocks.{i}.context"), Part::Context));
            }
        }
        all.push(("final".into(), conv(hidden, self.outputs, 1)));
        all
    }

    /// The named pieces of the flat vector with their initial values, as those of [`super::Net`].
    pub(crate) fn pieces(
        &self,
        prefix: &str,
        final_bound: f64,
        final_bias: Vec<f64>,
    ) -> Vec<Piece> {
        let mut pieces = vec![];
        for (name, part) in self.parts() {
            let full = format!("{prefix}{name}");
            let (weight, fan, outputs) = match part {
                Part::Conv { inputs, outputs, kernel } => {
                    let fan = 1. / ((inputs * kernel * kernel).max(1) as f64).sqrt();
                    let bound = match name.as_str() {
                        "final" => final_bound * fan,
                        second if second.ends_with("conv.1") => 1e-3,
                        _ => fan,
                    };
                    let shape = [outputs, inputs, kernel, kernel];
                    let weight =
                        Piece::array(format!("{full}.weight"), &shape, Init::uniform(bound));
                    (weight, bound, outputs)
                }
                Part::Context => {
                    let (inputs, outputs) = (self.context, self.config.hidden);
                    let fan = 1. / (inputs as f64).sqrt();
                    let name = format!("{full}.weight");
                    (Piece::weight(name, inputs, outputs, Init::uniform(fan)), fan, outputs)
                }
            };
            let bias = match name.as_str() {
                "final" => Init::Values(final_bias.clone()),
                _ => Init::uniform(fan),
            };
            pieces.push(weight);
            pieces.push(Piece::vector(format!("{full}.bias"), outputs, bias));
        }
        pieces
    }

    /// The outputs, `[B, outputs, H, W]`; `noise` drops hidden numbers.
    pub(crate) fn apply<T: Diff>(
        &self,
        theta: &Tensor,
        x: &T,
        context: Option<&T>,
        noise: Option<&LayerNoise>,
    ) -> Result<T> {
        let parts = self.parts();
        let lens = parts.iter().flat_map(|(_, part)| match *part {
            Part::Conv { inputs, outputs, kernel } => [outputs * inputs * kernel * kernel, outputs],
            Part::Context => [self.context * self.config.hidden, self.config.hidden],
        });
        let flat = kernel::split(theta, &lens.collect::<Vec<_>>())?;
        let mut at = 0;
        let mut next = || {
            at += 1;
            (parts[at - 1].1, &flat[2 * at - 2], &flat[2 * at - 1])
        };
        let convolve = |x: &T, of: (Part, &Tensor, &Tensor)| match of {
            (Part::Conv { inputs, outputs, kernel }, weight, bias) => {
                let weight = weight.reshape((outputs, inputs, kernel, kernel))?;
                x.conv2d(&weight)?.add(&T::constant(&bias.reshape((outputs, 1, 1))?))
            }
            (Part::Context, ..) => Err(Error::config("conv_net", "has parts out of order")),
        };
        // What the context says to each channel, `[B, hidden, 1, 1]`.
        let hidden = self.config.hidden;
        let tell = |c: &T, (_, weight, bias): (Part, &Tensor, &Tensor)| {
            let weight = weight.reshape((self.context, hidden))?;
            c.affine(&Linear { weight, bias: bias.clone() })?.reshape(&[hidden, 1, 1])
        };
        let mut h = convolve(x, next())?;
        if let Some(c) = context {
            h = h.add(&tell(c, next())?)?;
        }
        let ConvNetConfig { activation, dropout, .. } = self.config;
        for block in 0..self.config.blocks {
            let u = convolve(&activation.apply(&h)?, next())?;
            let mut u = activation.apply(&u)?;
            if let Some(noise) = noise {
                let v = u.value();
                let mask = noise.dropout(block, dropout, v.dims(), v.dtype(), v.device())?;
                u = u.mul(&T::constant(&mask))?;
            }
            let mut u = convolve(&u, next())?;
            if let Some(c) = context {
                u = u.mul(&tell(c, next())?.sigmoid()?)?;
            }
            h = h.add(&u)?;
        }
        convolve(&h, next())
    }
}
