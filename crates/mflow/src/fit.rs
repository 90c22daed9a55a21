//! Fitting a model to rows.
use crate::Result;
use mflow_bijectors::{ParamStore, host};
use mflow_core::candle::DType;
use mflow_core::{
    DeviceName, LinearSpan, ModelCard, ModelConfig, ModelParts, RowLayout, UnrollOptions, Unrolled,
    UnrolledPiece, linear_span, save_model, standardize, unroll,
};
use mflow_data::io::{Array, Dtype, write_npy};
use mflow_train::{Observer, Outcome, Pool, RowSource, RunDir, Start, TrainConfig, Trainer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// Name of the model file in a run directory.
pub const MODEL_FILE: &str = "model.safetensors";

/// Name of the file with some rows of the data in the run directory of a fit: what its report shows beside the
/// manifold.
pub const POINTS_FILE: &str = "points.npy";

/// Rows in [`POINTS_FILE`] at most.
const POINTS: usize = 1000;

/// Rows by which the charts of an atlas are placed, at most.
const PLACING: usize = 10_000;

/// Write up to 1000 rows of `data`, evenly spread, to [`POINTS_FILE`].
///
/// # Errors
/// If a row cannot be read, or the file cannot be written.
pub fn keep_points(run: &RunDir, data: &dyn RowSource) -> Result<()> {
    let x = spread(data, POINTS)?;
    let d = data.data_dim();
    let array = Array::matrix(x.len() / d, d, &x, Dtype::F64)?;
    Ok(write_npy(&run.file(POINTS_FILE), &array)?)
}

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

impl DTypeName {
    /// Single precision, unless the data that the normalisation of `model` is of ask for more
    /// ([`ModelConfig::needs_double`]).
    pub fn of(model: &ModelConfig) -> Self {
        if model.needs_double() { Self::F64 } else { Self::F32 }
    }
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
            // A known manifold is given in data units.
            Self::Standardize if matches!(model.parts, ModelParts::Fom { .. }) => Ok(model),
            Self::Standardize => Ok(model.with_normalization(standardize(values, cols)?)),
        }
    }
}

/// `model` with the charts of an atlas at their places near the rows of `data`; any other model as it is. See
/// [`ModelConfig::place_charts`]. At most 10,000 rows, evenly spread, say where.
///
/// # Errors
/// If a row cannot be read, or the rows are too few.
pub fn place_charts(model: ModelConfig, data: &dyn RowSource) -> Result<ModelConfig> {
    match model.parts.charts() {
        Some(_) => Ok(model.place_charts(&spread(data, PLACING)?)?),
        None => Ok(model),
    }
}

/// What the data say about their manifold before any training; see [`shape_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many pieces it is in.
    pub pieces: usize,
    /// Whether flat coordinates lay parts of the manifold onto each other. Then no single flat chart covers it: it is
    /// closed, as a circle or a sphere is, or folded so tightly that the rows do not tell its sheets apart.
    pub closed: bool,
    /// How many rows are far from all pieces.
    pub outliers: usize,
    /// How many rows were looked at.
    pub rows: usize,
}

/// Rows by which the shape is told, at most.
const SHAPE_ROWS: usize = 4000;
/// A manifold counts as closed if its [`mflow_core::UnrolledPiece::overlap`] is above this. The tests of
/// `unroll` hold it below 0.001 for open manifolds and above 0.2 for closed ones.
const OVERLAP: f64 = 0.05;
/// Or if it had to be stretched by more than this and has the overlap [`OVERLAP_OF_BAG`]. Where rows are rare, a closed
/// surface opens like a bag: what lies behind is drawn wide, and little more than the rim lies on anything. Open manifolds
/// that cannot be flattened, such as a hyperboloid, are stretched as much but overlap less.
const STRETCH: f64 = 0.13;
/// See [`STRETCH`].
const OVERLAP_OF_BAG: f64 = 0.008;

/// Data are flat if the squared distances from a plane are at most this share of the squared distances from one of the
/// rows: that is what rounding in single precision leaves.
const FLAT: f64 = 1e-12;

/// Whether the data lie in a plane of as many dimensions as the manifold of the model has, up to rounding. If so,
/// principal components are the manifold: after a flat start ([`Start::Flat`]) only the density is left to learn.
///
/// # Errors
/// If a row cannot be read, or the rows span fewer dimensions than the manifold has, so that none can be learned from
/// them ([`mflow_core::Error::Rank`]).
pub fn is_flat(model: &ModelConfig, data: &dyn RowSource) -> Result<bool> {
    let (d, n) = (model.sizes.data_dim, model.sizes.manifold_dim);
    if n >= d {
        return Ok(false);
    }
    let x = model.normalized(&spread(data, PLACING)?);
    let LinearSpan { rank, rest, .. } = linear_span(&x, d, n);
    if rank < n {
        return Err(mflow_core::Error::Rank { op: "fit", rank, manifold_dim: n }.into());
    }
    Ok(rest <= FLAT)
}

/// The shape of the manifold near which the data lie, for the dimension that the model has. It is told from at most
/// 4000 rows, evenly spread.
///
/// # Errors
/// If a row cannot be read, or the data have no manifold of this dimension; see [`unroll`].
pub fn shape_of(model: &ModelConfig, data: &dyn RowSource, seed: u64) -> Result<Shape> {
    let x = model.normalized(&spread(data, SHAPE_ROWS)?);
    let options = UnrollOptions { seed, ..UnrollOptions::default() };
    let Unrolled { pieces, piece, outliers, .. } =
        unroll(&x, model.sizes.data_dim, model.sizes.manifold_dim, &options)?;
    Ok(Shape {
        pieces: pieces.len(),
        closed: pieces.iter().any(is_closed),
        outliers: outliers.len(),
        rows: piece.len(),
    })
}

fn is_closed(piece: &UnrolledPiece) -> bool {
    let is_stretched = piece.stretch > STRETCH;
    piece.overlap > if is_stretched { OVERLAP_OF_BAG } else { OVERLAP }
}

/// `model` and `train` with a start; see [`Start::apply`]. At most 10,000 rows, evenly spread, say where the principal
/// axes of a flat start lie.
///
/// # Errors
/// If a row cannot be read, or the model cannot start there ([`Start::obstacle`]).
pub fn start_from(
    start: Start,
    model: ModelConfig,
    train: TrainConfig,
    data: &dyn RowSource,
) -> Result<(ModelConfig, TrainConfig)> {
    Ok(start.apply(model, train, &spread(data, PLACING)?)?)
}

/// At most `most` rows, evenly spread over the data, row-major.
fn spread(data: &dyn RowSource, most: usize) -> Result<Vec<f64>> {
    let (rows, kept) = (data.rows(), data.rows().min(most));
    let index: Vec<usize> = (0..kept).map(|i| i * rows / kept).collect();
    Ok(host::values_f64(&data.gather(&index)?.x).map_err(mflow_core::Error::from)?)
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
    /// Where it is computed.
    #[serde(default, skip_serializing_if = "DeviceName::is_cpu")]
    pub device: DeviceName,
    /// The model.
    pub model: ModelConfig,
    /// The schedule.
    pub train: TrainConfig,
}

/// A fit: a model, data, and where they meet.
#[derive(Debug)]
pub struct Fit<'a> {
    /// What to fit and how.
    pub config: &'a FitConfig,
    /// The data; the model is where they are.
    pub data: &'a dyn RowSource,
    /// Data to choose weights by; none holds out a part of the data.
    pub validation: Option<&'a dyn RowSource>,
    /// Names of the data columns.
    pub columns: Option<Vec<String>>,
    /// How a row of the data is taken from a file.
    pub layout: RowLayout,
    /// Where the model comes from, for its file.
    pub provenance: BTreeMap<String, String>,
    /// Where it goes.
    pub run: &'a RunDir,
    /// Threads.
    pub pool: &'a Pool,
}

impl Fit<'_> {
    /// Fit the model, or go on with the fit that was interrupted in the run directory, and write its
    /// file, [`MODEL_FILE`], when it is done.
    ///
    /// # Errors
    /// If config and data do not fit, training diverges, or a file cannot be written.
    pub fn run(self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome> {
        let Self { config, data, validation, columns, layout, provenance, run, pool } = self;
        let found = DeviceName::of(data.device());
        if found != config.device {
            let reason = format!("the data are on {found}");
            return Err(mflow_core::Error::Device { device: config.device, reason }.into());
        }
        let mut store = ParamStore::new(config.seed, config.dtype.into(), data.device());
        let mut trainer = Trainer {
            model: &config.model,
            store: &mut store,
            data,
            validation,
            config: &config.train,
            seed: config.seed,
            pool,
            run: Some(run),
        };
        let outcome = trainer.run(observer, stop)?;
        if outcome == Outcome::Finished {
            let card = ModelCard { config: config.model.clone(), columns, layout, provenance };
            save_model(&run.file(MODEL_FILE), &card, &store)?;
        }
        Ok(outcome)
    }
}
