//! A density within bounds as one on all of the reals.
use super::chains::{DifferentiableTarget, Target};
use crate::{Error, Result};
use mflow_data::Parameter;

/// A density of `theta`, within bounds, as one of `y` without any:
///
/// ```text
/// theta = low + (high - low) s(y),     s(y) = 1 / (1 + exp(-y)),     for each parameter
/// log p(y) = log p(theta) + sum over parameters of  log(high - low) + log s(y) + log s(-y)
/// ```
///
/// What a sampler that follows gradients needs, as a bound has none. The Jacobian is exact in the far tails,
/// where `s(y)` itself rounds to 0 or 1: there `theta` is the bound.
#[derive(Debug)]
pub struct Bounded<'a> {
    target: &'a dyn DifferentiableTarget,
    bounds: &'a [Parameter],
}

impl<'a> Bounded<'a> {
    /// Of a target whose support is within the bounds of `bounds`.
    ///
    /// # Errors
    /// [`Error::Rows`] where there are not bounds for each parameter of the target, [`Error::Bounds`] for
    /// infinite or equal ones.
    pub fn new(target: &'a dyn DifferentiableTarget, bounds: &'a [Parameter]) -> Result<Self> {
        if bounds.len() != target.dim() {
            return Err(Error::Rows { cols: target.dim(), found: bounds.len() });
        }
        let is_usable = |p: &&Parameter| p.low < p.high && (p.high - p.low).is_finite();
        match bounds.iter().find(|p| !is_usable(p)) {
            Some(&Parameter { low, high, .. }) => Err(Error::Bounds { low, high }),
            None => Ok(Self { target, bounds }),
        }
    }

    /// Rows of `theta`, `[n, dim]`, as rows of `y`: infinite at a bound, NaN outside of them.
    pub fn to_unbounded(&self, thetas: &[f64]) -> Vec<f64> {
        let one = |(p, t): (&Parameter, &f64)| ((t - p.low) / (p.high - t)).ln();
        self.bounds.iter().cycle().zip(thetas).map(one).collect()
    }

    /// Rows of `y`, `[n, dim]`, as rows of `theta`, none of them outside of the bounds.
    pub fn to_bounded(&self, ys: &[f64]) -> Vec<f64> {
        // From the nearer bound, where `s` is small and keeps its digits.
        let one = |(p, y): (&Parameter, &f64)| {
            let step = (p.high - p.low) * logistic(-y.abs());
            let theta = if *y < 0. { p.low + step } else { p.high - step };
            theta.clamp(p.low, p.high)
        };
        self.bounds.iter().cycle().zip(ys).map(one).collect()
    }

    /// `log |d theta / d y|`.
    fn log_jacobian(&self, y: &[f64]) -> f64 {
        let one = |(p, y): (&Parameter, &f64)| {
            (p.high - p.low).ln() - y.abs() - 2. * (-y.abs()).exp().ln_1p()
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
        for ((g, p), y) in gradient.iter_mut().zip(self.bounds).zip(y) {
            let slope = (p.high - p.low) * logistic(*y) * logistic(-y);
            // d/dy of log s(y) + log s(-y) is s(-y) - s(y).
            *g = *g * slope - (0.5 * y).tanh();
        }
        Ok(log_prob + self.log_jacobian(y))
    }
}
