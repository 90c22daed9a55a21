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

/// Finds rows that are equal in every column; 0 and -0 are the same number.
pub(super) fn distinct(rows: Rows<'_>) -> Distinct {
    let (mut seen, mut first, mut of) = (HashMap::new(), vec![], vec![]);
    for i in 0..rows.len() {
        let bits: Vec<u64> = rows.row(i).iter().map(|v| (v + 0.).to_bits()).collect();
        let next = first.len();
        let value = *seen.entry(bits).or_insert(next);
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
