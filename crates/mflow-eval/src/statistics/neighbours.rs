//! Nearest neighbours by brute force: exact, in any dimension.
use super::sample::Sample;
use crate::{Error, Result};

/// The squared distance of a neighbour, and its row.
pub(crate) type Near = (f64, usize);

/// Rows that are compared with each other row while that is in the cache.
pub(crate) const TILE: usize = 32;

/// Above this, squares of distances overflow.
pub(crate) const LARGEST: f64 = 1e150;

/// Of each row, its `k` nearest other rows with their squared distances, the nearest first; of equally
/// near ones the earlier. Each list has `k` of them.
///
/// # Errors
/// If `k` is 0, there are not more than `k` rows, or values are larger than [`LARGEST`].
pub(super) fn nearest(x: Sample<'_>, k: usize) -> Result<Vec<Vec<Near>>> {
    if k == 0 {
        return Err(Error::Neighbours { expected: 1, found: k });
    }
    x.at_least(k.saturating_add(1))?;
    if x.rows().flatten().any(|v| v.abs() > LARGEST) {
        return Err(Error::Distances { largest: LARGEST });
    }
    let all: Vec<usize> = (0..x.count()).collect();
    Ok(all.chunks(TILE).flat_map(|tile| nearest_among(x, tile, 1, k)).collect())
}

/// Of some rows, the `k` nearest others of every `step`-th row, in the same order; `k` is 1 or more.
pub(crate) fn nearest_among(x: Sample<'_>, of: &[usize], step: usize, k: usize) -> Vec<Vec<Near>> {
    let mut lists: Vec<Vec<Near>> = vec![Vec::with_capacity(k + 1); of.len()];
    for other in (0..x.count()).step_by(step) {
        for (&row, list) in of.iter().zip(&mut lists).filter(|(row, _)| **row != other) {
            let bound = list.get(k - 1).map_or(f64::INFINITY, |near| near.0);
            if let Some(square) = square_below(x.row(row), x.row(other), bound) {
                list.truncate(k - 1);
                list.insert(list.partition_point(|near| near.0 <= square), (square, other));
            }
        }
    }
    lists
}

/// Of some rows, how many others of every `step`-th row have at most each of these squared distances, which ascend.
#[expect(
    clippy::indexing_slicing,
    reason = "chunks of a fixed length, and a place that was found in the list"
)]
pub(crate) fn count_within(
    x: Sample<'_>,
    of: &[usize],
    step: usize,
    squares: &[f64],
) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; squares.len()]; of.len()];
    let bound = squares.last().map_or(0., |square| square.next_up());
    for other in (0..x.count()).step_by(step) {
        for (&row, counts) in of.iter().zip(&mut counts).filter(|(row, _)| **row != other) {
            if let Some(found) = square_below(x.row(row), x.row(other), bound) {
                let first = squares.partition_point(|square| *square < found);
                counts[first..].iter_mut().for_each(|count| *count += 1);
            }
        }
    }
    counts
}

/// The square of the distance, if it is below a bound; what is above is known before all columns are seen.
#[expect(
    clippy::indexing_slicing,
    reason = "chunks of a fixed length, and a place that was found in the list"
)]
pub(super) fn square_below(a: &[f64], b: &[f64], bound: f64) -> Option<f64> {
    const LANES: usize = 8;
    let mut sum = 0.;
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    for (a, b) in a_chunks.zip(b_chunks) {
        let mut squares = [0.; LANES];
        for k in 0..LANES {
            squares[k] = (a[k] - b[k]) * (a[k] - b[k]);
        }
        // In pairs, which processors add at once.
        sum += ((squares[0] + squares[4]) + (squares[2] + squares[6]))
            + ((squares[1] + squares[5]) + (squares[3] + squares[7]));
        if sum >= bound {
            return None;
        }
    }
    sum += rest.map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    (sum < bound).then_some(sum)
}
