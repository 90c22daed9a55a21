//! Percentiles of values some of which may not be finite.

/// The given percentiles (0 to 100) of the finite `values`, linear between neighbours as in numpy; none if
/// there are no such values.
#[expect(clippy::cast_possible_truncation, reason = "the rank lies between 0 and the length")]
#[expect(
    clippy::indexing_slicing,
    reason = "ranks from 0 to the last value, of which there is one"
)]
pub fn percentiles<const K: usize>(
    values: impl IntoIterator<Item = f64>,
    percents: [f64; K],
) -> Option<[f64; K]> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some(percents.map(|percent| {
        let rank = (percent / 100. * last as f64).clamp(0., last as f64);
        let below = rank.floor() as usize;
        let (a, b) = (sorted[below], sorted[(below + 1).min(last)]);
        a + (b - a) * rank.fract()
    }))
}

#[cfg(test)]
mod tests {
    use super::percentiles;

    #[test]
    fn percentiles_are_ranks_of_finite_values() {
        let values = (0..=100).rev().map(f64::from).chain([f64::NAN, f64::INFINITY]);
        assert_eq!(percentiles(values, [0., 2., 100.]), Some([0., 2., 100.]));
        assert_eq!(percentiles([f64::NAN], [50.]), None, "nothing is there");
    }

    #[test]
    fn between_ranks_they_are_linear() {
        // numpy.percentile([1, 2, 4, 8], [10, 50, 90]).
        let found = percentiles([8., 1., 4., 2.], [10., 50., 90.]).unwrap();
        for (found, expected) in found.iter().zip([1.3, 3.0, 6.8]) {
            assert!((found - expected).abs() < 1e-12, "{found}, numpy {expected}");
        }
    }
}
