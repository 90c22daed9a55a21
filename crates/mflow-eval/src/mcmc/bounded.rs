//! A density within bounds as one on all of the reals.
use super::chains::{DifferentiableTarget, Target};
use crate::{Error, Result};
use mflow_data::Prior;

/// A density of `theta`, some of whose parameters have bounds, as one of `y` without any. For each parameter
/// with bounds
///
/// ```text
/// theta = low + (high - low) s(y),     s(y) = 1 / (1 + exp(-y))
/// log p(y) = log p(theta) + sum over these parameters of  log(high - low) + log s(y) + log s(-y)
/// ```
///
/// and `theta = y` for the others. What a sampler that follows gradients needs, as a bound has none. The
/// Jacobian is exact in the far tails, where `s(y)` itself rounds to 0 or 1: there `theta` is the bound.
#[derive(Debug)]
pub struct Bounded<'a> {
    target: &'a dyn DifferentiableTarget,
    /// Of each parameter, if it has any.
    bounds: Vec<Option<[f64; 2]>>,
}

impl<'a> Bounded<'a> {
    /// Of a target whose support is that of `priors`.
    ///
    /// # Errors
    /// [`Error::Rows`] where there is not a prior for each parameter of the target, [`Error::Bounds`] for
    /// infinite or equal bounds.
    pub fn new(target: &'a dyn DifferentiableTarget, priors: &[Prior]) -> Result<Self> {
        if priors.len() != target.dim() {
            return Err(Error::Rows { cols: target.dim(), found: priors.len() });
        }
        let bounds = |prior: &Prior| match *prior {
            Prior::Normal { .. } => Ok(None),
            Prior::Uniform { low, high } if low < high && (high - low).is_finite() => {
                Ok(Some([low, high]))
            }
            Prior::Uniform { low, high } => Err(Error::Bounds { low, high }),
        };
        Ok(Self { target, bounds: priors.iter().map(bounds).collect::<Result<_>>()? })
    }

    /// Rows of `theta`, `[n, dim]`, as rows of `y`: infinite at a bound, NaN outside of them.
    pub fn to_unbounded(&self, thetas: &[f64]) -> Vec<f64> {
        let one = |(bounds, t): (&Option<[f64; 2]>, &f64)| match bounds {
            None => *t,
            Some([low, high]) => ((t - low) / (high - t)).ln(),
        };
        self.bounds.iter().cycle().zip(thetas).map(one).collect()
    }

    /// Rows of `y`, `[n, dim]`, as rows of `theta`, none of them outside of the bounds.
    pub fn to_bounded(&self, ys: &[f64]) -> Vec<f64> {
        let one = |(bounds, &y): (&Option<[f64; 2]>, &f64)| {
            let Some([low, high]) = *bounds else { return y };
            // From the nearer bound, where `s` is small and keeps its digits.
            let step = (high - low) * logistic(-y.abs());
            let theta = if y < 0. { low + step } else { high - step };
            theta.clamp(low, high)
        };
        self.bounds.iter().cycle().zip(ys).map(one).collect()
    }

    /// `log |d theta / d y|`.
    fn log_jacobian(&self, y: &[f64]) -> f64 {
        let one = |(bounds, y): (&Option<[f64; 2]>, &f64)| {
            bounds.map_or(0., |[low, high]| {
                (high - low).ln() - y.abs() - 2. * (-y.abs()).exp().ln_1p()
            })
        };
        self.bounds.iter().zip(y).map(one).sum()
    }
}

/// `s(y)`, without overflow.
fn logistic(y: f64) -> f64 {
    let small = (-y.abs()).exp();
    if y < 0. { small / (1. + small) } else { 1. / (1. + small) }
}

impl Target for Bounded<'_> {
    fn dim(&self) -> usize {
        self.bounds.len()
    }

    fn log_prob(&self, y: &[f64]) -> Result<f64> {
        Ok(self.target.log_prob(&self.to_bounded(y))? + self.log_jacobian(y))
    }
}

impl DifferentiableTarget for Bounded<'_> {
    fn log_prob_and_gradient(&self, y: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let log_prob = self.target.log_prob_and_gradient(&self.to_bounded(y), gradient)?;
        for ((g, bounds), y) in gradient.iter_mut().zip(&self.bounds).zip(y) {
            if let Some([low, high]) = bounds {
                let slope = (high - low) * logistic(*y) * logistic(-y);
                // d/dy of log s(y) + log s(-y) is s(-y) - s(y).
                *g = *g * slope - (0.5 * y).tanh();
            }
        }
        Ok(log_prob + self.log_jacobian(y))
    }
}
