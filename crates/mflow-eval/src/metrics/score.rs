//! How near the scores of a model are to the true ones.
use super::Evaluated;
use super::posteriors::PosteriorConfig;
use crate::{Estimate, Result};
use mflow_bijectors::Stream;
use mflow_data::Simulator;

/// Step of the differences by which the true score is found. The error is of the order of its square.
const STEP: f64 = 1e-4;

/// The mean over rows and parameters of `(ŝ_k - s_k)² / I_kk`, where `s = ∂ log p(x|θ)/∂θ` is the score, `ŝ` the model's, and
/// `I_kk` the mean of `s_k²`, the Fisher information: 0 if the score is exact, 1 for a model that knows nothing of the parameters.
///
/// `rows` rows are drawn at each of the truths of the config, and errors are relative to the information there. It tells why a
/// posterior is wrong: to first order the sum over rows of `ŝ - s` is what moves it.
///
/// # Errors
/// If the model has no score or cannot be evaluated, the simulator has no density, or a result is not finite.
pub fn score_error(
    of: Evaluated<'_>,
    simulator: &dyn Simulator,
    config: &PosteriorConfig,
    rows: usize,
    stream: &mut Stream,
) -> Result<Estimate> {
    let mut errors = vec![];
    for theta in config.truths_of(simulator) {
        let parameters = theta.repeat(rows);
        let (x, truth) = of.pool.install(|| {
            let x = simulator.sample(rows, &parameters, stream)?;
            let truth = true_score(simulator, &x, &theta)?;
            Ok::<_, crate::Error>((x, truth))
        })?;
        let context = of.context(&parameters)?;
        let found =
            of.by_rows(&of.tensor(&x, simulator.data_dim())?, context.as_ref(), |x, c| {
                c.map_or_else(|| of.model.lacks("score", NO_CONTEXT), |c| of.model.score(x, c))
            })?;
        for (k, truth) in truth.iter().enumerate() {
            let information = truth.iter().map(|s| s * s).sum::<f64>() / rows as f64;
            let found = found.iter().skip(k).step_by(theta.len());
            errors.extend(found.zip(truth).map(|(f, s)| (f - s) * (f - s) / information));
        }
    }
    Estimate::mean(&errors)
}

/// Why a model has no score.
const NO_CONTEXT: &str = "its density has no parameters";

/// The true score at `theta`, `[P]`, of each of `x: [rows, D]`: one column of `rows` for each parameter.
#[expect(clippy::indexing_slicing, reason = "counted by the parameters")]
fn true_score(simulator: &dyn Simulator, x: &[f64], theta: &[f64]) -> Result<Vec<Vec<f64>>> {
    let likelihood = simulator.likelihood(x)?;
    let along = |k: usize| -> Result<Vec<f64>> {
        let at = |step: f64| {
            let mut moved = theta.to_vec();
            moved[k] += step;
            likelihood.log_prob(&moved)
        };
        let (above, below) = (at(STEP)?, at(-STEP)?);
        Ok(above.iter().zip(below).map(|(a, b)| (a - b) / (2. * STEP)).collect())
    };
    (0..theta.len()).map(along).collect()
}
