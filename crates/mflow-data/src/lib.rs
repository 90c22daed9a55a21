//! Data for manifold-learning flows: tables of numbers on disk, and simulators whose density and
//! distance to the manifold are known exactly.
//!
//! Everything here is in double precision and knows nothing of tensors: a batch is a flat slice
//! in row-major order, `[n, D]` meaning `n` rows of `D` values one after another.

mod error;
pub mod geographic;
pub mod io;
mod noise;
mod prior;
mod simulator;
mod simulators;
pub mod wbf;

pub use error::{Error, Place, Result};
pub use noise::add_noise;
pub use prior::Prior;
pub use simulator::{JointSample, Likelihood, Parameter, Simulator};
pub use simulators::*;
