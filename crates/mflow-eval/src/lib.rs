//! Evaluation of manifold-learning flows: statistics of the metrics and figures for the report.
//!
//! What is here takes plain numbers, so that it can be tested without a model:
//!
//! - [`Estimate`]: a mean with its standard error.
//! - [`figures`]: surfaces in three dimensions coloured by log-density, and training curves.

mod error;
mod estimate;
pub mod figures;

pub use error::{Error, Result};
pub use estimate::Estimate;
