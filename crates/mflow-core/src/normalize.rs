//! Normalisation of data: the numbers of the outermost map of a decoder.
use crate::{Error, Result};
use mflow_bijectors::FeatureAffineConfig;

/// Mean and standard deviation of each column of `values: [rows, cols]`, row-major, as the affine map
/// that takes standardised to original values. A constant column gets scale 1.
///
/// # Errors
/// If the length is no multiple of `cols` or there is no row.
#[expect(clippy::integer_division_remainder_used, reason = "`check_shape` has refused 0 columns")]
pub fn standardize(values: &[f64], cols: usize) -> Result<FeatureAffineConfig> {
    check_shape("standardize", values, cols)?;
    standardize_blocks(values.len() / cols, cols, |see| {
        see(values);
        Ok(())
    })
}

/// [`standardize`] for values that are not in memory at once: `pass` shows all of them, whole rows at a
/// time, to the function that it is given, and is asked to three times.
///
/// # Errors
/// As `pass`.
pub fn standardize_blocks<E>(
    rows: usize,
    cols: usize,
    pass: impl FnMut(&mut dyn FnMut(&[f64])) -> Result<(), E>,
) -> Result<FeatureAffineConfig, E> {
    moments(rows as f64, |_| 1., cols, pass)
}

/// [`standardize`] for rows that count by the sizes of their `weights`, one for each row:
///
/// ```text
/// mean = Σ |w| x/Σ |w|,    deviation² = Σ |w| (x - mean)²/Σ |w|
/// ```
///
/// Integer weights do what repeated rows do. Sizes, since a normalisation says where rows lie: with their signs, negative
/// weights could make the variance negative.
///
/// ```
/// let weighted = mflow_core::standardize_weighted(&[0., 1., 7.], 1, &[3., 1., 0.])?;
/// assert_eq!(weighted, mflow_core::standardize(&[0., 0., 0., 1.], 1)?);
/// # Ok::<(), mflow_core::Error>(())
/// ```
///
/// # Errors
/// As [`standardize`]; if the weights are not as many as the rows, one of them is not finite, or all are 0.
#[expect(clippy::integer_division_remainder_used, reason = "`check_shape` has refused 0 columns")]
pub fn standardize_weighted(
    values: &[f64],
    cols: usize,
    weights: &[f64],
) -> Result<FeatureAffineConfig> {
    let op = "standardize_weighted";
    check_shape(op, values, cols)?;
    if weights.len() != values.len() / cols {
        let (expected, found) = (format!("[{}]", values.len() / cols), vec![weights.len()]);
        return Err(Error::Shape { op, arg: "weights", expected, found });
    }
    standardize_weighted_blocks(weights, cols, |see| {
        see(values);
        Ok(())
    })
}

/// [`standardize_weighted`] for values that are not in memory at once, shown as to [`standardize_blocks`], with as many rows
/// as there are weights.
///
/// # Errors
/// As `pass`; if a weight is not finite or all are 0.
pub fn standardize_weighted_blocks<E: From<Error>>(
    weights: &[f64],
    cols: usize,
    pass: impl FnMut(&mut dyn FnMut(&[f64])) -> Result<(), E>,
) -> Result<FeatureAffineConfig, E> {
    let (op, arg) = ("standardize_weighted", "weights");
    if let Some((row, &value)) = weights.iter().enumerate().find(|(_, w)| !w.is_finite()) {
        return Err(Error::NonFinite { op, arg, row, column: 0, value }.into());
    }
    // In units of the largest, so that their sum does not overflow.
    let largest = weights.iter().fold(0_f64, |most, w| most.max(w.abs()));
    if largest == 0. {
        let expected = "one that is not 0, at least".to_owned();
        let found = format!("0 in all of {} rows", weights.len());
        return Err(Error::Data { op, arg, expected, found }.into());
    }
    let size = |row: usize| weights.get(row).map_or(0., |w| w.abs() / largest);
    moments((0..weights.len()).map(size).sum(), size, cols, pass)
}

fn check_shape(op: &'static str, values: &[f64], cols: usize) -> Result<()> {
    if cols > 0 && !values.is_empty() && values.len().is_multiple_of(cols) {
        return Ok(());
    }
    let (expected, found) = (format!("[rows, {cols}] with at least one row"), vec![values.len()]);
    Err(Error::Shape { op, arg: "values", expected, found })
}

/// Means and deviations over rows that count by `weight`, which add up to `total`. Rows without weight are not looked at.
fn moments<E>(
    total: f64,
    weight: impl Fn(usize) -> f64,
    cols: usize,
    mut pass: impl FnMut(&mut dyn FnMut(&[f64])) -> Result<(), E>,
) -> Result<FeatureAffineConfig, E> {
    let mut each = |f: &mut dyn FnMut(&[f64], f64)| -> Result<(), E> {
        let mut row = 0;
        pass(&mut |values| {
            for values in values.chunks_exact(cols.max(1)) {
                let w = weight(row);
                if w > 0. {
                    f(values, w);
                }
                row += 1;
            }
        })
    };
    // Relative to the first row: the mean of a constant column is exact, so its deviation is 0.
    let (mut first, mut mean) = (vec![], vec![0.; cols]);
    each(&mut |row, w| {
        if first.is_empty() {
            first = row.to_vec();
        }
        for ((mean, v), first) in mean.iter_mut().zip(row).zip(&first) {
            *mean += w * (v - first) / total;
        }
    })?;
    let shift: Vec<f64> = first.iter().zip(mean).map(|(a, b)| a + b).collect();
    // In units of the largest, so that squares do not overflow.
    let mut largest = vec![f64::MIN_POSITIVE; cols];
    each(&mut |row, _| {
        for ((largest, v), shift) in largest.iter_mut().zip(row).zip(&shift) {
            *largest = largest.max((v - shift).abs());
        }
    })?;
    let mut square = vec![0.; cols];
    each(&mut |row, w| {
        for (((square, v), shift), largest) in square.iter_mut().zip(row).zip(&shift).zip(&largest)
        {
            *square += w * ((v - shift) / largest).powi(2);
        }
    })?;
    let deviation = |(square, largest): (f64, &f64)| match largest * (square / total).sqrt() {
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
