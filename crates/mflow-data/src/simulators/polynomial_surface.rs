//! The mixture model on a polynomial surface of Brehmer and Cranmer (2020), arXiv:2003.13913.

mod height;
mod nearest;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::simulator::{JointSample, Parameter, Simulator, parameter_rows, points};
use crate::{Prior, Result};

pub use height::HeightJet;

/// The weight of the component whose width does not depend on the parameter.
const WIDE_WEIGHT: f64 = 0.6;
/// Its mean and its width.
const WIDE_MEAN: [f64; 2] = [1.0, -1.0];
const WIDE_WIDTH: f64 = 2.0;
/// The parameter, and what is published for it.
const THETA: &[Parameter] =
    &[Parameter { name: "theta", prior: Prior::Uniform { low: -1.0, high: 1.0 }, default: 0.0 }];
/// The mean of the other component; its width is [`width`].
const NARROW_MEAN: [f64; 2] = [-1.0, 1.0];

/// A mixture of two Gaussians on a surface in three dimensions, with one parameter: the mixture
/// model on a polynomial surface of Brehmer and Cranmer (2020), arXiv:2003.13913.
///
/// With `theta ~ U(-1, 1)` and `sigma(theta) = 0.2 + 0.8 (0.5 + 0.5 theta)`,
///
/// ```text
/// z ~ 0.6 N([1, -1], 2^2 I) + 0.4 N([-1, 1], sigma(theta)^2 I)
/// x = R [z0, z1, f(z)],    f(z) = exp(-0.1 |z|^2) sum_k a_k z^alpha_k
/// ```
///
/// where the sum runs over the 21 monomials of degree 5 or less, in the order 1, z0, z1, z0^2,
/// z0 z1, z1^2, ..., with the [coefficients](Self::COEFFICIENTS) a and the
/// [rotation](Self::ROTATION) R that the authors drew once.
///
/// The chart that [`log_prob`](Simulator::log_prob) uses takes x to the first two coordinates of
/// R^T x, which is to project it along the surface's vertical direction. In this chart the metric
/// is I + grad f grad f^T, so that the density per area of the surface is
/// `p(z | theta) / sqrt(1 + |grad f|^2)`.
///
/// # Differences from the authors' simulator
///
/// Their `log_density` is that of z, less log(2 * 0.001) for a slab of that thickness: it has
/// not the metric factor, and for points further than 0.001 from the surface it returns 0, in
/// place of negative infinity. Here it is the density per area, at the chart's point wherever x
/// lies. Their distance is the [vertical one](Self::vertical_distance), an upper bound;
/// [`distance`](Simulator::distance) is the Euclidean one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PolynomialSurface;

impl PolynomialSurface {
    /// The name by which [`simulator_by_name`](crate::simulator_by_name) finds it.
    pub const NAME: &'static str = "polynomial-surface";

    /// The coefficients a of the 21 monomials 1, z0, z1, z0^2, z0 z1, z1^2, z0^3, ..., z1^5.
    pub const COEFFICIENTS: [f64; 21] = [
        -1.2168586603514988,
        1.5222185058080313,
        -1.2137184774523713,
        0.056508287792492326,
        -0.023891580117654843,
        -0.04667900863500347,
        -0.05568486624474405,
        -0.007674946358297077,
        -0.05717928991876596,
        -0.05169484232009674,
        0.01371356976614217,
        0.0001957832101733702,
        -0.007085684741511887,
        -0.0066261159038441386,
        0.0033305025718645487,
        -0.008323193992394515,
        -0.010951862645717694,
        0.004081067860220057,
        -0.004647779681845426,
        -0.008806008204852736,
        0.012115704379651746,
    ];

    /// The rotation R, row by row; orthogonal to within rounding.
    pub const ROTATION: [[f64; 3]; 3] = [
        [0.9738872159123575, -0.22686056735015556, -0.008830269760482467],
        [0.2270319382053587, 0.9730738938817304, 0.03979567916953876],
        [-0.0004355653746274851, -0.04076125645036201, 0.9991688196973484],
    ];

    /// The chart: the first two coordinates of R^T x.
    #[must_use]
    pub fn chart(&self, x: [f64; 3]) -> [f64; 2] {
        let [u, v, _] = unrotate(x);
        [u, v]
    }

    /// The point of the surface over z: R [z0, z1, f(z)].
    #[must_use]
    pub fn embed(&self, z: [f64; 2]) -> [f64; 3] {
        let upright = [z[0], z[1], self.height(z)];
        Self::ROTATION.map(|row| row[0] * upright[0] + row[1] * upright[1] + row[2] * upright[2])
    }

    /// The height f(z) of the surface, before the rotation.
    #[must_use]
    pub fn height(&self, z: [f64; 2]) -> f64 {
        self.height_jet(z).value
    }

    /// The height with its first and second derivatives.
    #[must_use]
    pub fn height_jet(&self, z: [f64; 2]) -> HeightJet {
        height::jet(&Self::COEFFICIENTS, z)
    }

    /// log p(z | theta), in nats: the density in the chart.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter), as for row 0, where theta is outside \[-1, 1\].
    pub fn log_prob_chart(&self, z: [f64; 2], theta: f64) -> Result<f64> {
        parameter_rows(THETA, &[theta], 1)?;
        Ok(log_prob_chart(z, width(theta)))
    }

    /// The distance along the surface's vertical direction: the difference of the third
    /// coordinate of R^T x from f at the chart's point. This is what the paper measures.
    #[must_use]
    pub fn vertical_distance(&self, x: [f64; 3]) -> f64 {
        let [u, v, w] = unrotate(x);
        (w - self.height([u, v])).abs()
    }
}

impl Simulator for PolynomialSurface {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn data_dim(&self) -> usize {
        3
    }

    fn manifold_dim(&self) -> usize {
        2
    }

    fn parameters(&self) -> &'static [Parameter] {
        THETA
    }

    fn sample(&self, n: usize, parameters: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        let z = draw(n, parameters, rng)?;
        Ok(z.into_iter().flat_map(|z| self.embed(z)).collect())
    }

    fn has_scores(&self) -> bool {
        true
    }

    /// The latent variables are z, which x tells: so these are the score and the ratio of x itself.
    fn sample_joint(
        &self,
        n: usize,
        parameters: &[f64],
        hypotheses: &[f64],
        rng: &mut dyn Rng,
    ) -> Result<JointSample> {
        let hypotheses = parameter_rows(THETA, hypotheses, n)?;
        let reference = width(THETA[0].default);
        let mut joint = JointSample::default();
        for (z, theta) in draw(n, parameters, rng)?.into_iter().zip(hypotheses) {
            let at = width(theta[0]);
            joint.x.extend(self.embed(z));
            joint.scores.push(score_chart(z, at) * WIDTH_SLOPE);
            joint.log_ratios.push(log_prob_chart(z, at) - log_prob_chart(z, reference));
        }
        Ok(joint)
    }

    fn log_prob(&self, x: &[f64], parameters: &[f64]) -> Result<Vec<f64>> {
        let points = points_in_space(x)?;
        let parameters = parameter_rows(THETA, parameters, points.len())?;
        let log_prob = |(&x, theta): (&[f64; 3], &[f64])| {
            let z = self.chart(x);
            let slope = self.height_jet(z).gradient;
            let volume = 0.5 * (slope[0] * slope[0] + slope[1] * slope[1]).ln_1p();
            log_prob_chart(z, width(theta[0])) - volume
        };
        Ok(points.iter().zip(parameters).map(log_prob).collect())
    }

    fn project(&self, x: &[f64]) -> Result<Vec<f64>> {
        let nearest = |&x: &[f64; 3]| self.embed(nearest::nearest(self, unrotate(x)).1);
        Ok(points_in_space(x)?.iter().flat_map(nearest).collect())
    }

    // In the upright frame: R is orthogonal to ten digits only.
    fn distance(&self, x: &[f64]) -> Result<Vec<f64>> {
        let distance = |&x: &[f64; 3]| nearest::nearest(self, unrotate(x)).0;
        Ok(points_in_space(x)?.iter().map(distance).collect())
    }
}

/// The points of a batch.
fn points_in_space(x: &[f64]) -> Result<&[[f64; 3]]> {
    points(x, 3)?;
    Ok(x.as_chunks().0)
}

/// R^T x.
fn unrotate(x: [f64; 3]) -> [f64; 3] {
    let r = PolynomialSurface::ROTATION;
    [0, 1, 2].map(|j| r[0][j] * x[0] + r[1][j] * x[1] + r[2][j] * x[2])
}

/// Draws `n` z, the i-th given the i-th row of `parameters`.
fn draw(n: usize, parameters: &[f64], rng: &mut dyn Rng) -> Result<Vec<[f64; 2]>> {
    let draw = |theta: &[f64]| {
        let wide = rng.random::<f64>() < WIDE_WEIGHT;
        let (mean, width) =
            if wide { (WIDE_MEAN, WIDE_WIDTH) } else { (NARROW_MEAN, width(theta[0])) };
        mean.map(|mean| mean + width * rng.sample::<f64, _>(StandardNormal))
    };
    Ok(parameter_rows(THETA, parameters, n)?.into_iter().map(draw).collect())
}

/// sigma(theta) = 0.2 + 0.8 (0.5 + 0.5 theta).
fn width(theta: f64) -> f64 {
    0.2 + 0.8 * (0.5 + 0.5 * theta)
}
/// Its derivative.
const WIDTH_SLOPE: f64 = 0.4;

/// The derivative of [`log_prob_chart`] with respect to the narrow width: that of the narrow component, as
/// far as z belongs to it.
fn score_chart(z: [f64; 2], narrow_width: f64) -> f64 {
    let [a, b] = [z[0] - NARROW_MEAN[0], z[1] - NARROW_MEAN[1]];
    let narrow = (1.0 - WIDE_WEIGHT).ln() + log_normal(z, NARROW_MEAN, narrow_width);
    let share = (narrow - log_prob_chart(z, narrow_width)).exp();
    share * ((a * a + b * b) / narrow_width.powi(3) - 2.0 / narrow_width)
}

/// The mixture's log density, where the narrow component has this width.
fn log_prob_chart(z: [f64; 2], narrow_width: f64) -> f64 {
    let wide = WIDE_WEIGHT.ln() + log_normal(z, WIDE_MEAN, WIDE_WIDTH);
    let narrow = (1.0 - WIDE_WEIGHT).ln() + log_normal(z, NARROW_MEAN, narrow_width);
    // The larger term is kept out of the exponential, so that the tails do not underflow; far
    // enough out for both squares to overflow, both are negative infinity and so is the sum.
    let (large, small) = if wide > narrow { (wide, narrow) } else { (narrow, wide) };
    if large == f64::NEG_INFINITY { large } else { large + (small - large).exp().ln_1p() }
}

/// The log density of a Gaussian in two dimensions with the covariance width^2 I.
fn log_normal(z: [f64; 2], mean: [f64; 2], width: f64) -> f64 {
    let [a, b] = [(z[0] - mean[0]) / width, (z[1] - mean[1]) / width];
    -0.5 * (a * a + b * b) - 2.0 * width.ln() - std::f64::consts::TAU.ln()
}
