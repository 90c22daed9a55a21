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
}

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
        }
    }

    #[inline(always)]
    pub(crate) fn value<R: Real>(self, x: R) -> R {
        match self {
            // In this order a NaN stays NaN.
            Self::Relu => R::select(x.constant(0.).ge(x), x.constant(0.), x),
            Self::Silu => x * x.sigmoid(),
            Self::Tanh => x.tanh(),
        }
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
        }
    }
}
