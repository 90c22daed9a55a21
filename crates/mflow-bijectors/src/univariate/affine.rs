//! The affine map with a bounded scale.
use super::{Point, ScalarMap, Univariate};
use crate::bijector::{Direction, Mapped};
use crate::kernel::Real;
use crate::{Diff, Error, Result};
use candle_core::D;
use serde::{Deserialize, Serialize};

/// How the scale of an [`Affine`] map follows from its unconstrained parameter `u`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AffineScale {
    /// `exp(b tanh(u/b))`, in `[e^-b, e^b]`: the RealNVP's, Dinh et al. (2017), arXiv 1605.08803.
    Exp {
        /// The bound `b` of the log-scale.
        bound: f64,
    },
    /// `sigmoid(u + 2) + 1e-3`: never expands; Glow's, Kingma & Dhariwal (2018), as in nflows.
    Sigmoid,
    /// `softplus(u) + 1e-3`: bounded from below, as in nflows.
    Softplus,
}

/// Smallest scale of [`AffineScale::Sigmoid`] and [`AffineScale::Softplus`].
const MIN_SCALE: f64 = 1e-3;

impl AffineScale {
    /// The scale and its derivative by `u`.
    #[inline(always)]
    fn scale<R: Real>(self, u: R) -> (R, R) {
        let one = u.constant(1.);
        match self {
            Self::Exp { bound } => {
                let t = (u / u.constant(bound)).tanh();
                let s = (u.constant(bound) * t).exp();
                (s, s * (one - t * t))
            }
            Self::Sigmoid => {
                let s = (u + u.constant(2.)).sigmoid();
                (s + u.constant(MIN_SCALE), s * (one - s))
            }
            Self::Softplus => (u.softplus() + u.constant(MIN_SCALE), u.sigmoid()),
        }
    }

    fn compose<T: Diff>(self, u: &T) -> Result<T> {
        match self {
            Self::Exp { bound } => u.scale(1. / bound)?.tanh()?.scale(bound)?.exp(),
            Self::Sigmoid => u.shift(2.)?.sigmoid()?.shift(MIN_SCALE),
            Self::Softplus => u.softplus()?.shift(MIN_SCALE),
        }
    }

    /// The `u` of a unit scale.
    fn unit(self) -> f64 {
        match self {
            Self::Exp { .. } => 0.,
            Self::Sigmoid => ((1. - MIN_SCALE) / MIN_SCALE).ln() - 2.,
            Self::Softplus => (1. - MIN_SCALE).exp_m1().ln(),
        }
    }
}

/// `y = s(u) x + t` with the parameters `(u, t)`; `log|dy/dx| = ln s`.
///
/// Dinh, Sohl-Dickstein & Bengio (2017), *Density estimation using Real NVP*, arXiv 1605.08803,
/// eq. 4 to 8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    scale: AffineScale,
}

impl Affine {
    /// An affine map with this kind of scale.
    ///
    /// # Errors
    /// If a bound is not positive and finite.
    pub fn new(scale: AffineScale) -> Result<Self> {
        if let AffineScale::Exp { bound } = scale
            && !(bound > 0. && bound.is_finite())
        {
            let reason = format!("must be positive and finite, found {bound}");
            return Err(Error::config("affine.scale.exp.bound", reason));
        }
        Ok(Self { scale })
    }
}

impl ScalarMap for Affine {
    fn parameters(&self) -> usize {
        2
    }
    fn scratch(&self) -> usize {
        0
    }
    #[inline(always)]
    fn value<R: Real>(&self, direction: Direction, x: R, p: &[R], _: &mut [R]) -> Point<R> {
        let (s, _) = self.scale.scale(p[0]);
        match direction {
            Direction::Forward => Point { y: s * x + p[1], log_slope: s.ln() },
            Direction::Inverse => Point { y: (x - p[1]) / s, log_slope: -s.ln() },
        }
    }
    #[inline(always)]
    fn pullback<R: Real>(
        &self,
        direction: Direction,
        x: R,
        p: &[R],
        cotangent: Point<R>,
        g_p: &mut [R],
        _: &mut [R],
    ) -> R {
        let (s, ds) = self.scale.scale(p[0]);
        let r = s.recip();
        match direction {
            Direction::Forward => {
                g_p[0] = (cotangent.y * x + cotangent.log_slope * r) * ds;
                g_p[1] = cotangent.y;
                cotangent.y * s
            }
            Direction::Inverse => {
                let g = cotangent.y * r;
                g_p[0] = -(g * (x - p[1]) + cotangent.log_slope) * r * ds;
                g_p[1] = -g;
                g
            }
        }
    }
}

impl Univariate for Affine {
    fn identity(&self) -> Vec<f64> {
        vec![self.scale.unit(), 0.]
    }
    fn compose<T: Diff>(&self, direction: Direction, x: &T, p: &T) -> Result<Mapped<T>> {
        let part = |k: usize| p.narrow(k, 1)?.linear(|t| t.squeeze(D::Minus1));
        let (s, t) = (self.scale.compose(&part(0)?)?, part(1)?);
        let log_scale = s.ln()?.sum_last()?;
        Ok(match direction {
            Direction::Forward => Mapped { value: s.mul(x)?.add(&t)?, log_abs_det: log_scale },
            Direction::Inverse => {
                Mapped { value: x.sub(&t)?.div(&s)?, log_abs_det: log_scale.neg()? }
            }
        })
    }
}
