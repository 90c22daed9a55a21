//! The error type of the front door.

use std::path::PathBuf;

use mflow_bijectors::printable;

/// Result alias used throughout the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in a fit or an experiment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model refused its arguments, or a file could not be read or written.
    #[error(transparent)]
    Model(#[from] mflow_core::Error),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] mflow_train::Error),
    /// A data set or simulator failed.
    #[error(transparent)]
    Data(#[from] mflow_data::Error),
    /// An evaluation or a figure failed.
    #[error(transparent)]
    Eval(#[from] mflow_eval::Error),
    /// A bijector refused something.
    #[error(transparent)]
    Bijector(#[from] mflow_bijectors::Error),
    /// A configuration field is out of range.
    #[error("invalid config: `{field}` {reason}")]
    Config {
        /// Path of the field.
        field: &'static str,
        /// What is wrong, as a predicate.
        reason: String,
    },
    /// A setting of a config, from a file or given by itself, is wrong.
    #[error("{}", printable(&format!(
        "{}{}{message}",
        file.as_ref().map_or_else(String::new, |f| format!("{f}: ")),
        path.as_ref().map_or_else(String::new, |p| format!("`{p}`: "))
    )))]
    Setting {
        /// The file that it is from, if it is from one.
        file: Option<String>,
        /// Path of the field, like `train.phases.0.epochs`; none if it is about all of them together.
        path: Option<String>,
        /// What is wrong.
        message: String,
    },
    /// What is asked of a fit does not fit together.
    #[error("`{field}`: {reason}")]
    Request {
        /// The field of [`crate::fit::FitRequest`].
        field: &'static str,
        /// What is wrong: what was expected, and what was found.
        reason: String,
    },
    /// Runs cannot be compared.
    #[error("a comparison: expected {expected}, found {found}")]
    Comparison {
        /// What there should be.
        expected: String,
        /// What there is.
        found: String,
    },
    /// There is nothing to draw the figures of a report with.
    #[error(
        "the crate `plotly` embeds no script for the figures of a report where one was expected"
    )]
    NoScript,
    /// A file of a run is damaged.
    #[error("{}", printable(&format!("{}: {reason}", path.display())))]
    Run {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}
