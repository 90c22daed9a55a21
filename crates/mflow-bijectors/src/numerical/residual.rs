//! Contractive residual blocks, inverted by fixed-point iteration.
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::count::{check_context, check_layers, check_square};
use crate::coupling::NEAR_IDENTITY;
use crate::kernel::matrix;
use crate::kernel::split;
use crate::nn::{Activation, Linear, Net, NetConfig};
use crate::params::Params;
use crate::{Diff, Error, Result, host};
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// Config of a [`ResidualBlock`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ResidualBlockConfig {
    /// Number of features.
    pub dim: usize,
    /// Number of context features, 0 for none.
    #[serde(default)]
    pub context_dim: usize,
    /// Width of the hidden layers.
    #[serde(default = "default_hidden")]
    pub hidden: usize,
    /// Number of hidden layers.
    #[serde(default = "default_layers")]
    pub layers: usize,
    /// Activation function.
    #[serde(default = "default_activation")]
    pub activation: Activation,
    /// Bound on the Lipschitz constant of the residual, below 1.
    #[serde(default = "default_lipschitz")]
    pub lipschitz: f64,
}

fn default_hidden() -> usize {
    64
}
fn default_layers() -> usize {
    2
}
fn default_activation() -> Activation {
    Activation::Silu
}
fn default_lipschitz() -> f64 {
    0.9
}

impl ResidualBlockConfig {
    /// Two hidden layers of width 64, SiLU, Lipschitz constant 0.9, no context.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            context_dim: 0,
            hidden: default_hidden(),
            layers: default_layers(),
            activation: default_activation(),
            lipschitz: default_lipschitz(),
        }
    }
    /// Condition on `context_dim` features.
    #[must_use]
    pub fn with_context(self, context_dim: usize) -> Self {
        Self { context_dim, ..self }
    }
    /// With hidden layers of another width and number.
    #[must_use]
    pub fn with_layers(self, hidden: usize, layers: usize) -> Self {
        Self { hidden, layers, ..self }
    }
    /// With another activation function.
    #[must_use]
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }
    /// With another bound on the Lipschitz constant.
    #[must_use]
    pub fn with_lipschitz(self, lipschitz: f64) -> Self {
        Self { lipschitz, ..self }
    }

    /// Create the layer; parameters `net.*`, those of a perceptron.
    ///
    /// # Errors
    /// If a field is out of range or a parameter does not fit.
    pub fn build(&self, params: &mut Params<'_>) -> Result<ResidualBlock> {
        check_square("residual_block.dim", self.dim)?;
        check_square("residual_block.hidden", self.hidden)?;
        check_layers("residual_block.layers", self.layers)?;
        check_context("residual_block.context_dim", self.context_dim)?;
        if !(self.lipschitz > 0. && self.lipschitz < 1.) {
            let reason = format!("must be between 0 and 1, found {}", self.lipschitz);
            return Err(Error::config("residual_block.lipschitz", reason));
        }
        let net = Net {
            inputs: self.dim,
            context: self.context_dim,
            outputs: self.dim,
            config: NetConfig::mlp(self.hidden, self.layers - 1)
                .with_activation(self.activation)
                .with_gate(false),
            grid: None,
        };
        let theta = params.flat(net.pieces("net.", NEAR_IDENTITY, vec![0.; self.dim]))?;
        let signature = Signature::vector(self.dim, params.dtype(), params.device())
            .with_context(self.context_dim);
        Ok(ResidualBlock { config: self.clone(), net, theta, signature })
    }
}

/// `y = x + r(x, c)` with a perceptron `r` whose Lipschitz constant in `x` is less than 1.
///
/// **Shapes**: `[B, D]` to `[B, D]`, context `[B, C]`. Every weight is divided by an upper bound on its
/// spectral norm, `σ(W) <= ‖(WᵀW)⁴‖_F^(1/8) <= n^(1/16) σ(W)`, as far as the bound exceeds its part of
/// `lipschitz`; so the map is a bijection whatever the parameters. `log|det J|` is exact, from the
/// Jacobian, that is `D` tangents: meant for few dimensions. The inverse iterates `x <- y - r(x, c)`
/// until `|Δx| <= 8 ε (1 + max |x|)`, with the derivatives of the implicit function.
///
/// **Reference**: Behrmann et al. (2019), *Invertible Residual Networks*, arXiv 1811.00995, theorem 1
/// and algorithm 1.
#[derive(Debug)]
pub struct ResidualBlock {
    config: ResidualBlockConfig,
    net: Net,
    theta: Tensor,
    signature: Signature,
}

/// Steps of the fixed-point iteration at most: at a Lipschitz constant of 0.9 an f64 needs 350.
const STEPS: usize = 1000;

/// The largest slope of an activation function.
fn steepest(activation: Activation) -> f64 {
    match activation {
        Activation::Relu | Activation::Tanh => 1.,
        Activation::Silu => 1.1,
        Activation::Gelu => 1.13,
    }
}

/// `W` divided by a bound on its spectral norm as far as that exceeds `limit`.
fn bounded(w: &Tensor, limit: f64) -> Result<Tensor> {
    let (n, m) = w.dims2()?;
    // Of unit Frobenius norm, so that no power leaves the range of an f32.
    let norm = (w.sqr()?.sum_all()? + 1e-30)?.sqrt()?;
    let unit = w.broadcast_div(&norm)?;
    let gram = if n < m { unit.matmul(&unit.t()?)? } else { unit.t()?.matmul(&unit)? };
    let square = gram.matmul(&gram)?;
    let fourth = square.matmul(&square)?;
    let bound = (norm * (fourth.sqr()?.sum_all()? + 1e-30)?.powf(1. / 16.)?)?;
    let factor = (bound.recip()? * limit)?.minimum(1.)?;
    Ok(w.broadcast_mul(&factor)?)
}

/// The residual and, with the slopes of its activations, its Jacobian.
struct Residual<T> {
    value: T,
    slopes: Vec<T>,
}

impl ResidualBlock {
    /// Affine maps with bounded weights; the first sees the context too, without a bound.
    #[expect(clippy::indexing_slicing, reason = "`split` gives a weight and a bias for each map")]
    fn maps(&self) -> Result<(Vec<Linear>, Option<Tensor>)> {
        let sizes = self.net.linears();
        let lens: Vec<usize> =
            sizes.iter().flat_map(|s| [s.inputs * s.outputs, s.outputs]).collect();
        let flat = split(&self.theta, &lens)?;
        let layers = sizes.len() as f64;
        let steep = steepest(self.config.activation);
        // The last map has no activation behind it.
        let limit = (self.config.lipschitz / steep.powf(layers - 1.)).powf(1. / layers);
        let (mut maps, mut of_context) = (vec![], None);
        for (i, (wb, s)) in flat.chunks_exact(2).zip(&sizes).enumerate() {
            let mut weight = wb[0].reshape((s.inputs, s.outputs))?;
            if i == 0 {
                let (d, c) = (self.config.dim, self.config.context_dim);
                of_context = (c > 0).then(|| weight.narrow(0, d, c)).transpose()?;
                weight = weight.narrow(0, 0, d)?.contiguous()?;
            }
            maps.push(Linear { weight: bounded(&weight, limit)?, bias: wb[1].clone() });
        }
        Ok((maps, of_context))
    }

    /// `r(x, c)`; the slopes of the activations only if wanted.
    #[expect(clippy::indexing_slicing, reason = "there is a layer or more, as `build` checks")]
    fn residual<T: Diff>(
        &self,
        (maps, of_context): &(Vec<Linear>, Option<Tensor>),
        x: &T,
        context: Option<&T>,
        with_slopes: bool,
    ) -> Result<Residual<T>> {
        let (mut h, mut slopes) = (x.affine(&maps[0])?, vec![]);
        if let (Some(c), Some(w)) = (context, of_context) {
            h = h.add(&c.matmul(w)?)?;
        }
        for map in &maps[1..] {
            if with_slopes {
                slopes.push(self.config.activation.slope(&h)?);
            }
            h = self.config.activation.apply(&h)?.affine(map)?;
        }
        Ok(Residual { value: h, slopes })
    }

    /// `I + J_r`, an event `[D, D]` whose rows are the tangents that unit vectors push to.
    #[expect(clippy::indexing_slicing, reason = "there is a layer or more, as `build` checks")]
    fn jacobian<T: Diff>(&self, maps: &[Linear], slopes: &[T]) -> Result<T> {
        let mut rows: Option<T> = None;
        for (slope, map) in slopes.iter().zip(&maps[1..]) {
            let width = map.weight.dim(0)?;
            let slope = slope.reshape(&[1, width])?;
            let scaled = match &rows {
                None => slope.mul(&T::constant(&maps[0].weight))?,
                Some(rows) => rows.mul(&slope)?,
            };
            rows = Some(scaled.matmul(&map.weight)?);
        }
        let eye = Tensor::eye(self.config.dim, self.theta.dtype(), self.theta.device())?;
        match rows {
            Some(rows) => rows.add(&T::constant(&eye)),
            None => Err(Error::config("residual_block.layers", "must be positive, found 0")),
        }
    }

    /// `ln |det J|`; its tangents are those of the trace, `tr(J⁻¹ dJ)`.
    fn log_det<T: Diff>(j: &T) -> Result<T> {
        let value = T::constant(&matrix::log_abs_det(j.value())?);
        let inverse = T::constant(&matrix::inverse(j.value())?.t()?.contiguous()?);
        // The value of the difference is zero, and so is its derivative; its tangents are dJ.
        let change = j.sub(&T::constant(j.value()))?.mul(&inverse)?;
        value.add(&change.sum_last()?.sum_last()?)
    }

    /// The fixed point of `x <- y - r(x, c)`, detached.
    fn fixed_point(
        &self,
        maps: &(Vec<Linear>, Option<Tensor>),
        y: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Tensor> {
        let epsilon = match y.dtype() {
            DType::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        };
        let y = y.detach();
        let mut x = y.clone();
        if x.elem_count() == 0 {
            return Ok(x);
        }
        let mut moving = 0.;
        for _ in 0..STEPS {
            let next = (&y - self.residual(maps, &x, context, false)?.value)?.detach();
            // Relative to the largest feature: its rounding reaches the others through the network.
            let size = (next.abs()?.max_keepdim(1)? + 1.)?;
            let moved = (&next - &x)?.abs()?.broadcast_div(&size)?;
            x = next;
            // What is NaN moves by NaN and is not waited for.
            let still = moved.gt(8. * epsilon)?.to_dtype(DType::F32)?;
            moving = host::scalar(&still.sum_all()?)?;
            if moving == 0. {
                return Ok(x);
            }
        }
        Err(Error::NotConverged { op: "fixed-point iteration", steps: STEPS, unfinished: moving })
    }
}

/// `rows [B, D] -> rows M` for a matrix `M: [B, D, D]` per point.
fn times<T: Diff>(rows: &T, m: &Tensor) -> Result<T> {
    rows.linear(|t| t.contiguous()?.matmul(m))
}

impl Layer for ResidualBlock {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        let maps = self.maps()?;
        let point = match direction {
            Direction::Forward => x.clone(),
            Direction::Inverse => {
                let (y, c) = (x.value(), context.map(Diff::value));
                let frozen = (
                    maps.0
                        .iter()
                        .map(|m| Linear { weight: m.weight.detach(), bias: m.bias.detach() }),
                    maps.1.as_ref().map(Tensor::detach),
                );
                let frozen = (frozen.0.collect::<Vec<_>>(), frozen.1);
                let c_fixed = c.map(Tensor::detach);
                let found = self.fixed_point(&frozen, y, c_fixed.as_ref())?;
                // One differentiable Newton step at the solution, then the same for tangents at the
                // tracked solution, as for monotone functions.
                let at = self.residual(&frozen, &found, c_fixed.as_ref(), true)?;
                let rate = matrix::inverse(&self.jacobian(&frozen.0, &at.slopes)?)?;
                let image = (&found + self.residual(&maps, &found, c, false)?.value)?;
                let solved = (&found + times(&(y - image)?, &rate)?)?;
                let at = self.residual(&maps, &solved, c, true)?;
                let rate = matrix::inverse(&self.jacobian(&maps.0, &at.slopes)?)?;
                let fixed = T::constant(&solved);
                let image = fixed.add(&self.residual(&maps, &fixed, context, false)?.value)?;
                fixed.add(&times(&x.sub(&image)?, &rate)?)?
            }
        };
        let Residual { value, slopes } = self.residual(&maps, &point, context, true)?;
        let log_det = Self::log_det(&self.jacobian(&maps.0, &slopes)?)?;
        Ok(match direction {
            Direction::Forward => Mapped { value: point.add(&value)?, log_abs_det: log_det },
            Direction::Inverse => Mapped { value: point, log_abs_det: log_det.neg()? },
        })
    }
}
