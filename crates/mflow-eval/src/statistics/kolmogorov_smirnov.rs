//! Two samples of one number.

/// The statistic of Kolmogorov and Smirnov: the largest difference between the distribution functions of two samples, from 0
/// to 1. What is not a number comes after all numbers.
#[must_use]
#[expect(clippy::indexing_slicing, reason = "both places are below the lengths, as the loop asks")]
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> f64 {
    let sorted = |of: &[f64]| {
        let mut of = of.to_vec();
        of.sort_unstable_by(f64::total_cmp);
        of
    };
    let (a, b) = (sorted(a), sorted(b));
    let (mut i, mut j, mut most) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        // Both functions step at values that are in both.
        let at = if a[i].total_cmp(&b[j]).is_le() { a[i] } else { b[j] };
        i += a[i..].iter().take_while(|v| v.total_cmp(&at).is_le()).count();
        j += b[j..].iter().take_while(|v| v.total_cmp(&at).is_le()).count();
        most = most.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    most
}
