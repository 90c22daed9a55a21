//! The point of a manifold nearest to a given one.
//!
//! Levenberg's and Marquardt's method on `|embed(z) - x|^2` from the best few points of a grid. A manifold
//! can have several local minima; the grid makes sure of the global one where it is fine enough.

use super::charted::{Charted, Embedding, cholesky, jacobian};

/// Local searches per point.
const SEARCHES: usize = 4;

/// When a search ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    /// After so many steps.
    pub(crate) steps: usize,
    /// With a step this much smaller than z.
    pub(crate) step: f64,
    /// With a step that makes the squared distance smaller by less than this part of it.
    pub(crate) gain: f64,
}

impl Until {
    /// Such a step leaves no visible error. Convergence is linear away from the manifold.
    pub(crate) const EXACT: Self = Self { steps: 2000, step: 1e-14, gain: 0. };
}

/// The search, with the embedded grid.
#[derive(Debug)]
pub(super) struct Nearest<'a, C> {
    of: &'a C,
    grid: Vec<(Vec<f64>, Vec<f64>)>,
}

impl<'a, C: Charted> Nearest<'a, C> {
    pub(super) fn new(of: &'a C) -> Self {
        let embedded = |z: Vec<f64>| {
            let x = of.embed(&z);
            (z, x)
        };
        Self { of, grid: of.starts().into_iter().map(embedded).collect() }
    }

    /// The z of the nearest point of the manifold to x.
    pub(super) fn chart(&self, x: &[f64]) -> Vec<f64> {
        if let Some(z) = self.of.chart(x) {
            return z;
        }
        let mut starts: Vec<(f64, &[f64])> =
            self.grid.iter().map(|(z, at)| (squared(at, x), z.as_slice())).collect();
        let searches = SEARCHES.min(starts.len());
        if searches < starts.len() {
            starts.select_nth_unstable_by(searches, |a, b| a.0.total_cmp(&b.0));
        }
        let found = starts[..searches].iter().map(|(_, z)| descend(self.of, x, z, Until::EXACT));
        let best = found.min_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or_else(|| vec![0.0; self.of.dims().1], |(_, z)| z)
    }
}

/// The local minimum reached from `start`: the squared distance, and z.
pub(crate) fn descend(
    of: &impl Embedding,
    x: &[f64],
    start: &[f64],
    until: Until,
) -> (f64, Vec<f64>) {
    let mut z = start.to_vec();
    let mut error = squared(&of.point(&z), x);
    let mut damping = 1e-6;
    for _ in 0..until.steps {
        let residual: Vec<f64> = of.point(&z).iter().zip(x).map(|(a, b)| a - b).collect();
        let step = damped_step(&jacobian(of, &z), &residual, damping);
        let mut moved: Vec<f64> = z.iter().zip(&step).map(|(z, step)| z - step).collect();
        of.limit(&mut moved);
        let mut small =
            moved.iter().zip(&z).all(|(m, z)| (m - z).abs() <= until.step * (1.0 + z.abs()));
        let now = squared(&of.point(&moved), x);
        if now <= error {
            small |= error - now < until.gain * error;
            (z, error) = (moved, now);
            damping = (damping * 0.1).max(1e-15);
        } else {
            damping *= 10.0;
        }
        if small || damping > 1e12 {
            break;
        }
    }
    (error, z)
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Solves `(J^T J + damping diag(J^T J)) step = J^T residual`.
pub(crate) fn damped_step(jacobian: &[Vec<f64>], residual: &[f64], damping: f64) -> Vec<f64> {
    let factor = cholesky(jacobian, damping);
    let n = factor.len();
    let mut step: Vec<f64> =
        (0..n).map(|i| jacobian.iter().zip(residual).map(|(row, r)| row[i] * r).sum()).collect();
    for i in 0..n {
        step[i] = (step[i] - (0..i).map(|k| factor[i][k] * step[k]).sum::<f64>()) / factor[i][i];
    }
    for i in (0..n).rev() {
        step[i] =
            (step[i] - (i + 1..n).map(|k| factor[k][i] * step[k]).sum::<f64>()) / factor[i][i];
    }
    step
}
