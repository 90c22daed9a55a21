//! Estimates of the dimension of the manifold that data lie on, from distances alone.
#![expect(
    clippy::indexing_slicing,
    reason = "`nearest` gives lists of k neighbours, and k is 2 or more"
)]
use super::neighbours::{Near, TILE, count_within, nearest};
use super::sample::{Sample, median};
use crate::{Error, Result};
use mflow_core::PrincipalAxes;

/// TwoNN: Facco et al. (2017), "Estimating the intrinsic dimension of datasets by a minimal neighborhood
/// information", Scientific Reports 7. The ratio `mu` of the distances to the second and to the first
/// neighbour has the distribution `F(mu) = 1 - mu^-n`; n is the slope through the origin of
/// `-log(1 - F)` over `log mu`, without the largest tenth of the ratios.
///
/// # Errors
/// If there are less than 10 rows, some are equal, or all neighbours equally far, as on a lattice; for values of more than 1e150.
pub fn two_nn(x: Sample<'_>) -> Result<f64> {
    x.at_least(10)?;
    let neighbours = different(nearest(x, 2)?)?;
    slope_of_logs(neighbours.iter().map(|near| log_ratio(near)).collect())
        .ok_or(Error::EqualDistances)
}

/// The logarithm of the ratio of the distances to the second and to the first neighbour.
pub(crate) fn log_ratio(near: &[Near]) -> f64 {
    0.5 * (near[1].0 / near[0].0).ln()
}

/// The slope of TwoNN from the logarithms of ratios; none if all are 0.
pub(crate) fn slope_of_logs(mut logs: Vec<f64>) -> Option<f64> {
    const KEPT: f64 = 0.9;
    logs.sort_unstable_by(f64::total_cmp);
    let n = logs.len() as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let kept = (n * KEPT) as usize;
    let (mut xy, mut xx) = (0., 0.);
    for (i, log) in logs.iter().take(kept).enumerate() {
        let tail = -(1. - (i as f64 + 1.) / n).ln();
        xy += log * tail;
        xx += log * log;
    }
    (xx > 0.).then(|| xy / xx)
}

/// The maximum-likelihood estimate of Levina and Bickel (NeurIPS 2004) from the distances `T_j` to `k`
/// neighbours, of which MacKay and Ghahramani (2005) average the inverses over rows:
///
/// ```text
/// 1 / n = mean over rows of  1 / (k - 1) sum over j < k of log(T_k / T_j)
/// ```
///
/// # Errors
/// If there are not more than k rows, k is below 2, rows are equal, or all neighbours equally far; for values of more than 1e150.
pub fn levina_bickel(x: Sample<'_>, k: usize) -> Result<f64> {
    let neighbours = different(enough(x, k)?)?;
    let means: Vec<f64> = neighbours.iter().map(|near| mean_log_ratio(near)).collect();
    inverse_mean(&means).ok_or(Error::EqualDistances)
}

/// The mean over all neighbours but the last of the logarithm of how many times farther the last one is.
pub(crate) fn mean_log_ratio(near: &[Near]) -> f64 {
    let (last, others) = (near[near.len() - 1].0, &near[..near.len() - 1]);
    others.iter().map(|(d, _)| 0.5 * (last / d).ln()).sum::<f64>() / others.len() as f64
}

/// One over the mean; none if that is 0.
pub(crate) fn inverse_mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().sum();
    (sum > 0.).then(|| values.len() as f64 / sum)
}

/// The correlation dimension: Grassberger and Procaccia (1983), "Measuring the strangeness of strange attractors",
/// Physica D 9, equations (1.2) and (1.3). The share `C(r)` of pairs of rows that are at most r apart grows as `r^n`:
///
/// ```text
/// n = log(C(r2) / C(r1)) / log(r2 / r1)
/// ```
///
/// between the median distances r1 and r2 to the `k/2`-th and to the `k`-th neighbour.
///
/// # Errors
/// If there are not more than k rows, k is below 2, rows are equal, or the two distances; for values of more than 1e150.
pub fn correlation_dimension(x: Sample<'_>, k: usize) -> Result<f64> {
    let neighbours = different(enough(x, k)?)?;
    let radius =
        |k: usize| median(&mut neighbours.iter().map(|near| near[k - 1].0).collect::<Vec<f64>>());
    let (radii, all) = ([radius(k / 2), radius(k)], (0..x.count()).collect::<Vec<usize>>());
    let counts = all.chunks(TILE).flat_map(|tile| count_within(x, tile, 1, &radii));
    let counts: Vec<[f64; 2]> = counts.map(|of| [of[0] as f64, of[1] as f64]).collect();
    correlation_of(&counts, radii).ok_or(Error::EqualDistances)
}

/// The correlation dimension from how many rows are within two radii of each row, and the squares of the radii; none
/// if the radii are equal, or no rows are within the first.
pub(crate) fn correlation_of(counts: &[[f64; 2]], radii: [f64; 2]) -> Option<f64> {
    let total = |k: usize| counts.iter().map(|count| count[k]).sum::<f64>();
    let scale = 0.5 * (radii[1] / radii[0]).ln();
    let inner = total(0);
    (scale > 0. && inner > 0.).then(|| (total(1) / inner).ln() / scale)
}

/// Local principal components: Fukunaga and Olsen (1971). Around each row, its `k` neighbours and itself
/// have a covariance; counted are the eigenvalues of at least a twentieth of the largest. The mean over rows.
///
/// # Errors
/// If there are not more than k rows or k is below 2; for values of more than 1e150.
pub fn local_pca(x: Sample<'_>, k: usize) -> Result<f64> {
    let neighbours = enough(x, k)?;
    let rank = |(i, near): (usize, &Vec<Near>)| local_rank(x, i, near);
    let sum: f64 = neighbours.iter().enumerate().map(rank).sum();
    Ok(sum / neighbours.len() as f64)
}

/// How many principal components of a row and its neighbours have at least a twentieth of the largest variance; 0 of
/// equal rows.
pub(crate) fn local_rank(x: Sample<'_>, row: usize, near: &[Near]) -> f64 {
    const LEAST: f64 = 0.05;
    let rows = near.iter().map(|(_, j)| *j).chain([row]);
    let rows: Vec<f64> = rows.flat_map(|j| x.row(j)).copied().collect();
    let squares = PrincipalAxes::squares_of(&rows, x.dim());
    squares.iter().filter(|v| **v > 0. && **v >= LEAST * squares[0]).count() as f64
}

fn enough(x: Sample<'_>, k: usize) -> Result<Vec<Vec<Near>>> {
    if k < 2 {
        return Err(Error::TooFew { expected: 2, found: k });
    }
    nearest(x, k)
}

/// Refuse rows that are equal to their nearest neighbour.
fn different(neighbours: Vec<Vec<Near>>) -> Result<Vec<Vec<Near>>> {
    match neighbours.iter().position(|near| near.first().is_none_or(|(square, _)| *square == 0.)) {
        Some(row) => Err(Error::EqualRows { row }),
        None => Ok(neighbours),
    }
}
