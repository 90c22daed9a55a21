//! Log-likelihood against the truth.
use super::Evaluated;
use crate::{Estimate, Result};
use mflow_core::Density;
use mflow_data::Simulator;

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
    let of_truth = truth.log_prob(x, parameters)?;
    let (x, context) = (of.tensor(x, truth.data_dim())?, of.context(parameters)?);
    let of_model =
        of.by_rows(&x, context.as_ref(), |x, c| of.model.log_density(Density::Manifold, x, c))?;
    let gaps: Vec<f64> = of_truth.iter().zip(&of_model).map(|(t, m)| t - m).collect();
    Estimate::mean(&gaps)
}
