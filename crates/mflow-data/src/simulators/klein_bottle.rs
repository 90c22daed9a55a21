//! The Klein bottle in four dimensions: a closed surface without sides.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};

use super::charted::Charted;
use super::directional::{log_von_mises, sample_von_mises};
use super::grid;
use super::number::Number;

/// Points on the Klein bottle in `R^4`: a tube whose section turns over once on its way round.
///
/// ```text
/// u ~ U(0, 2 pi),   v ~ von Mises(0, 1)
/// x = ((2 + cos v) cos u, (2 + cos v) sin u, sin v cos(u/2), sin v sin(u/2))
/// ```
///
/// `(u, v)` and `(u + 2 pi, -v)` are the same point; the density is the same at both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KleinBottle;

const RADIUS: f64 = 2.0;
const KAPPA: f64 = 1.0;

impl Charted for KleinBottle {
    fn name(&self) -> &'static str {
        "klein-bottle"
    }
    fn dims(&self) -> (usize, usize) {
        (4, 2)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        vec![TAU * rng.random::<f64>(), sample_von_mises(0.0, KAPPA, rng)]
    }
    fn log_prob_chart(&self, z: &[f64], _: &[f64]) -> f64 {
        log_von_mises(z[1], 0.0, KAPPA) - TAU.ln()
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        let (across, half) = (z[1].cos().shift(RADIUS), z[0].scale(0.5));
        let side = z[1].sin();
        vec![across * z[0].cos(), across * z[0].sin(), side * half.cos(), side * half.sin()]
    }
    fn starts(&self) -> Vec<Vec<f64>> {
        grid(&[(0.0, TAU, 48), (0.0, TAU, 32)])
    }
}
