//! What a simulator can do: sample, and tell the density and the distance exactly.

use std::fmt::Debug;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::{Error, Prior, Result};

/// A parameter of a simulator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What is known of it before any data.
    pub prior: Prior,
    /// The value that published results are for, where there are any.
    pub default: f64,
}

/// Data points with what a simulator that knows the density of its latent variables z can say of them.
/// Brehmer, Louppe, Pavez & Cranmer (2020), *Mining gold from implicit models*, arXiv 1805.12244.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JointSample {
    /// The points, `[n, D]`.
    pub x: Vec<f64>,
    /// Joint scores `d log p(x, z | theta) / d theta`, `[n, P]`.
    pub scores: Vec<f64>,
    /// Joint log-ratios `log p(x, z | theta) - log p(x, z | default parameters)`, `[n]`, in nats.
    pub log_ratios: Vec<f64>,
}

/// The likelihood function of given points: what a posterior evaluates again and again.
pub trait Likelihood: Debug + Send + Sync {
    /// The log-density of each of the points given the parameters `theta`, `[P]`: `[n]`, in nats.
    ///
    /// # Errors
    ///
    /// As [`Simulator::log_prob`].
    fn log_prob(&self, theta: &[f64]) -> Result<Vec<f64>>;
}

/// Points whose density is evaluated anew for each parameter.
#[derive(Debug)]
struct Points<'a, S: ?Sized> {
    of: &'a S,
    x: &'a [f64],
}

impl<S: Simulator + ?Sized> Likelihood for Points<'_, S> {
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "a simulator has a dimension or more, of which the points were made"
    )]
    fn log_prob(&self, theta: &[f64]) -> Result<Vec<f64>> {
        self.of.log_prob(self.x, &theta.repeat(self.x.len() / self.of.data_dim()))
    }
}

/// Standard deviation of the noise that takes points off the manifold, as published.
const NOISE: f64 = 0.1;

/// A process that draws points `x` in `D` dimensions, all on a manifold of `n <= D` dimensions,
/// given `P` parameters, and whose manifold is known, in most cases with the density on it.
///
/// Batches are flat slices in row-major order. Whatever is drawn depends only on the arguments
/// and on the generator's state.
pub trait Simulator: Debug + Send + Sync {
    /// The name by which [`simulator_by_name`](crate::simulator_by_name) finds it.
    fn name(&self) -> &'static str;

    /// `D`, the number of coordinates of a data point.
    fn data_dim(&self) -> usize;

    /// `n`, the dimension of the manifold.
    fn manifold_dim(&self) -> usize;

    /// Its parameters; empty for a simulator that has none.
    fn parameters(&self) -> &'static [Parameter];

    /// `P`, the number of parameters.
    fn parameter_dim(&self) -> usize {
        self.parameters().len()
    }

    /// What is known of each parameter before any data: `[P]`.
    fn priors(&self) -> Vec<Prior> {
        self.parameters().iter().map(|p| p.prior).collect()
    }

    /// The parameter point that published results are for: `[P]`.
    fn default_parameters(&self) -> Vec<f64> {
        self.parameters().iter().map(|p| p.default).collect()
    }

    /// Whether [`log_prob`](Self::log_prob), [`project`](Self::project) and what uses them are known;
    /// else they are errors.
    fn is_tractable(&self) -> bool {
        true
    }

    /// Draws `n` parameter points from the prior: `[n, P]`.
    fn sample_prior(&self, n: usize, rng: &mut dyn Rng) -> Vec<f64> {
        let mut draw = |p: &Parameter| p.prior.sample(rng);
        (0..n).flat_map(|_| self.parameters().iter().map(&mut draw).collect::<Vec<_>>()).collect()
    }

    /// Draws `n` data points, the i-th given the i-th row of `parameters` (`[n, P]`): `[n, D]`.
    ///
    /// `n` is an argument because with `P = 0` the parameters do not tell it.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`] where `parameters` is not `[n, P]`, and [`Error::Parameter`] for a
    /// value outside the prior's support.
    fn sample(&self, n: usize, parameters: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>>;

    /// Whether [`sample_joint`](Self::sample_joint) is known.
    fn has_scores(&self) -> bool {
        false
    }

    /// Draws the same points as [`sample`](Self::sample) does given `parameters` (`[n, P]`), with their joint
    /// scores and ratios at `hypotheses` (`[n, P]`), which may be other parameters.
    ///
    /// # Errors
    ///
    /// As [`sample`](Self::sample), and [`Error::Intractable`] where the density of latent variables has
    /// no formula.
    fn sample_joint(
        &self,
        _n: usize,
        _parameters: &[f64],
        _hypotheses: &[f64],
        _rng: &mut dyn Rng,
    ) -> Result<JointSample> {
        Err(Error::Intractable { simulator: self.name(), what: "joint score" })
    }

    /// The logarithm of the density at each of the points `x` (`[n, D]`) given the parameters of
    /// the same row (`[n, P]`): `[n]`, in nats.
    ///
    /// The density is with respect to the manifold's own area (its n-dimensional Hausdorff
    /// measure) in units of the data, so that its integral over the manifold is 1. It is that at
    /// the point of the manifold to which the simulator's chart assigns `x`: for a point off the
    /// manifold this is a projection, and says nothing of how far off it lies; see
    /// [`distance`](Self::distance).
    ///
    /// # Errors
    ///
    /// [`Error::PartialRow`] where `x` is not whole rows, [`Error::BatchSize`] where `parameters`
    /// has not as many, [`Error::Parameter`] for a value outside the prior's support, and
    /// [`Error::Coordinate`] for a point that is not finite. [`Error::Intractable`] where the density
    /// has no formula.
    fn log_prob(&self, x: &[f64], parameters: &[f64]) -> Result<Vec<f64>>;

    /// The likelihood function of the points `x`, `[n, D]`: [`log_prob`](Self::log_prob) with what depends on the points
    /// alone computed once, where a simulator can do that.
    ///
    /// # Errors
    ///
    /// As [`log_prob`](Self::log_prob).
    fn likelihood<'a>(&'a self, x: &'a [f64]) -> Result<Box<dyn Likelihood + 'a>> {
        points(x, self.data_dim())?;
        Ok(Box::new(Points { of: self, x }))
    }

    /// The likelihood function as [`likelihood`](Self::likelihood) has it, integrated anew by other random points where it is
    /// an integral by chance: the two differ by its error. None where the density has a formula.
    ///
    /// # Errors
    ///
    /// As [`log_prob`](Self::log_prob).
    fn likelihood_again<'a>(&'a self, _x: &'a [f64]) -> Result<Option<Box<dyn Likelihood + 'a>>> {
        Ok(None)
    }

    /// The point of the manifold nearest to each of the points `x` (`[n, D]`): `[n, D]`.
    ///
    /// # Errors
    ///
    /// [`Error::PartialRow`] where `x` is not whole rows, [`Error::Coordinate`] for a point that is not
    /// finite, and [`Error::Intractable`] where nearest points cannot be found.
    fn project(&self, x: &[f64]) -> Result<Vec<f64>>;

    /// The Euclidean distance of each of the points `x` (`[n, D]`) to the nearest point of the
    /// manifold: `[n]`, in units of the data.
    ///
    /// # Errors
    ///
    /// As [`project`](Self::project).
    fn distance(&self, x: &[f64]) -> Result<Vec<f64>> {
        let nearest = self.project(x)?;
        let d = self.data_dim();
        let squared =
            |(x, y): (&[f64], &[f64])| x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
        Ok(x.chunks_exact(d)
            .zip(nearest.chunks_exact(d))
            .map(|pair| squared(pair).sqrt())
            .collect())
    }

    /// Draws `n` points off the manifold, as [`sample`](Self::sample) does on it: its points with
    /// Gaussian noise of standard deviation 0.1 in each coordinate. `[n, D]`.
    ///
    /// # Errors
    ///
    /// As [`sample`](Self::sample).
    fn sample_out_of_distribution(
        &self,
        n: usize,
        parameters: &[f64],
        rng: &mut dyn Rng,
    ) -> Result<Vec<f64>> {
        let mut x = self.sample(n, parameters, rng)?;
        x.iter_mut().for_each(|x| *x += NOISE * rng.sample::<f64, _>(StandardNormal));
        Ok(x)
    }
}

/// The `n` rows of `parameters`, `[n, P]`, each within the prior's support: how a simulator checks its arguments.
///
/// # Errors
///
/// [`Error::BatchSize`] where there are not so many, [`Error::Parameter`] for the first value outside.
#[expect(
    clippy::indexing_slicing,
    reason = "as many parameters as rows times columns, as was checked"
)]
pub fn parameter_rows<'a>(
    of: &[Parameter],
    parameters: &'a [f64],
    n: usize,
) -> Result<Vec<&'a [f64]>> {
    let cols = of.len();
    if n.checked_mul(cols) != Some(parameters.len()) {
        // Where there are none to be, the error counts those that are there.
        let (rows, cols) = if cols == 0 { (0, 1) } else { (n, cols) };
        return Err(Error::BatchSize { what: "parameters", rows, cols, found: parameters.len() });
    }
    let row = |row: usize| {
        let values = &parameters[row * cols..(row + 1) * cols];
        match of.iter().zip(values).find(|(p, value)| !p.prior.contains(**value)) {
            None => Ok(values),
            Some((&Parameter { name, prior, .. }, &found)) => {
                Err(Error::Parameter { row, name, prior, found })
            }
        }
    };
    (0..n).map(row).collect()
}

/// The finite points of the batch `x`, `[n, D]`: how a simulator checks its arguments.
///
/// # Errors
///
/// [`Error::PartialRow`] where they are not whole, [`Error::Coordinate`] for the first value that is not
/// finite.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "d is not 0, as was checked"
)]
pub fn points(x: &[f64], d: usize) -> Result<Vec<&[f64]>> {
    if d == 0 || !x.len().is_multiple_of(d) {
        return Err(Error::PartialRow { what: "data", cols: d, found: x.len() });
    }
    match x.iter().position(|value| !value.is_finite()) {
        None => Ok(x.chunks_exact(d).collect()),
        Some(i) => Err(Error::Coordinate { row: i / d, coordinate: i % d, found: x[i] }),
    }
}
