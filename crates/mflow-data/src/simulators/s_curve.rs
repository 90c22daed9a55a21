//! The S-curve.

use std::f64::consts::PI;

use rand::{Rng, RngExt};

use super::charted::Charted;
use super::grid;
use super::number::Number;

/// Points spread evenly over a sheet that is bent into an S: the common S-curve.
///
/// ```text
/// t ~ U(-3 pi/2, 3 pi/2),   s ~ U(0, 2),   x = (sin t, s, sign(t) (cos t - 1))
/// ```
///
/// The sheet is two parts of cylinders of radius 1. It ends where the data end, since both cylinders
/// would come round to the middle of the S again: a point beyond an edge is nearest to the edge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SCurve;

const TURN: f64 = 1.5 * PI;
const WIDTH: f64 = 2.0;

impl Charted for SCurve {
    fn name(&self) -> &'static str {
        "s-curve"
    }
    fn dims(&self) -> (usize, usize) {
        (3, 2)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        vec![TURN * (2.0 * rng.random::<f64>() - 1.0), WIDTH * rng.random::<f64>()]
    }
    fn log_prob_chart(&self, _: &[f64], _: &[f64]) -> f64 {
        -(2.0 * TURN * WIDTH).ln()
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        vec![z[0].sin(), z[1], z[0].signum() * z[0].cos().shift(-1.0)]
    }
    fn starts(&self) -> Vec<Vec<f64>> {
        // The place along the width is found in one step.
        grid(&[(-TURN, TURN, 120), (0.0, 0.0, 1)])
    }
    fn clamp(&self, z: &mut [f64]) {
        z[0] = z[0].clamp(-TURN, TURN);
        z[1] = z[1].clamp(0.0, WIDTH);
    }
}
