//! How well a score tells two samples apart.
use crate::{Error, Result};

/// Scores of all, sorted from the highest, with whether they are of the first kind.
fn sorted(positive: &[f64], negative: &[f64]) -> Result<Vec<(f64, bool)>> {
    if positive.is_empty() || negative.is_empty() {
        return Err(Error::NoSamples);
    }
    let count = positive.len() + negative.len();
    let mut all: Vec<(f64, bool)> =
        positive.iter().map(|&s| (s, true)).chain(negative.iter().map(|&s| (s, false))).collect();
    if let Some(index) = all.iter().position(|(score, _)| score.is_nan()) {
        return Err(Error::NonFiniteSample { index, count, value: f64::NAN });
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(all)
}

/// The area under the receiver operating characteristic: the probability that a positive one has the
/// higher score, ties counted by half. 0.5 says nothing, 1 tells all apart. Scores may be infinite.
///
/// # Errors
/// If one of them is empty or a score is NaN.
#[expect(clippy::indexing_slicing, reason = "windows of two")]
pub fn auc(positive: &[f64], negative: &[f64]) -> Result<f64> {
    let curve = roc_curve(positive, negative)?;
    Ok(curve.windows(2).map(|w| (w[1].0 - w[0].0) * w[0].1.midpoint(w[1].1)).sum())
}

/// The points (false positive rate, true positive rate) for falling thresholds, from (0, 0) to (1, 1);
/// one point for all equal scores.
///
/// # Errors
/// As [`auc`].
pub fn roc_curve(positive: &[f64], negative: &[f64]) -> Result<Vec<(f64, f64)>> {
    let all = sorted(positive, negative)?;
    let (mut true_ones, mut false_ones) = (0_usize, 0_usize);
    let mut curve = vec![(0., 0.)];
    for (i, (score, is_positive)) in all.iter().enumerate() {
        true_ones += usize::from(*is_positive);
        false_ones += usize::from(!is_positive);
        if all.get(i + 1).is_none_or(|next| next.0 < *score) {
            let rate = |count: usize, of: &[f64]| count as f64 / of.len() as f64;
            curve.push((rate(false_ones, negative), rate(true_ones, positive)));
        }
    }
    Ok(curve)
}
