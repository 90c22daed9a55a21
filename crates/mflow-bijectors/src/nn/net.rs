//! The conditioner network: residual or feed-forward, of vectors or of the pixels of images.
use super::{Activation, Linear};
use crate::bijector::{Direction, Mapped};
use crate::count::{check_blocks, check_square};
use crate::noise::LayerNoise;
use crate::params::{Init, Piece};
use crate::univariate::Univariate;
use crate::{Diff, Error, Result, kernel};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// How the hidden layers of a conditioner are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NetKind {
    /// Residual blocks of two affine maps each.
    #[default]
    Residual,
    /// A multi-layer perceptron: one affine map per block.
    Mlp,
}

/// Size and kind of a conditioner network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct NetConfig {
    /// Residual or feed-forward.
    pub kind: NetKind,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Number of blocks between the first hidden layer and the last.
    pub blocks: usize,
    /// Activation function.
    pub activation: Activation,
    /// Whether a context also gates each block, besides entering the first layer.
    pub gate: bool,
    /// Probability that a hidden unit is dropped while training.
    pub dropout: f64,
}

impl Default for NetConfig {
    /// Two residual blocks of width 100, ReLU, gated, no dropout: the published conditioner.
    fn default() -> Self {
        Self {
            kind: NetKind::Residual,
            hidden: 100,
            blocks: 2,
            activation: Activation::Relu,
            gate: true,
            dropout: 0.,
        }
    }
}

impl NetConfig {
    /// Width and number of residual blocks, ReLU.
    pub fn new(hidden: usize, blocks: usize) -> Self {
        Self { hidden, blocks, ..Self::default() }
    }
    /// A perceptron of `blocks + 1` hidden layers, ReLU.
    pub fn mlp(hidden: usize, blocks: usize) -> Self {
        Self { kind: NetKind::Mlp, ..Self::new(hidden, blocks) }
    }
    /// With another activation function.
    #[must_use]
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }
    /// Whether a context gates each block.
    #[must_use]
    pub fn with_gate(self, gate: bool) -> Self {
        Self { gate, ..self }
    }
    /// With dropout of this probability while training.
    #[must_use]
    pub fn with_dropout(self, dropout: f64) -> Self {
        Self { dropout, ..self }
    }
    /// Factor on the logits of splines: `1/√hidden`, as nflows has it.
    pub(crate) fn logit_scale(&self) -> f64 {
        1. / (self.hidden.max(1) as f64).sqrt()
    }
    pub(crate) fn validate(&self, path: &str) -> Result<()> {
        check_square(format!("{path}.hidden"), self.hidden)?;
        check_blocks(format!("{path}.blocks"), self.blocks)?;
        check_dropout(path, self.dropout)
    }
}

/// Whether `p` can be the probability of dropping a unit.
pub(super) fn check_dropout(path: &str, p: f64) -> Result<()> {
    if (0. ..1.).contains(&p) {
        return Ok(());
    }
    Err(Error::config(format!("{path}.dropout"), format!("must be in [0, 1), found {p}")))
}

/// Size of images whose pixels are the rows of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
}

impl Grid {
    /// Number of pixels.
    pub(crate) fn pixels(self) -> usize {
        self.height * self.width
    }
}

/// Sides of the kernels in the blocks of a network of images.
pub(crate) const SIDE: usize = 3;

/// A network `R^(inputs + context) -> R^outputs` over one flat parameter vector.
///
/// ```text
/// h = [x, c] W0 + b0
/// each block, residual:  u = act(act(h) W1 + b1) W2 + b2;   h = h + u * sigmoid(c Wc + bc)
/// each block, mlp:       u = act(h) W1 + b1;                h = u * sigmoid(c Wc + bc)
/// output = h W + b, of a perceptron act(h) W + b
/// ```
///
/// The context enters twice, concatenated to the input and as a gate on each block; without one, or
/// with `gate` off, the gates are absent. The residual network is that of Durkan et al. (2019),
/// *Neural Spline Flows*, arXiv 1906.04032, B.1. Dropout acts on the input of the last affine map of
/// each block.
///
/// Of images, `[B, H, W, inputs]` to `[B, H, W, outputs]`, the maps within blocks (`W1`, `W2`) are convolutions with
/// 3x3 kernels and zeros around the image. All others, and the context, act on every pixel alike: they are
/// convolutions with 1x1 kernels. As in Durkan et al. (2019), B.2.
#[derive(Clone, Debug)]
pub struct Net {
    /// Number of inputs; 0 makes the outputs depend on the context only.
    pub inputs: usize,
    /// Number of context features, 0 if there is none.
    pub context: usize,
    /// Number of outputs.
    pub outputs: usize,
    /// Kind, hidden width, blocks, activation.
    pub config: NetConfig,
    /// Of images: their size.
    pub grid: Option<Grid>,
}

/// A conditioner evaluated up to its last hidden layer.
#[derive(Debug)]
pub struct Conditioned<T> {
    /// The last hidden layer, `[B, hidden]`; of images `[B, H, W, hidden]`.
    pub hidden: T,
    /// The affine map to the outputs, not yet applied.
    pub last: Linear,
}

impl<T: Diff> Conditioned<T> {
    /// The outputs as `per` parameters of each number that moves, `[B, T, per]`; of images `T` counts them pixel by
    /// pixel.
    ///
    /// # Errors
    /// If a tensor operation fails.
    #[expect(clippy::indexing_slicing, reason = "outputs have a batch axis")]
    pub fn parameters(&self, per: usize) -> Result<T> {
        let outputs = self.hidden.affine(&self.last)?;
        let all: usize = outputs.value().dims()[1..].iter().product();
        outputs.reshape(&[all / per.max(1), per])
    }

    /// Apply `map` to `x: [B, T]` with the outputs of the network as its parameters, as a composition
    /// of tensor operations.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn compose<U: Univariate>(
        &self,
        x: &T,
        map: &U,
        direction: Direction,
    ) -> Result<Mapped<T>> {
        map.compose(direction, x, &self.parameters(map.parameters())?)
    }
}

/// Size of one affine map in the flat vector: weight `[side² inputs, outputs]`, then bias.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinearSize {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Of the kernel of a convolution; 1 of maps that see nothing of other pixels.
    pub(crate) side: usize,
}

impl LinearSize {
    /// How many numbers an output is a sum over.
    pub(crate) fn fan(self) -> usize {
        self.side * self.side * self.inputs
    }
    /// Number of parameters.
    pub(crate) fn len(self) -> usize {
        (self.fan() + 1) * self.outputs
    }
}

impl Net {
    /// Whether blocks are gated by the context.
    pub(crate) fn gated(&self) -> bool {
        self.config.gate && self.context > 0
    }

    /// Affine maps in a block, not counting the gate.
    pub(crate) fn depth(&self) -> usize {
        match self.config.kind {
            NetKind::Residual => 2,
            NetKind::Mlp => 1,
        }
    }

    /// Every affine map in storage order, with its name.
    pub(super) fn named_linears(&self) -> Vec<(String, LinearSize)> {
        let hidden = self.config.hidden;
        let size = |inputs, outputs| LinearSize { inputs, outputs, side: 1 };
        let (kind, side) = if self.grid.is_some() { ("conv", SIDE) } else { ("linear", 1) };
        let within = LinearSize { side, ..size(hidden, hidden) };
        let mut all = vec![("initial".into(), size(self.inputs + self.context, hidden))];
        for i in 0..self.config.blocks {
            for k in 0..self.depth() {
                all.push((format!("blocks.{i}.{kind}.{k}"), within));
            }
            if self.gated() {
                all.push((format!("blocks.{i}.context"), size(self.context, hidden)));
            }
        }
        all.push(("final".into(), size(hidden, self.outputs)));
        all
    }

    pub(crate) fn linears(&self) -> Vec<LinearSize> {
        self.named_linears().into_iter().map(|(_, size)| size).collect()
    }

    /// The named pieces of the flat vector with their initial values.
    ///
    /// Weights and biases start uniform in `±1/sqrt(in)`, the second map of each block in `±1e-3`;
    /// the final map has weights uniform in `±final_bound/sqrt(in)` and the given biases, so that a
    /// layer can start near the identity.
    pub fn pieces(&self, prefix: &str, final_bound: f64, final_bias: Vec<f64>) -> Vec<Piece> {
        let mut pieces = vec![];
        for (name, size) in self.named_linears() {
            let LinearSize { inputs, outputs, side } = size;
            let fan = 1. / (size.fan().max(1) as f64).sqrt();
            let second = name.ends_with("linear.1") || name.ends_with("conv.1");
            let bound = if second { 1e-3 } else { fan };
            let (weight, bias) = if name == "final" {
                (Init::uniform(final_bound * fan), Init::Values(final_bias.clone()))
            } else {
                (Init::uniform(bound), Init::uniform(bound))
            };
            let name = format!("{prefix}{name}");
            let weight_name = format!("{name}.weight");
            pieces.push(match side {
                1 => Piece::weight(weight_name, inputs, outputs, weight),
                _ => Piece::kernel(weight_name, [side, inputs, outputs], weight),
            });
            pieces.push(Piece::vector(format!("{name}.bias"), outputs, bias));
        }
        pieces
    }

    /// Evaluate up to the last hidden layer as a composition of tensor operations; `noise` drops
    /// hidden units.
    ///
    /// # Errors
    /// If a tensor operation fails.
    #[expect(clippy::indexing_slicing, reason = "`split` gives a weight and a bias for each map")]
    pub(crate) fn apply<T: Diff>(
        &self,
        theta: &Tensor,
        x: &T,
        context: Option<&T>,
        noise: Option<&LayerNoise>,
    ) -> Result<Conditioned<T>> {
        let sizes = self.linears();
        let lens: Vec<usize> =
            sizes.iter().flat_map(|s| [s.fan() * s.outputs, s.outputs]).collect();
        let flat = kernel::split(theta, &lens)?;
        let maps = flat.chunks_exact(2).zip(&sizes).map(|(wb, s)| {
            Ok(Linear { weight: wb[0].reshape((s.fan(), s.outputs))?, bias: wb[1].clone() })
        });
        let mut maps = maps.collect::<Result<Vec<_>>>()?.into_iter();
        let mut next = || maps.next().ok_or_else(|| Error::config("net", "has too few parameters"));
        let first = next()?;
        let on_x = Linear { weight: first.weight.narrow(0, 0, self.inputs)?, bias: first.bias };
        let mut h = x.affine(&on_x)?;
        let NetConfig { kind, activation, dropout, hidden, .. } = self.config;
        // What the context says is the same at all pixels.
        let everywhere = |c: T| match self.grid {
            Some(_) => c.reshape(&[1, 1, hidden]),
            None => Ok(c),
        };
        if let Some(c) = context {
            let on_c = first.weight.narrow(0, self.inputs, self.context)?;
            h = h.add(&everywhere(c.matmul(&on_c)?)?)?;
        }
        for block in 0..self.config.blocks {
            let mut u = activation.apply(&h)?;
            for k in 0..self.depth() {
                if k > 0 {
                    u = activation.apply(&u)?;
                }
                if let Some(noise) = noise.filter(|_| k + 1 == self.depth()) {
                    let v = u.value();
                    let mask = noise.dropout(block, dropout, v.dims(), v.dtype(), v.device())?;
                    u = u.mul(&T::constant(&mask))?;
                }
                let map = next()?;
                u = match self.grid {
                    Some(_) => u.conv2d(&map.weight, SIDE)?.add(&T::constant(&map.bias))?,
                    None => u.affine(&map)?,
                };
            }
            if let Some(c) = context.filter(|_| self.gated()) {
                u = u.mul(&everywhere(c.affine(&next()?)?)?.sigmoid()?)?;
            }
            h = match kind {
                NetKind::Residual => h.add(&u)?,
                NetKind::Mlp => u,
            };
        }
        if kind == NetKind::Mlp {
            h = activation.apply(&h)?;
        }
        Ok(Conditioned { hidden: h, last: next()? })
    }
}
