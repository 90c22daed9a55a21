//! What a simulator can do: sample, and tell the density and the distance exactly.

use std::fmt::Debug;

use rand::Rng;

use crate::{Error, Result};

/// A process that draws points `x` in `D` dimensions, all on a manifold of `n <= D` dimensions,
/// given `P` parameters, and whose density and manifold are known in closed form.
///
/// Batches are flat slices in row-major order. Whatever is drawn depends only on the arguments
/// and on the generator's state.
pub trait Simulator: Debug + Send + Sync {
    /// The name by which [`simulator_by_name`](crate::simulator_by_name) finds it.
    fn name(&self) -> &'static str;

    /// `D`, the number of coordinates of a data point.
    fn data_dim(&self) -> usize;

    /// `n`, the dimension of the manifold.
    fn manifold_dim(&self) -> usize;

    /// `P`, the number of parameters; 0 for a simulator that has none.
    fn parameter_dim(&self) -> usize;

    /// Draws `n` parameter points from the prior: `[n, P]`.
    fn sample_prior(&self, n: usize, rng: &mut dyn Rng) -> Vec<f64>;

    /// Draws `n` data points, the i-th given the i-th row of `parameters` (`[n, P]`): `[n, D]`.
    ///
    /// `n` is an argument because with `P = 0` the parameters do not tell it.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`] where `parameters` is not `[n, P]`, and [`Error::Parameter`] for a
    /// value outside the prior's support.
    fn sample(&self, n: usize, parameters: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>>;

    /// The logarithm of the density at each of the points `x` (`[n, D]`) given the parameters of
    /// the same row (`[n, P]`): `[n]`, in nats.
    ///
    /// The density is with respect to the manifold's own area (its n-dimensional Hausdorff
    /// measure) in units of the data, so that its integral over the manifold is 1. It is that at
    /// the point of the manifold to which the simulator's chart assigns `x`: for a point off the
    /// manifold this is a projection, and says nothing of how far off it lies; see
    /// [`distance`](Self::distance).
    ///
    /// # Errors
    ///
    /// [`Error::PartialRow`] where `x` is not whole rows, [`Error::BatchSize`] where `parameters`
    /// has not as many, [`Error::Parameter`] for a value outside the prior's support, and
    /// [`Error::Coordinate`] for a point that is not finite.
    fn log_prob(&self, x: &[f64], parameters: &[f64]) -> Result<Vec<f64>>;

    /// The Euclidean distance of each of the points `x` (`[n, D]`) to the nearest point of the
    /// manifold: `[n]`, in units of the data.
    ///
    /// # Errors
    ///
    /// [`Error::PartialRow`] where `x` is not whole rows, and [`Error::Coordinate`] for a point
    /// that is not finite.
    fn distance(&self, x: &[f64]) -> Result<Vec<f64>>;
}

/// The rows of the batch `values`, `[n, C]` with `C > 0`.
///
/// # Errors
///
/// [`Error::PartialRow`] where they are not whole.
pub(crate) fn rows<'a, const C: usize>(
    what: &'static str,
    values: &'a [f64],
) -> Result<&'a [[f64; C]]> {
    match values.as_chunks() {
        (rows, []) => Ok(rows),
        _ => Err(Error::PartialRow { what, cols: C, found: values.len() }),
    }
}

/// As [`rows`], where there must be `n` of them.
///
/// # Errors
///
/// [`Error::BatchSize`] where there are not.
pub(crate) fn n_rows<'a, const C: usize>(
    what: &'static str,
    values: &'a [f64],
    n: usize,
) -> Result<&'a [[f64; C]]> {
    match values.as_chunks() {
        (rows, []) if rows.len() == n => Ok(rows),
        _ => Err(Error::BatchSize { what, rows: n, cols: C, found: values.len() }),
    }
}

/// The finite points of the batch `x`, `[n, C]`.
///
/// # Errors
///
/// As [`rows`], and [`Error::Coordinate`] for the first value that is not finite.
pub(crate) fn points<const C: usize>(x: &[f64]) -> Result<&[[f64; C]]> {
    let points = rows("data", x)?;
    match x.iter().position(|value| !value.is_finite()) {
        None => Ok(points),
        Some(i) => Err(Error::Coordinate { row: i / C, coordinate: i % C, found: x[i] }),
    }
}
