//! The error type of this crate.
use candle_core::DType;

/// Result alias used throughout the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong when a bijector is built, applied or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor argument does not have the documented shape.
    #[error("{op}: expected `{arg}` of shape {expected}, found {found:?}")]
    Shape {
        /// Public function that rejected the argument.
        op: &'static str,
        /// Name of the argument.
        arg: &'static str,
        /// Expected shape in the notation of the docs, e.g. `[B, 3]`.
        expected: String,
        /// Shape received.
        found: Vec<usize>,
    },
    /// A tensor argument does not have the dtype of the parameters; nothing is ever cast.
    #[error("{op}: expected `{arg}` of dtype {expected:?}, found {found:?}")]
    DType {
        /// Public function that rejected the argument.
        op: &'static str,
        /// Name of the argument.
        arg: &'static str,
        /// Dtype of the parameters.
        expected: DType,
        /// Dtype received.
        found: DType,
    },
    /// A tensor argument lives on another device than the parameters.
    #[error("{op}: expected `{arg}` on device {expected}, found {found}")]
    Device {
        /// Public function that rejected the argument.
        op: &'static str,
        /// Name of the argument.
        arg: &'static str,
        /// Device of the parameters.
        expected: String,
        /// Device received.
        found: String,
    },
    /// A conditional bijector was called without a context.
    #[error("{op}: a context of shape [B, {expected}] is required, found none")]
    MissingContext {
        /// Public function that rejected the call.
        op: &'static str,
        /// Number of context features.
        expected: usize,
    },
    /// A configuration field is out of range.
    #[error("invalid config: `{field}` {reason}")]
    Config {
        /// Path of the field, e.g. `rq_coupling.bins`.
        field: String,
        /// What is wrong, as a predicate: "must be positive, found 0".
        reason: String,
    },
    /// Two layers asked for the same parameter name.
    #[error("parameter `{name}` was requested twice; give each layer its own prefix")]
    DuplicateParameter {
        /// Full dotted name.
        name: String,
    },
    /// Named tensors do not fit the layers that asked for them.
    #[error("parameters do not fit the model: missing {missing:?}, unexpected {unexpected:?}")]
    ParameterNames {
        /// Names the model has and the tensors lack.
        missing: Vec<String>,
        /// Names the tensors have and the model lacks.
        unexpected: Vec<String>,
    },
    /// A named tensor has another shape than the layer that asked for it.
    #[error("parameter `{name}`: expected shape {expected:?}, found {found:?}")]
    ParameterShape {
        /// Full dotted name.
        name: String,
        /// Shape the layer asked for.
        expected: Vec<usize>,
        /// Shape found.
        found: Vec<usize>,
    },
    /// A named tensor holds a value that no layer can use.
    #[error("parameter `{name}`: {reason}")]
    ParameterValue {
        /// Full dotted name.
        name: String,
        /// What is wrong, as a predicate.
        reason: String,
    },
    /// A numerical inverse did not reach its tolerance.
    #[error("{op}: {unfinished} elements have not converged after {steps} steps")]
    NotConverged {
        /// The method.
        op: &'static str,
        /// Steps made.
        steps: usize,
        /// Number of elements that still moved.
        unfinished: f64,
    },
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// An [`Error::Config`].
    pub fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { field: field.into(), reason: reason.into() }
    }
}
