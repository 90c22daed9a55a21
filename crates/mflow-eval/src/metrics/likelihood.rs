//! Log-likelihood of test data, alone and against the truth, and ratios of likelihoods.
use super::Evaluated;
use crate::{Estimate, Result};
use mflow_core::Density;
use mflow_data::Simulator;

/// Mean log-density of the kind asked for, over test data `x: [rows, D]` with parameters `[rows, P]`, in nats.
///
/// Densities of different kinds are with respect to different volumes, those on different manifolds as well;
/// means of them cannot be compared.
///
/// # Errors
/// If the model has no such density or cannot be evaluated, or a result is not finite.
pub fn log_likelihood(
    of: Evaluated<'_>,
    kind: Density,
    x: &[f64],
    parameters: &[f64],
) -> Result<Estimate> {
    Estimate::mean(&log_densities(of, kind, x, parameters)?)
}

/// The log-density of each row that [`log_likelihood`] is the mean of, `[rows]`, in nats; for
/// [`Estimate::weighted_mean`], for instance.
///
/// # Errors
/// If the model has no such density or cannot be evaluated, or a result is not finite.
pub fn log_densities(
    of: Evaluated<'_>,
    kind: Density,
    x: &[f64],
    parameters: &[f64],
) -> Result<Vec<f64>> {
    log_density(of, kind, (x, of.model.signature().data_dim), parameters)
}

/// Mean of `log p_true(x) - log p_model(x)` over test data `x: [rows, D]` with parameters `[rows, P]`,
/// in nats.
///
/// Both are densities on a manifold, but not on the same one: the model's is taken at the projection
/// of `x`. So this is no divergence and can be negative; read it beside the reconstruction error.
///
/// # Errors
/// If the model cannot be evaluated or a result is not finite.
pub fn log_likelihood_gap(
    of: Evaluated<'_>,
    truth: &dyn Simulator,
    x: &[f64],
    parameters: &[f64],
) -> Result<Estimate> {
    let of_truth = of.pool.install(|| truth.log_prob(x, parameters))?;
    let of_model = log_density(of, Density::Manifold, (x, truth.data_dim()), parameters)?;
    let gaps: Vec<f64> = of_truth.iter().zip(&of_model).map(|(t, m)| t - m).collect();
    Estimate::mean(&gaps)
}

/// Mean of `(log r̂(x|θ) - log p(x|θ) + log p(x|θ_ref))²` of an estimator of likelihood ratios over data `x: [rows, D]`
/// beside parameters `[rows, P]`, in squared nats. `θ_ref` are the default parameters of the simulator.
///
/// # Errors
/// If the model has no ratios or cannot be evaluated, the simulator has no density, or a result is not finite.
#[expect(clippy::integer_division_remainder_used, reason = "a simulator has a dimension or more")]
pub fn log_ratio_error(
    of: Evaluated<'_>,
    truth: &dyn Simulator,
    x: &[f64],
    parameters: &[f64],
) -> Result<Estimate> {
    let rows = x.len() / truth.data_dim();
    let at = truth.log_prob(x, parameters)?;
    let at_reference = truth.log_prob(x, &truth.default_parameters().repeat(rows))?;
    let found = log_density(of, Density::Ratio, (x, truth.data_dim()), parameters)?;
    let exact = at.iter().zip(&at_reference).map(|(at, reference)| at - reference);
    let squares: Vec<f64> = found.iter().zip(exact).map(|(f, e)| (f - e) * (f - e)).collect();
    Estimate::mean(&squares)
}

/// The model's log-density at each row of `x: [rows, cols]`.
fn log_density(
    of: Evaluated<'_>,
    kind: Density,
    (x, cols): (&[f64], usize),
    parameters: &[f64],
) -> Result<Vec<f64>> {
    let (x, context) = (of.tensor(x, cols)?, of.context(parameters)?);
    of.by_rows(&x, context.as_ref(), |x, c| of.model.log_density(kind, x, c))
}
