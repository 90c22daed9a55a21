//! A Gaussian in space, projected to the sphere.

use std::f64::consts::{PI, SQRT_2, TAU};

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use statrs::function::erf::erfc;

use super::angles;
use super::charted::Charted;
use super::number::Number;

/// Directions of Gaussian points: the projected normal density on `S^2`, as Ross and Cresswell use
/// it, "Tractable density estimation on learned manifolds with conformal embedding flows", NeurIPS 2021.
///
/// ```text
/// y ~ N(mu, I),   x = y / |y|
/// p(x) = exp(-|mu|^2 / 2) / (2 pi)^(3/2) (a + (1 + a^2) Phi(a) / phi(a)),   a = mu . x
/// ```
///
/// with `mu = (-1, -1, 0)`, which is per area of the sphere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProjectedGaussian;

const MU: [f64; 3] = [-1.0, -1.0, 0.0];

/// `log` of the density per area.
fn log_prob(x: &[f64]) -> f64 {
    let a: f64 = MU.iter().zip(x).map(|(mu, x)| mu * x).sum();
    let squared: f64 = MU.iter().map(|mu| mu * mu).sum();
    let below = 0.5 * erfc(-a / SQRT_2); // Phi(a)
    let at = (-0.5 * a * a).exp() / TAU.sqrt(); // phi(a)
    (a + (1.0 + a * a) * below / at).ln() - 0.5 * squared - 1.5 * TAU.ln()
}

impl Charted for ProjectedGaussian {
    fn name(&self) -> &'static str {
        "projected-gaussian"
    }
    fn dims(&self) -> (usize, usize) {
        (3, 2)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        let y = MU.map(|mu| mu + rng.sample::<f64, _>(StandardNormal));
        angles::of(&y)
    }
    fn log_prob_chart(&self, z: &[f64], _: &[f64]) -> f64 {
        // Per unit of the angles: the area element is sin z_1.
        log_prob(&self.embed(z)) + z[0].sin().ln()
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        angles::embed(z)
    }
    fn chart(&self, x: &[f64]) -> Option<Vec<f64>> {
        /// The poles have no coordinates, points beside them do; the area element cancels.
        const BESIDE: f64 = 1e-12;
        let mut z = angles::of(x);
        z[0] = z[0].clamp(BESIDE, PI - BESIDE);
        Some(z)
    }
}
