//! A density in units of its prior.
use super::chains::Target;
use crate::{Error, Result};
use mflow_data::Prior;

/// A density of `theta` as one of `z`, with `theta = median + range z` for each parameter, where `range` is that
/// between the quartiles of its prior: for samplers that have one width for all parameters.
#[derive(Debug)]
pub(crate) struct Standardized<'a> {
    target: &'a dyn Target,
    /// Median and range of each parameter.
    units: Vec<[f64; 2]>,
}

impl<'a> Standardized<'a> {
    /// Of a target with these priors.
    ///
    /// # Errors
    /// [`Error::Rows`] where there is not a prior for each parameter.
    pub(crate) fn new(target: &'a dyn Target, priors: &[Prior]) -> Result<Self> {
        if priors.len() != target.dim() {
            return Err(Error::Rows { cols: target.dim(), found: priors.len() });
        }
        let unit = |prior: &Prior| {
            let [lower, median, upper] = [0.25, 0.5, 0.75].map(|p| prior.quantile(p));
            [median, upper - lower]
        };
        Ok(Self { target, units: priors.iter().map(unit).collect() })
    }

    /// Rows of `theta` as rows of `z`.
    pub(crate) fn to_units(&self, thetas: &[f64]) -> Vec<f64> {
        let units = self.units.iter().cycle();
        thetas.iter().zip(units).map(|(theta, [median, range])| (theta - median) / range).collect()
    }

    /// Rows of `z` as rows of `theta`.
    pub(crate) fn to_parameters(&self, zs: &[f64]) -> Vec<f64> {
        zs.iter()
            .zip(self.units.iter().cycle())
            .map(|(z, [median, range])| median + range * z)
            .collect()
    }
}

impl Target for Standardized<'_> {
    fn dim(&self) -> usize {
        self.units.len()
    }

    fn log_prob(&self, z: &[f64]) -> Result<f64> {
        self.target.log_prob(&self.to_parameters(z))
    }
}
