//! The estimators on levels: of each row one number or two, and how they become an estimate.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "lists have as many neighbours as their level says, of which sizes are taken"
)]
use super::levels::Level;
use super::regions::{regions, with_error};
use super::{DimensionCurve, DimensionEstimator, DimensionPoint};
use crate::statistics::{
    Near, Sample, TILE, correlation_of, count_within, inverse_mean, local_rank, log_ratio,
    mean_log_ratio, median, slope_of_logs, squared_distance,
};
use mflow_train::Pool;

/// Levina-Bickel and correlation need some neighbours for a number, local PCA more than there are dimensions.
const LEAST: usize = 4;
const LEAST_OF_PCA: usize = 16;
/// Local PCA of so many columns takes as long for all rows as the neighbours do; its time grows with their cube.
const COLUMNS_OF_PCA: usize = 12;
/// Rows of local PCA, at least.
const ROWS_OF_PCA: usize = 40;

/// The curves of all estimators that can say anything.
pub(super) fn curves(levels: &[Level], x: Sample<'_>, pool: &Pool) -> Vec<DimensionCurve> {
    let spread = spread(x);
    let regions = levels.first().map_or_else(Vec::new, |level| regions(x, &level.centres()));
    let curve = |estimator: DimensionEstimator| {
        let mut points = vec![];
        for level in levels {
            for k in sizes(estimator, level) {
                let Some((dimension, standard_error)) =
                    estimate(estimator, level, k, x, &regions, pool)
                else {
                    continue;
                };
                let distance = radius(level, k).sqrt() / spread;
                points.push(DimensionPoint {
                    neighbours: k * level.step,
                    distance,
                    dimension,
                    standard_error,
                });
            }
        }
        DimensionCurve { estimator, points }
    };
    let all = DimensionEstimator::ALL.map(curve);
    all.into_iter().filter(|curve| !curve.points.is_empty()).collect()
}

/// Sizes of neighbourhoods in a level: all powers of 2 among all rows, and where rows are left out the largest only.
fn sizes(estimator: DimensionEstimator, level: &Level) -> Vec<usize> {
    let least = match estimator {
        DimensionEstimator::TwoNn => return vec![2],
        DimensionEstimator::LevinaBickel | DimensionEstimator::Correlation => LEAST,
        DimensionEstimator::LocalPca => LEAST_OF_PCA,
    };
    let least = if level.step == 1 { least } else { level.nearest };
    // Most lists of neighbours then reach as far as the radius.
    let halved = estimator == DimensionEstimator::Correlation && level.nearest > LEAST;
    let (least, most) = match halved {
        true => (least.min(level.nearest / 2), level.nearest / 2),
        false => (least, level.nearest),
    };
    std::iter::successors(Some(least), |k| Some(2 * k)).take_while(|k| *k <= most).collect()
}

fn estimate(
    estimator: DimensionEstimator,
    level: &Level,
    k: usize,
    x: Sample<'_>,
    regions: &[usize],
    pool: &Pool,
) -> Option<(f64, Option<f64>)> {
    let lists = &level.lists;
    match estimator {
        DimensionEstimator::TwoNn => {
            let logs: Vec<f64> = lists.iter().map(|near| log_ratio(near)).collect();
            with_error(&logs, regions, |logs| slope_of_logs(logs.to_vec()))
        }
        DimensionEstimator::LevinaBickel => {
            let means: Vec<f64> = lists.iter().map(|near| mean_log_ratio(&near[..k])).collect();
            with_error(&means, regions, inverse_mean)
        }
        DimensionEstimator::Correlation => {
            let radii = [radius(level, k / 2), radius(level, k)];
            let counts = counts(level, x, radii, pool);
            with_error(&counts, regions, |counts| correlation_of(counts, radii))
        }
        DimensionEstimator::LocalPca => {
            let columns = x.dim().min(k + 1);
            let few = lists.len() * COLUMNS_OF_PCA.pow(3) / columns.pow(3);
            let rows = few.max(ROWS_OF_PCA).min(lists.len());
            let ranks = pool.map(rows, |i| local_rank(x, i, &lists[i][..k]));
            with_error(&ranks, &regions[..rows], |ranks| {
                (!ranks.is_empty()).then(|| ranks.iter().sum::<f64>() / ranks.len() as f64)
            })
        }
    }
}

/// The median of the squared distances to the k-th neighbour.
fn radius(level: &Level, k: usize) -> f64 {
    median(&mut level.lists.iter().map(|near| near[k - 1].0).collect::<Vec<f64>>())
}

/// How many rows are as near as either of the radii, around each centre.
fn counts(level: &Level, x: Sample<'_>, radii: [f64; 2], pool: &Pool) -> Vec<[f64; 2]> {
    let listed = |near: &Vec<Near>| {
        radii.map(|radius| near.iter().filter(|(square, _)| *square <= radius).count() as f64)
    };
    let mut all: Vec<[f64; 2]> = level.lists.iter().map(listed).collect();
    // Where rows lie dense, the list ends before the radius.
    let ends = |i: &usize| level.lists[*i].last().is_some_and(|(square, _)| *square <= radii[1]);
    let dense: Vec<usize> = level.centres().into_iter().filter(ends).collect();
    let tiles: Vec<&[usize]> = dense.chunks(TILE).collect();
    let found = pool.map(tiles.len(), |i| count_within(x, tiles[i], level.step, &radii));
    for (i, found) in dense.iter().zip(found.into_iter().flatten()) {
        all[*i] = [found[0] as f64, found[1] as f64];
    }
    all
}

/// The root of the summed variances.
fn spread(x: Sample<'_>) -> f64 {
    let n = x.count() as f64;
    let mut mean = vec![0.; x.dim()];
    for row in x.rows() {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / n);
    }
    (x.rows().map(|row| squared_distance(row, &mean)).sum::<f64>() / n).sqrt()
}
