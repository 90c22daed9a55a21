//! Fixed functions, element by element.
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::domain::Domain;
use crate::params::Params;
use crate::shape::{check_shape, size};
use crate::{Diff, Error, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// A fixed monotone function `R -> R`; its inverse is the [`crate::Inverted`] map (of the sigmoid the
/// logit, of the softplus its inverse, of `tanh` the area hyperbolic tangent).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Function {
    /// `x` above 0, `slope x` below; the derivative at 0 is `slope`.
    LeakyRelu {
        /// The slope below 0, positive.
        slope: f64,
    },
    /// Hyperbolic tangent, onto `(-1, 1)`.
    Tanh,
    /// `tanh(x)` up to `|x| = c` and `±(tanh(c) + a ln|x/c|)` beyond, with the `a` that keeps the
    /// derivative continuous, `c (1 - tanh²(c))`: grows without bound, unlike `tanh`.
    LogTanh {
        /// The point `c` where the logarithm takes over, positive.
        cut: f64,
    },
    /// `1/(1 + exp(-x))`, onto `(0, 1)`.
    Sigmoid,
    /// `ln(1 + exp(x))`, onto the positive reals.
    Softplus,
    /// `shift + scale x` with the same two numbers for every element.
    Affine {
        /// Added.
        shift: f64,
        /// The factor, not 0.
        scale: f64,
    },
}

impl Function {
    fn validate(self) -> Result<()> {
        let positive = |field: &str, v: f64| match v > 0. && v.is_finite() {
            true => Ok(()),
            false => Err(Error::config(field, format!("must be positive and finite, found {v}"))),
        };
        match self {
            Self::LeakyRelu { slope } => positive("function.leaky_relu.slope", slope),
            Self::LogTanh { cut } => positive("function.log_tanh.cut", cut),
            Self::Affine { scale, shift } => {
                if !shift.is_finite() {
                    let reason = format!("must be finite, found {shift}");
                    return Err(Error::config("function.affine.shift", reason));
                }
                if scale == 0. || !scale.is_finite() {
                    let reason = format!("must be finite and not 0, found {scale}");
                    return Err(Error::config("function.affine.scale", reason));
                }
                Ok(())
            }
            Self::Tanh | Self::Sigmoid | Self::Softplus => Ok(()),
        }
    }

    /// Where the values lie.
    fn codomain(self) -> Domain {
        match self {
            Self::Tanh => Domain::Interval { low: -1., high: 1. },
            Self::Sigmoid => Domain::Interval { low: 0., high: 1. },
            Self::Softplus => Domain::Positive,
            Self::LeakyRelu { .. } | Self::LogTanh { .. } | Self::Affine { .. } => Domain::Reals,
        }
    }

    /// `(y, ln |dy/dx|)`, element by element.
    fn forward<T: Diff>(self, x: &T) -> Result<(T, T)> {
        match self {
            Self::LeakyRelu { slope } => leaky(x, slope),
            Self::Tanh => {
                // ln(1 - tanh²) = 2 (ln 2 - x - softplus(-2x)), even in x.
                let l = x.add(&softplus(&x.scale(-2.)?)?)?.shift(-std::f64::consts::LN_2)?;
                Ok((x.tanh()?, l.scale(-2.)?))
            }
            Self::LogTanh { cut } => {
                let (a, top) = (log_slope(cut), cut.tanh());
                let (inner, outer, size) = cut_at(x, cut)?;
                let (low, log_low) = Self::Tanh.forward(&inner)?;
                let grown = size.scale(1. / cut)?.ln()?.scale(a)?.shift(top)?;
                let log_high = size.ln()?.neg()?.shift(a.ln())?;
                piecewise(x, &outer, (low, log_low), (grown, log_high))
            }
            Self::Sigmoid => {
                let l = softplus(x)?.add(&softplus(&x.neg()?)?)?.neg()?;
                Ok((x.sigmoid()?, l))
            }
            Self::Softplus => Ok((softplus(x)?, softplus(&x.neg()?)?.neg()?)),
            Self::Affine { shift, scale } => {
                Ok((x.scale(scale)?.shift(shift)?, constant(x, scale.abs().ln())?))
            }
        }
    }

    /// `(x, ln |dx/dy|)`, element by element.
    fn inverse<T: Diff>(self, y: &T) -> Result<(T, T)> {
        match self {
            Self::LeakyRelu { slope } => leaky(y, 1. / slope),
            Self::Tanh => {
                let (up, down) = (y.shift(1.)?.ln()?, y.neg()?.shift(1.)?.ln()?);
                Ok((up.sub(&down)?.scale(0.5)?, up.add(&down)?.neg()?))
            }
            Self::LogTanh { cut } => {
                let (a, top) = (log_slope(cut), cut.tanh());
                let (inner, outer, size) = cut_at(y, top)?;
                let (low, log_low) = Self::Tanh.inverse(&inner)?;
                let grown = size.shift(-top)?.scale(1. / a)?;
                let log_high = grown.shift((cut / a).ln())?;
                piecewise(y, &outer, (low, log_low), (grown.exp()?.scale(cut)?, log_high))
            }
            Self::Sigmoid => {
                let (up, down) = (y.ln()?, y.neg()?.shift(1.)?.ln()?);
                Ok((up.sub(&down)?, up.add(&down)?.neg()?))
            }
            Self::Softplus => {
                let l = ln_1m_exp(y)?;
                Ok((y.add(&l)?, l.neg()?))
            }
            Self::Affine { shift, scale } => {
                let x = y.shift(-shift)?.scale(1. / scale)?;
                Ok((x, constant(y, -scale.abs().ln())?))
            }
        }
    }
}

/// `ln(1 + exp(x))` to the last digits for negative `x` too, where it is `e - e²/2 + e³/3 - ...` with
/// `e = exp(x)`.
fn softplus<T: Diff>(x: &T) -> Result<T> {
    let low = x.value().lt(-8.)?;
    let high = low.eq(0u8)?;
    let e = x.masked(&low)?.exp()?;
    let series = e.scale(-0.25)?.shift(1. / 3.)?.mul(&e)?.shift(-0.5)?.mul(&e)?.shift(1.)?;
    series.mul(&e)?.masked(&low)?.add(&x.masked(&high)?.softplus()?.masked(&high)?)
}

/// `ln(1 - exp(-y))` to the last digits for small `y` too, where it is `ln y - y/2 + y²/24 - ...`.
fn ln_1m_exp<T: Diff>(y: &T) -> Result<T> {
    let low = y.value().lt(1e-3)?;
    let high = low.eq(0u8)?;
    let one = |mask: &Tensor| -> Result<T> { Ok(T::constant(&mask.to_dtype(y.value().dtype())?)) };
    let small = y.masked(&low)?.add(&one(&high)?)?;
    let series = small.scale(1. / 24.)?.shift(-0.5)?.mul(&small)?.add(&small.ln()?)?;
    // 1 - exp(-y) = 2t/(1 + t) with t = tanh(y/2), without cancellation.
    let t = y.masked(&high)?.add(&one(&low)?)?.scale(0.5)?.tanh()?;
    let closed = t.scale(2.)?.div(&t.shift(1.)?)?.ln()?;
    series.masked(&low)?.add(&closed.masked(&high)?)
}

/// `x` above 0, `slope x` below, and the log-slope.
fn leaky<T: Diff>(x: &T, slope: f64) -> Result<(T, T)> {
    let above = x.value().gt(0.)?;
    let below = above.eq(0u8)?;
    let y = x.masked(&above)?.add(&x.masked(&below)?.scale(slope)?)?;
    let l = (below.to_dtype(x.value().dtype())? * slope.ln())?;
    Ok((y, T::constant(&l)))
}

/// The factor of the logarithm that joins `tanh` at `cut` with a continuous derivative.
fn log_slope(cut: f64) -> f64 {
    cut * (1. - cut.tanh().powi(2))
}

/// `x` where `|x| <= cut` and 0 elsewhere, the mask of the others, and `|x|` of the others (`cut`
/// elsewhere).
fn cut_at<T: Diff>(x: &T, cut: f64) -> Result<(T, Tensor, T)> {
    let v = x.value();
    let outer = (v.gt(cut)? + v.lt(-cut)?)?;
    let inner = outer.eq(0u8)?;
    let sign = T::constant(&sign(v)?);
    let fill = T::constant(&(inner.to_dtype(v.dtype())? * cut)?);
    let size = x.mul(&sign)?.masked(&outer)?.add(&fill)?;
    Ok((x.masked(&inner)?, outer, size))
}

/// The odd function, with its log-slope, that is `low` inside and `±high` outside.
fn piecewise<T: Diff>(x: &T, outer: &Tensor, low: (T, T), high: (T, T)) -> Result<(T, T)> {
    let inner = outer.eq(0u8)?;
    let sign = T::constant(&sign(x.value())?);
    let y = low.0.masked(&inner)?.add(&high.0.mul(&sign)?.masked(outer)?)?;
    Ok((y, low.1.masked(&inner)?.add(&high.1.masked(outer)?)?))
}

/// The sign of each number, detached. Of views candle has it on the CPU and on CUDA devices only.
fn sign(v: &Tensor) -> Result<Tensor> {
    Ok(v.detach().contiguous()?.sign()?)
}

fn constant<T: Diff>(like: &T, c: f64) -> Result<T> {
    Ok(T::constant(&(like.value().ones_like()? * c)?))
}

/// Config of a fixed function on every element.
///
/// **Shapes**: `[B, ..shape]` to the same; `log|det J|` is the sum of the log-slopes. Outside of its
/// domain an inverse is NaN or infinite.
///
/// **References**: sigmoid and logit Dinh et al. (2017), arXiv 1605.08803, section 4.1; leaky ReLU
/// and `tanh` as in nflows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FunctionConfig {
    /// Shape of a point.
    pub shape: Vec<usize>,
    /// The function.
    pub function: Function,
}

impl FunctionConfig {
    /// `function` of every element of points of this shape.
    pub fn new(shape: &[usize], function: Function) -> Self {
        Self { shape: shape.to_vec(), function }
    }

    /// Create the layer.
    ///
    /// # Errors
    /// If the shape is empty or a number of the function is out of range.
    pub fn build(&self, params: &Params<'_>) -> Result<FunctionMap> {
        check_shape("function.shape", &self.shape)?;
        self.function.validate()?;
        let signature = Signature::event(&self.shape, params.dtype(), params.device())
            .between(Domain::Reals, self.function.codomain());
        let affine = matches!(self.function, Function::Affine { .. });
        Ok(FunctionMap { function: self.function, signature: signature.with_conformal(affine) })
    }
}

/// A [`Function`] of every element.
#[derive(Debug)]
pub struct FunctionMap {
    function: Function,
    signature: Signature,
}

impl Layer for FunctionMap {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let (value, log_slopes) = match direction {
            Direction::Forward => self.function.forward(x)?,
            Direction::Inverse => self.function.inverse(x)?,
        };
        let log_abs_det = log_slopes.reshape(&[size(&self.signature.latent_shape)])?.sum_last()?;
        Ok(Mapped { value, log_abs_det })
    }
}
