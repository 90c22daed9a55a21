//! Runs that are done, read back from their directories.
use crate::experiment::ExperimentConfig;
use crate::fit::{FitConfig, HELD_OUT_FILE, HeldOut, MODEL_FILE, POINTS_FILE};
use crate::report::{RESULT_FILE, Report};
use crate::title::title;
use crate::{Error, Result};
use mflow_core::candle::{DType, Device};
use mflow_core::{Error as CoreError, LoadedModel, Model, ModelConfig, load_model};
use mflow_data::io::read_npy;
use mflow_train::{Attempt, CONFIG_FILE, EpochMetrics, TrainConfig, read_attempts, read_metrics};
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
    /// Read the run directory `folder`, its model onto `device`. Nothing in it is locked or changed.
    ///
    /// # Errors
    /// If it holds no experiment, or one that is not done, or a file is damaged.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let config: ExperimentConfig = parse(&folder.join(CONFIG_FILE), from_toml)?;
        let report = parse(&folder.join(RESULT_FILE), from_json)?;
        let model = model(folder, config.evaluation.dtype.into(), device)?.model;
        let metrics = read_metrics(folder)?;
        Ok(Self { folder: folder.to_owned(), config, report, metrics, model })
    }

    /// Its title in tables and figures: [`ExperimentConfig::title`].
    pub fn title(&self) -> String {
        self.config.title()
    }
}

/// A fit to a table that is done. Nothing is known of the truth.
#[derive(Debug)]
pub struct FinishedFit {
    /// Its directory.
    pub folder: PathBuf,
    /// What was fitted and how, resolved.
    pub config: FitConfig,
    /// Names of the data columns, if they have names.
    pub columns: Option<Vec<String>>,
    /// The shape of a row that has several dimensions, as that of an image.
    pub row_shape: Option<Vec<usize>>,
    /// Some rows of the data, `[n, D]` row-major.
    pub points: Vec<f64>,
    /// The attempts at learning a manifold that the failure detector judged.
    pub attempts: Vec<Attempt>,
    /// The losses, epoch by epoch.
    pub metrics: Vec<EpochMetrics>,
    /// What held-out rows said of it; none of a model that draws no samples.
    pub held_out: Option<HeldOut>,
    /// The model, in the precision of its training.
    pub model: Box<dyn Model>,
}

impl FinishedFit {
    /// Read the run directory `folder`, its model onto `device`. Nothing in it is locked or changed.
    ///
    /// # Errors
    /// If it holds no fit, or one that is not done, or a file is damaged.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let config: FitConfig = parse(&folder.join(CONFIG_FILE), from_toml)?;
        let LoadedModel { model, card, .. } = model(folder, config.dtype.into(), device)?;
        let (attempts, metrics) = (read_attempts(folder)?, read_metrics(folder)?);
        let points = points(&folder.join(POINTS_FILE), config.model.sizes.data_dim)?;
        let held_out = folder.join(HELD_OUT_FILE);
        let held_out = match held_out.is_file() {
            true => Some(parse(&held_out, from_json)?),
            false => None,
        };
        let (folder, columns, row_shape) = (folder.to_owned(), card.columns, card.layout.shape);
        Ok(Self { folder, config, columns, row_shape, points, attempts, metrics, held_out, model })
    }
}

/// A run of either kind.
#[derive(Debug)]
pub enum Finished {
    /// Of an experiment.
    Experiment(Box<FinishedRun>),
    /// Of a fit to a table.
    Fit(Box<FinishedFit>),
}

impl Finished {
    /// Read the run directory `folder`, its model onto `device`. Nothing in it is locked or changed.
    ///
    /// # Errors
    /// If it holds no run, or one that is not done, or a file is damaged.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let no_run = |reason: &str| Error::Run { path: folder.to_owned(), reason: reason.into() };
        let config = folder.join(CONFIG_FILE);
        if !config.is_file() {
            let found = if folder.exists() { "none in it" } else { "nothing there" };
            let reason =
                format!("expected the folder of a run with a {CONFIG_FILE}, found {found}");
            return Err(no_run(&reason));
        }
        if !folder.join(MODEL_FILE).is_file() {
            return Err(no_run("training is unfinished; repeat its command with --resume auto"));
        }
        let table: toml::Table = parse(&config, from_toml)?;
        // Only an experiment says where its data come from.
        Ok(match table.contains_key("data") {
            true => Self::Experiment(Box::new(FinishedRun::load(folder, device)?)),
            false => Self::Fit(Box::new(FinishedFit::load(folder, device)?)),
        })
    }

    /// Its directory.
    pub fn folder(&self) -> &Path {
        match self {
            Self::Experiment(run) => &run.folder,
            Self::Fit(fit) => &fit.folder,
        }
    }
    /// Name of the experiment, or of the directory.
    pub fn name(&self) -> String {
        match self {
            Self::Experiment(run) => run.config.name.clone(),
            Self::Fit(fit) => {
                // `.` has no name before it is resolved.
                let folder = fit.folder.canonicalize().unwrap_or_else(|_| fit.folder.clone());
                folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
        }
    }
    /// Its title in tables and figures: model and schedule.
    pub fn title(&self) -> String {
        title(self.model_config(), self.train())
    }
    /// The seed.
    pub fn seed(&self) -> u64 {
        match self {
            Self::Experiment(run) => run.config.seed,
            Self::Fit(fit) => fit.config.seed,
        }
    }
    /// The model as configured.
    pub fn model_config(&self) -> &ModelConfig {
        match self {
            Self::Experiment(run) => &run.config.model,
            Self::Fit(fit) => &fit.config.model,
        }
    }
    /// The schedule.
    pub fn train(&self) -> &TrainConfig {
        match self {
            Self::Experiment(run) => &run.config.train,
            Self::Fit(fit) => &fit.config.train,
        }
    }
    /// The losses, epoch by epoch.
    pub fn metrics(&self) -> &[EpochMetrics] {
        match self {
            Self::Experiment(run) => &run.metrics,
            Self::Fit(fit) => &fit.metrics,
        }
    }
    /// The attempts at learning a manifold that the failure detector judged.
    pub fn attempts(&self) -> &[Attempt] {
        match self {
            Self::Experiment(run) => &run.report.attempts,
            Self::Fit(fit) => &fit.attempts,
        }
    }
    /// What held-out rows said of a fit; an experiment has metrics.
    pub fn held_out(&self) -> Option<&HeldOut> {
        match self {
            Self::Experiment(_) => None,
            Self::Fit(fit) => fit.held_out.as_ref(),
        }
    }
    /// The model.
    pub fn model(&self) -> &dyn Model {
        match self {
            Self::Experiment(run) => run.model.as_ref(),
            Self::Fit(fit) => fit.model.as_ref(),
        }
    }
    /// The experiment, if it is one.
    pub fn experiment(&self) -> Option<&FinishedRun> {
        match self {
            Self::Experiment(run) => Some(run),
            Self::Fit(_) => None,
        }
    }
}

fn model(folder: &Path, dtype: DType, device: &Device) -> Result<LoadedModel> {
    Ok(load_model(&folder.join(MODEL_FILE), Some(dtype), device)?)
}

/// Rows of data.
fn points(path: &Path, data_dim: usize) -> Result<Vec<f64>> {
    let table = read_npy(path)?;
    if table.cols() != data_dim {
        let reason = format!("expected {data_dim} columns, found {}", table.cols());
        return Err(Error::Run { path: path.to_owned(), reason });
    }
    Ok(table.into_values())
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|e| e.to_string())
}

/// The file at `path`, as `read` understands it.
fn parse<T>(path: &Path, read: impl Fn(&str) -> Result<T, String>) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(CoreError::io(path))?;
    read(&text).map_err(|reason| Error::Run { path: path.to_owned(), reason })
}
