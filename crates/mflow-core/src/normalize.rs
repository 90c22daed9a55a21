//! Normalisation of data: the numbers of the outermost map of a decoder.
use crate::{Error, Result};
use mflow_bijectors::FeatureAffineConfig;

/// Mean and standard deviation of each column of `values: [rows, cols]`, row-major, as the affine map
/// that takes standardised to original values. A constant column gets scale 1.
///
/// # Errors
/// If the length is no multiple of `cols` or there is no row.
pub fn standardize(values: &[f64], cols: usize) -> Result<FeatureAffineConfig> {
    if cols == 0 || values.is_empty() || !values.len().is_multiple_of(cols) {
        return Err(Error::Shape {
            op: "standardize",
            arg: "values",
            expected: format!("[rows, {cols}] with at least one row"),
            found: vec![values.len()],
        });
    }
    let rows = values.len() / cols;
    let column = |j: usize| values.iter().skip(j).step_by(cols);
    // Relative to the first value: the mean of a constant column is exact, so its deviation is 0.
    let mean = |j: usize| values[j] + column(j).map(|v| (v - values[j]) / rows as f64).sum::<f64>();
    let shift: Vec<f64> = (0..cols).map(mean).collect();
    let deviation = |j: usize| {
        // In units of the largest, so that squares do not overflow.
        let largest = column(j).map(|v| (v - shift[j]).abs()).fold(f64::MIN_POSITIVE, f64::max);
        let square: f64 = column(j).map(|v| ((v - shift[j]) / largest).powi(2)).sum();
        let deviation = largest * (square / rows as f64).sqrt();
        if deviation > 0. { deviation } else { 1. }
    };
    let scale = (0..cols).map(deviation).collect();
    Ok(FeatureAffineConfig::new(shift, scale))
}
