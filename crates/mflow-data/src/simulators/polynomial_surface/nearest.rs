//! The point of the surface nearest to a given one.
//!
//! Minimised is the squared distance over the chart, |(z, f(z)) - q|^2 / 2, where q is the given
//! point before the rotation. Newton's method, damped until each step goes down, finds local
//! minima; the global one among them is made sure of in one of two ways. The nearest point lies
//! within the best distance d found so far of the foot of the vertical through q. If d is so
//! small that the function is convex over this disc, its one minimum is that found from the foot.
//! Else every local minimum on a grid over the disc is a start.

use super::PolynomialSurface;

/// Upper bounds, over the whole plane, of |grad f| and of the Hessian's norm. (Maxima on a fine
/// grid are 2.441 and 1.922; a test checks the bounds.)
const SLOPE_BOUND: f64 = 2.45;
const CURVATURE_BOUND: f64 = 1.93;

/// Outside this square about the origin |f| is below 1e-6, as are its derivatives: the surface is
/// flat there, and the search from the foot finds its nearest point.
const HALF_WIDTH: f64 = 16.0;

/// Cells of the grid in each direction: at least so many, and so small that the surface, whose
/// features are of size 1, cannot hide a minimum in one.
const MIN_CELLS: usize = 16;
const CELL: f64 = 0.25;

/// Newton converges quadratically: a step this much smaller than z leaves no visible error.
const STEP_TOLERANCE: f64 = 1e-13;
const MAX_STEPS: usize = 200;

/// The distance from q to the graph of f, and the z of the nearest point.
pub(super) fn nearest(surface: &PolynomialSurface, q: [f64; 3]) -> (f64, [f64; 2]) {
    let foot = [q[0], q[1]];
    let vertical = (q[2] - surface.height(foot)).abs();
    // The foot is where the search starts from: it ends no further away.
    let (mut best, mut z) = descend(surface, q, foot);
    // The residual f(z) - q2 over the disc, times the curvature, is all that may keep the Hessian
    // I + grad f grad f^T + (f - q2) Hess f from being positive definite.
    if (vertical + SLOPE_BOUND * best) * CURVATURE_BOUND < 1.0 {
        return (best, z);
    }
    for start in grid_minima(surface, q, best) {
        let found = descend(surface, q, start);
        if found.0 < best {
            (best, z) = found;
        }
    }
    (best, z)
}

/// |(z, f) - q|^2 / 2.
fn objective(q: [f64; 3], z: [f64; 2], f: f64) -> f64 {
    let [a, b, c] = [z[0] - q[0], z[1] - q[1], f - q[2]];
    0.5 * (a * a + b * b + c * c)
}

/// The local minimum that damped Newton steps reach from `start`: the distance and z.
fn descend(surface: &PolynomialSurface, q: [f64; 3], start: [f64; 2]) -> (f64, [f64; 2]) {
    let mut z = start;
    let mut jet = surface.height_jet(z);
    let mut damping = 0.0;
    for _ in 0..MAX_STEPS {
        let r = jet.value - q[2];
        let [fx, fy] = jet.gradient;
        let [fxx, fxy, fyy] = jet.hessian;
        let g = [z[0] - q[0] + r * fx, z[1] - q[1] + r * fy];
        let h = [1.0 + fx * fx + r * fxx, fx * fy + r * fxy, 1.0 + fy * fy + r * fyy];
        let lowest = 0.5 * (h[0] + h[2]) - (0.5 * (h[0] - h[2])).hypot(h[1]);
        // Lifts the lowest eigenvalue to a positive number where the function is not convex.
        let lift = if lowest > 1e-3 { 0.0 } else { 1e-3 - lowest + 1e-3 * lowest.abs() };
        let (a, b, c) = (h[0] + lift + damping, h[1], h[2] + lift + damping);
        let det = a * c - b * b;
        let step = [(b * g[1] - c * g[0]) / det, (b * g[0] - a * g[1]) / det];
        if !(step[0].is_finite() && step[1].is_finite()) {
            break;
        }
        let next = [z[0] + step[0], z[1] + step[1]];
        let next_jet = surface.height_jet(next);
        let small = step[0].hypot(step[1]) <= STEP_TOLERANCE * (1.0 + z[0].hypot(z[1]));
        if objective(q, next, next_jet.value) < objective(q, z, jet.value) {
            (z, jet) = (next, next_jet);
            damping *= 0.25;
        } else if !small {
            damping = (4.0 * damping).max(1e-2);
        }
        if small {
            break;
        }
    }
    ((z[0] - q[0]).hypot(z[1] - q[1]).hypot(jet.value - q[2]), z)
}

/// The points of a grid over the disc of this radius about the foot that are no further from q
/// than their neighbours.
fn grid_minima(surface: &PolynomialSurface, q: [f64; 3], radius: f64) -> Vec<[f64; 2]> {
    let lo = [0, 1].map(|k| (q[k] - radius).max(-HALF_WIDTH));
    let hi = [0, 1].map(|k| (q[k] + radius).min(HALF_WIDTH));
    if !(lo[0] < hi[0] && lo[1] < hi[1]) {
        return Vec::new(); // the disc lies where the surface is flat
    }
    let [nx, ny] = [0, 1].map(|k| cells(hi[k] - lo[k]));
    let at = |i: usize, j: usize| {
        let along = |k: usize, i: usize, n: usize| lo[k] + (hi[k] - lo[k]) * as_f64(i) / as_f64(n);
        [along(0, i, nx), along(1, j, ny)]
    };
    let mut values = Vec::with_capacity((nx + 1) * (ny + 1));
    for i in 0..=nx {
        for j in 0..=ny {
            let z = at(i, j);
            values.push(objective(q, z, surface.height(z)));
        }
    }
    let mut minima = Vec::new();
    for i in 0..=nx {
        for j in 0..=ny {
            let here = values[i * (ny + 1) + j];
            let mut neighbours = (i.saturating_sub(1)..=nx.min(i + 1))
                .flat_map(|i| (j.saturating_sub(1)..=ny.min(j + 1)).map(move |j| (i, j)));
            if neighbours.all(|(i, j)| values[i * (ny + 1) + j] >= here) {
                minima.push(at(i, j));
            }
        }
    }
    minima
}

/// Cells over this width, which is at most twice [`HALF_WIDTH`].
fn cells(width: f64) -> usize {
    let mut cells = MIN_CELLS;
    while as_f64(cells) * CELL < width {
        cells += 1;
    }
    cells
}

/// A small count as a float.
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_hold_on_a_fine_grid() {
        let (mut slope, mut curvature) = (0.0_f64, 0.0_f64);
        for i in -1000..=1000 {
            for j in -1000..=1000 {
                let jet = PolynomialSurface.height_jet([f64::from(i) * 0.01, f64::from(j) * 0.01]);
                let [xx, xy, yy] = jet.hessian;
                slope = slope.max(jet.gradient[0].hypot(jet.gradient[1]));
                curvature = curvature.max(0.5 * (xx + yy).abs() + (0.5 * (xx - yy)).hypot(xy));
            }
        }
        // The derivatives change by less than 0.005 between neighbours, a quarter of which at a
        // maximum is far less than the margin.
        assert!(slope < SLOPE_BOUND && slope > 0.99 * SLOPE_BOUND, "slope {slope}");
        assert!(
            curvature < CURVATURE_BOUND && curvature > 0.99 * CURVATURE_BOUND,
            "curvature {curvature}"
        );
    }
}
