//! Two moons on a curved surface.

use std::f64::consts::{LN_2, PI};

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::charted::Charted;
use super::directional::{log_normal, log_sum_exp};
use super::grid;
use super::number::Number;

/// Two half rings that reach into each other, on a wavy surface.
///
/// ```text
/// a ~ U(0, pi),   r ~ N(1, 0.1^2),   s = +1 or -1
/// z = s (r cos a - 1/2, r sin a - 1/4),   x = (z_1, z_2, 0.4 sin(2 z_1) + 0.2 z_2^2)
/// ```
///
/// The density is that of positive radii; the others are ten widths away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moons;

const CENTRE: [f64; 2] = [0.5, 0.25];
const THICKNESS: f64 = 0.1;

impl Charted for Moons {
    fn name(&self) -> &'static str {
        "moons"
    }
    fn dims(&self) -> (usize, usize) {
        (3, 2)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        let angle = PI * rng.random::<f64>();
        let radius = 1.0 + THICKNESS * rng.sample::<f64, _>(StandardNormal);
        let side = if rng.random::<f64>() < 0.5 { -1.0 } else { 1.0 };
        let (sin, cos) = angle.sin_cos();
        vec![side * (radius * cos - CENTRE[0]), side * (radius * sin - CENTRE[1])]
    }
    fn log_prob_chart(&self, z: &[f64], _: &[f64]) -> f64 {
        let moon = |side: f64| {
            let (x, y) = (side * z[0] + CENTRE[0], side * z[1] + CENTRE[1]);
            let radius = x.hypot(y);
            // Half a turn; 1/r is the Jacobian of polar coordinates.
            if y < 0.0 || radius == 0.0 {
                return f64::NEG_INFINITY;
            }
            log_normal(radius, 1.0, THICKNESS) - radius.ln() - PI.ln() - LN_2
        };
        log_sum_exp(&[moon(1.0), moon(-1.0)])
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        let height = z[0].scale(2.0).sin().scale(0.4) + (z[1] * z[1]).scale(0.2);
        vec![z[0], z[1], height]
    }
    fn starts(&self) -> Vec<Vec<f64>> {
        grid(&[(-3.0, 3.0, 49), (-3.0, 3.0, 49)])
    }
}
