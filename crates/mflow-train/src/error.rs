//! The error type of this crate.
use mflow_bijectors::printable;
use std::path::PathBuf;

/// What went wrong where rows come from.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Result alias used throughout the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model refused its arguments, or a file could not be read or written.
    #[error(transparent)]
    Model(#[from] mflow_core::Error),
    /// A bijector or the parameter store refused something.
    #[error(transparent)]
    Bijector(#[from] mflow_bijectors::Error),
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A configuration field is out of range.
    #[error("invalid config: `{field}` {}", printable(reason))]
    Config {
        /// Path of the field.
        field: String,
        /// What is wrong, as a predicate.
        reason: String,
    },
    /// Rows of the data could not be read.
    #[error(transparent)]
    Source(SourceError),
    /// Data and model do not fit.
    #[error("data do not fit the model: {what}: expected {expected}, found {found}")]
    Data {
        /// Which property.
        what: &'static str,
        /// What the model needs.
        expected: String,
        /// What the data have.
        found: String,
    },
    /// Training produced a number that is not finite; the last checkpoint is untouched.
    #[error(
        "training diverged: {quantity} is {value} in phase `{}`, epoch {epoch}, batch {batch}; a smaller learning rate \
         or clip_norm may help",
        printable(phase)
    )]
    Diverged {
        /// Name of the phase.
        phase: String,
        /// Epoch, counted from 1.
        epoch: usize,
        /// Batch, counted from 1; 0 is the validation at the end of the epoch.
        batch: usize,
        /// Which quantity.
        quantity: &'static str,
        /// Its value.
        value: f64,
    },
    /// The run directory holds something that must not be overwritten.
    #[error("{}", printable(&format!("{}: {reason}", path.display())))]
    RunDirectory {
        /// The directory.
        path: PathBuf,
        /// What was found and what to do.
        reason: String,
    },
    /// A run is resumed with another config, other data or another version.
    #[error(
        "{}: this run was started differently: `{}` was {}, now it is {now}; use another --out or the same settings",
        printable(&path.to_string_lossy()), printable(field), printable(was)
    )]
    ResumeMismatch {
        /// The run directory.
        path: PathBuf,
        /// The field that differs.
        field: String,
        /// Its value when the run was started.
        was: String,
        /// Its value now.
        now: String,
    },
    /// Processes that train together were started differently.
    #[error(
        "rank {rank} has {what} that differs from that of rank 0: all must be started in the same way"
    )]
    Ranks {
        /// What differs.
        what: &'static str,
        /// The first rank that has another.
        rank: usize,
    },
    /// MPI cannot do what is asked for.
    #[error("MPI {reason}")]
    Mpi {
        /// What it says, as a predicate.
        reason: String,
    },
    /// NCCL cannot do what is asked for.
    #[error("NCCL {reason}")]
    Nccl {
        /// What it says, as a predicate.
        reason: String,
    },
    /// The threads of a pool could not be started.
    #[error("cannot start {threads} worker threads: {reason}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        reason: String,
    },
}

impl Error {
    pub(crate) fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { field: field.into(), reason: reason.into() }
    }
    pub(crate) fn run(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::RunDirectory { path: path.into(), reason: reason.into() }
    }
}
