//! Comparisons that say what they found: for laws of your own, as those of models in `mflow-core`.
use super::finding::{Failure, Finding};
use crate::host;
use candle_core::Tensor;

/// How much two numbers may differ, and why as much.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The largest difference, relative to `1 + |expected|`.
    pub size: f64,
    /// Why as much is allowed.
    pub reason: &'static str,
}

impl Limit {
    /// With this size and reason.
    pub fn new(size: f64, reason: &'static str) -> Self {
        Self { size, reason }
    }
}

/// The difference relative to `1 + |b|`; infinite where exactly one is NaN.
fn gap_of(a: f64, b: f64) -> f64 {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => 0.,
        (false, false) if a == b => 0.,
        (false, false) => (a - b).abs() / (1. + b.abs()),
        _ => f64::INFINITY,
    }
}

/// The largest difference relative to `1 + |b|` between the numbers of two tensors of any shape; infinite where exactly one is NaN, and
/// where there are not as many.
///
/// # Errors
/// If a tensor operation fails.
pub fn gap(a: &Tensor, b: &Tensor) -> Result<f64, Failure> {
    let (a, b) = (host::values_f64(a)?, host::values_f64(b)?);
    let all = a.iter().zip(&b).map(|(a, b)| gap_of(*a, *b));
    Ok(if a.len() == b.len() { all.fold(0., f64::max) } else { f64::INFINITY })
}

/// The size of the largest number; 0 of none.
pub fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0_f64, |m, v| m.max(v.abs()))
}

/// Broken with `what` unless `found` has the shape of `expected` and all of it is near.
///
/// # Errors
/// [`Failure::Broken`] with the first number that is not; also if a tensor operation fails.
pub fn close(what: &str, found: &Tensor, expected: &Tensor, limit: Limit) -> Result<(), Failure> {
    if found.dims() != expected.dims() {
        return Err(Failure::Broken(Finding {
            what: format!("the shape of {what}"),
            found: format!("{:?}", found.dims()),
            expected: format!("{:?}", expected.dims()),
            tolerance: String::new(),
        }));
    }
    close_numbers(what, &host::values_f64(found)?, &host::values_f64(expected)?, limit)
}

/// The same for numbers.
///
/// # Errors
/// As [`close`].
pub fn close_numbers(
    what: &str,
    found: &[f64],
    expected: &[f64],
    limit: Limit,
) -> Result<(), Failure> {
    let mut far = found.iter().zip(expected).enumerate();
    let far = far.find(|(_, (a, b))| {
        let gap = gap_of(**a, **b);
        gap > limit.size || gap.is_nan()
    });
    let Some((i, (a, b))) = far else { return Ok(()) };
    let Limit { size, reason } = limit;
    Err(Failure::Broken(Finding {
        what: format!("{what}, number {i} of {}", expected.len()),
        found: format!("{a:?}"),
        expected: format!("{b:?}"),
        tolerance: format!("{size:.1e} times 1 + |expected|: {reason}"),
    }))
}

/// `ln |det|` by elimination with partial pivoting, of a matrix `[n, n]` in rows, and the size of the smallest pivot: an error
/// of the entries counts in the logarithm by as much as it is larger than that.
pub fn log_abs_det(matrix: &[f64], n: usize) -> (f64, f64) {
    let mut m: Vec<Vec<f64>> = matrix.chunks(n.max(1)).map(<[f64]>::to_vec).collect();
    let (mut total, mut least) = (0., f64::INFINITY);
    for i in 0..n {
        let best = (i..n).max_by(|&a, &b| m[a][i].abs().total_cmp(&m[b][i].abs()));
        m.swap(i, best.unwrap_or(i));
        total += m[i][i].abs().ln();
        least = least.min(m[i][i].abs());
        let (above, below) = m.split_at_mut(i + 1);
        let pivot = &above[i];
        for row in below {
            let factor = row[i] / pivot[i];
            row.iter_mut().zip(pivot).skip(i).for_each(|(r, p)| *r -= factor * p);
        }
    }
    (total, least)
}

#[cfg(test)]
mod tests {
    use super::log_abs_det;

    #[test]
    fn the_determinant_of_a_known_matrix() {
        // 0 - 2 (-18 - 8) + 1 (15 + 2) = 69
        let (log_det, least) = log_abs_det(&[0., 2., 1., 3., -1., 4., 2., 5., -6.], 3);
        let gap = (log_det - 69_f64.ln()).abs();
        assert!(gap < 1e-14, "ln 69 is off by {gap:.1e}");
        // Pivots 3, 17/3 and 69/17.
        assert!((least - 3.).abs() < 1e-14, "smallest pivot {least}");
    }
}
