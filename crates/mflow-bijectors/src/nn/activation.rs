//! Activation functions, for compositions and for kernels.
use crate::kernel::Real;
use crate::{Diff, Result};
use serde::{Deserialize, Serialize};

/// Activation function of a conditioner network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`, as published; its derivative at 0 is taken as 0.
    #[default]
    Relu,
    /// `x sigmoid(x)`: smooth.
    Silu,
    /// Hyperbolic tangent: smooth and bounded.
    Tanh,
    /// `x (1 + tanh(√(2/π) (x + 0.044715 x³)))/2`: the tanh form of the GELU, Hendrycks & Gimpel
    /// (2016), arXiv 1606.08415, section 2.
    Gelu,
}

/// `√(2/π)` and the cubic coefficient of [`Activation::Gelu`].
const GELU: (f64, f64) = (0.797_884_560_802_865_4, 0.044715);

impl Activation {
    /// As a composition of tensor operations.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn apply<T: Diff>(self, x: &T) -> Result<T> {
        match self {
            Self::Relu => x.relu(),
            Self::Silu => x.silu(),
            Self::Tanh => x.tanh(),
            Self::Gelu => {
                let inner = x.mul(&x.mul(x)?.scale(GELU.1)?.shift(1.)?)?.scale(GELU.0)?;
                x.mul(&inner.tanh()?.shift(1.)?)?.scale(0.5)
            }
        }
    }

    /// The derivative, as a composition of tensor operations: it has tangents of its own.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub(crate) fn slope<T: Diff>(self, x: &T) -> Result<T> {
        match self {
            Self::Relu => {
                let positive = x.value().gt(0.)?.to_dtype(x.value().dtype())?;
                Ok(T::constant(&positive))
            }
            Self::Silu => {
                let s = x.sigmoid()?;
                s.mul(&x.mul(&s.neg()?.shift(1.)?)?.shift(1.)?)
            }
            Self::Tanh => {
                let y = x.tanh()?;
                y.mul(&y)?.neg()?.shift(1.)
            }
            Self::Gelu => {
                let square = x.mul(x)?;
                let inner = x.mul(&square.scale(GELU.1)?.shift(1.)?)?.scale(GELU.0)?;
                let s = inner.scale(2.)?.sigmoid()?;
                let slope = square.scale(3. * GELU.1)?.shift(1.)?.scale(2. * GELU.0)?;
                s.add(&x.mul(&slope)?.mul(&s)?.mul(&s.neg()?.shift(1.)?)?)
            }
        }
    }

    #[inline(always)]
    pub(crate) fn value<R: Real>(self, x: R) -> R {
        match self {
            // In this order a NaN stays NaN.
            Self::Relu => R::select(x.constant(0.).ge(x), x.constant(0.), x),
            Self::Silu => x * x.sigmoid(),
            Self::Tanh => x.tanh(),
            Self::Gelu => x * Self::gelu_gate(x),
        }
    }

    /// `(1 + tanh(inner))/2`, which is `sigmoid(2 inner)`.
    #[inline(always)]
    fn gelu_gate<R: Real>(x: R) -> R {
        let inner = x * (x.constant(1.) + x * x * x.constant(GELU.1)) * x.constant(GELU.0);
        (inner + inner).sigmoid()
    }

    /// Whether it has a second derivative that is not zero.
    pub(crate) fn is_curved(self) -> bool {
        self != Self::Relu
    }

    #[inline(always)]
    pub(crate) fn derivative<R: Real>(self, x: R) -> R {
        let one = x.constant(1.);
        match self {
            Self::Relu => R::select(x.constant(0.).ge(x), x.constant(0.), one),
            Self::Silu => {
                let s = x.sigmoid();
                s * (one + x * (one - s))
            }
            Self::Tanh => {
                let y = x.tanh();
                one - y * y
            }
            Self::Gelu => {
                let s = Self::gelu_gate(x);
                let slope = x.constant(GELU.0) * (one + x.constant(3. * GELU.1) * x * x);
                s + x * (slope + slope) * s * (one - s)
            }
        }
    }
}
