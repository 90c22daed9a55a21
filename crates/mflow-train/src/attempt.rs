//! The failure detector of manifold phases: is the reconstruction error that of a manifold that was
//! found?
use crate::Result;
use crate::loss::Scale;
use crate::schedule::{Phase, Stage};
use crate::shards::{Pool, block_rows, cut};
use crate::source::RowSource;
use crate::weights::{Mass, Weighing, weighted_sum};
use mflow_bijectors::host;
use mflow_core::{Model, PrincipalAxes};
use serde::{Deserialize, Deserializer, Serialize};

/// How one attempt at a stage that learns a manifold ended, judged on validation rows only.
///
/// Errors are root mean square distances `|x - x'|`, in units of the normalised data; rows count by the size of their weights,
/// if they have some. An attempt has
/// failed if its error is above the `limit`, or above 5 times that of the best attempt. The limit is half
/// the error of local principal components of the same dimension, each over a tenth of the rows: curved
/// pieces that large are fitted by no plane, but by any flow that found the manifold. Noise across the
/// manifold is in that error too, and no flow can fit it: the limit is at least 1.5 times the noise, as
/// the part of the error that does not shrink in pieces of half as many rows. And it is at least 0.01: on data
/// that are flat, or nearly, planes have no error, but a flow has the little at which its training stops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Attempt {
    /// Name of the stage.
    pub stage: String,
    /// Which attempt, counted from 0.
    pub attempt: usize,
    /// The name of the candidate, if the attempt is a trial; see [`crate::Trials`]. None for attempts of the training
    /// itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Validation reconstruction error at its end.
    #[serde(deserialize_with = "number_or_infinity")]
    pub error: f64,
    /// What a manifold that was found stays below; none if there are too few validation rows to tell.
    pub limit: Option<f64>,
    /// Whether it has failed, compared with the attempts so far. Of trials, all but the winner's have.
    pub failed: bool,
    /// Updates that it took.
    pub updates: u64,
    /// Seconds that it took, in the process that ended it.
    pub seconds: f64,
}

/// JSON has no infinity: the error of an attempt that diverged is written as null.
fn number_or_infinity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
}

/// How much worse than the best attempt a failed one is.
const WORSE: f64 = 5.;
/// Share of the error of large pieces that a manifold stays below.
const OF_PIECES: f64 = 0.5;
/// Multiple of the noise that a fit to it stays below.
const OF_NOISE: f64 = 1.5;
/// Error that is small enough whatever the data are, in units of their standard deviation.
const SMALL: f64 = 0.01;
/// Validation rows that are looked at.
const ROWS: usize = 2000;
/// Pieces that are looked at.
const PIECES: usize = 100;

impl Stage {
    /// Whether the stage is to learn a manifold by its reconstruction error.
    pub fn reconstructs(&self) -> bool {
        self.phases().iter().any(Phase::reconstructs)
    }
}

/// Judge all attempts again, now that there is one more.
pub(crate) fn judge(attempts: &mut [Attempt]) {
    let best = attempts.iter().map(|a| a.error).fold(f64::INFINITY, f64::min);
    for attempt in attempts {
        // Errors that are no numbers fail every comparison.
        let limit = attempt.limit.unwrap_or(f64::INFINITY);
        attempt.failed = !(attempt.error <= limit && attempt.error <= WORSE * best);
    }
}

/// The rows that the detector sees, evenly over the validation rows.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "evenly spread positions are below the count"
)]
pub(crate) fn rows(index: &[usize]) -> Vec<usize> {
    let n = index.len().min(ROWS);
    (0..n).map(|i| index[i * index.len() / n]).collect()
}

/// Root mean square distance to the projection.
#[expect(
    clippy::indexing_slicing,
    reason = "rows are cut and points are numbered within their counts, d is 1 or more"
)]
pub(crate) fn error(
    pool: &Pool,
    model: &dyn Model,
    scale: &Scale,
    source: &dyn RowSource,
    rows: &[usize],
) -> Result<f64> {
    let device = source.device();
    let blocks = rows.len().div_ceil(block_rows(device));
    let sums = pool.map_on(device, blocks, |i| -> Result<f64> {
        let batch = source.gather(&rows[cut(rows.len(), blocks, i)])?;
        let projected = model.project(&batch.x, batch.context.as_ref())?;
        let squares = scale.normalize(&(projected - &batch.x)?)?.sqr()?;
        Ok(host::scalar(&weighted_sum(&squares, batch.weights.as_ref(), Weighing::Size)?)?)
    });
    let sum = sums.into_iter().sum::<Result<f64>>()?;
    let mass = Mass::of(source.weights(), rows.iter().copied());
    mass.check("weights of the rows that judge a manifold", Weighing::Size)?;
    Ok((sum / mass.size()).sqrt())
}

/// The error above which a manifold of dimension `n` was not found; none if there are too few rows to
/// tell. It is about where rows lie, so all rows count the same.
#[expect(
    clippy::integer_division_remainder_used,
    reason = "rows are cut and points are numbered within their counts, d is 1 or more"
)]
pub(crate) fn limit(
    pool: &Pool,
    scale: &Scale,
    source: &dyn RowSource,
    rows: &[usize],
    n: usize,
) -> Result<Option<f64>> {
    let x = scale.normalize(&source.gather(rows)?.x)?;
    let (count, d) = x.dims2()?;
    // Enough rows for a plane of n dimensions to leave something over in the smaller pieces.
    let small = (count / 20).max(2 * n + 4);
    let large = 2 * small;
    if count < 2 * large || n >= d {
        return Ok(None);
    }
    let points = host::values_f64(&x)?;
    let square = |neighbours: usize| -> f64 {
        let pieces = count.min(PIECES);
        let squares = pool.map(pieces, |i| {
            let centre = i * count / pieces;
            residual(&nearest(&points, d, centre, neighbours), d, n)
        });
        squares.iter().sum::<f64>() / pieces as f64
    };
    let (of_large, of_small) = (square(large), square(small));
    // The distance of a curved piece from its plane grows with the square of its size, its number of
    // rows with the n-th power: r² = noise² + c k^(4/n).
    let shrinks = 2_f64.powf(-4. / n as f64);
    let noise = ((of_small - shrinks * of_large) / (1. - shrinks)).max(0.);
    Ok(Some((OF_PIECES * of_large.sqrt()).max(OF_NOISE * noise.sqrt()).max(SMALL)))
}

/// The `k` points nearest to point `centre`, row-major.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "rows are cut and points are numbered within their counts, d is 1 or more"
)]
fn nearest(points: &[f64], d: usize, centre: usize, k: usize) -> Vec<f64> {
    let of = |i: usize| &points[i * d..(i + 1) * d];
    let distance =
        |i: usize| of(i).iter().zip(of(centre)).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let mut order: Vec<(f64, usize)> = (0..points.len() / d).map(|i| (distance(i), i)).collect();
    order.select_nth_unstable_by(k - 1, |a, b| a.0.total_cmp(&b.0));
    order[..k].iter().flat_map(|&(_, i)| of(i).iter().copied()).collect()
}

/// Mean squared distance of points from their first `n` principal components, unbiased for noise across the
/// components.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "neighbours are more than 2 n, and n is less than d"
)]
fn residual(points: &[f64], d: usize, n: usize) -> f64 {
    let k = points.len() / d;
    // The plane itself takes 1 + n degrees of freedom of k.
    PrincipalAxes::squares_of(points, d)[n..].iter().sum::<f64>() / (k - n - 1) as f64
}

#[cfg(test)]
mod tests {
    //! Oracles: matrices and point sets whose eigenvalues and residuals are known.
    use super::*;
    use mflow_bijectors::Stream;

    #[test]
    fn an_attempt_is_judged_by_its_limit_and_by_the_best() {
        let attempt = |error, limit| Attempt {
            stage: "manifold".into(),
            attempt: 0,
            start: None,
            error,
            limit,
            failed: false,
            updates: 0,
            seconds: 0.,
        };
        let mut all = vec![
            attempt(0.1, Some(0.2)),
            attempt(0.3, Some(0.2)),
            attempt(0.02, Some(0.2)),
            attempt(0.11, None),
            attempt(0.09, None),
            attempt(f64::NAN, None),
        ];
        judge(&mut all);
        let failed: Vec<bool> = all.iter().map(|a| a.failed).collect();
        assert_eq!(failed, [false, true, false, true, false, true], "limit 0.2, five times 0.02");
    }

    #[test]
    fn the_residual_is_the_noise_across_the_components() {
        let mut stream = Stream::new(1, "points");
        let (u, v) = (stream.normal(20_000), stream.normal(10_000));
        let (s, c) = 0.3_f64.sin_cos();
        let point =
            |(u, v): (&[f64], &f64)| [c * u[0] - s * 0.1 * v, s * u[0] + c * 0.1 * v, 3. * u[1]];
        let points: Vec<f64> = u.chunks(2).zip(&v).flat_map(point).collect();
        let found = residual(&points, 3, 2).sqrt();
        assert!((found - 0.1).abs() < 0.003, "noise of 0.1, found {found}");
    }
}
