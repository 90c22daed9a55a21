//! The classifier two-sample test: Lopez-Paz and Oquab (2017), arXiv:1610.06545.
use super::neighbours::nearest;
use super::sample::Sample;
use crate::Result;
use mflow_bijectors::Stream;
use rand::seq::SliceRandom;

/// Times that labels are shuffled for [`TwoSampleTest::deviation`].
const SHUFFLES: usize = 200;

/// How well a classifier tells two samples apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoSampleTest {
    /// Its accuracy: 0.5 for samples of one distribution, 1 for samples apart.
    pub accuracy: f64,
    /// The standard deviation that the accuracy has around 0.5 if the distributions are equal, by shuffling the
    /// labels. As rows share neighbours it is larger than that of independent votes, `0.5 / sqrt(2 n)`, by up to
    /// a half.
    pub deviation: f64,
}

/// The accuracy with which the `k` nearest neighbours of a row, itself left out, tell which of two samples
/// of equal size it comes from. The first `min(n, m)` rows of each are compared. Choose an odd k, so that no
/// vote is a tie; columns should have similar scales.
///
/// # Errors
/// If the samples have other columns or less than k + 1 rows, `k` is 0, or values are larger than 1e150.
#[expect(
    clippy::indexing_slicing,
    reason = "neighbours are rows of the sample, each of which has a label"
)]
pub fn c2st(x: Sample<'_>, y: Sample<'_>, k: usize) -> Result<TwoSampleTest> {
    x.comparable(&y, k.saturating_add(1))?;
    let n = x.count().min(y.count());
    let both: Vec<f64> = x.rows().take(n).chain(y.rows().take(n)).flatten().copied().collect();
    let neighbours = nearest(Sample::new(&both, x.dim())?, k)?;
    let accuracy = |is_first: &[bool]| {
        let right = neighbours.iter().zip(is_first).filter(|(nearest, own)| {
            let of_first = nearest.iter().filter(|(_, j)| is_first[*j]).count();
            (2 * of_first > k) == **own
        });
        right.count() as f64 / (2 * n) as f64
    };
    let mut labels: Vec<bool> = (0..2 * n).map(|i| i < n).collect();
    let found = accuracy(&labels);
    let mut stream = Stream::new(0, "labels of a two-sample test");
    let squares = (0..SHUFFLES).map(|_| {
        labels.shuffle(&mut stream);
        (accuracy(&labels) - 0.5).powi(2)
    });
    let deviation = (squares.sum::<f64>() / SHUFFLES as f64).sqrt();
    Ok(TwoSampleTest { accuracy: found, deviation })
}
