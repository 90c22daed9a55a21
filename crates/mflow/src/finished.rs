//! Experiments that are done, read back from their run directories.
use crate::experiment::ExperimentConfig;
use crate::fit::MODEL_FILE;
use crate::report::{RESULT_FILE, Report};
use crate::{Error, Result};
use mflow_core::candle::Device;
use mflow_core::{Error as CoreError, Model, load_model};
use mflow_train::{CONFIG_FILE, EpochMetrics, read_metrics};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// A run of an experiment that is done: what was asked for, what came of it, and the model.
#[derive(Debug)]
pub struct FinishedRun {
    /// Its directory.
    pub folder: PathBuf,
    /// The experiment, resolved.
    pub config: ExperimentConfig,
    /// What it measured.
    pub report: Report,
    /// The losses, epoch by epoch.
    pub metrics: Vec<EpochMetrics>,
    /// The model, in the precision that the experiment evaluates it with.
    pub model: Box<dyn Model>,
}

impl FinishedRun {
    /// Read the run directory `folder`. Nothing in it is locked or changed.
    ///
    /// # Errors
    /// If it holds no experiment, or one that is not done, or a file is damaged.
    pub fn load(folder: &Path) -> Result<Self> {
        let config: ExperimentConfig = parse(&folder.join(CONFIG_FILE), |text| {
            toml::from_str(text).map_err(|e| e.to_string())
        })?;
        let report = parse(&folder.join(RESULT_FILE), from_json)?;
        let dtype = config.evaluation.dtype.into();
        let model = load_model(&folder.join(MODEL_FILE), Some(dtype), &Device::Cpu)?.model;
        let metrics = read_metrics(folder)?;
        Ok(Self { folder: folder.to_owned(), config, report, metrics, model })
    }

    /// Its title in tables and figures: [`ExperimentConfig::title`].
    pub fn title(&self) -> String {
        self.config.title()
    }
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

/// The file at `path`, as `read` understands it.
fn parse<T>(path: &Path, read: impl Fn(&str) -> Result<T, String>) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(CoreError::io(path))?;
    read(&text).map_err(|reason| Error::Run { path: path.to_owned(), reason })
}
