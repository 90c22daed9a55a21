//! Neighbours of some rows among all rows, among every second row, every fourth and so on.
use crate::statistics::{Near, Sample, TILE, nearest_among};
use mflow_bijectors::Stream;
use mflow_train::Pool;

/// Rows around which neighbours are looked for, at most and at least.
const CENTRES: [usize; 2] = [2500, 250];
/// The same limit as products of numbers, which keeps tables with many rows and columns within seconds.
const WORK: usize = 4_000_000_000;
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
    /// The neighbours of the first rows, the nearest first; of as many rows in all levels.
    pub(super) lists: Vec<Vec<Near>>,
}

impl Level {
    /// The rows around which neighbours were looked for.
    pub(super) fn centres(&self) -> Vec<usize> {
        (0..self.lists.len()).collect()
    }
}

/// The same rows in an order that chance makes, so that the first of them, and every `step`-th, are a sample.
pub(super) fn shuffled(x: Sample<'_>, seed: u64) -> Vec<f64> {
    let order = Stream::new(seed, "dimension").permutation(x.count());
    order.iter().flat_map(|&i| x.row(i)).copied().collect()
}

/// All levels of rows that differ from each other and have no order, the densest first.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "steps are 1 or more, and tiles are counted"
)]
pub(super) fn levels(x: Sample<'_>, pool: &Pool) -> Vec<Level> {
    let n = x.count();
    let centres = (WORK / (n * x.dim()).max(1)).clamp(CENTRES[1], CENTRES[0]).min(n);
    let centres: Vec<usize> = (0..centres).collect();
    let tiles: Vec<&[usize]> = centres.chunks(TILE).collect();
    let nearest = power_of_two(n / SHARE).clamp(4, NEAREST);
    let steps = std::iter::successors(Some(1), |step| Some(2 * step));
    let steps = steps.take_while(|step| *step == 1 || n / step >= SHARE * NEAREST);
    steps
        .map(|step| {
            let lists = pool.map(tiles.len(), |i| nearest_among(x, tiles[i], step, nearest));
            Level { step, nearest, lists: lists.into_iter().flatten().collect() }
        })
        .collect()
}

/// The largest power of 2 that is not larger.
fn power_of_two(n: usize) -> usize {
    n.checked_ilog2().map_or(0, |log| 1 << log)
}
