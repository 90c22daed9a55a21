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
    let see_all = |see: &mut dyn FnMut(&[f64])| -> Result<()> {
        see(values);
        Ok(())
    };
    standardize_blocks(values.len() / cols, cols, see_all)
}

/// [`standardize`] for values that are not in memory at once: `pass` shows all of them, whole rows at a
/// time, to the function that it is given, and is asked to three times.
///
/// # Errors
/// As `pass`.
pub fn standardize_blocks<E>(
    rows: usize,
    cols: usize,
    mut pass: impl FnMut(&mut dyn FnMut(&[f64])) -> Result<(), E>,
) -> Result<FeatureAffineConfig, E> {
    let columns = |values: &[f64], f: &mut dyn FnMut(usize, f64)| {
        values.iter().enumerate().for_each(|(i, &v)| f(i % cols, v));
    };
    // Relative to the first row: the mean of a constant column is exact, so its deviation is 0.
    let (mut first, mut mean) = (vec![], vec![0.; cols]);
    pass(&mut |values| {
        if first.is_empty() {
            first = values[..cols].to_vec();
        }
        columns(values, &mut |j, v| mean[j] += (v - first[j]) / rows as f64);
    })?;
    let shift: Vec<f64> = first.iter().zip(mean).map(|(a, b)| a + b).collect();
    // In units of the largest, so that squares do not overflow.
    let mut largest = vec![f64::MIN_POSITIVE; cols];
    pass(&mut |values| {
        columns(values, &mut |j, v| largest[j] = largest[j].max((v - shift[j]).abs()));
    })?;
    let mut square = vec![0.; cols];
    pass(&mut |values| {
        columns(values, &mut |j, v| square[j] += ((v - shift[j]) / largest[j]).powi(2));
    })?;
    let deviation = |(square, largest): (f64, &f64)| match largest * (square / rows as f64).sqrt() {
        deviation if deviation > 0. => deviation,
        _ => 1.,
    };
    let scale = square.into_iter().zip(&largest).map(deviation).collect();
    Ok(FeatureAffineConfig::new(shift, scale))
}

/// How many deviations from 0 the mean of a column may lie for single precision: it then resolves 6e-5 deviations, below the
/// reconstruction error of good fits.
const OFFSET: f64 = 1e3;

/// The first column that single precision is too coarse for: its mean is so large beside its deviation, as of times in seconds
/// since 1970, that the rounding of values would be seen beside their spread. `None` if there is no such column.
pub fn coarse_column(normalization: &FeatureAffineConfig) -> Option<usize> {
    let columns = normalization.shift.iter().zip(&normalization.scale);
    columns.into_iter().position(|(shift, scale)| shift.abs() > OFFSET * scale)
}
