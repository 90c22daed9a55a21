//! A sheet of a hyperboloid.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::charted::Charted;
use super::directional::log_normal;
use super::grid;
use super::number::Number;

/// Points on the upper sheet of the hyperboloid `x_3^2 = 1 + x_1^2 + x_2^2`, Gaussian seen from above.
///
/// ```text
/// z ~ N(0, I),   x = (z_1, z_2, sqrt(1 + |z|^2))
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hyperboloid;

impl Charted for Hyperboloid {
    fn name(&self) -> &'static str {
        "hyperboloid"
    }
    fn dims(&self) -> (usize, usize) {
        (3, 2)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        (0..2).map(|_| rng.sample(StandardNormal)).collect()
    }
    fn log_prob_chart(&self, z: &[f64], _: &[f64]) -> f64 {
        z.iter().map(|&z| log_normal(z, 0.0, 1.0)).sum()
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        let height = (z[0] * z[0] + z[1] * z[1]).shift(1.0).sqrt();
        vec![z[0], z[1], height]
    }
    fn starts(&self) -> Vec<Vec<f64>> {
        grid(&[(-6.0, 6.0, 41), (-6.0, 6.0, 41)])
    }
}
