//! What a trainer eats: rows by index.
use crate::error::SourceError;
use crate::weights::RowWeights;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use mflow_bijectors::{fnv1a, host};
use std::fmt::Debug;

/// Some rows of a data set.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Data, `[B, D]`.
    pub x: Tensor,
    /// Context, `[B, C]`, if the data have one.
    pub context: Option<Tensor>,
    /// Joint scores, the gradients of `log p(x, z | c)` with respect to the context where the row's
    /// latent history `z` is known, `[B, C]`, if the data come with them.
    pub score: Option<Tensor>,
    /// What rows that train a ratio estimator come with beside their scores, `[B, 2]`; see [`Rows::with_ratios`].
    pub ratios: Option<Tensor>,
    /// Coordinates to which a guided phase brings the rows, `[B, N]`; none in all other phases. See [`crate::Guide`].
    pub guide: Option<Tensor>,
    /// What each row counts in means over rows, `[B]`, if the data have weights; only their ratios matter. See
    /// [`Rows::with_weights`].
    pub weights: Option<Tensor>,
}

impl Batch {
    /// Rows without scores, ratios, a guide and weights.
    pub fn new(x: Tensor, context: Option<Tensor>) -> Self {
        Self { x, context, score: None, ratios: None, guide: None, weights: None }
    }
    /// Number of rows `B`.
    pub fn rows(&self) -> usize {
        self.x.dims().first().copied().unwrap_or(0)
    }
    /// The joint log-ratio of each row, `[B]`, if the data come with them.
    ///
    /// # Errors
    /// If the tensor operation fails.
    pub fn log_ratio(&self) -> Result<Option<Tensor>> {
        Ok(self.ratios.as_ref().map(|t| t.narrow(1, 0, 1)?.squeeze(1)).transpose()?)
    }
    /// The label of each row, `[B, 1]`, if the data come with them.
    ///
    /// # Errors
    /// If the tensor operation fails.
    pub fn label(&self) -> Result<Option<Tensor>> {
        Ok(self.ratios.as_ref().map(|t| t.narrow(1, 1, 1)).transpose()?)
    }
    /// The rows `start .. start + len`, without a copy.
    ///
    /// # Errors
    /// If out of range.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        let narrow = |t: &Option<Tensor>| t.as_ref().map(|t| t.narrow(0, start, len)).transpose();
        Ok(Self {
            x: self.x.narrow(0, start, len)?,
            context: narrow(&self.context)?,
            score: narrow(&self.score)?,
            ratios: narrow(&self.ratios)?,
            guide: narrow(&self.guide)?,
            weights: narrow(&self.weights)?,
        })
    }
}

/// A data set that gives rows by index.
pub trait RowSource: Debug + Send + Sync {
    /// Number of rows.
    fn rows(&self) -> usize;
    /// Number of features `D`.
    fn data_dim(&self) -> usize;
    /// Number of context features `C`, 0 for none.
    fn context_dim(&self) -> usize;
    /// Where batches are.
    fn device(&self) -> &Device;
    /// The listed rows, in order.
    ///
    /// # Errors
    /// If a row is out of range or cannot be read.
    fn gather(&self, rows: &[usize]) -> Result<Batch>;
    /// A hash of all values: a resumed run must see the same data.
    fn fingerprint(&self) -> u64;
    /// Weights of all rows, if they have some, in units of the mean of their sizes: those that [`RowSource::gather`] gives
    /// with its rows.
    fn weights(&self) -> Option<&[f64]> {
        None
    }
}

/// A table of numbers that gives rows by index: what [`Stored`] makes a data set of.
pub trait RowReader: Debug + Send + Sync {
    /// Number of rows.
    fn rows(&self) -> usize;
    /// Number of columns.
    fn cols(&self) -> usize;
    /// The listed rows, in order, row-major.
    ///
    /// # Errors
    /// If a row is out of range or cannot be read.
    fn read(&self, rows: &[usize]) -> Result<Vec<f64>, SourceError>;
}

/// A data set that is read when it is asked for.
#[derive(Debug)]
pub struct Stored {
    x: Box<dyn RowReader>,
    context: Option<Box<dyn RowReader>>,
    dtype: DType,
    device: Device,
    weights: Option<RowWeights>,
    fingerprint: u64,
}

/// Rows that are looked at together.
const BLOCK: usize = 4096;

impl Stored {
    /// Rows of `x`, with a context of as many rows. All values are looked at once.
    ///
    /// # Errors
    /// If the numbers of rows differ, a row cannot be read, or a value is too large for `dtype`.
    pub fn new(
        x: Box<dyn RowReader>,
        context: Option<Box<dyn RowReader>>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let rows = x.rows();
        if let Some(context) = context.as_ref().filter(|c| c.rows() != rows) {
            let (expected, found) = (format!("{rows} rows"), format!("{} rows", context.rows()));
            return Err(Error::Data { what: "context", expected, found });
        }
        let mut fingerprint = x.cols() as u64;
        for (reader, what) in [(Some(&x), "data"), (context.as_ref(), "context")] {
            let Some(reader) = reader else { continue };
            for first in (0..rows).step_by(BLOCK) {
                let block: Vec<usize> = (first..rows.min(first + BLOCK)).collect();
                let values = reader.read(&block).map_err(Error::Source)?;
                check_range(what, &values, reader.cols(), first, dtype)?;
                fingerprint = hash(&values, fingerprint);
            }
        }
        Ok(Self { x, context, dtype, device: device.clone(), weights: None, fingerprint })
    }

    /// With the weight of each row, `[R]`, held in memory; see [`Rows::with_weights`].
    ///
    /// # Errors
    /// As [`Rows::with_weights`].
    pub fn with_weights(mut self, weights: &[f64]) -> Result<Self> {
        self.weights = Some(RowWeights::new(weights, self.x.rows())?);
        self.fingerprint = hash(weights, self.fingerprint);
        Ok(self)
    }

    fn tensor(&self, reader: &dyn RowReader, rows: &[usize]) -> Result<Tensor> {
        let values = reader.read(rows).map_err(Error::Source)?;
        let t = Tensor::from_vec(values, (rows.len(), reader.cols()), &Device::Cpu)?;
        Ok(host::place(&t, self.dtype, &self.device)?)
    }
}

/// Refuse values that would become infinite.
#[expect(
    clippy::integer_division_remainder_used,
    reason = "columns are 1 or more, whatever a reader says"
)]
fn check_range(
    what: &'static str,
    values: &[f64],
    cols: usize,
    first: usize,
    dtype: DType,
) -> Result<()> {
    let too_large = |v: &f64| dtype == DType::F32 && v.abs() > f64::from(f32::MAX);
    let cols = cols.max(1);
    match values.iter().enumerate().find(|(_, v)| too_large(v)) {
        None => Ok(()),
        Some((i, v)) => {
            let expected = "numbers that single precision can hold".to_owned();
            let found = format!("{v} in row {}, column {}", first + i / cols, i % cols);
            Err(Error::Data { what, expected, found })
        }
    }
}

impl RowSource for Stored {
    fn rows(&self) -> usize {
        self.x.rows()
    }
    fn data_dim(&self) -> usize {
        self.x.cols()
    }
    fn context_dim(&self) -> usize {
        self.context.as_ref().map_or(0, |c| c.cols())
    }
    fn device(&self) -> &Device {
        &self.device
    }
    fn gather(&self, rows: &[usize]) -> Result<Batch> {
        let context = self.context.as_ref().map(|c| self.tensor(c.as_ref(), rows));
        let batch = Batch::new(self.tensor(self.x.as_ref(), rows)?, context.transpose()?);
        let of = |w: &RowWeights| w.tensor(rows.iter().copied(), self.dtype, &self.device);
        Ok(Batch { weights: self.weights.as_ref().map(of).transpose()?, ..batch })
    }
    fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
    fn weights(&self) -> Option<&[f64]> {
        self.weights.as_ref().map(RowWeights::values)
    }
}

/// The hash of a data set's values, going on from `h`.
fn hash(values: &[f64], h: u64) -> u64 {
    values.iter().fold(h, |h, v| fnv1a(&(h ^ v.to_bits()).to_le_bytes()))
}

/// A data set in memory.
#[derive(Clone, Debug)]
pub struct Rows {
    all: Batch,
    weights: Option<RowWeights>,
    fingerprint: u64,
}

impl Rows {
    /// Rows of `x: [R, D]` with an optional context `[R, C]`, both row-major.
    ///
    /// # Errors
    /// If the lengths do not fit.
    #[expect(clippy::integer_division_remainder_used, reason = "a dimension of 0 is refused first")]
    pub fn new(
        x: Vec<f64>,
        data_dim: usize,
        context: Option<(Vec<f64>, usize)>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let fits = |what, values: &[f64], dim: usize| {
            if dim > 0 && values.len().is_multiple_of(dim) {
                return Ok(values.len() / dim);
            }
            let (expected, found) =
                (format!("a multiple of {dim} values"), values.len().to_string());
            Err(Error::Data { what, expected, found })
        };
        let rows = fits("data", &x, data_dim)?;
        let mut fingerprint = hash(&x, data_dim as u64);
        let tensor = |values: Vec<f64>, dim: usize| -> Result<Tensor> {
            let t = Tensor::from_vec(values, (rows, dim), &Device::Cpu)?;
            Ok(host::place(&t, dtype, device)?)
        };
        let context = match context {
            None => None,
            Some((values, dim)) => {
                let found = fits("context", &values, dim)?;
                if found != rows {
                    let (expected, found) = (format!("{rows} rows"), format!("{found} rows"));
                    return Err(Error::Data { what: "context", expected, found });
                }
                fingerprint = hash(&values, fingerprint);
                Some(tensor(values, dim)?)
            }
        };
        Ok(Self { all: Batch::new(tensor(x, data_dim)?, context), weights: None, fingerprint })
    }

    /// With the joint score of each row, `[R, C]`, row-major.
    ///
    /// # Errors
    /// If there is no context, or not a number for each of its values.
    pub fn with_scores(mut self, scores: Vec<f64>) -> Result<Self> {
        let Some(context) = &self.all.context else {
            let (expected, found) = ("a context to go with them".to_owned(), "none".to_owned());
            return Err(Error::Data { what: "scores", expected, found });
        };
        if scores.len() != context.elem_count() {
            let (expected, found) =
                (format!("{} values", context.elem_count()), scores.len().to_string());
            return Err(Error::Data { what: "scores", expected, found });
        }
        self.fingerprint = hash(&scores, self.fingerprint);
        let t = Tensor::from_vec(scores, context.shape(), &Device::Cpu)?;
        self.all.score = Some(t.to_dtype(context.dtype())?.to_device(context.device())?);
        Ok(self)
    }

    /// With what an estimator of likelihood ratios is trained on beside the context `θ` of each row: the joint log-ratio
    /// `log p(x, z | θ) - log p(x, z | θ_ref)` at the row's latent history `z`, in nats, and a label: 1 where `x` was
    /// drawn at `θ`, 0 where it was drawn at `θ_ref`. About half of the rows should have each label.
    ///
    /// Where joint ratios are unknown, 50 with the label 1 and -50 with the label 0 make the improved cross-entropy of
    /// [`crate::Loss::Ratio`] the plain one, of labels alone.
    ///
    /// # Errors
    /// If there is no context, or not one number of each for each row; if a log-ratio is not finite, or a label neither 0
    /// nor 1.
    pub fn with_ratios(mut self, log_ratios: &[f64], labels: &[f64]) -> Result<Self> {
        let refuse = |what, expected: String, found| Err(Error::Data { what, expected, found });
        if self.all.context.is_none() {
            return refuse("ratios", "a context to go with them".to_owned(), "none".to_owned());
        }
        let rows = self.rows();
        let is_finite: fn(f64) -> bool = f64::is_finite;
        for (what, values, kind, fits) in [
            ("log-ratios", log_ratios, "finite numbers", is_finite),
            ("labels", labels, "0 or 1", |v| v == 0. || v == 1.),
        ] {
            if values.len() != rows {
                return refuse(what, format!("{rows} values"), values.len().to_string());
            }
            if let Some((row, value)) = values.iter().enumerate().find(|(_, v)| !fits(**v)) {
                return refuse(what, kind.to_owned(), format!("{value} in row {row}"));
            }
        }
        self.fingerprint = hash(labels, hash(log_ratios, self.fingerprint));
        let pairs = log_ratios.iter().zip(labels).flat_map(|(r, y)| [*r, *y]).collect();
        let pairs = Tensor::from_vec(pairs, (rows, 2), &Device::Cpu)?;
        let x = &self.all.x;
        self.all.ratios = Some(host::place(&pairs, x.dtype(), x.device())?);
        Ok(self)
    }

    /// With the weight of each row, `[R]`: how many rows it stands for. Only ratios of weights matter, so batches have
    /// them in units of the mean of their sizes, `w / mean |w|`.
    ///
    /// Every mean over rows of a loss becomes `Σ w l/Σ w`; [`crate::Loss`] says what negative weights do, and
    /// [`crate::effective_sample_size`] how many rows are left.
    ///
    /// ```
    /// # use mflow_core::candle::{DType, Device};
    /// # use mflow_train::{RowSource, Rows};
    /// # fn main() -> Result<(), mflow_train::Error> {
    /// let rows = Rows::new(vec![1., 2., 3., 4.], 2, None, DType::F64, &Device::Cpu)?;
    /// let rows = rows.with_weights(&[3., 1.])?;
    /// assert_eq!(rows.weights(), Some(&[1.5, 0.5][..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If there is not one number for each row, one of them is not finite, or their sum is not positive. Rows are counted
    /// from 0.
    pub fn with_weights(mut self, weights: &[f64]) -> Result<Self> {
        let of_rows = RowWeights::new(weights, self.rows())?;
        let x = &self.all.x;
        self.all.weights = Some(of_rows.tensor(0..self.rows(), x.dtype(), x.device())?);
        self.weights = Some(of_rows);
        self.fingerprint = hash(weights, self.fingerprint);
        Ok(self)
    }

    /// All rows.
    pub fn all(&self) -> &Batch {
        &self.all
    }

    /// Rows that are at hand, for instance coordinates on a manifold, with all that goes with them.
    pub(crate) fn with_data(batch: Batch) -> Result<Self> {
        let weights = batch.weights.as_ref().map(RowWeights::of).transpose()?;
        Ok(Self { all: batch, weights, fingerprint: 0 })
    }
}

impl RowSource for Rows {
    fn rows(&self) -> usize {
        self.all.rows()
    }
    #[expect(clippy::indexing_slicing, reason = "rows are matrices")]
    fn data_dim(&self) -> usize {
        self.all.x.dims()[1]
    }
    #[expect(clippy::indexing_slicing, reason = "rows are matrices")]
    fn context_dim(&self) -> usize {
        self.all.context.as_ref().map_or(0, |c| c.dims()[1])
    }
    fn device(&self) -> &Device {
        self.all.x.device()
    }
    fn gather(&self, rows: &[usize]) -> Result<Batch> {
        // A GPU that is asked for a row which is not there gives up, and with it the whole process.
        if let Some(row) = rows.iter().find(|&&row| row >= self.rows()) {
            let expected = format!("rows below {}", self.rows());
            return Err(Error::Data { what: "rows", expected, found: row.to_string() });
        }
        let index = rows.iter().map(|&i| u32::try_from(i));
        let index = index.collect::<std::result::Result<Vec<_>, _>>().map_err(|_| Error::Data {
            what: "rows",
            expected: format!("at most {}", u32::MAX),
            found: self.rows().to_string(),
        })?;
        let index = Tensor::from_vec(index, rows.len(), self.all.x.device())?;
        let pick = |t: &Tensor| t.index_select(&index, 0);
        Ok(Batch {
            x: pick(&self.all.x)?,
            context: self.all.context.as_ref().map(pick).transpose()?,
            score: self.all.score.as_ref().map(pick).transpose()?,
            ratios: self.all.ratios.as_ref().map(pick).transpose()?,
            guide: self.all.guide.as_ref().map(pick).transpose()?,
            weights: self.all.weights.as_ref().map(pick).transpose()?,
        })
    }
    fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
    fn weights(&self) -> Option<&[f64]> {
        self.weights.as_ref().map(RowWeights::values)
    }
}
