//! A density from a sample.
use super::sample::{Sample, squared_distance};
use crate::{Error, Result};
use std::f64::consts::TAU;

/// The log density, in nats, at each row of `at` of equal Gaussians of width `bandwidth` around the rows of
/// `sample`.
///
/// # Errors
/// If the columns differ or the bandwidth is not positive.
pub fn kde_log_prob(sample: Sample<'_>, at: Sample<'_>, bandwidth: f64) -> Result<Vec<f64>> {
    if !(bandwidth > 0. && bandwidth.is_finite()) {
        return Err(Error::Scale { found: bandwidth });
    }
    sample.comparable(&at, 1)?;
    let n = sample.count() as f64;
    let log_norm = 0.5 * sample.dim() as f64 * (TAU * bandwidth * bandwidth).ln() + n.ln();
    let log_prob = |x: &[f64]| {
        let exponent = |y| -0.5 * squared_distance(x, y) / (bandwidth * bandwidth);
        let top = sample.rows().map(exponent).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = sample.rows().map(|y| (exponent(y) - top).exp()).sum();
        top + sum.ln() - log_norm
    };
    Ok(at.rows().map(log_prob).collect())
}
