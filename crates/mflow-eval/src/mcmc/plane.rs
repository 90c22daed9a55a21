//! A density of two parameters on a grid.
use super::chains::Target;
use super::tabulated::largest;
use crate::statistics::Field;
use crate::{Error, Result};
use mflow_data::Prior;

/// The log-density of two parameters on a grid of `points` x `points` where its mass is: first over all of
/// their [ranges](Prior::range), then over the part of them that holds what is within `DEPTH` nats of the highest value.
///
/// # Errors
/// [`Error::Rows`] for a target of another number of parameters, [`Error::Table`] for less than 2 points or
/// bounds that are none, [`Error::Density`] if the density is zero at all of the first points or undefined at
/// one, and those of the target.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "points of the grid, of which there are two or more along each axis"
)]
pub fn tabulated_plane(target: &dyn Target, priors: &[Prior; 2], points: usize) -> Result<Field> {
    /// Less than 1e-4 of a Gaussian lies deeper.
    const DEPTH: f64 = 10.;
    if target.dim() != 2 {
        return Err(Error::Rows { cols: 2, found: target.dim() });
    }
    let bounds = priors.map(|prior| prior.range());
    check(bounds, points)?;
    let coarse = tabulated_window(target, bounds, points)?;
    let theta = |i: usize| vec![coarse.x[i / points], coarse.y[i % points]];
    let highest = largest(&coarse.values, theta)?;
    let part = |axis: usize| {
        let grid = if axis == 0 { &coarse.x } else { &coarse.y };
        let index = |at: usize| if axis == 0 { at / points } else { at % points };
        let deep = coarse.values.iter().enumerate().filter(|(_, v)| **v > highest - DEPTH);
        let (first, last) = deep.fold((points - 1, 0), |(first, last), (at, _)| {
            (first.min(index(at)), last.max(index(at)))
        });
        // A point more on either side.
        [grid[first.saturating_sub(1).min(points - 2)], grid[(last + 1).clamp(1, points - 1)]]
    };
    tabulated_window(target, [part(0), part(1)], points)
}

/// The log-density of two parameters on a grid of `points` x `points` between bounds, these included.
///
/// # Errors
/// [`Error::Table`] for less than 2 points or bounds that are none, and those of the target.
pub fn tabulated_window(
    target: &dyn Target,
    bounds: [[f64; 2]; 2],
    points: usize,
) -> Result<Field> {
    check(bounds, points)?;
    let [x, y] = bounds.map(|[low, high]| -> Vec<f64> {
        let share = |i: usize| i as f64 / (points - 1) as f64;
        // Both ends as they are: rounding must not put them outside of the support.
        (0..points).map(|i| (low + (high - low) * share(i)).clamp(low, high)).collect()
    });
    let thetas: Vec<f64> = x.iter().flat_map(|&x| y.iter().flat_map(move |&y| [x, y])).collect();
    let values = target.log_probs(&thetas)?;
    Ok(Field { x, y, values })
}

/// Refuse a grid that is none.
fn check(bounds: [[f64; 2]; 2], points: usize) -> Result<()> {
    let is_none =
        |[low, high]: &[f64; 2]| points < 2 || !(low < high && low.is_finite() && high.is_finite());
    match bounds.into_iter().find(is_none) {
        Some([low, high]) => Err(Error::Table { low, high, points }),
        None => Ok(()),
    }
}
