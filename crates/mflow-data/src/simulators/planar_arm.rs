//! A robot arm in the plane.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::charted::Charted;
use super::directional::log_wrapped_normal;
use super::grid;
use super::number::Number;
use std::f64::consts::PI;

/// The ends of the links of a planar arm: three links of lengths 1, 0.8 and 0.6, each turned against the
/// one before by a Gaussian angle. Three degrees of freedom in six dimensions.
///
/// ```text
/// z_i ~ N(mean_i, 0.4^2),   x_i = x_{i-1} + length_i (cos(z_1 + ... + z_i), sin(z_1 + ... + z_i))
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanarArm;

const LENGTHS: [f64; 3] = [1.0, 0.8, 0.6];
const MEANS: [f64; 3] = [0.6, 0.8, -0.5];
const WIDTH: f64 = 0.4;

impl Charted for PlanarArm {
    fn name(&self) -> &'static str {
        "planar-arm"
    }
    fn dims(&self) -> (usize, usize) {
        (2 * LENGTHS.len(), LENGTHS.len())
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        MEANS.map(|mean| mean + WIDTH * rng.sample::<f64, _>(StandardNormal)).to_vec()
    }
    fn log_prob_chart(&self, z: &[f64], _: &[f64]) -> f64 {
        z.iter().zip(MEANS).map(|(&z, mean)| log_wrapped_normal(z, mean, WIDTH)).sum()
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        let mut x: Vec<T> = Vec::with_capacity(2 * z.len());
        let mut end = [T::constant(0.0); 2];
        let mut heading = T::constant(0.0);
        for (&turn, length) in z.iter().zip(LENGTHS) {
            heading = heading + turn;
            end = [end[0] + heading.cos().scale(length), end[1] + heading.sin().scale(length)];
            x.extend(end);
        }
        x
    }
    fn starts(&self) -> Vec<Vec<f64>> {
        grid(&[(-PI, PI, 16); 3])
    }
}
