//! A helix.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};

use super::charted::Charted;
use super::grid;
use super::number::Number;

/// Points spread evenly over three turns of a helix of radius 1, whose turns are `pi/3` apart.
///
/// ```text
/// t ~ U(0, 6 pi),   x = (cos t, sin t, t / 6)
/// ```
///
/// The curve ends where the data end: a point beyond is nearest to the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Helix;

const TURNS: f64 = 3.0 * TAU;
const RISE: f64 = 1.0 / 6.0;

impl Charted for Helix {
    fn name(&self) -> &'static str {
        "helix"
    }
    fn dims(&self) -> (usize, usize) {
        (3, 1)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        vec![TURNS * rng.random::<f64>()]
    }
    fn log_prob_chart(&self, _: &[f64], _: &[f64]) -> f64 {
        -TURNS.ln()
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        vec![z[0].cos(), z[0].sin(), z[0].scale(RISE)]
    }
    fn starts(&self) -> Vec<Vec<f64>> {
        grid(&[(0.0, TURNS, 200)])
    }
    fn clamp(&self, z: &mut [f64]) {
        z[0] = z[0].clamp(0.0, TURNS);
    }
}
