//! The classifier two-sample test: Lopez-Paz and Oquab (2017), arXiv:1610.06545.
use super::neighbours::nearest;
use super::sample::Sample;
use crate::Result;

/// The accuracy with which the `k` nearest neighbours of a row, itself left out, tell which of two samples
/// of equal size it comes from: 0.5 for samples of one distribution, 1 for samples apart. The
/// first `min(n, m)` rows of each are compared. Choose an odd k, so that no vote is a tie; columns should
/// have similar scales.
///
/// For equal distributions the accuracy is close to normal with mean 0.5 and standard deviation
/// `0.5 / sqrt(2 min(n, m))`, a little more as neighbours are shared.
///
/// # Errors
/// If the samples have other columns or less than k + 1 rows.
pub fn c2st(x: Sample<'_>, y: Sample<'_>, k: usize) -> Result<f64> {
    x.comparable(&y, k + 1)?;
    let n = x.count().min(y.count());
    let both: Vec<f64> = x.rows().take(n).chain(y.rows().take(n)).flatten().copied().collect();
    let neighbours = nearest(Sample::new(&both, x.dim())?, k);
    let right = neighbours.iter().enumerate().filter(|(i, nearest)| {
        let of_first = nearest.iter().filter(|(_, j)| *j < n).count();
        (2 * of_first > k) == (*i < n)
    });
    Ok(right.count() as f64 / (2 * n) as f64)
}
