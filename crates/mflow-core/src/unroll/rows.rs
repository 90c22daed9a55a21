//! Rows of numbers, and which of them are equal.
use std::collections::HashMap;

/// Rows of a matrix `[len, cols]`, row-major.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    values: &'a [f64],
    pub(super) cols: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(values: &'a [f64], cols: usize) -> Self {
        Self { values, cols }
    }
    pub(super) fn len(&self) -> usize {
        self.values.len() / self.cols
    }
    pub(super) fn row(&self, i: usize) -> &'a [f64] {
        &self.values[i * self.cols..(i + 1) * self.cols]
    }
    /// The rows of these numbers, copied one after another.
    pub(super) fn gather(&self, of: &[usize]) -> Vec<f64> {
        of.iter().flat_map(|&i| self.row(i)).copied().collect()
    }
}

/// Which rows are equal.
#[derive(Debug)]
pub(super) struct Distinct {
    /// The first row with each of the different values.
    pub(super) first: Vec<usize>,
    /// For each row, which of the different values it has: a position in `first`.
    pub(super) of: Vec<usize>,
}

/// Columns are cut into so many cells.
const CELLS: f64 = 1e10;

/// Finds rows that are equal but for their last digits: that are in the same of [`CELLS`] cells in every column.
pub(super) fn distinct(rows: Rows<'_>) -> Distinct {
    let (mut low, mut high) = (rows.row(0).to_vec(), rows.row(0).to_vec());
    for i in 0..rows.len() {
        low.iter_mut().zip(rows.row(i)).for_each(|(low, v)| *low = low.min(*v));
        high.iter_mut().zip(rows.row(i)).for_each(|(high, v)| *high = high.max(*v));
    }
    let cell = |(v, (low, high)): (&f64, (&f64, &f64))| {
        let spread = (high - low).max(f64::MIN_POSITIVE);
        ((v - low) / spread * CELLS).round().to_bits()
    };
    let (mut seen, mut first, mut of) = (HashMap::new(), vec![], vec![]);
    for i in 0..rows.len() {
        let cells: Vec<u64> = rows.row(i).iter().zip(low.iter().zip(&high)).map(cell).collect();
        let next = first.len();
        let value = *seen.entry(cells).or_insert(next);
        if value == next {
            first.push(i);
        }
        of.push(value);
    }
    Distinct { first, of }
}

/// Squared Euclidean distance.
pub(super) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
