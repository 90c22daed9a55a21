//! The swiss roll.

use std::f64::consts::PI;

use rand::{Rng, RngExt};

use super::charted::Charted;
use super::grid;
use super::number::Number;

/// Points spread evenly over the parameters of a rolled-up sheet: the common swiss roll, centred and
/// divided by 5.
///
/// ```text
/// t ~ U(3 pi/2, 9 pi/2),   h ~ U(-10.5, 10.5),   x = (t cos t, h, t sin t) / 5
/// ```
///
/// The density is that inside the edges of the sheet, and zero beyond, where the manifold goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SwissRoll;

const TURN: (f64, f64) = (1.5 * PI, 4.5 * PI);
const HALF_WIDTH: f64 = 10.5;
const SCALE: f64 = 0.2;

impl Charted for SwissRoll {
    fn name(&self) -> &'static str {
        "swiss-roll"
    }
    fn dims(&self) -> (usize, usize) {
        (3, 2)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        let t = TURN.0 + (TURN.1 - TURN.0) * rng.random::<f64>();
        vec![t, HALF_WIDTH * (2.0 * rng.random::<f64>() - 1.0)]
    }
    fn log_prob_chart(&self, z: &[f64], _: &[f64]) -> f64 {
        let inside = (TURN.0..=TURN.1).contains(&z[0]) && z[1].abs() <= HALF_WIDTH;
        if inside { -((TURN.1 - TURN.0) * 2.0 * HALF_WIDTH).ln() } else { f64::NEG_INFINITY }
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        [z[0] * z[0].cos(), z[1], z[0] * z[0].sin()].map(|x| x.scale(SCALE)).to_vec()
    }
    fn starts(&self) -> Vec<Vec<f64>> {
        // The height is found in one step.
        grid(&[(TURN.0 - 1.0, TURN.1 + 1.0, 600), (0.0, 0.0, 1)])
    }
}
