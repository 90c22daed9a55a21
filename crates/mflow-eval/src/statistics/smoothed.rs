//! A density of two variables from a sample, on a grid.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "axes 0 and 1, ends 0 and 1, and cells below their number along both"
)]
use super::Field;
use crate::{Error, Result};

/// Where a smoothed density is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Lowest and highest value of each variable.
    pub limits: [[f64; 2]; 2],
    /// Whether the variable ends at its lowest and at its highest value. What smoothing would move beyond such
    /// an end is mirrored back, so that a density that is high there does not seem to fall.
    pub ends: [[bool; 2]; 2],
    /// Cells of the grid along each variable.
    pub cells: usize,
}

/// Standard deviations of the kernel that are computed.
const REACH: f64 = 4.;
/// Density below this share of the highest one counts as that: contours want finite logarithms.
const FLOOR: f64 = 1e-9;

/// The log-density, up to a constant, of a sample of pairs at the middles of the window's cells: counts in cells,
/// smoothed by a Gaussian with the covariance of the sample times Scott's factor `n^(-1/3)`. A ridge that lies
/// askew is smoothed along itself. Scott (1992), *Multivariate Density Estimation*. Pairs outside do not count.
///
/// # Errors
/// [`Error::Table`] for limits that are none or less than 2 cells, [`Error::NoSamples`] where no pair is inside.
pub fn smoothed_plane(pairs: &[(f64, f64)], window: &Window) -> Result<Field> {
    let &Window { limits, ends, cells } = window;
    let most = usize::MAX.isqrt() >> 4; // whose square can be allocated
    for [low, high] in limits {
        if !((2..=most).contains(&cells) && low < high && (high - low).is_finite()) {
            return Err(Error::Table { low, high, points: cells });
        }
    }
    // In units of cells, from the lower corner.
    let unit = |axis: usize| (limits[axis][1] - limits[axis][0]) / cells as f64;
    let place = |&(x, y): &(f64, f64)| [(x - limits[0][0]) / unit(0), (y - limits[1][0]) / unit(1)];
    let inside = |at: &[f64; 2]| at.iter().all(|v| (0. ..=cells as f64).contains(v));
    let places: Vec<[f64; 2]> = pairs.iter().map(place).filter(inside).collect();
    let kernel = Kernel::new(&places)?;
    let mut density = vec![0.; cells * cells];
    for (at, count) in counts(&places, cells).into_iter().enumerate().filter(|(_, n)| *n > 0.) {
        for &([right, up], weight) in &kernel.weights {
            let x = moved(at / cells, right, cells, ends[0]);
            let y = moved(at % cells, up, cells, ends[1]);
            if let (Some(x), Some(y)) = (x, y) {
                density[x * cells + y] += count * weight;
            }
        }
    }
    let top = density.iter().copied().fold(0., f64::max);
    let values = density.into_iter().map(|d| d.max(FLOOR * top).ln()).collect();
    let middles =
        |axis: usize| (0..cells).map(|i| limits[axis][0] + unit(axis) * (i as f64 + 0.5)).collect();
    Ok(Field { x: middles(0), y: middles(1), values })
}

/// How many places are in each cell.
#[expect(clippy::cast_possible_truncation, reason = "places are within the grid")]
fn counts(places: &[[f64; 2]], cells: usize) -> Vec<f64> {
    let mut counts = vec![0.; cells * cells];
    for at in places {
        let [i, j] = at.map(|v| (v as usize).min(cells - 1));
        counts[i * cells + j] += 1.;
    }
    counts
}

/// The cell `by` cells away, mirrored at ends that the variable has; none beyond the others.
fn moved(from: usize, by: isize, cells: usize, ends: [bool; 2]) -> Option<usize> {
    let to = from.checked_add_signed(by);
    match to {
        Some(to) if to < cells => Some(to),
        Some(to) => ends[1].then(|| (2 * cells).checked_sub(to + 1)).flatten(),
        None => ends[0].then(|| (by.unsigned_abs() - from).checked_sub(1)).flatten(),
    }
    .filter(|to| *to < cells)
}

/// Weights of the cells around one.
struct Kernel {
    weights: Vec<([isize; 2], f64)>,
}

impl Kernel {
    /// For a sample of these places, in units of cells.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float cast to isize saturates, and reaches are small"
    )]
    fn new(places: &[[f64; 2]]) -> Result<Self> {
        if places.is_empty() {
            return Err(Error::NoSamples);
        }
        let n = places.len() as f64;
        let mean = [0, 1].map(|k| places.iter().map(|at| at[k]).sum::<f64>() / n);
        let covariance = |a: usize, b: usize| {
            places.iter().map(|at| (at[a] - mean[a]) * (at[b] - mean[b])).sum::<f64>() / n
        };
        let scott = n.powf(-1. / 3.);
        // Never narrower than a cell, or a thin ridge would fall to pieces.
        let least = 0.25;
        let [xx, xy, yy] = [(0, 0), (0, 1), (1, 1)].map(|(a, b)| scott * covariance(a, b));
        let [xx, yy] = [xx + least, yy + least];
        let determinant = xx * yy - xy * xy;
        let reach = |variance: f64| (REACH * variance.sqrt()).ceil() as isize;
        let weight = |right: isize, up: isize| {
            let [x, y] = [right as f64, up as f64];
            (-0.5 * (yy * x * x - 2. * xy * x * y + xx * y * y) / determinant).exp()
        };
        let right = -reach(xx)..=reach(xx);
        let all = right.flat_map(|right| {
            (-reach(yy)..=reach(yy)).map(move |up| ([right, up], weight(right, up)))
        });
        Ok(Self { weights: all.filter(|(_, w)| *w > 0.5 * (-0.5 * REACH * REACH).exp()).collect() })
    }
}
