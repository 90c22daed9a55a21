//! Percentiles of values some of which may not be finite.

/// The given percentiles (0 to 100) of the finite `values`, by the nearest rank; none if there are no such
/// values.
#[expect(clippy::cast_possible_truncation, reason = "the rank lies between 0 and the length")]
pub(crate) fn percentiles<const K: usize>(
    values: impl IntoIterator<Item = f64>,
    percents: [f64; K],
) -> Option<[f64; K]> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some(percents.map(|p| sorted[((p / 100. * last as f64).round() as usize).min(last)]))
}

#[cfg(test)]
mod tests {
    use super::percentiles;

    #[test]
    fn percentiles_are_ranks_of_finite_values() {
        let values = (0..=100).rev().map(f64::from).chain([f64::NAN]);
        assert_eq!(percentiles(values, [0., 2., 100.]), Some([0., 2., 100.]));
        assert_eq!(percentiles([f64::NAN], [50.]), None, "nothing is there");
    }
}
