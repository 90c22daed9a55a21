//! A mixture of four on the sphere.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, LN_2, PI};

use rand::{Rng, RngExt};

use super::angles;
use super::charted::Charted;
use super::directional::{log_sum_exp, log_von_mises, sample_von_mises};
use super::number::Number;

/// Four equal components on `S^2`, each with independent angles: Horvat and Pfister, "Denoising
/// normalizing flow", NeurIPS 2021.
///
/// ```text
/// 2 (polar - pi/2) ~ von Mises(2 (m_1 - pi/2), 6),   azimuth ~ von Mises(m_2, 6)
/// (m_1, m_2) = (pi/4, pi/2), (3 pi/4, 4 pi/3), (3 pi/4, pi/2), (pi/4, 4 pi/3)
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SphereMixture;

const KAPPA: f64 = 6.0;
const MEANS: [(f64, f64); 4] = [
    (FRAC_PI_4, FRAC_PI_2),
    (3.0 * FRAC_PI_4, 4.0 * PI / 3.0),
    (3.0 * FRAC_PI_4, FRAC_PI_2),
    (FRAC_PI_4, 4.0 * PI / 3.0),
];

impl Charted for SphereMixture {
    fn name(&self) -> &'static str {
        "sphere-mixture"
    }
    fn dims(&self) -> (usize, usize) {
        (3, 2)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        let (polar, azimuth) = MEANS[rng.random_range(0..MEANS.len())];
        let doubled = sample_von_mises(2.0 * (polar - FRAC_PI_2), KAPPA, rng);
        vec![0.5 * doubled + FRAC_PI_2, sample_von_mises(azimuth, KAPPA, rng)]
    }
    fn log_prob_chart(&self, z: &[f64], _: &[f64]) -> f64 {
        let component = |(polar, azimuth): (f64, f64)| {
            let (doubled, mean) = (2.0 * (z[0] - FRAC_PI_2), 2.0 * (polar - FRAC_PI_2));
            log_von_mises(doubled, mean, KAPPA) + LN_2 + log_von_mises(z[1], azimuth, KAPPA)
        };
        log_sum_exp(&MEANS.map(component)) - 4_f64.ln()
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        angles::embed(z)
    }
    fn chart(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(angles::of(x))
    }
}
