//! Exact nearest neighbours.
use super::rows::Rows;
use crate::{Error, Result};
use kdtree::KdTree;
use kdtree::distance::squared_euclidean;

/// A tree over rows that finds the nearest ones.
pub(super) struct Nearest<'a>(KdTree<f64, usize, &'a [f64]>);

impl<'a> Nearest<'a> {
    /// A tree over rows of finite numbers, no two of which are equal.
    pub(super) fn new(rows: Rows<'a>) -> Result<Self> {
        let mut tree = KdTree::with_capacity(rows.cols, 16);
        for i in 0..rows.len() {
            tree.add(rows.row(i), i).map_err(refused)?;
        }
        Ok(Self(tree))
    }

    /// The `k` rows nearest to `x` with their Euclidean distances, the nearest first; among equal distances the
    /// row with the lower number comes first.
    pub(super) fn of(&self, x: &[f64], k: usize) -> Result<Vec<(usize, f64)>> {
        let found = self.0.nearest(x, k, &squared_euclidean).map_err(refused)?;
        let mut found: Vec<(usize, f64)> =
            found.into_iter().map(|(square, &row)| (row, square.sqrt())).collect();
        found.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        Ok(found)
    }

    /// The rows at most so far from `x` with their Euclidean distances, in no order.
    pub(super) fn within(&self, x: &[f64], distance: f64) -> Result<Vec<(usize, f64)>> {
        let found = self.0.within(x, distance * distance, &squared_euclidean).map_err(refused)?;
        Ok(found.into_iter().map(|(square, &row)| (row, square.sqrt())).collect())
    }
}

/// What the tree refuses are squares beyond the largest number.
fn refused(error: kdtree::ErrorKind) -> Error {
    Error::Data {
        op: "unroll",
        arg: "x",
        expected: "values whose squares are finite".into(),
        found: error.to_string(),
    }
}
