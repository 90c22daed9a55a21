//! Scenes as a simulator: the factors are its latent variables.

use rand::Rng;

use super::Scenes;
use crate::simulator::{Parameter, Simulator, parameter_rows};
use crate::{Error, Result};

impl Scenes {
    fn lacks<T>(&self, what: &'static str) -> Result<T> {
        Err(Error::Intractable { simulator: self.name(), what })
    }
}

impl Simulator for Scenes {
    fn name(&self) -> &'static str {
        Self::name(self)
    }
    fn data_dim(&self) -> usize {
        self.shape().iter().product()
    }
    fn manifold_dim(&self) -> usize {
        self.factors()
    }
    fn parameters(&self) -> &'static [Parameter] {
        &[]
    }
    /// The density of an image is known where its factors are ([`log_prob_of`](Self::log_prob_of)), but the factors of a
    /// given image have no formula.
    fn is_tractable(&self) -> bool {
        false
    }
    fn sample(&self, n: usize, parameters: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        parameter_rows(&[], parameters, n)?;
        self.render(&self.draw_factors(n, rng))
    }
    fn log_prob(&self, _: &[f64], _: &[f64]) -> Result<Vec<f64>> {
        self.lacks("log_prob")
    }
    fn project(&self, _: &[f64]) -> Result<Vec<f64>> {
        self.lacks("project")
    }
}
