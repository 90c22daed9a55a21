//! Simulators that are a chart with a density: the rest follows from the embedding.

use std::fmt::Debug;

use rand::Rng;

use super::nearest::Nearest;
use super::number::{Dual, Number};
use crate::simulator::{JointSample, Parameter, Simulator, parameter_rows, points};
use crate::{Error, Result};

/// A manifold `x = embed(z)` of dimension `N` in `R^D`, with a density of `z` given parameters.
///
/// By the change of variables formula, the density per area of the manifold is
/// `p(z | theta) / sqrt(det J^T J)`, where J is the Jacobian of the embedding at z.
pub(crate) trait Charted: Debug + Send + Sync {
    /// The name of the simulator.
    fn name(&self) -> &'static str;
    /// `D` and `N`.
    fn dims(&self) -> (usize, usize);
    /// The parameters with their uniform priors.
    fn parameters(&self) -> &'static [Parameter] {
        &[]
    }

    /// Draws z.
    fn draw(&self, theta: &[f64], rng: &mut dyn Rng) -> Vec<f64>;
    /// Moves a point that was drawn off the manifold, where data miss it.
    fn thicken(&self, _x: &mut [f64], _rng: &mut dyn Rng) {}
    /// `log p(z | theta)`, summed over all z of the same point of the manifold, per unit of z.
    fn log_prob_chart(&self, z: &[f64], theta: &[f64]) -> f64;
    /// `log p(z | theta)` of a z as [`draw`](Self::draw) gives it, up to what does not depend on theta, and its
    /// gradient with respect to theta. None where there are no parameters, or no formula.
    fn latent_density(&self, _z: &[f64], _theta: &[f64]) -> Option<(f64, Vec<f64>)> {
        None
    }
    /// The point of the manifold at z.
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T>;
    /// Points of the chart from which the search for the nearest point starts, where
    /// [`Charted::chart`] has no formula: so dense that the manifold is nearly flat between them.
    fn starts(&self) -> Vec<Vec<f64>> {
        vec![]
    }
    /// Moves z, one coordinate at a time, to the edge where the manifold ends; by default it goes on
    /// beyond the data. The search for the nearest point stops there, which finds the nearest one if
    /// the coordinates are orthogonal, as that of a curve is.
    fn clamp(&self, _z: &mut [f64]) {}
    /// The z of the nearest point to x where there is a formula for it.
    fn chart(&self, _x: &[f64]) -> Option<Vec<f64>> {
        None
    }
}

/// A map from coordinates to points: all that Jacobians and nearest points ask for.
pub(crate) trait Embedding {
    /// The point at z.
    fn point<T: Number>(&self, z: &[T]) -> Vec<T>;
    /// As [`Charted::clamp`].
    fn limit(&self, _z: &mut [f64]) {}
}

impl<C: Charted> Embedding for C {
    fn point<T: Number>(&self, z: &[T]) -> Vec<T> {
        self.embed(z)
    }
    fn limit(&self, z: &mut [f64]) {
        self.clamp(z);
    }
}

/// `J`, row by row: `D` rows of `N`.
pub(crate) fn jacobian(of: &impl Embedding, z: &[f64]) -> Vec<Vec<f64>> {
    let column = |j: usize| -> Vec<f64> {
        let direction = z.iter().enumerate();
        let z: Vec<Dual> = direction
            .map(|(i, &value)| Dual { value, tangent: if i == j { 1.0 } else { 0.0 } })
            .collect();
        of.point(&z).into_iter().map(|x| x.tangent).collect()
    };
    let columns: Vec<Vec<f64>> = (0..z.len()).map(column).collect();
    let d = columns.first().map_or(0, Vec::len);
    (0..d).map(|i| columns.iter().map(|column| column[i]).collect()).collect()
}

/// The lower Cholesky factor of the metric `J^T J`, with `1 + damping` times its diagonal.
pub(crate) fn cholesky(jacobian: &[Vec<f64>], damping: f64) -> Vec<Vec<f64>> {
    let n = jacobian.first().map_or(0, Vec::len);
    let mut factor = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let metric: f64 = jacobian.iter().map(|row| row[i] * row[j]).sum();
            let damped = if i == j { metric * (1.0 + damping) } else { metric };
            let rest = damped - (0..j).map(|k| factor[i][k] * factor[j][k]).sum::<f64>();
            factor[i][j] = if i == j { rest.sqrt() } else { rest / factor[j][j] };
        }
    }
    factor
}

/// `log sqrt(det J^T J)`: half the log-determinant of the metric.
pub(crate) fn log_volume(jacobian: &[Vec<f64>]) -> f64 {
    cholesky(jacobian, 0.0).iter().enumerate().map(|(i, row)| row[i].ln()).sum()
}

/// A z with the point of the data that comes of it.
fn draw_point<C: Charted>(of: &C, theta: &[f64], rng: &mut dyn Rng) -> (Vec<f64>, Vec<f64>) {
    let z = of.draw(theta, rng);
    let mut x = of.embed(&z);
    of.thicken(&mut x, rng);
    (z, x)
}

impl<C: Charted> Simulator for C {
    fn name(&self) -> &'static str {
        Charted::name(self)
    }
    fn data_dim(&self) -> usize {
        self.dims().0
    }
    fn manifold_dim(&self) -> usize {
        self.dims().1
    }
    fn parameters(&self) -> &'static [Parameter] {
        Charted::parameters(self)
    }

    fn sample(&self, n: usize, parameters: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        let parameters = parameter_rows(Charted::parameters(self), parameters, n)?;
        Ok(parameters.into_iter().flat_map(|theta| draw_point(self, theta, rng).1).collect())
    }

    fn has_scores(&self) -> bool {
        let anywhere = vec![0.0; self.manifold_dim()];
        self.latent_density(&anywhere, &self.default_parameters()).is_some()
    }

    fn sample_joint(
        &self,
        n: usize,
        parameters: &[f64],
        hypotheses: &[f64],
        rng: &mut dyn Rng,
    ) -> Result<JointSample> {
        let unknown = || Error::Intractable { simulator: self.name(), what: "joint score" };
        let parameters = parameter_rows(Charted::parameters(self), parameters, n)?;
        let hypotheses = parameter_rows(Charted::parameters(self), hypotheses, n)?;
        let reference = self.default_parameters();
        let mut joint = JointSample::default();
        for (theta, hypothesis) in parameters.into_iter().zip(hypotheses) {
            let (z, x) = draw_point(self, theta, rng);
            // Whatever else is drawn does not depend on theta.
            let (log_prob, score) = self.latent_density(&z, hypothesis).ok_or_else(unknown)?;
            let (of_reference, _) = self.latent_density(&z, &reference).ok_or_else(unknown)?;
            joint.x.extend(x);
            joint.scores.extend(score);
            joint.log_ratios.push(log_prob - of_reference);
        }
        Ok(joint)
    }

    fn log_prob(&self, x: &[f64], parameters: &[f64]) -> Result<Vec<f64>> {
        let points = points(x, self.data_dim())?;
        let parameters = parameter_rows(Charted::parameters(self), parameters, points.len())?;
        let nearest = Nearest::new(self);
        let log_prob = |(x, theta): (&[f64], &[f64])| {
            let z = nearest.chart(x);
            self.log_prob_chart(&z, theta) - log_volume(&jacobian(self, &z))
        };
        Ok(points.into_iter().zip(parameters).map(log_prob).collect())
    }

    fn project(&self, x: &[f64]) -> Result<Vec<f64>> {
        let nearest = Nearest::new(self);
        let points = points(x, self.data_dim())?;
        Ok(points.into_iter().flat_map(|x| self.embed(&nearest.chart(x))).collect())
    }
}
