//! Experiments with an estimator of likelihood ratios: the rows that it trains on, and what is measured of it.
use super::data::{Origin, Training};
use super::{ExperimentConfig, optional};
use crate::{Error, Result};
use mflow_bijectors::Stream;
use mflow_core::{ModelConfig, ModelParts};
use mflow_data::{JointSample, Simulator};
use mflow_eval::Estimate;
use mflow_eval::metrics::{Evaluated, log_ratio_error};
use std::collections::BTreeMap;

/// Whether a model is such an estimator.
pub(super) fn is_ratio(model: &ModelConfig) -> bool {
    matches!(model.parts, ModelParts::Ratio { .. })
}

/// Rows of a simulator with hypotheses `θ` from the prior. Every other one is drawn at its `θ`, the rest at `θ_ref`,
/// the default parameters.
struct Pairs {
    joint: JointSample,
    /// `[rows, P]`.
    hypotheses: Vec<f64>,
    /// 1 where the row was drawn at its hypothesis, else 0.
    labels: Vec<f64>,
}

impl Pairs {
    fn draw(simulator: &dyn Simulator, rows: usize, stream: &mut Stream) -> Result<Self> {
        let hypotheses = simulator.sample_prior(rows, stream);
        let reference = simulator.default_parameters();
        let at_hypothesis = |row: usize| row.is_multiple_of(2);
        let parameters = hypotheses.chunks_exact(reference.len()).enumerate();
        let parameters: Vec<f64> = parameters
            .flat_map(|(row, theta)| if at_hypothesis(row) { theta } else { &reference })
            .copied()
            .collect();
        let joint = simulator.sample_joint(rows, &parameters, &hypotheses, stream)?;
        let labels = (0..rows).map(|row| f64::from(u8::from(at_hypothesis(row)))).collect();
        Ok(Self { joint, hypotheses, labels })
    }
}

/// The rows to train on, with their joint scores and ratios.
///
/// # Errors
/// If the data come from a file, or the simulator cannot tell ratios.
pub(super) fn training(config: &ExperimentConfig, simulator: &dyn Simulator) -> Result<Training> {
    let Origin::Simulator { rows, .. } = config.data.origin else { return Err(no_file()) };
    let stream = &mut Stream::new(config.seed, "training data");
    let Pairs { joint, hypotheses, labels } = Pairs::draw(simulator, rows, stream)?;
    let JointSample { x, scores, log_ratios } = joint;
    Ok(Training {
        context: Some((hypotheses, simulator.parameter_dim())),
        scores: Some(scores),
        ratios: Some((log_ratios, labels)),
        ..Training::of(x, simulator.data_dim())
    })
}

/// That a file has no ratios.
pub(super) fn no_file() -> Error {
    let reason = "must not be a file for `ratio`, whose rows need joint ratios: draw them by a simulator, or give \
                  them to `mflow fit --ratios`";
    Error::Config { field: "data.file", reason: reason.to_owned() }
}

/// Refuse a simulator that cannot tell ratios, and measures that ask for samples of the model.
pub(super) fn check(config: &ExperimentConfig, simulator: &dyn Simulator) -> Result<()> {
    let refuse = |field, reason| Err(Error::Config { field, reason });
    let name = simulator.name();
    if !simulator.has_scores() || simulator.parameters().is_empty() {
        let reason = format!(
            "must be a simulator that knows joint likelihood ratios for `ratio`, found `{name}`"
        );
        return refuse("data.simulator", reason);
    }
    if config.evaluation.two_sample {
        return refuse("evaluation.two_sample", "must be false: `ratio` has no samples".to_owned());
    }
    Ok(())
}

/// Measure the error of log-ratios where the density is known, and the posteriors that are asked for.
pub(super) fn evaluate(
    config: &ExperimentConfig,
    simulator: &dyn Simulator,
    of: Evaluated<'_>,
) -> Result<BTreeMap<String, Estimate>> {
    let mut metrics = BTreeMap::new();
    let mut put = |name: &str, estimate: Estimate| metrics.insert(name.to_owned(), estimate);
    if simulator.is_tractable() {
        let stream = &mut Stream::new(config.seed, "ratio test data");
        let Pairs { joint, hypotheses, .. } =
            Pairs::draw(simulator, config.evaluation.test_rows, stream)?;
        put("log_ratio_error", log_ratio_error(of, simulator, &joint.x, &hypotheses)?);
    }
    let (x, _) = super::test_data(config, simulator)?;
    optional::evaluate_optional(config, simulator, of, &x, &mut put)?;
    Ok(metrics)
}
