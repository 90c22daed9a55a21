//! von Mises' density on a circle.

use rand::Rng;

use super::charted::Charted;
use super::directional::{log_von_mises, sample_von_mises};
use super::number::Number;

/// Points on a circle about the origin whose angle has von Mises' density around 0.
///
/// ```text
/// phi ~ exp(kappa cos phi) / (2 pi I_0(kappa)),   x = radius (cos phi, sin phi)
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VonMisesCircle {
    name: &'static str,
    kappa: f64,
    radius: f64,
}

impl VonMisesCircle {
    /// `kappa = 8`, radius 3: Horvat and Pfister, "Denoising normalizing flow", NeurIPS 2021.
    pub const NARROW: Self = Self { name: "von-mises", kappa: 8.0, radius: 3.0 };
    /// `kappa = 1`, radius 1: Caterini et al., "Rectangular flows for manifold learning", NeurIPS 2021.
    pub const WIDE: Self = Self { name: "von-mises-wide", kappa: 1.0, radius: 1.0 };
}

impl Charted for VonMisesCircle {
    fn name(&self) -> &'static str {
        self.name
    }
    fn dims(&self) -> (usize, usize) {
        (2, 1)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        vec![sample_von_mises(0.0, self.kappa, rng)]
    }
    fn log_prob_chart(&self, z: &[f64], _: &[f64]) -> f64 {
        log_von_mises(z[0], 0.0, self.kappa)
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        vec![z[0].cos().scale(self.radius), z[0].sin().scale(self.radius)]
    }
    fn chart(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(vec![x[1].atan2(x[0])])
    }
}
