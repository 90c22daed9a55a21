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

/// Scott's bandwidth of a sample of `n` rows in `d` columns: the mean of the columns' standard deviations
/// times `n^(-1/(d+4))`. Scott (1992), *Multivariate Density Estimation*.
///
/// # Errors
/// If there are less than two rows, or all are the same.
#[expect(clippy::indexing_slicing, reason = "columns of the sample")]
pub fn scott(sample: Sample<'_>) -> Result<f64> {
    let (n, d) = (sample.count() as f64, sample.dim());
    let deviation = |column: usize| {
        let values = || sample.rows().map(|row| row[column]);
        let mean = values().sum::<f64>() / n;
        (values().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.)).sqrt()
    };
    let mean = (0..d).map(deviation).sum::<f64>() / d as f64;
    let bandwidth = mean * n.powf(-1. / (d as f64 + 4.));
    if bandwidth > 0. && bandwidth.is_finite() {
        return Ok(bandwidth);
    }
    Err(Error::Scale { found: bandwidth })
}
