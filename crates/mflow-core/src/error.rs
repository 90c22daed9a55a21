//! The error type of this crate.
use crate::DeviceName;
use mflow_bijectors::printable;
use std::path::{Path, PathBuf};

/// Result alias used throughout the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong when a model is built, evaluated, saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A bijector refused its arguments or its config.
    #[error(transparent)]
    Bijector(#[from] mflow_bijectors::Error),
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A device cannot be used.
    #[error("the device {device} cannot be used: {reason}")]
    Device {
        /// The device.
        device: DeviceName,
        /// Why, and what to do.
        reason: String,
    },
    /// A value that must be finite is not.
    #[error("{op}: `{arg}` must be finite, found {value} at row {row}, column {column}")]
    NonFinite {
        /// Public function that rejected the argument.
        op: &'static str,
        /// Name of the argument.
        arg: &'static str,
        /// Row, counted from 0.
        row: usize,
        /// Column, counted from 0.
        column: usize,
        /// What was found.
        value: f64,
    },
    /// A model was asked for something that it does not have.
    #[error("{op}: {model} has none: {reason}")]
    Unsupported {
        /// Public function that was called.
        op: &'static str,
        /// Name of the model.
        model: &'static str,
        /// Why, and what to ask instead.
        reason: &'static str,
    },
    /// The last column of a latent or coordinate names no chart of the atlas.
    #[error(
        "{op}: expected the number of a chart, 0 to {}, as the last column, found {found} at row {row}",
        .charts.saturating_sub(1)
    )]
    NoChart {
        /// Public function that rejected the argument.
        op: &'static str,
        /// Row, counted from 0.
        row: usize,
        /// Number of charts.
        charts: usize,
        /// What was found.
        found: f64,
    },
    /// Something needs more memory than it may take.
    #[error(
        "{op}: expected at most {allowed} bytes of memory, found that {needed} bytes are needed at least"
    )]
    Memory {
        /// What was computed.
        op: &'static str,
        /// Bytes that the smallest part of it takes.
        needed: usize,
        /// Bytes that it may take.
        allowed: usize,
    },
    /// A numerical solution did not reach its tolerance.
    #[error("{op}: not converged after {steps} steps")]
    NotConverged {
        /// What was solved.
        op: &'static str,
        /// Steps made.
        steps: usize,
    },
    /// An argument has another shape than documented.
    #[error("{op}: expected `{arg}` of shape {expected}, found {found:?}")]
    Shape {
        /// Public function that rejected the argument.
        op: &'static str,
        /// Name of the argument.
        arg: &'static str,
        /// Expected shape.
        expected: String,
        /// Shape received.
        found: Vec<usize>,
    },
    /// Data that do not have what the function needs, such as enough different rows.
    #[error("{op}: expected `{arg}` with {expected}, found {found}")]
    Data {
        /// Public function that rejected the argument.
        op: &'static str,
        /// Name of the argument.
        arg: &'static str,
        /// What the data need to have.
        expected: String,
        /// What they have.
        found: String,
    },
    /// Rows that span fewer dimensions than a manifold is to have.
    #[error(
        "{op}: the rows lie in a linear subspace of {rank} dimension{}, less than the manifold dimension \
         {manifold_dim}",
        if *.rank == 1 { "" } else { "s" }
    )]
    Rank {
        /// Public function that rejected the rows.
        op: &'static str,
        /// The dimensions that the rows span.
        rank: usize,
        /// The dimension of the manifold.
        manifold_dim: usize,
    },
    /// A layer of a generator does not fit the layer before it, or its tensors do not fit the layer.
    #[error(
        "layer {layer} of the generator (`{kind}`): {}: expected {expected}, found {found}",
        printable(what)
    )]
    GeneratorLayer {
        /// The position of the layer, counted from 0.
        layer: usize,
        /// What the layer is called.
        kind: &'static str,
        /// The tensor or setting that does not fit.
        what: Box<str>,
        /// What it should be.
        expected: Box<str>,
        /// What it is.
        found: Box<str>,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", of_path(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is not a model file of a version that this program reads.
    #[error("{}: not a readable model file: {}", of_path(path), printable(reason))]
    ModelFile {
        /// The file.
        path: PathBuf,
        /// What is wrong: what was expected and what was found.
        reason: String,
    },
}

impl Error {
    /// An [`Error::Io`] at `path`; a full disk is said in plain words.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// A path for a message.
fn of_path(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}
