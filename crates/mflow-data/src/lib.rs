#![doc = include_str!("../README.md")]
//!
//! # Architecture invariants
//!
//! Everything here is in double precision and knows nothing of tensors: a batch is a flat slice in row-major order, `[n, D]`
//! meaning `n` rows of `D` values one after another.

mod error;
pub mod geographic;
pub mod io;
mod noise;
pub mod pixels;
mod place;
mod prior;
mod scenes;
mod simulator;
mod simulators;
pub mod wbf;

pub use error::{Error, Result};
pub use noise::add_noise;
pub use place::Place;
pub use prior::Prior;
pub use scenes::{NearestScenes, Scenes};
pub use simulator::{JointSample, Likelihood, Parameter, Simulator, parameter_rows, points};
pub use simulators::*;
