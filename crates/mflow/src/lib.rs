//! Manifold-learning normalizing flows: the front door.
//!
//! Re-exports the layers, and holds what the `mflow` program is made of: fitting a model to a table
//! ([`fit`]) and running an experiment on an exact simulator or a file ([`experiment`]).
pub mod experiment;
pub mod figures;
pub mod fit;

mod error;
mod finished;
mod report;

pub use error::{Error, Result};
pub use finished::FinishedRun;
pub use mflow_bijectors as bijectors;
pub use mflow_core as core;
pub use mflow_data as data;
pub use mflow_eval as eval;
pub use mflow_train as train;
pub use report::{RESULT_FILE, Report};

/// The code of the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
