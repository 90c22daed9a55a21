//! Experiments: data of a simulator or a file, training and evaluation in one.
mod check;
mod data;
mod evaluation;
mod images;
mod optional;
mod ratio;

use crate::figures::draw_run;
use crate::fit::{DTypeName, Fit, FitConfig, MODEL_FILE, place_charts, start_from};
use crate::report::{RESULT_FILE, Report, Seconds, peak_memory_mib};
use crate::{Error, Result};
use check::check_scores;
use data::Source;
pub use data::{DataConfig, Origin, Split, SplitWeights, test_data, training_data, training_joint};
pub(crate) use data::{held_out, outlier_data};
pub(crate) use evaluation::has_manifold_density;
use evaluation::{evaluate, evaluate_held_out};
use images::evaluate_images;
pub use images::{ImageContexts, ImagesConfig, ScenesConfig};
pub(crate) use images::{ImageData, drawn};
use mflow_core::{DeviceName, ModelConfig, load_model, write_atomically};
use mflow_eval::metrics::Evaluated;
use mflow_train::{Observer, Outcome, Pool, RunDir, Start, TrainConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// An experiment, as it is written in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentConfig {
    /// Its name.
    pub name: String,
    /// Seed of all random streams, data included.
    #[serde(default)]
    pub seed: u64,
    /// Precision of training.
    #[serde(default)]
    pub dtype: DTypeName,
    /// Where it is computed.
    #[serde(default, skip_serializing_if = "DeviceName::is_cpu")]
    pub device: DeviceName,
    /// Where the data come from.
    pub data: DataConfig,
    /// The model.
    pub model: ModelConfig,
    /// Where the manifold starts; none leaves model and schedule as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// The schedule.
    pub train: TrainConfig,
    /// What is measured.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
}

/// Sizes of the evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationConfig {
    /// Samples of the model for distances and divergences.
    pub samples: usize,
    /// Rows of test data at `parameter`.
    pub test_rows: usize,
    /// The parameter of test data and divergences.
    pub parameter: f64,
    /// Observed sets of 20 rows whose posteriors are compared with the true ones; 0 leaves it out.
    #[serde(skip_serializing_if = "is_zero")]
    pub posteriors: usize,
    /// Observed sets of 20 rows, each at parameters drawn from the prior, whose posteriors are calibrated; at
    /// least 20, 0 leaves it out.
    #[serde(skip_serializing_if = "is_zero")]
    pub calibration: usize,
    /// Whether samples of the model are compared with test data by two-sample tests.
    #[serde(skip_serializing_if = "is_false")]
    pub two_sample: bool,
    /// Whether the dimension of the test data is estimated by classical means, without the model.
    #[serde(skip_serializing_if = "is_false")]
    pub intrinsic_dimension: bool,
    /// The features in which samples of images are compared: `raw`, `pca-K`, `efficientnet-lite0`, `inception-v3`.
    /// Fréchet distances of the last alone are FID.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// The files of the weights of the networks whose features these are, by the names of the features.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub feature_weights: BTreeMap<String, PathBuf>,
    /// Images whose distance from the true manifold is measured, where it is known; 0 leaves it out.
    pub nearest: usize,
    /// Precision of the evaluation.
    pub dtype: DTypeName,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(v: &usize) -> bool {
    *v == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(v: &bool) -> bool {
    !*v
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            samples: 10_000,
            test_rows: 10_000,
            parameter: 0.,
            posteriors: 0,
            calibration: 0,
            two_sample: false,
            intrinsic_dimension: false,
            features: vec![],
            feature_weights: BTreeMap::new(),
            nearest: 50,
            dtype: DTypeName::F32,
        }
    }
}

/// Run an experiment in `run`, or go on with it. `None` if it was interrupted, and of all processes but the first of a team.
///
/// Writes the model file, [`RESULT_FILE`] and figures.
///
/// # Errors
/// If the config is invalid, training diverges, a metric is not finite, or a file cannot be written.
pub fn run(
    config: &ExperimentConfig,
    run: &RunDir,
    pool: &Pool,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Report>> {
    let start = Instant::now();
    config.device.check(config.evaluation.dtype.into())?;
    let device = config.device.open(config.dtype.into())?;
    config.evaluation.check_features()?;
    let source = Source::open(config)?;
    if let Source::Simulator(simulator) = &source {
        config.evaluation.check(simulator.as_ref())?;
        if ratio::is_ratio(&config.model) {
            ratio::check(config, simulator.as_ref())?;
        }
    }
    check_scores(config, &source)?;
    let training = pool.install(|| source.training(config))?;
    if let Some(weights) = &training.weights {
        config.train.check_weights(weights)?;
    }
    let model = training.normalize(config.data.normalize, config.model.clone())?;
    let data = training.into_rows(config.dtype.into(), &device)?;
    let model = place_charts(model, &data)?;
    let (model, train) = match config.start {
        Some(start) => start_from(start, model, config.train.clone(), &data)?,
        None => (model, config.train.clone()),
    };
    let settings =
        FitConfig { seed: config.seed, dtype: config.dtype, device: config.device, model, train };
    let provenance = BTreeMap::from([
        ("data".to_owned(), config.data.name()),
        ("experiment".to_owned(), config.name.clone()),
        ("seed".to_owned(), config.seed.to_string()),
        ("mflow".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    let fit = Fit {
        config: &settings,
        data: &data,
        validation: None,
        columns: None,
        layout: source.layout(),
        provenance,
        run,
        pool,
    };
    if fit.run(observer, stop)? == Outcome::Interrupted {
        return Ok(None);
    }
    if !run.writes() {
        return Ok(None);
    }
    let train = start.elapsed().as_secs_f64();
    drop(data);
    let loaded = load_model(&run.file(MODEL_FILE), Some(config.evaluation.dtype.into()), &device)?;
    let of = Evaluated { model: loaded.model.as_ref(), pool };
    let evaluation = match &source {
        Source::Simulator(simulator) => evaluate(config, simulator.as_ref(), of)?,
        Source::Rows(split) => evaluate_held_out(split, of)?,
        Source::Images(images) => evaluate_images(config, images, of)?,
    };
    draw_run(config, of, &run.metrics()?, &run.file("figures"))?;
    let report = Report {
        name: config.name.clone(),
        model: config.model.name().to_owned(),
        seed: config.seed,
        metrics: evaluation.metrics,
        attempts: run.attempts()?,
        seconds: Seconds { train, total: start.elapsed().as_secs_f64() },
        peak_memory_mib: peak_memory_mib(),
        round_trip_error: evaluation.round_trip_error,
    };
    let path = run.file(RESULT_FILE);
    let text = serde_json::to_string_pretty(&report)
        .map_err(|e| Error::Run { path: path.clone(), reason: e.to_string() })?;
    write_atomically(&path, |file| writeln!(file, "{text}"))?;
    Ok(Some(report))
}
