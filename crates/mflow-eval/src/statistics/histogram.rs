//! How often values fall where.

/// The density of values by `bins` equal bins between two bounds, as the line along the tops of the bars, in points `(x, y)`.
/// All values count for the normalisation, also those beyond the bounds and what is not a number.
#[must_use]
pub fn histogram(values: &[f64], [low, high]: [f64; 2], bins: usize) -> Vec<(f64, f64)> {
    let width = (high - low) / bins.max(1) as f64;
    let mut counts = vec![0_u32; bins];
    for value in values.iter().filter(|v| (low..=high).contains(*v)) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number from 0 to the number of bins"
        )]
        let bin = (((value - low) / width) as usize).min(bins.saturating_sub(1));
        counts.get_mut(bin).into_iter().for_each(|count| *count += 1);
    }
    let total = values.len().max(1) as f64;
    let edge = |i: usize| low + width * i as f64;
    let tops = counts.iter().enumerate().flat_map(|(i, count)| {
        let height = f64::from(*count) / total / width;
        [(edge(i), height), (edge(i + 1), height)]
    });
    tops.collect()
}
