//! A line that pierces a square: two parts of different dimensions.

use rand::{Rng, RngExt};

use crate::Result;
use crate::simulator::{Parameter, Simulator, parameter_rows, points};

/// Points on a line and on a plane in space, half of them on each, spread evenly.
///
/// ```text
/// with probability 1/2, on the line:    t ~ U(-3/2, 3/2),        x = (0, 0, t)
/// else, on the plane:                   u ~ U(-1, 1), v ~ U(-1, 1),   x = (u, v, 0)
/// ```
///
/// The line is a segment of length 3, the plane a square of area 4. The line pierces the square in its
/// middle, the origin, which counts as a point of the square. Both end where the data end.
///
/// There is no one dimension here, so read the numbers with care:
///
/// - [`manifold_dim`](Simulator::manifold_dim) is 2, that of the plane. No model with a manifold of 2
///   dimensions has the truth: on the line it has to be infinitely thin.
/// - [`log_prob`](Simulator::log_prob) is that of the part nearest to the row: per length on the line
///   (`-ln 6`), per area on the plane (`-ln 8`). The integral over the line is 1/2, and so is that over
///   the plane. The two have different units and cannot be compared; nor can the density of a model
///   with a surface be compared with that on the line. The choice of units moves a mean over all rows.
/// - [`project`](Simulator::project) and [`distance`](Simulator::distance) are of the two parts
///   together, and exact; at the same distance from both, a row belongs to the plane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineAndPlane;

/// Half the length of the line.
const REACH: f64 = 1.5;
/// Half the side of the square.
const HALF: f64 = 1.0;

/// The point nearest to a row, and the log density there.
fn nearest(x: &[f64]) -> ([f64; 3], f64) {
    let on_line = [0.0, 0.0, x[2].clamp(-REACH, REACH)];
    let on_plane = [x[0].clamp(-HALF, HALF), x[1].clamp(-HALF, HALF), 0.0];
    let distance = |y: [f64; 3]| (x[0] - y[0]).hypot(x[1] - y[1]).hypot(x[2] - y[2]);
    if distance(on_line) < distance(on_plane) {
        (on_line, -(2.0 * 2.0 * REACH).ln())
    } else {
        (on_plane, -(2.0 * 4.0 * HALF * HALF).ln())
    }
}

impl Simulator for LineAndPlane {
    fn name(&self) -> &'static str {
        "line-and-plane"
    }

    fn data_dim(&self) -> usize {
        3
    }

    fn manifold_dim(&self) -> usize {
        2
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[]
    }

    fn sample(&self, n: usize, parameters: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        parameter_rows(&[], parameters, n)?;
        let mut draw = |_| {
            let mut within = |reach: f64| reach * (2.0 * rng.random::<f64>() - 1.0);
            // Half of the range for each part.
            if within(1.0) < 0.0 {
                [0.0, 0.0, within(REACH)]
            } else {
                [within(HALF), within(HALF), 0.0]
            }
        };
        Ok((0..n).flat_map(&mut draw).collect())
    }

    fn log_prob(&self, x: &[f64], parameters: &[f64]) -> Result<Vec<f64>> {
        let points = points(x, 3)?;
        parameter_rows(&[], parameters, points.len())?;
        Ok(points.into_iter().map(|x| nearest(x).1).collect())
    }

    fn project(&self, x: &[f64]) -> Result<Vec<f64>> {
        Ok(points(x, 3)?.into_iter().flat_map(|x| nearest(x).0).collect())
    }
}
