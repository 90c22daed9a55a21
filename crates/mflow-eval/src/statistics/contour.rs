//! Lines of equal value, and the levels that hold a share of a density.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "as many values as grid points, as `contour` checks, and sides of cells within the grid"
)]
use crate::{Error, Result};
use std::collections::BTreeMap;

/// A function of two variables on a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Where the grid is along the first variable, upwards.
    pub x: Vec<f64>,
    /// The same along the second one.
    pub y: Vec<f64>,
    /// The value at `(x[i], y[j])` is that at `i * y.len() + j`.
    pub values: Vec<f64>,
}

impl Field {
    /// The lines on which the function, linear along the sides of cells, has the value `level`: by marching
    /// squares, where the mean of a cell's corners decides how two lines cross it. A line that is closed
    /// ends at its first point. A cell with a corner that is not finite has no line.
    ///
    /// # Errors
    /// [`Error::Rows`] if there is not one value for each point of the grid.
    pub fn contour(&self, level: f64) -> Result<Vec<Vec<(f64, f64)>>> {
        let (nx, ny) = (self.x.len(), self.y.len());
        if self.values.len() != nx * ny {
            return Err(Error::Rows { cols: ny, found: self.values.len() });
        }
        let mut links: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for i in 0..nx.saturating_sub(1) {
            for j in 0..ny.saturating_sub(1) {
                for [a, b] in self.cell(i, j, level) {
                    links.entry(a).or_default().push(b);
                    links.entry(b).or_default().push(a);
                }
            }
        }
        Ok(chains(&links).into_iter().map(|c| self.places(&c, level)).collect())
    }

    /// The segments in the cell whose lowest corner is `(i, j)`, from side to side.
    fn cell(&self, i: usize, j: usize, level: f64) -> Vec<[usize; 2]> {
        let ny = self.y.len();
        let at = i * ny + j;
        // Around the cell, with the sides between them.
        let corners = [at, at + ny, at + ny + 1, at + 1].map(|k| self.values[k]);
        let sides = [along_x(at), along_y(at + ny), along_x(at + 1), along_y(at)];
        if corners.iter().any(|value| !value.is_finite()) {
            return vec![];
        }
        let above = corners.map(|value| value > level);
        let cut: Vec<usize> =
            (0..4).filter(|&k| above[k] != above[(k + 1) % 4]).map(|k| sides[k]).collect();
        match cut[..] {
            [a, b] => vec![[a, b]],
            [a, b, c, d] => {
                let middle = corners.iter().sum::<f64>() / 4. > level;
                // What is like the middle hangs together.
                if middle == above[0] { vec![[a, b], [c, d]] } else { vec![[d, a], [b, c]] }
            }
            _ => vec![],
        }
    }

    /// Where sides are cut.
    fn places(&self, sides: &[usize], level: f64) -> Vec<(f64, f64)> {
        let ny = self.y.len();
        let place = |&side: &usize| {
            let (at, is_x) = (side / 2, side % 2 == 0);
            let (i, j) = (at / ny, at % ny);
            let next = if is_x { at + ny } else { at + 1 };
            let share = (level - self.values[at]) / (self.values[next] - self.values[at]);
            let between = |grid: &[f64], k: usize| grid[k] + share * (grid[k + 1] - grid[k]);
            if is_x { (between(&self.x, i), self.y[j]) } else { (self.x[i], between(&self.y, j)) }
        };
        sides.iter().map(place).collect()
    }
}

/// The side from a grid point to the next one along x.
fn along_x(at: usize) -> usize {
    2 * at
}
/// The side from a grid point to the next one along y.
fn along_y(at: usize) -> usize {
    2 * at + 1
}

/// Sides in the order of the lines through them. Each has one or two neighbours.
fn chains(links: &BTreeMap<usize, Vec<usize>>) -> Vec<Vec<usize>> {
    let mut visited: BTreeMap<usize, bool> = links.keys().map(|&side| (side, false)).collect();
    // Lines with ends first: what is left then is closed.
    let ends = links.iter().filter(|(_, next)| next.len() == 1).map(|(&side, _)| side);
    let mut all = vec![];
    for start in ends.chain(links.keys().copied()) {
        let mut chain = vec![];
        let mut next = Some(start);
        while let Some(side) = next.filter(|side| visited.insert(*side, true) == Some(false)) {
            chain.push(side);
            next = links[&side].iter().copied().find(|side| !visited[side]);
        }
        let closed =
            chain.len() > 2 && chain.last().is_some_and(|last| links[last].contains(&start));
        if closed {
            chain.push(start);
        }
        if chain.len() > 1 {
            all.push(chain);
        }
    }
    all
}

/// The level of a log-density above which `share` of its mass lies, from its values at the points of a
/// regular grid, up to a constant: the region above is the smallest that holds the share.
///
/// # Errors
/// If there is no value, or none above negative infinity, or one is NaN.
pub fn highest_density_level(log_density: &[f64], share: f64) -> Result<f64> {
    if let Some(index) = log_density.iter().position(|value| value.is_nan()) {
        let (count, value) = (log_density.len(), f64::NAN);
        return Err(Error::NonFiniteSample { index, count, value });
    }
    let mut sorted = log_density.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let highest = sorted.first().copied().filter(|v| v.is_finite()).ok_or(Error::NoSamples)?;
    let mass = |value: f64| (value - highest).exp();
    let total: f64 = sorted.iter().map(|&value| mass(value)).sum();
    let mut sum = 0.;
    let reached = sorted.iter().find(|&&value| {
        sum += mass(value);
        sum >= share * total
    });
    Ok(reached.copied().unwrap_or(f64::NEG_INFINITY))
}
