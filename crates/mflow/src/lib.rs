#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! Beside the layers there is what the program is made of: fitting a model to a table ([`fit`]), running an experiment on an
//! exact simulator or a file ([`experiment`]), asking a fitted model of many rows ([`ask`]), whether a density that hangs on an encoder can be trusted ([`cycle`]),
//! posteriors of parameters ([`InferredSet`]), models that were trained elsewhere ([`import_nflows`]), and reports ([`html`]).
pub mod ask;
pub mod cycle;
pub mod experiment;
pub mod figures;
pub mod fit;
pub mod html;
pub mod tensorboard;

mod error;
mod finished;
mod import;
mod inferred;
mod latents;
mod pictures;
mod report;
mod settings;
mod title;
mod true_surface;

pub use error::{Error, Result};
pub use finished::{Finished, FinishedFit, FinishedRun};
pub use import::{import_nflows, read_state_dict};
pub use inferred::{InferredSet, infer};
pub use mflow_bijectors as bijectors;
pub use mflow_core as core;
pub use mflow_data as data;
pub use mflow_eval as eval;
pub use mflow_train as train;
pub use report::{RESULT_FILE, Report};
pub use settings::{Setting, with_settings};
