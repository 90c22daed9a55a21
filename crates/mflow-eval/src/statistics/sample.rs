//! Rows of finite numbers.
use crate::{Error, Result};

/// A sample: at least one row, `[n, D]`, of finite numbers.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    values: &'a [f64],
    dim: usize,
}

impl<'a> Sample<'a> {
    /// Rows of `dim` values, one after another.
    ///
    /// # Errors
    /// [`Error::Rows`] where they are not whole, [`Error::NoSamples`] for none,
    /// [`Error::NonFiniteSample`] for a value that is NaN or infinite.
    #[expect(
        clippy::indexing_slicing,
        clippy::integer_division_remainder_used,
        reason = "a sample has whole rows of a column or more, as `new` checks"
    )]
    pub fn new(values: &'a [f64], dim: usize) -> Result<Self> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            return Err(Error::Rows { cols: dim, found: values.len() });
        }
        if values.is_empty() {
            return Err(Error::NoSamples);
        }
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(Self { values, dim }),
            Some(index) => Err(Error::NonFiniteSample {
                index: index / dim,
                count: values.len() / dim,
                value: values[index],
            }),
        }
    }

    /// Its rows, one by one.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'a [f64]> + Clone {
        self.values.chunks_exact(self.dim)
    }
    /// A row.
    #[expect(
        clippy::indexing_slicing,
        reason = "a sample has whole rows of a column or more, as `new` checks"
    )]
    pub(crate) fn row(&self, i: usize) -> &'a [f64] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }
    /// The number of rows.
    #[must_use]
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "a sample has whole rows of a column or more, as `new` checks"
    )]
    pub fn count(&self) -> usize {
        self.values.len() / self.dim
    }
    /// The number of columns.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Refuse another sample of other columns, or less than `rows` rows in either.
    pub(crate) fn comparable(&self, other: &Self, rows: usize) -> Result<()> {
        if self.dim != other.dim {
            return Err(Error::Columns { expected: self.dim, found: other.dim });
        }
        self.at_least(rows)?;
        other.at_least(rows)
    }

    /// Refuse less than `rows` rows.
    pub(crate) fn at_least(&self, rows: usize) -> Result<()> {
        match self.count() {
            found if found < rows => Err(Error::TooFew { expected: rows, found }),
            _ => Ok(()),
        }
    }
}

/// The square of the Euclidean distance.
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The median, of two middle values the mean; 0 of nothing. Reorders the values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.;
    }
    let (middle, is_odd) = (values.len() / 2, values.len() % 2 == 1);
    // Millions of distances are partitioned in a tenth of the time that sorting takes.
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if is_odd {
        return *upper;
    }
    below.iter().copied().fold(f64::NEG_INFINITY, f64::max).midpoint(*upper)
}
