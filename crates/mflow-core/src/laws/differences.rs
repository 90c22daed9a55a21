//! Jacobians by central differences, volumes by elimination.
use super::{BY_DIFFERENCES, Failure};
use candle_core::Tensor;
use mflow_bijectors::host;
use mflow_bijectors::laws::compare::{Limit, largest, log_abs_det};
use mflow_bijectors::laws::tensor;

/// Step of central differences.
pub(super) const STEP: f64 = 1e-6;

/// Rows `dx/du_i` for the first `n` columns of `u: [B, ..]`, `[B, n, D]`.
pub(super) fn jacobian(
    u: &Tensor,
    n: usize,
    f: impl Fn(&Tensor) -> Result<Tensor, Failure>,
) -> Result<Tensor, Failure> {
    let columns = u.dim(1)?;
    let mut rows = vec![];
    for i in 0..n {
        let moved = |by: f64| -> Result<Tensor, Failure> {
            let unit = (0..columns).map(|k| if k == i { by } else { 0. }).collect();
            f(&u.broadcast_add(&tensor(unit, &[1, columns], u.device())?)?)
        };
        rows.push(((moved(STEP)? - moved(-STEP)?)? / (2. * STEP))?);
    }
    Ok(Tensor::stack(&rows, 1)?)
}

/// Volumes of rows of tangents.
#[derive(Debug)]
pub(super) struct Volumes {
    /// `½ log det J Jᵀ` of each row.
    pub(super) log: Vec<f64>,
    /// The smallest pivot of the Gram matrices: what errors of its entries are divided by.
    least: f64,
    /// The largest entry of the Jacobians.
    largest: f64,
    /// Shape `N`, `D`.
    shape: [usize; 2],
}

impl Volumes {
    /// Of Jacobian rows `[B, N, D]`, by elimination.
    pub(super) fn of(rows: &Tensor) -> Result<Self, Failure> {
        let (_, n, d) = rows.dims3()?;
        let values = host::values_f64(rows)?;
        let (mut log, mut least) = (vec![], f64::INFINITY);
        for j in values.chunks(n * d) {
            let row = |i: usize| &j[i * d..(i + 1) * d];
            let dot = |a: usize, b: usize| row(a).iter().zip(row(b)).map(|(x, y)| x * y).sum();
            let gram: Vec<f64> =
                (0..n).flat_map(|a| (0..n).map(move |b| (a, b))).map(|(a, b)| dot(a, b)).collect();
            let (log_det, pivot) = log_abs_det(&gram, n);
            log.push(0.5 * log_det);
            least = least.min(pivot);
        }
        Ok(Self { log, least, largest: largest(&values), shape: [n, d] })
    }

    /// How steep the way from points to coordinates is, at points of this size.
    pub(super) fn steepness(&self, x: &Tensor) -> Result<f64, Failure> {
        Ok((1. + largest(&host::values_f64(x)?)) / self.least.sqrt())
    }

    /// How much a point may differ that went to coordinates and back.
    pub(super) fn there_and_back(&self, x: &Tensor) -> Result<f64, Failure> {
        Ok(self.steepness(x)? * (1. + self.largest))
    }

    /// The limit of volumes by differences, of points `x`.
    pub(super) fn limit(&self, difference: f64, x: &Tensor) -> Result<Limit, Failure> {
        let of_entry = f64::EPSILON / STEP * (1. + largest(&host::values_f64(x)?));
        let [n, d] = self.shape;
        let of_gram = 2. * d as f64 * of_entry * self.largest;
        Ok(Limit::new(difference + n as f64 * of_gram / self.least, BY_DIFFERENCES))
    }
}
