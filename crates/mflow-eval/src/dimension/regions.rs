//! Errors of estimates from rows that are near each other, and so not independent.
use crate::statistics::{Sample, squared_distance};

/// Regions that rows are divided into.
const REGIONS: usize = 10;

/// For each of `centres` the number of its region: that of the nearest of its first ten, which are drawn at random.
#[expect(clippy::indexing_slicing, reason = "not more than there are centres")]
pub(super) fn regions(x: Sample<'_>, centres: &[usize]) -> Vec<usize> {
    let pivots = &centres[..centres.len().min(REGIONS)];
    let region = |&row: &usize| {
        let distance = |&pivot: &usize| squared_distance(x.row(row), x.row(pivot));
        let nearest = pivots.iter().map(distance).enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        nearest.map_or(0, |(region, _)| region)
    };
    centres.iter().map(region).collect()
}

/// `estimate` of all `parts`, and its standard error by the jackknife that leaves out one region after the other:
///
/// ```text
/// error² = (G - 1) / G  sum over G regions of (estimate without the region - their mean)²
/// ```
///
/// Künsch (1989), "The jackknife and the bootstrap for general stationary observations", equation (2.4), for blocks
/// that do not overlap. Neighbourhoods overlap with others of their region and hardly with those beyond, so regions
/// are nearly independent where single rows are not. That the dimension differs between regions is part of the error.
pub(super) fn with_error<T: Copy>(
    parts: &[T],
    regions: &[usize],
    estimate: impl Fn(&[T]) -> Option<f64>,
) -> Option<(f64, Option<f64>)> {
    let value = estimate(parts)?;
    let present: Vec<usize> = (0..REGIONS).filter(|region| regions.contains(region)).collect();
    let without = |region: &usize| {
        let rest = parts.iter().zip(regions).filter(|(_, of)| *of != region);
        estimate(&rest.map(|(part, _)| *part).collect::<Vec<T>>())
    };
    let estimates: Option<Vec<f64>> = present.iter().map(without).collect();
    let error = estimates.filter(|estimates| estimates.len() > 1).map(|estimates| {
        let count = estimates.len() as f64;
        let mean = estimates.iter().sum::<f64>() / count;
        let squares: f64 = estimates.iter().map(|e| (e - mean) * (e - mean)).sum();
        ((count - 1.) / count * squares).sqrt()
    });
    Some((value, error))
}
