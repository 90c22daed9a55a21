//! Fitting a model to rows.
use crate::Result;
use mflow_bijectors::ParamStore;
use mflow_core::candle::{DType, Device};
use mflow_core::{ModelCard, ModelConfig, save_model, standardize};
use mflow_train::{Observer, Outcome, Pool, Rows, RunDir, TrainConfig, Trainer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// Name of the model file in a run directory.
pub const MODEL_FILE: &str = "model.safetensors";

/// A floating-point type, as it is written in a config.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DTypeName {
    /// Single precision: for training.
    #[default]
    F32,
    /// Double precision.
    F64,
}

impl From<DTypeName> for DType {
    fn from(name: DTypeName) -> Self {
        match name {
            DTypeName::F32 => Self::F32,
            DTypeName::F64 => Self::F64,
        }
    }
}

/// How data are normalised before a model sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalize {
    /// Not at all.
    None,
    /// To mean 0 and standard deviation 1 of each feature.
    #[default]
    Standardize,
}

impl Normalize {
    /// `model` with the normalisation of `values: [rows, cols]`, row-major, as part of its decoder.
    ///
    /// # Errors
    /// If the length does not fit.
    pub fn apply(self, model: ModelConfig, values: &[f64], cols: usize) -> Result<ModelConfig> {
        match self {
            Self::None => Ok(model),
            Self::Standardize => Ok(model.with_normalization(standardize(values, cols)?)),
        }
    }
}

/// What to fit and how: everything but the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitConfig {
    /// Seed of all random streams.
    #[serde(default)]
    pub seed: u64,
    /// Precision of parameters and data.
    #[serde(default)]
    pub dtype: DTypeName,
    /// The model.
    pub model: ModelConfig,
    /// The schedule.
    pub train: TrainConfig,
}

/// Fit a model in the run directory `run`, or go on with the fit that was interrupted there, and
/// write its file, [`MODEL_FILE`], when it is done.
///
/// # Errors
/// If config and data do not fit, training diverges, or a file cannot be written.
pub fn fit(
    config: &FitConfig,
    data: &Rows,
    columns: Option<Vec<String>>,
    provenance: BTreeMap<String, String>,
    run: &RunDir,
    pool: &Pool,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let device = data.all().x.device().clone();
    let device: &Device = &device;
    let mut store = ParamStore::new(config.seed, config.dtype.into(), device);
    let mut trainer = Trainer {
        model: &config.model,
        store: &mut store,
        data,
        config: &config.train,
        seed: config.seed,
        pool,
        run: Some(run),
    };
    let outcome = trainer.run(observer, stop)?;
    if outcome == Outcome::Finished {
        let card = ModelCard { config: config.model.clone(), columns, provenance };
        save_model(&run.file(MODEL_FILE), &card, &store)?;
    }
    Ok(outcome)
}
