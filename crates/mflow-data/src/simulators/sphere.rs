//! Gaussian angles on circles and spheres: the first example of Brehmer and Cranmer (2020),
//! arXiv:2003.13913, and its relatives.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::angles;
use super::charted::Charted;
use super::directional::{log_normal, log_sum_exp, log_wrapped_normal};
use super::number::Number;
use crate::Prior;
use crate::simulator::{Parameter, Simulator as _};

/// Points near the unit sphere `S^n` whose angles are Gaussian.
///
/// ```text
/// phi_i ~ N(mean_i, width_i^2),   r ~ N(1, thickness^2)
/// x = r (cos phi_1, sin phi_1 cos phi_2, ..., sin phi_1 ... sin phi_n)
/// ```
///
/// With a parameter, `theta ~ U(-1, 1)`, the mean of the last angle is moved by theta. The manifold is
/// the sphere, which the data miss by the noise of the radius. The density of
/// [`log_prob`](crate::Simulator::log_prob) is that of the angles, per area of the unit sphere, at the
/// nearest point: summed over all angles, also those beyond their range, that lead there.
/// [`ambient_log_prob`](Self::ambient_log_prob) is that of x itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussianOnSphere {
    name: &'static str,
    /// Mean and width of each angle.
    angles: &'static [(f64, f64)],
    thickness: f64,
    parameters: &'static [Parameter],
}

/// What is added to the mean of the last angle.
const SHIFT: &[Parameter] =
    &[Parameter { name: "theta", prior: Prior::Uniform { low: -1.0, high: 1.0 }, default: 0.0 }];
/// The angle on the circle as published.
const CIRCLE: &[(f64, f64)] = &[(FRAC_PI_2, FRAC_PI_4)];
/// The polar angle is narrow enough to leave the poles, where angles are no chart, nearly empty.
const SPHERE: &[(f64, f64)] = &[(FRAC_PI_2, PI / 8.0), (FRAC_PI_2, FRAC_PI_4)];
/// The width of the radius as published.
const THICKNESS: f64 = 0.01;

impl GaussianOnSphere {
    /// On the circle, with noise of the radius: as published (section 4.A).
    pub const CIRCLE: Self =
        Self { name: "circle", angles: CIRCLE, thickness: THICKNESS, parameters: &[] };
    /// On the circle, exactly.
    pub const THIN_CIRCLE: Self = Self { name: "thin-circle", thickness: 0.0, ..Self::CIRCLE };
    /// On the circle, exactly, with a parameter.
    pub const CONDITIONAL_CIRCLE: Self =
        Self { name: "conditional-circle", parameters: SHIFT, ..Self::THIN_CIRCLE };
    /// On `S^2`, with noise of the radius.
    pub const SPHERE: Self =
        Self { name: "sphere", angles: SPHERE, thickness: THICKNESS, parameters: &[] };
    /// On `S^2`, exactly.
    pub const THIN_SPHERE: Self = Self { name: "thin-sphere", thickness: 0.0, ..Self::SPHERE };
    /// On `S^2`, exactly, with a parameter.
    pub const CONDITIONAL_SPHERE: Self =
        Self { name: "conditional-sphere", parameters: SHIFT, ..Self::THIN_SPHERE };

    /// The logarithm of the density of x in space, per volume, in nats: with the noise of the radius and
    /// the Jacobian `r^-n` of polar coordinates. Negative infinity at the origin, and off a sphere
    /// without thickness.
    ///
    /// # Errors
    ///
    /// As [`log_prob`](crate::Simulator::log_prob).
    pub fn ambient_log_prob(&self, x: &[f64], parameters: &[f64]) -> crate::Result<Vec<f64>> {
        let (d, n) = self.dims();
        let on_sphere = self.log_prob(x, parameters)?;
        let radius = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        #[expect(clippy::cast_precision_loss, reason = "few dimensions")]
        let ambient = |(x, on_sphere): (&[f64], f64)| match radius(x) {
            r if r == 0.0 || self.thickness == 0.0 => f64::NEG_INFINITY,
            r => on_sphere + log_normal(r, 1.0, self.thickness) - n as f64 * r.ln(),
        };
        Ok(x.chunks_exact(d).zip(on_sphere).map(ambient).collect())
    }
}

impl Charted for GaussianOnSphere {
    fn name(&self) -> &'static str {
        self.name
    }
    fn dims(&self) -> (usize, usize) {
        (self.angles.len() + 1, self.angles.len())
    }
    fn parameters(&self) -> &'static [Parameter] {
        self.parameters
    }

    fn draw(&self, theta: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        let mut z: Vec<f64> = self
            .angles
            .iter()
            .map(|(mean, width)| mean + width * rng.sample::<f64, _>(StandardNormal))
            .collect();
        shift(&mut z, theta, 1.0);
        z
    }

    fn thicken(&self, x: &mut [f64], rng: &mut dyn Rng) {
        if self.thickness > 0.0 {
            let radius = 1.0 + self.thickness * rng.sample::<f64, _>(StandardNormal);
            x.iter_mut().for_each(|x| *x *= radius);
        }
    }

    fn log_prob_chart(&self, z: &[f64], theta: &[f64]) -> f64 {
        let mut z = z.to_vec();
        shift(&mut z, theta, -1.0);
        // Any angle but the last can change its sign if half a turn is added to the next one.
        let subsets = 1_u32 << (z.len() - 1);
        let of_subset = |subset: u32| -> f64 {
            let reflected = |i: usize| i + 1 < z.len() && subset >> i & 1 == 1;
            let density = |(i, (mean, width)): (usize, &(f64, f64))| {
                let turned = if i > 0 && reflected(i - 1) { z[i] + PI } else { z[i] };
                let angle = if reflected(i) { -turned } else { turned };
                log_wrapped_normal(angle, *mean, *width)
            };
            self.angles.iter().enumerate().map(density).sum()
        };
        log_sum_exp(&(0..subsets).map(of_subset).collect::<Vec<_>>())
    }

    fn latent_density(&self, z: &[f64], theta: &[f64]) -> Option<(f64, Vec<f64>)> {
        // Only the last angle depends on theta, and before whole turns are dropped it is normal.
        let ([theta], Some(z), Some(&(mean, width))) = (theta, z.last(), self.angles.last()) else {
            return None;
        };
        let score = (z - mean - theta) / (width * width);
        Some((log_normal(*z, mean + theta, width), vec![score]))
    }

    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        angles::embed(z)
    }

    fn chart(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(angles::of(x))
    }
}

/// Moves the last angle by the parameter, if there is one.
fn shift(angles: &mut [f64], theta: &[f64], sign: f64) {
    if let (Some(last), [theta]) = (angles.last_mut(), theta) {
        *last += sign * theta;
    }
}
