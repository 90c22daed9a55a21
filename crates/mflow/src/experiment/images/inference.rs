//! What images that share a parameter tell of it.
use super::data::ContextData;
use crate::Result;
use mflow_core::Density;
use mflow_core::candle::Tensor;
use mflow_eval::metrics::Evaluated;

/// Values of the parameter on each side of 0, and how far apart they are in units of the prior's deviation: the posterior
/// of 50 images has a width of about a seventh of it.
const SIDE: u32 = 80;
const STEP: f64 = 0.05;

/// `log p(θ | x)` at `truth` by a model, for the images that are observed and a standard normal prior of `θ`: on a grid, by the
/// trapezium rule.
#[expect(
    clippy::indexing_slicing,
    reason = "a grid of a fixed number of points, and tensors with two axes"
)]
fn log_posterior(of: Evaluated<'_>, images: &[f64], dim: usize, truth: f64) -> Result<f64> {
    let x = of.tensor(images, dim)?;
    let rows = x.dims()[0];
    let model = of.model;
    // The volume of a manifold that does not depend on the parameter is the same for all of its values.
    let manifold = model.signature().density == Some(Density::Manifold);
    let at_truth = of.tensor(&vec![truth; rows], 1)?;
    let u = match manifold && !model.signature().conditional_manifold {
        true => Some(model.coordinates(&x, Some(&at_truth))?),
        false => None,
    };
    let log_likelihood = |theta: f64| -> Result<f64> {
        let context = of.tensor(&vec![theta; rows], 1)?;
        let log_prob = |x: &Tensor, c: Option<&Tensor>| match &u {
            Some(_) => model.coordinate_log_prob(x, c),
            None => model.log_prob(x, c),
        };
        Ok(of.by_rows(u.as_ref().unwrap_or(&x), Some(&context), log_prob)?.iter().sum())
    };
    let grid: Vec<f64> =
        (0..=2 * SIDE).map(|i| STEP * (f64::from(i) - f64::from(SIDE)) + truth).collect();
    let joint = |theta: &f64| Ok(log_likelihood(*theta)? - 0.5 * theta * theta);
    let joint = grid.iter().map(joint).collect::<Result<Vec<f64>>>()?;
    Ok(at_the_middle(&joint))
}

/// The logarithm of a density at the middle of a grid, from the logarithms of what it is proportional to.
#[expect(
    clippy::indexing_slicing,
    reason = "a grid of a fixed number of points, and tensors with two axes"
)]
fn at_the_middle(joint: &[f64]) -> f64 {
    let top = joint.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = joint.iter().map(|v| (v - top).exp()).sum();
    joint[joint.len() / 2] - top - (STEP * sum).ln()
}

impl ContextData {
    /// [`log_posterior`] of what is observed, rows of `dim` numbers.
    pub(super) fn log_posterior(&self, of: Evaluated<'_>, dim: usize) -> Result<f64> {
        log_posterior(of, &self.observed, dim, self.truth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Oracle: the posterior of a mean from 50 normal numbers with known variance, in closed form.
    #[test]
    fn a_normal_posterior_is_that_of_its_formula() {
        let (count, sum, truth) = (50., 57., 1.);
        let grid = (0..=2 * SIDE).map(|i| STEP * (f64::from(i) - f64::from(SIDE)) + truth);
        let joint: Vec<f64> =
            grid.map(|t: f64| sum * t - 0.5 * count * t * t - 0.5 * t * t).collect();
        let (mean, variance): (f64, f64) = (sum / (count + 1.), 1. / (count + 1.));
        let expected = -0.5 * (truth - mean).powi(2) / variance
            - 0.5 * (std::f64::consts::TAU * variance).ln();
        assert!((at_the_middle(&joint) - expected).abs() < 1e-6, "{}", at_the_middle(&joint));
    }
}
