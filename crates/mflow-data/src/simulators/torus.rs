//! A torus in space with two angles that depend on each other.

use rand::Rng;

use super::charted::Charted;
use super::directional::{log_von_mises, sample_von_mises};
use super::number::Number;

/// Points on the torus of radii 2 and 1.
///
/// ```text
/// u ~ von Mises(0, 1),   v | u ~ von Mises(u, 2)
/// x = ((2 + cos v) cos u, (2 + cos v) sin u, sin v)
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Torus;

/// Radius of the circle of centres; that of the tube is 1.
const RADIUS: f64 = 2.0;
const KAPPA_U: f64 = 1.0;
const KAPPA_V: f64 = 2.0;

impl Charted for Torus {
    fn name(&self) -> &'static str {
        "torus"
    }
    fn dims(&self) -> (usize, usize) {
        (3, 2)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        let u = sample_von_mises(0.0, KAPPA_U, rng);
        vec![u, sample_von_mises(u, KAPPA_V, rng)]
    }
    fn log_prob_chart(&self, z: &[f64], _: &[f64]) -> f64 {
        log_von_mises(z[0], 0.0, KAPPA_U) + log_von_mises(z[1], z[0], KAPPA_V)
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        let across = z[1].cos().shift(RADIUS);
        vec![across * z[0].cos(), across * z[0].sin(), z[1].sin()]
    }
    fn chart(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(vec![x[1].atan2(x[0]), x[2].atan2(x[0].hypot(x[1]) - RADIUS)])
    }
}
