//! The thin spiral.

use std::f64::consts::PI;

use rand::{Rng, RngExt};
use rand_distr::Exp1;

use super::charted::Charted;
use super::grid;
use super::number::Number;

/// Points on a spiral, ever rarer on the way out: Horvat and Pfister, "Denoising normalizing flow",
/// NeurIPS 2021.
///
/// ```text
/// t ~ Exp(mean 0.3),   z = 3 pi sqrt(t),   x = (-z cos z, z sin z) / 3
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThinSpiral;

const MEAN: f64 = 0.3;

impl Charted for ThinSpiral {
    fn name(&self) -> &'static str {
        "thin-spiral"
    }
    fn dims(&self) -> (usize, usize) {
        (2, 1)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        vec![3.0 * PI * (MEAN * rng.sample::<f64, _>(Exp1)).sqrt()]
    }
    fn log_prob_chart(&self, z: &[f64], _: &[f64]) -> f64 {
        // p(t) dt/dz
        let t = (z[0] / (3.0 * PI)).powi(2);
        if z[0] <= 0.0 {
            return f64::NEG_INFINITY;
        }
        -t / MEAN - MEAN.ln() + (2.0 * z[0] / (9.0 * PI * PI)).ln()
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        let radius = z[0].scale(1.0 / 3.0);
        vec![-(radius * z[0].cos()), radius * z[0].sin()]
    }
    fn starts(&self) -> Vec<Vec<f64>> {
        grid(&[(0.02, 32.0, 1600)])
    }
}
