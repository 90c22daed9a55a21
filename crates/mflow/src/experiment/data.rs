//! Where the data of an experiment come from: a simulator, or the rows of a file.
use super::images::{ImageData, ImagesConfig, ScenesConfig};
use super::{EvaluationConfig, ExperimentConfig, ratio};
use crate::fit::Normalize;
use crate::{Error, Result};
use mflow_bijectors::Stream;
use mflow_core::candle::{DType, Device};
use mflow_core::{ModelConfig, RowLayout};
use mflow_data::io::read_table;
use mflow_data::{Error as DataError, JointSample, Simulator, simulator_by_name};
use mflow_train::Rows;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Data of an experiment. In a file: `simulator` with `rows`, `file` with `test_fraction`, or one of the tables
/// `images` and `scenes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct DataConfig {
    /// Where they come from.
    pub origin: Origin,
    /// How they are normalised, by the rows to train on.
    pub normalize: Normalize,
}

/// Where data come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Drawn by a simulator.
    Simulator {
        /// Its name; its parameters, drawn from the prior, are the context.
        name: String,
        /// Rows to train on, validation included.
        rows: usize,
    },
    /// The rows of a file, some of which are held out for the evaluation.
    File {
        /// The file: `.npy`, `.npz` or `.csv`. A relative path starts where the program was started.
        path: PathBuf,
        /// Part of the rows that is held out, between 0 and 1.
        test_fraction: f64,
        /// A file with the weight of each row, in a single column; none if all count the same. See
        /// [`mflow_train::Rows::with_weights`].
        weights: Option<PathBuf>,
    },
    /// Images of files.
    Images(ImagesConfig),
    /// Images that are drawn.
    Scenes(ScenesConfig),
}

/// The part of a file that is held out where nothing is said.
const TEST_FRACTION: f64 = 0.1;

impl DataConfig {
    /// `rows` rows of a simulator.
    pub fn simulated(name: impl Into<String>, rows: usize, normalize: Normalize) -> Self {
        Self { origin: Origin::Simulator { name: name.into(), rows }, normalize }
    }
    /// The rows of a file, a tenth of which is held out.
    pub fn file(path: impl Into<PathBuf>, normalize: Normalize) -> Self {
        let (path, test_fraction) = (path.into(), TEST_FRACTION);
        Self { origin: Origin::File { path, test_fraction, weights: None }, normalize }
    }
    /// The name of the simulator, or of the file without its folders.
    pub fn name(&self) -> String {
        match &self.origin {
            Origin::Simulator { name, .. } => name.clone(),
            Origin::File { path, .. } | Origin::Images(ImagesConfig { train: path, .. }) => {
                path.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
            Origin::Scenes(scenes) => format!("scenes-{}", scenes.factors),
        }
    }
    /// Where they come from, in words.
    pub(crate) fn describe(&self) -> String {
        let name = self.name();
        match &self.origin {
            Origin::Simulator { rows, .. } => format!("{name}, {rows} rows"),
            Origin::File { test_fraction, weights, .. } => {
                let weighted = if weights.is_some() { ", rows with weights" } else { "" };
                format!("{name}, {test_fraction} of it held out{weighted}")
            }
            Origin::Images(images) => format!("images of {}", images.train.display()),
            Origin::Scenes(ScenesConfig { size, channels, rows, .. }) => {
                format!("{name}, {rows} images of {size} by {size} pixels and {channels} channels")
            }
        }
    }
    /// The simulator that draws the data.
    ///
    /// # Errors
    /// If they come from a file, or no simulator has the name.
    pub fn simulator(&self) -> Result<Box<dyn Simulator>> {
        match &self.origin {
            Origin::Simulator { name, .. } => Ok(simulator_by_name(name)?),
            Origin::File { .. } | Origin::Images(_) | Origin::Scenes(_) => {
                let reason = "is missing: the data come from elsewhere".to_owned();
                Err(Error::Config { field: "data.simulator", reason })
            }
        }
    }
}

/// [`DataConfig`] as it is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    simulator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_fraction: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<ImagesConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scenes: Option<ScenesConfig>,
    normalize: Normalize,
}

impl TryFrom<Fields> for DataConfig {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let Fields { simulator, rows, file, test_fraction, weights, images, scenes, normalize } =
            fields;
        let refuse = |field, reason: &str| Err(Error::Config { field, reason: reason.to_owned() });
        let tables = (images.map(Origin::Images), scenes.map(Origin::Scenes));
        if let (Some(origin), other) | (other @ None, Some(origin)) = tables {
            let others = [simulator.is_some(), rows.is_some(), file.is_some(), other.is_some()];
            if others.contains(&true) || test_fraction.is_some() || weights.is_some() {
                let field = match origin {
                    Origin::Images(_) => "data.images",
                    _ => "data.scenes",
                };
                let reason = "says all of the data; expected nothing beside it but `normalize`";
                return refuse(field, reason);
            }
            return Ok(Self { origin, normalize });
        }
        let origin = match (simulator, file) {
            (Some(_), Some(_)) => {
                return refuse("data", "has both `simulator` and `file`; expected one of them");
            }
            (None, None) => {
                return refuse(
                    "data",
                    "has none of `simulator`, `file`, `images` and `scenes`; expected one of them",
                );
            }
            (Some(name), None) => match (rows, test_fraction, weights) {
                (_, Some(_), _) => {
                    return refuse("data.test_fraction", "is for a `file`, not for a simulator");
                }
                (_, _, Some(_)) => {
                    return refuse("data.weights", "is for a `file`, not for a simulator");
                }
                (None, None, None) => {
                    return refuse("data.rows", "is missing: a simulator draws so many");
                }
                (Some(rows), None, None) => Origin::Simulator { name, rows },
            },
            (None, Some(path)) => match rows {
                Some(_) => return refuse("data.rows", "is for a `simulator`: a file has its own"),
                None => {
                    let test_fraction = test_fraction.unwrap_or(TEST_FRACTION);
                    Origin::File { path, test_fraction, weights }
                }
            },
        };
        Ok(Self { origin, normalize })
    }
}

impl From<DataConfig> for Fields {
    fn from(DataConfig { origin, normalize }: DataConfig) -> Self {
        match origin {
            Origin::Simulator { name, rows } => {
                Self { simulator: Some(name), rows: Some(rows), normalize, ..Self::default() }
            }
            Origin::File { path, test_fraction, weights } => Self {
                file: Some(path),
                test_fraction: Some(test_fraction),
                weights,
                normalize,
                ..Self::default()
            },
            Origin::Images(images) => Self { images: Some(images), normalize, ..Self::default() },
            Origin::Scenes(scenes) => Self { scenes: Some(scenes), normalize, ..Self::default() },
        }
    }
}

/// The rows of a file, cut in two at random. Both parts keep the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Number of columns `D`.
    pub cols: usize,
    /// Rows to train on, validation included, `[rows, D]`.
    pub train: Vec<f64>,
    /// Rows that are held out, `[rows, D]`.
    pub test: Vec<f64>,
    /// The weights of both, `[rows]` each, if they have some.
    pub weights: Option<SplitWeights>,
}

/// The weights of the rows of a [`Split`].
#[derive(Clone, Debug, PartialEq)]
pub struct SplitWeights {
    /// Of those to train on.
    pub train: Vec<f64>,
    /// Of those that are held out.
    pub test: Vec<f64>,
}

impl Split {
    /// Read a file of points with `cols` features and hold out the part `test_fraction` of its rows, to the
    /// nearest whole number, but at least one. Which ones, depends on the seed and their number only. Their weights come
    /// from the only column of the file `weights`, if there is one.
    ///
    /// # Errors
    /// If a file cannot be read or has other columns, the fraction is not between 0 and 1, no row is left to train on, or
    /// the weights are not as many as the rows.
    #[expect(
        clippy::indexing_slicing,
        reason = "fewer rows are held out than there are, as was checked"
    )]
    pub fn read(
        path: &Path,
        cols: usize,
        test_fraction: f64,
        weights: Option<&Path>,
        seed: u64,
    ) -> Result<Self> {
        if !(test_fraction > 0. && test_fraction < 1.) {
            let reason = format!("is {test_fraction}, expected a number between 0 and 1");
            return Err(Error::Config { field: "data.test_fraction", reason });
        }
        let table = read_table(path)?;
        if table.cols() != cols {
            let (path, found) = (path.to_owned(), table.cols());
            return Err(DataError::Columns { path, expected: cols, found }.into());
        }
        let rows = table.rows();
        let held_out = nearest((test_fraction * rows as f64).round()).max(1);
        if held_out >= rows {
            let reason = format!("of {rows} rows leaves none to train on");
            return Err(Error::Config { field: "data.test_fraction", reason });
        }
        let mut is_test = vec![false; rows];
        for row in &Stream::new(seed, "test rows").permutation(rows)[..held_out] {
            is_test[*row] = true;
        }
        let part = |values: &[f64], cols: usize, test: bool| -> Vec<f64> {
            let rows = values.chunks_exact(cols).zip(&is_test);
            rows.filter(|(_, is_test)| **is_test == test)
                .flat_map(|(row, _)| row)
                .copied()
                .collect()
        };
        let weights = weights.map(|path| read_weights(path, rows)).transpose()?;
        let of_weights =
            |w: Vec<f64>| SplitWeights { train: part(&w, 1, false), test: part(&w, 1, true) };
        let (train, test) = (part(table.values(), cols, false), part(table.values(), cols, true));
        Ok(Self { cols, train, test, weights: weights.map(of_weights) })
    }
}

/// The weights of `rows` rows.
fn read_weights(path: &Path, rows: usize) -> Result<Vec<f64>> {
    let table = read_table(path)?;
    if table.cols() != 1 {
        let (path, found) = (path.to_owned(), table.cols());
        return Err(DataError::Columns { path, expected: 1, found }.into());
    }
    if table.rows() != rows {
        let reason = format!("has {} weights, expected one for each of {rows} rows", table.rows());
        return Err(Error::Config { field: "data.weights", reason });
    }
    Ok(table.into_values())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rounded part of a number of rows"
)]
fn nearest(rows: f64) -> usize {
    rows as usize
}

/// The data of an experiment, at hand.
#[derive(Debug)]
pub(super) enum Source {
    /// They can be drawn, and much is known of them.
    Simulator(Box<dyn Simulator>),
    /// They were read.
    Rows(Split),
    /// They are images.
    Images(Box<ImageData>),
}

/// Rows to train on.
pub(super) struct Training {
    /// `[rows, D]`.
    pub(super) x: Vec<f64>,
    /// `D`.
    pub(super) cols: usize,
    /// Their context `[rows, C]` and `C`, if there is one.
    pub(super) context: Option<(Vec<f64>, usize)>,
    /// Their joint scores `[rows, C]`, if they come with some.
    pub(super) scores: Option<Vec<f64>>,
    /// Their joint log-ratios and labels, `[rows]` each, of an estimator of ratios.
    pub(super) ratios: Option<(Vec<f64>, Vec<f64>)>,
    /// Their weights, `[rows]`, if they have some.
    pub(super) weights: Option<Vec<f64>>,
}

impl Training {
    /// Rows with nothing beside them.
    pub(super) fn of(x: Vec<f64>, cols: usize) -> Self {
        Self { x, cols, context: None, scores: None, ratios: None, weights: None }
    }
    /// `model` with the normalisation of these rows; of rows with weights the weighted one.
    pub(super) fn normalize(&self, how: Normalize, model: ModelConfig) -> Result<ModelConfig> {
        how.apply(model, &self.x, self.cols, self.weights.as_deref())
    }
    /// What a trainer eats.
    pub(super) fn into_rows(self, dtype: DType, device: &Device) -> Result<Rows> {
        let Self { x, cols, context, scores, ratios, weights } = self;
        let mut rows = Rows::new(x, cols, context, dtype, device)?;
        if let Some(scores) = scores {
            rows = rows.with_scores(scores)?;
        }
        if let Some((log_ratios, labels)) = ratios {
            rows = rows.with_ratios(&log_ratios, &labels)?;
        }
        if let Some(weights) = weights {
            rows = rows.with_weights(&weights)?;
        }
        Ok(rows)
    }
}

impl Source {
    pub(super) fn open(config: &ExperimentConfig) -> Result<Self> {
        match &config.data.origin {
            Origin::Simulator { .. } => Ok(Self::Simulator(config.data.simulator()?)),
            _ if ratio::is_ratio(&config.model) => Err(ratio::no_file()),
            Origin::Images(_) | Origin::Scenes(_) => {
                let data = ImageData::open(config, config.evaluation.test_rows)?;
                let none = || Error::Config { field: "data", reason: "has no images".to_owned() };
                Ok(Self::Images(Box::new(data.ok_or_else(none)?)))
            }
            Origin::File { path, test_fraction, weights } => {
                let (cols, weights) = (config.model.sizes.data_dim, weights.as_deref());
                Ok(Self::Rows(Split::read(path, cols, *test_fraction, weights, config.seed)?))
            }
        }
    }

    pub(super) fn training(&self, config: &ExperimentConfig) -> Result<Training> {
        match self {
            Self::Simulator(simulator) if ratio::is_ratio(&config.model) => {
                ratio::training(config, simulator.as_ref())
            }
            Self::Simulator(simulator) => {
                let (x, scores, parameters) = match config.train.uses_scores() {
                    true => {
                        let (joint, parameters) = training_joint(config, simulator.as_ref())?;
                        (joint.x, Some(joint.scores), parameters)
                    }
                    false => {
                        let (x, parameters) = training_data(config, simulator.as_ref())?;
                        (x, None, parameters)
                    }
                };
                let conditional = simulator.parameter_dim() > 0;
                let context = conditional.then(|| (parameters, simulator.parameter_dim()));
                Ok(Training { context, scores, ..Training::of(x, simulator.data_dim()) })
            }
            Self::Rows(split) => {
                let weights = split.weights.as_ref().map(|weights| weights.train.clone());
                Ok(Training { weights, ..Training::of(split.train.clone(), split.cols) })
            }
            Self::Images(of) => Ok(of.training(config.seed)),
        }
    }

    /// How a row of a file is one of these.
    pub(super) fn layout(&self) -> RowLayout {
        match self {
            Self::Simulator(_) | Self::Rows(_) => RowLayout::default(),
            Self::Images(of) => {
                RowLayout { shape: Some(of.shape.to_vec()), ..RowLayout::default() }
            }
        }
    }
}

/// The rows that an experiment with a simulator trains on, validation included: data `[rows, D]` and the
/// parameters that they were drawn at, `[rows, P]`, which come from the prior.
///
/// # Errors
/// If the data come from a file, or the simulator cannot draw them.
pub fn training_data(
    config: &ExperimentConfig,
    simulator: &dyn Simulator,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let rows = simulated_rows(config)?;
    let mut stream = training_stream(config);
    let parameters = simulator.sample_prior(rows, &mut stream);
    let x = simulator.sample(rows, &parameters, &mut stream)?;
    Ok((x, parameters))
}

/// The rows of [`training_data`] with their joint scores at the parameters that they were drawn at, and these
/// parameters, `[rows, P]`.
///
/// # Errors
/// If the data come from a file, or the simulator cannot draw them or has no joint scores.
pub fn training_joint(
    config: &ExperimentConfig,
    simulator: &dyn Simulator,
) -> Result<(JointSample, Vec<f64>)> {
    let rows = simulated_rows(config)?;
    let mut stream = training_stream(config);
    let parameters = simulator.sample_prior(rows, &mut stream);
    let joint = simulator.sample_joint(rows, &parameters, &parameters, &mut stream)?;
    Ok((joint, parameters))
}

fn training_stream(config: &ExperimentConfig) -> Stream {
    Stream::new(config.seed, "training data")
}

/// How many rows are drawn.
fn simulated_rows(config: &ExperimentConfig) -> Result<usize> {
    match config.data.origin {
        Origin::Simulator { rows, .. } => Ok(rows),
        Origin::File { .. } | Origin::Images(_) | Origin::Scenes(_) => {
            let reason = "is missing: the data come from elsewhere".to_owned();
            Err(Error::Config { field: "data.rows", reason })
        }
    }
}

/// The rows that it is measured on: data `[rows, D]` at the parameter of its evaluation, repeated as
/// `[rows, P]`.
///
/// # Errors
/// If the simulator cannot draw them.
pub fn test_data(
    config: &ExperimentConfig,
    simulator: &dyn Simulator,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let EvaluationConfig { test_rows, parameter, .. } = config.evaluation;
    let mut stream = Stream::new(config.seed, "test data");
    let parameters = vec![parameter; test_rows * simulator.parameter_dim()];
    let x = simulator.sample(test_rows, &parameters, &mut stream)?;
    Ok((x, parameters))
}

/// As many rows as [`test_data`], and outliers to be told from them: `[rows, D]` each.
///
/// # Errors
/// If the simulator cannot draw them.
pub(crate) fn outlier_data(
    config: &ExperimentConfig,
    simulator: &dyn Simulator,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let (x, parameters) = test_data(config, simulator)?;
    let mut stream = Stream::new(config.seed, "outliers");
    let rows = config.evaluation.test_rows;
    let outliers = simulator.sample_out_of_distribution(rows, &parameters, &mut stream)?;
    Ok((x, outliers))
}

/// The rows of its file that an experiment is measured on, `[rows, D]`; none if a simulator draws its data.
///
/// # Errors
/// As [`Split::read`].
pub(crate) fn held_out(config: &ExperimentConfig) -> Result<Option<Vec<f64>>> {
    match Source::open(config)? {
        Source::Simulator(_) => Ok(None),
        Source::Rows(split) => Ok(Some(split.test)),
        Source::Images(of) => Ok(Some(of.test)),
    }
}
