//! The Gaussian on a circle of Brehmer and Cranmer (2020), arXiv:2003.13913.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, TAU};

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::Result;
use crate::simulator::{Simulator, n_rows, points};

/// The mean and the width of the angle.
const MEAN: f64 = FRAC_PI_2;
const WIDTH: f64 = FRAC_PI_4;
/// The width of the radius around 1.
const THICKNESS: f64 = 0.01;
/// Windings of the angle to either side that are summed: the next one is 24 widths away.
const WINDINGS: i32 = 3;

/// Points near the unit circle in the plane, without parameters: the first example of Brehmer and
/// Cranmer (2020), arXiv:2003.13913, section 4.A.
///
/// ```text
/// phi ~ N(pi/2, (pi/4)^2) modulo 2 pi,   r ~ N(1, 0.01^2),   x = r (cos phi, sin phi)
/// ```
///
/// The manifold is the circle, which the data miss by the noise of the radius. The density of
/// [`log_prob`](Simulator::log_prob) is that of phi, per length on the circle, at the nearest point of
/// the circle; [`ambient_log_prob`](Self::ambient_log_prob) is that of x itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circle;

impl Circle {
    /// The name by which [`simulator_by_name`](crate::simulator_by_name) finds it.
    pub const NAME: &'static str = "circle";

    /// The logarithm of the density of the angle of x, per radian, in nats.
    #[must_use]
    pub fn log_prob_angle(&self, x: [f64; 2]) -> f64 {
        let angle = x[1].atan2(x[0]);
        let logs = (-WINDINGS..=WINDINGS)
            .map(|k| log_normal(angle + TAU * f64::from(k), MEAN, WIDTH))
            .collect::<Vec<_>>();
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + logs.iter().map(|log| (log - top).exp()).sum::<f64>().ln()
    }

    /// The logarithm of the density of x in the plane, per area, in nats: with the noise of the radius,
    /// and the Jacobian 1/r of polar coordinates. At the origin it is infinite times nothing; 0 weight
    /// is the answer there.
    #[must_use]
    pub fn ambient_log_prob(&self, x: [f64; 2]) -> f64 {
        let radius = x[0].hypot(x[1]);
        if radius == 0.0 {
            return f64::NEG_INFINITY;
        }
        self.log_prob_angle(x) + log_normal(radius, 1.0, THICKNESS) - radius.ln()
    }
}

/// The logarithm of a normal density.
fn log_normal(x: f64, mean: f64, width: f64) -> f64 {
    let z = (x - mean) / width;
    -0.5 * z * z - width.ln() - 0.5 * TAU.ln()
}

impl Simulator for Circle {
    fn name(&self) -> &'static str {
        Self::NAME
    }
    fn data_dim(&self) -> usize {
        2
    }
    fn manifold_dim(&self) -> usize {
        1
    }
    fn parameter_dim(&self) -> usize {
        0
    }

    fn sample_prior(&self, _: usize, _: &mut dyn Rng) -> Vec<f64> {
        vec![]
    }

    fn sample(&self, n: usize, parameters: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        no_parameters(parameters)?;
        let mut draw = |mean: f64, width: f64| mean + width * rng.sample::<f64, _>(StandardNormal);
        let mut point = || {
            let (sin, cos) = draw(MEAN, WIDTH).sin_cos();
            let radius = draw(1.0, THICKNESS);
            [radius * cos, radius * sin]
        };
        Ok((0..n).flat_map(|_| point()).collect())
    }

    fn log_prob(&self, x: &[f64], parameters: &[f64]) -> Result<Vec<f64>> {
        no_parameters(parameters)?;
        Ok(points::<2>(x)?.iter().map(|&x| self.log_prob_angle(x)).collect())
    }

    fn distance(&self, x: &[f64]) -> Result<Vec<f64>> {
        Ok(points::<2>(x)?.iter().map(|x| (x[0].hypot(x[1]) - 1.0).abs()).collect())
    }
}

/// Refuse parameters: there are none.
fn no_parameters(parameters: &[f64]) -> Result<()> {
    // As rows of one number each: the error then counts them.
    n_rows::<1>("parameters", parameters, 0).map(|_| ())
}
