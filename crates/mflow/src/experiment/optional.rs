//! What is measured of a fitted model only where the experiment asks for it.
use super::{EvaluationConfig, ExperimentConfig};
use crate::Result;
use mflow_bijectors::Stream;
use mflow_data::Simulator;
use mflow_data::wbf::WeakBosonFusion;
use mflow_eval::Estimate;
use mflow_eval::metrics::{
    CalibrationConfig, Evaluated, PosteriorConfig, calibration, posteriors, score_error,
    two_samples,
};
use mflow_eval::statistics::{Sample, levina_bickel, local_pca, two_nn};

/// Rows that dimensions are estimated from at most: time grows with their square.
const ROWS: usize = 2000;

/// Rows at each truth that scores are compared on.
const SCORES: usize = 1000;

/// Neighbours of a row that tell the dimension there.
pub(super) const NEIGHBOURS: usize = 20;

/// Hand each metric to `put`; `x` are the test data.
#[expect(
    clippy::indexing_slicing,
    reason = "there is a set, and not more rows are taken than there are"
)]
pub(super) fn evaluate_optional<T>(
    config: &ExperimentConfig,
    simulator: &dyn Simulator,
    of: Evaluated<'_>,
    x: &[f64],
    put: &mut impl FnMut(&str, Estimate) -> T,
) -> Result<()> {
    let EvaluationConfig { posteriors: sets, parameter, .. } = config.evaluation;
    let has_density = of.model.signature().density.is_some();
    if sets > 0 && has_density {
        let sizes = posterior_config(simulator, sets);
        if simulator.has_scores() {
            let stream = &mut Stream::new(config.seed, "rows for scores");
            put("score_error", score_error(of, simulator, &sizes, SCORES, stream)?);
        }
        let all = posteriors(of, simulator, &sizes, config.seed)?;
        put("posterior_mmd_published", Estimate::mean(&all.mmd[..1])?);
        put("posterior_mmd", Estimate::median(&all.mmd)?);
        put("posterior_mmd_spread", Estimate::interquartile_range(&all.mmd)?);
        put("posterior_mmd_floor", Estimate::median(&all.mmd_floor)?);
        put("log_posterior", Estimate::mean(&all.log_posterior)?);
        put("log_posterior_of_truth", Estimate::mean(&all.log_posterior_of_truth)?);
        if !all.kl.is_empty() {
            put("posterior_kl", Estimate::mean(&all.kl)?);
        }
        if !all.kl_floor.is_empty() {
            put("posterior_kl_floor", Estimate::mean(&all.kl_floor)?);
        }
    }
    let sets = config.evaluation.calibration;
    if sets > 0 && has_density {
        let found = calibration(of, simulator, CalibrationConfig::new(sets), config.seed)?;
        put("calibration_p_value", without_error(found.p_value(), sets));
        put("coverage_50", found.coverage_50);
        put("coverage_90", found.coverage_90);
    }
    if config.evaluation.two_sample {
        let theta = vec![parameter; simulator.parameter_dim()];
        let mut stream = Stream::new(config.seed, "two samples");
        let found = two_samples(of, x, &theta, &mut stream)?;
        put("c2st", found.c2st);
        put("mmd_samples", found.mmd);
    }
    if config.evaluation.intrinsic_dimension {
        let dim = simulator.data_dim();
        let rows = Sample::new(&x[..x.len().min(ROWS * dim)], dim)?;
        let mut put = |name, value| put(name, without_error(value, rows.count()));
        put("dimension_two_nn", two_nn(rows)?);
        put("dimension_levina_bickel", levina_bickel(rows, NEIGHBOURS)?);
        put("dimension_local_pca", local_pca(rows, NEIGHBOURS)?);
    }
    Ok(())
}

/// Chains as they are published for the data.
fn posterior_config(simulator: &dyn Simulator, sets: usize) -> PosteriorConfig {
    match simulator.name() {
        WeakBosonFusion::NAME | WeakBosonFusion::NAME_WITH_AZIMUTHS => {
            PosteriorConfig::collisions(sets)
        }
        _ => PosteriorConfig { sets, ..PosteriorConfig::default() },
    }
}

fn without_error(value: f64, count: usize) -> Estimate {
    Estimate { value, standard_error: None, count }
}
