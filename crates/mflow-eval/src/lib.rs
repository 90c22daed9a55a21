//! Evaluation of manifold-learning flows: statistics of the metrics and figures for the report.
//!
//! - [`metrics`]: distances, likelihoods and divergences of a model against a simulator.
//! - [`Estimate`]: a mean with its standard error.
//! - [`figures`]: surfaces in three dimensions coloured by log-density, training curves, panels of planes.

mod error;
mod estimate;
pub mod figures;
pub mod mcmc;
pub mod metrics;
mod posterior;
pub mod statistics;

pub use error::{Error, Result};
pub use estimate::Estimate;
pub use posterior::{Posterior, TruePosterior};
