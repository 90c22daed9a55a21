//! Neighbours of some rows among all rows, among every second row, every fourth and so on.
use crate::statistics::{Near, Sample, nearest_among};
use mflow_bijectors::Stream;
use mflow_train::Pool;

/// Rows around which neighbours are looked for, at most and at least.
const CENTRES: [usize; 2] = [2500, 250];
/// The same limit as products of numbers, which keeps tables with many rows and columns within seconds.
const WORK: usize = 10_000_000_000;
/// Neighbours of a row that are kept, at most.
const NEAREST: usize = 64;
/// A level has so many rows for each neighbour, so that a neighbourhood is a small part of it.
const SHARE: usize = 4;

/// Neighbours among every `step`-th row.
pub(super) struct Level {
    /// 1, 2, 4, ..
    pub(super) step: usize,
    /// How many neighbours each list has, a power of 2.
    pub(super) nearest: usize,
    /// The rows around which they lie; the same in all levels.
    pub(super) centres: Vec<usize>,
    /// Their neighbours, the nearest first.
    pub(super) lists: Vec<Vec<Near>>,
    /// The rows that neighbours were looked for among.
    pub(super) among: Vec<usize>,
}

/// All levels of rows that differ from each other, the densest first.
pub(super) fn levels(x: Sample<'_>, seed: u64, pool: &Pool) -> Vec<Level> {
    let n = x.count();
    let order = Stream::new(seed, "dimension").permutation(n);
    let centres = (WORK / (n * x.dim()).max(1)).clamp(CENTRES[1], CENTRES[0]).min(n);
    let nearest = power_of_two(n / SHARE).clamp(4, NEAREST);
    let steps = std::iter::successors(Some(1), |step| Some(2 * step));
    let steps = steps.take_while(|step| *step == 1 || n / step >= SHARE * NEAREST);
    steps
        .map(|step| {
            let centres = order[..centres].to_vec();
            let among: Vec<usize> = order.iter().copied().step_by(step).collect();
            let lists = pool.map(centres.len(), |i| nearest_among(x, centres[i], &among, nearest));
            Level { step, nearest, centres, lists, among }
        })
        .collect()
}

/// The largest power of 2 that is not larger.
fn power_of_two(n: usize) -> usize {
    n.checked_ilog2().map_or(0, |log| 1 << log)
}
