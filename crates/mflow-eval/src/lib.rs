#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! - [`metrics`]: distances, likelihoods and divergences of a model against a simulator.
//! - [`statistics`]: of samples, without models.
//! - [`features`]: images as rows of numbers in which samples are compared.
//! - [`Estimate`]: a mean with its standard error.
//! - [`Posterior`], [`sample_posterior`]: parameters given observed rows, by the likelihood of a model.
//! - [`DimensionStudy`]: how many dimensions the manifold has that rows lie on.
//! - [`figures`]: surfaces in three dimensions coloured by log-density, training curves, panels of planes, corner
//!   plots.

mod dimension;
mod error;
mod estimate;
pub mod features;
pub mod figures;
pub mod mcmc;
pub mod metrics;
mod number;
mod posterior;
mod posterior_sample;
pub mod statistics;

pub use dimension::{
    DimensionConfig, DimensionCurve, DimensionEstimator, DimensionPoint, DimensionStudy,
    draw_dimension,
};
pub use error::{Error, Result};
pub use estimate::Estimate;
pub use number::to_digits_of;
pub use posterior::{Posterior, TruePosterior};
pub use posterior_sample::{
    ChainConfig, LEAST_EFFECTIVE_SAMPLE_SIZE, ParameterSummary, PosteriorSample, R_HAT_LIMIT,
    Sampler, sample_posterior,
};
