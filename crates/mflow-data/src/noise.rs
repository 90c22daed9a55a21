//! Noise in proportion to the data.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::simulator::points;
use crate::{Error, Result};

/// Adds Gaussian noise to the rows `x` (`[n, D]`), the same in every direction, and returns its standard
/// deviation in each feature: `relative * spread / sqrt(D)`.
///
/// The spread is that of the rows before the noise, whichever they are:
///
/// ```text
/// spread = sqrt(sum over features of the variance over the n rows)
/// ```
///
/// where the variance divides by `n`. So the noise, all features together, has `relative` times the
/// spread of the data: `sqrt(D (relative * spread / sqrt(D))^2) = relative * spread`. Noise of 0 draws no
/// numbers and leaves every bit as it is.
///
/// # Errors
///
/// [`Error::Noise`] where `relative` is negative or not finite, [`Error::PartialRow`] where `x` is not
/// whole rows, [`Error::Coordinate`] for a value that is not finite, and [`Error::NoSpread`] where all
/// rows are the same, so that there is nothing for the noise to be in proportion to.
pub fn add_noise(x: &mut [f64], d: usize, relative: f64, rng: &mut dyn Rng) -> Result<f64> {
    if !relative.is_finite() || relative < 0.0 {
        return Err(Error::Noise { found: relative });
    }
    let rows = points(x, d)?;
    if relative == 0.0 {
        return Ok(0.0);
    }
    let spread = spread(&rows, d);
    if spread == 0.0 {
        return Err(Error::NoSpread { rows: rows.len() });
    }
    #[expect(clippy::cast_precision_loss, reason = "few features")]
    let deviation = relative * spread / (d as f64).sqrt();
    x.iter_mut().for_each(|x| *x += deviation * rng.sample::<f64, _>(StandardNormal));
    Ok(deviation)
}

/// The root of the summed variances of the features.
#[expect(clippy::indexing_slicing, reason = "rows have d columns, as `points` checks")]
fn spread(rows: &[&[f64]], d: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "fewer rows than 2^53")]
    let n = rows.len().max(1) as f64;
    let variance = |j: usize| {
        // From the first row, so that equal rows have no spread from rounding.
        let first = rows.first().map_or(0.0, |row| row[j]);
        let mean = rows.iter().map(|row| row[j] - first).sum::<f64>() / n;
        rows.iter().map(|row| (row[j] - first - mean).powi(2)).sum::<f64>() / n
    };
    (0..d).map(variance).sum::<f64>().sqrt()
}
