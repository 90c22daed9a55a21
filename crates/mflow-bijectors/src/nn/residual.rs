//! The residual conditioner network of neural spline flows.
use super::{Activation, Linear};
use crate::bijector::{Direction, Mapped};
use crate::params::{Init, Piece};
use crate::spline::Univariate;
use crate::{Diff, Error, Result, kernel};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Size of a [`ResidualNet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ResidualConfig {
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Number of residual blocks, of two affine maps each.
    pub blocks: usize,
    /// Activation function.
    pub activation: Activation,
}

impl Default for ResidualConfig {
    fn default() -> Self {
        Self { hidden: 100, blocks: 2, activation: Activation::Relu }
    }
}

impl ResidualConfig {
    /// Width and number of blocks, ReLU.
    pub fn new(hidden: usize, blocks: usize) -> Self {
        Self { hidden, blocks, ..Self::default() }
    }
    /// With another activation function.
    #[must_use]
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }
    pub(crate) fn validate(&self, path: &str) -> Result<()> {
        if self.hidden == 0 {
            return Err(Error::config(format!("{path}.hidden"), "must be positive, found 0"));
        }
        Ok(())
    }
}

/// A residual network `R^(inputs + context) -> R^outputs` over one flat parameter vector.
///
/// ```text
/// h = [x, c] W0 + b0
/// each block:  u = act(act(h) W1 + b1) W2 + b2;   h = h + u * sigmoid(c Wc + bc)
/// output = h W + b
/// ```
///
/// The context enters twice, concatenated to the input and as a gate on each block; without one the
/// gates are absent. As in Durkan et al. (2019), *Neural Spline Flows*, arXiv 1906.04032, B.1.
#[derive(Clone, Debug)]
pub struct ResidualNet {
    /// Number of inputs; 0 makes the outputs depend on the context only.
    pub inputs: usize,
    /// Number of context features, 0 if there is none.
    pub context: usize,
    /// Number of outputs.
    pub outputs: usize,
    /// Hidden width, blocks, activation.
    pub config: ResidualConfig,
}

/// A conditioner evaluated up to its last hidden layer.
#[derive(Debug)]
pub struct Conditioned<T> {
    /// The last hidden layer, `[B, hidden]`.
    pub hidden: T,
    /// The affine map to the outputs, not yet applied.
    pub last: Linear,
}

impl<T: Diff> Conditioned<T> {
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
        let p = map.parameters();
        let split = |t: &Tensor| {
            let (b, r, n) = t.dims3()?;
            t.reshape((b, r, n / p, p))
        };
        map.compose(direction, x, &self.hidden.affine(&self.last)?.linear(split)?)
    }
}

/// Size of one affine map in the flat vector: weight `[inputs, outputs]`, then bias.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinearSize {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

impl LinearSize {
    /// Number of parameters.
    pub(crate) fn len(self) -> usize {
        (self.inputs + 1) * self.outputs
    }
}

impl ResidualNet {
    /// Every affine map in storage order, with its name.
    fn named_linears(&self) -> Vec<(String, LinearSize)> {
        let hidden = self.config.hidden;
        let size = |inputs, outputs| LinearSize { inputs, outputs };
        let mut all = vec![("initial".into(), size(self.inputs + self.context, hidden))];
        for i in 0..self.config.blocks {
            for k in 0..2 {
                all.push((format!("blocks.{i}.linear.{k}"), size(hidden, hidden)));
            }
            if self.context > 0 {
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
        for (name, LinearSize { inputs, outputs }) in self.named_linears() {
            let fan = 1. / (inputs.max(1) as f64).sqrt();
            let bound = if name.ends_with("linear.1") { 1e-3 } else { fan };
            let (weight, bias) = if name == "final" {
                (Init::uniform(final_bound * fan), Init::Values(final_bias.clone()))
            } else {
                (Init::uniform(bound), Init::uniform(bound))
            };
            let name = format!("{prefix}{name}");
            pieces.push(Piece::weight(format!("{name}.weight"), inputs, outputs, weight));
            pieces.push(Piece::vector(format!("{name}.bias"), outputs, bias));
        }
        pieces
    }

    /// Evaluate up to the last hidden layer as a composition of tensor operations.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn apply<T: Diff>(
        &self,
        theta: &Tensor,
        x: &T,
        context: Option<&T>,
    ) -> Result<Conditioned<T>> {
        let sizes = self.linears();
        let lens: Vec<usize> =
            sizes.iter().flat_map(|s| [s.inputs * s.outputs, s.outputs]).collect();
        let flat = kernel::split(theta, &lens)?;
        let maps = flat.chunks_exact(2).zip(&sizes).map(|(wb, s)| {
            Ok(Linear { weight: wb[0].reshape((s.inputs, s.outputs))?, bias: wb[1].clone() })
        });
        let mut maps = maps.collect::<Result<Vec<_>>>()?.into_iter();
        let mut next =
            || maps.next().ok_or_else(|| Error::config("residual_net", "has too few parameters"));
        let first = next()?;
        let on_x = Linear { weight: first.weight.narrow(0, 0, self.inputs)?, bias: first.bias };
        let mut h = x.affine(&on_x)?;
        if let Some(c) = context {
            h = h.add(&c.matmul(&first.weight.narrow(0, self.inputs, self.context)?)?)?;
        }
        let act = self.config.activation;
        for _ in 0..self.config.blocks {
            let u = act.apply(&h)?.affine(&next()?)?;
            let mut u = act.apply(&u)?.affine(&next()?)?;
            if let Some(c) = context {
                u = u.mul(&c.affine(&next()?)?.sigmoid()?)?;
            }
            h = h.add(&u)?;
        }
        Ok(Conditioned { hidden: h, last: next()? })
    }
}
