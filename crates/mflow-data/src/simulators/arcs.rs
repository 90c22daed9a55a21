//! Two arcs that do not meet.

use rand::{Rng, RngExt};

use super::charted::Charted;
use super::grid;
use super::number::Number;

/// Points on two arcs in the plane, 2 apart where they are nearest: a manifold in two pieces, half of
/// the points on each.
///
/// ```text
/// t ~ U(-1, 1),   side = +1 or -1,   x = (t, side (1 + t^2 / 2))
/// ```
///
/// One coordinate `z = side (2 + t)` tells both side and t. The arcs end where the data end: a point
/// beyond is nearest to an end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arcs;

/// The least and the greatest `|z|`.
const SIDE: (f64, f64) = (1.0, 3.0);

impl Charted for Arcs {
    fn name(&self) -> &'static str {
        "arcs"
    }
    fn dims(&self) -> (usize, usize) {
        (2, 1)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        let side = if rng.random::<f64>() < 0.5 { -1.0 } else { 1.0 };
        vec![side * (SIDE.0 + (SIDE.1 - SIDE.0) * rng.random::<f64>())]
    }
    fn log_prob_chart(&self, _: &[f64], _: &[f64]) -> f64 {
        -(2.0 * (SIDE.1 - SIDE.0)).ln()
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        let side = z[0].signum();
        let t = (side * z[0]).shift(-2.0);
        vec![t, side * (t * t).scale(0.5).shift(1.0)]
    }
    fn starts(&self) -> Vec<Vec<f64>> {
        [1.0, -1.0].iter().flat_map(|side| grid(&[(side * SIDE.0, side * SIDE.1, 40)])).collect()
    }
    fn clamp(&self, z: &mut [f64]) {
        z[0] = z[0].signum() * z[0].abs().clamp(SIDE.0, SIDE.1);
    }
}
