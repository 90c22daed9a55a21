//! Estimates of the dimension of the manifold that data lie on, from distances alone.
use super::neighbours::nearest;
use super::sample::Sample;
use crate::{Error, Result};
use mflow_core::PrincipalAxes;

/// TwoNN: Facco et al. (2017), "Estimating the intrinsic dimension of datasets by a minimal neighborhood
/// information", Scientific Reports 7. The ratio `mu` of the distances to the second and to the first
/// neighbour has the distribution `F(mu) = 1 - mu^-n`; n is the slope through the origin of
/// `-log(1 - F)` over `log mu`, without the largest tenth of the ratios.
///
/// # Errors
/// If there are less than 10 rows, some are equal, or all neighbours equally far, as on a lattice.
pub fn two_nn(x: Sample<'_>) -> Result<f64> {
    const KEPT: f64 = 0.9;
    x.at_least(10)?;
    let mut logs = nearest(x, 2)
        .iter()
        .enumerate()
        .map(|(row, near)| match near.as_slice() {
            [(first, _), (second, _)] if *first > 0. => Ok(0.5 * (second / first).ln()),
            _ => Err(Error::EqualRows { row }),
        })
        .collect::<Result<Vec<f64>>>()?;
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
    if xx == 0. {
        return Err(Error::EqualDistances);
    }
    Ok(xy / xx)
}

/// The maximum-likelihood estimate of Levina and Bickel (NeurIPS 2004) from the distances `T_j` to `k`
/// neighbours, of which MacKay and Ghahramani (2005) average the inverses over rows:
///
/// ```text
/// 1 / n = mean over rows of  1 / (k - 1) sum over j < k of log(T_k / T_j)
/// ```
///
/// # Errors
/// If there are not more than k rows, k is below 2, rows are equal, or all neighbours equally far.
pub fn levina_bickel(x: Sample<'_>, k: usize) -> Result<f64> {
    let neighbours = enough(x, k)?;
    let mut sum = 0.;
    for (row, near) in neighbours.iter().enumerate() {
        let last = near[k - 1].0;
        if near[0].0 == 0. {
            return Err(Error::EqualRows { row });
        }
        let logs: f64 = near[..k - 1].iter().map(|(d, _)| 0.5 * (last / d).ln()).sum();
        sum += logs / (k as f64 - 1.);
    }
    if sum == 0. {
        return Err(Error::EqualDistances);
    }
    Ok(neighbours.len() as f64 / sum)
}

/// Local principal components: Fukunaga and Olsen (1971). Around each row, its `k` neighbours and itself
/// have a covariance; counted are the eigenvalues of at least a twentieth of the largest. The mean over rows.
///
/// # Errors
/// If there are not more than k rows or k is below 2.
pub fn local_pca(x: Sample<'_>, k: usize) -> Result<f64> {
    const LEAST: f64 = 0.05;
    let neighbours = enough(x, k)?;
    let dimension = |(i, near): (usize, &Vec<(f64, usize)>)| {
        let rows = near.iter().map(|(_, j)| x.row(*j)).chain([x.row(i)]);
        let rows: Vec<f64> = rows.flatten().copied().collect();
        let squares = PrincipalAxes::of(&rows, x.row(i).len()).squares;
        // Equal rows have none.
        squares.iter().filter(|v| **v > 0. && **v >= LEAST * squares[0]).count() as f64
    };
    let sum: f64 = neighbours.iter().enumerate().map(dimension).sum();
    Ok(sum / neighbours.len() as f64)
}

fn enough(x: Sample<'_>, k: usize) -> Result<Vec<Vec<(f64, usize)>>> {
    if k < 2 {
        return Err(Error::TooFew { expected: 2, found: k });
    }
    x.at_least(k + 1)?;
    Ok(nearest(x, k))
}
