//! What a fit finds out before it trains, for whoever waits for it.
use super::{ColumnFacts, Shape};
use mflow_train::{Attempt, effective_sample_size};
use std::fmt;

/// Something that was found out or decided; as text, a line for a person.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum News {
    /// What the columns are like.
    Columns {
        /// Rows of the data.
        rows: usize,
        /// The columns.
        facts: ColumnFacts,
    },
    /// What the weights of the rows are like.
    Weights {
        /// How many rows of equal weights would know as much; see [`mflow_train::effective_sample_size`].
        effective: f64,
        /// Rows.
        rows: usize,
        /// Rows with a weight below 0.
        negative: usize,
    },
    /// The data lie on a manifold of about so many dimensions, where the ambient density that is fitted has no bound.
    NoBound(usize),
    /// The dimension that the data recommend.
    Dimension {
        /// It.
        dimension: usize,
        /// Why.
        because: String,
    },
    /// The errors of short runs by the dimension of the manifold.
    Dimensions {
        /// The model of those runs.
        model: String,
        /// Dimension and reconstruction error on held-out rows, in units of the normalised data.
        errors: Vec<(usize, f64)>,
    },
    /// The data lie in a plane of so many dimensions.
    Plane(usize),
    /// The shape of the manifold.
    Shape(Shape),
    /// No start is guided by distances along the manifold; why not.
    NoDistances(String),
    /// A way that nobody asked for by name cannot be tried.
    NotTried {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A trial has ended.
    Trial(Attempt),
    /// The name of what the trials chose.
    Chosen(String),
}

impl News {
    /// Of the weights of all rows.
    pub fn of_weights(weights: &[f64]) -> Self {
        Self::Weights {
            effective: effective_sample_size(weights),
            rows: weights.len(),
            negative: weights.iter().filter(|w| **w < 0.).count(),
        }
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Columns { rows, facts } => write!(f, "{rows} rows of {facts}"),
            Self::Weights { effective, rows, negative } => {
                write!(f, "weights: {rows} rows count as {effective:.1} of equal weight")?;
                match negative {
                    0 => Ok(()),
                    negative => write!(
                        f,
                        "\nwarning: {negative} weights are below 0: a likelihood has no bound where such rows are alone, so \
                         watch the validation loss; where the manifold is learned, their sizes count"
                    ),
                }
            }
            Self::NoBound(n) => write!(
                f,
                "warning: these data lie on a manifold of about {n} dimensions, or very near one: an ambient density has \
                 no bound there, and its log_prob tells how narrow it became. Try `--model m-flow --manifold-dim {n}`"
            ),
            Self::Dimension { dimension, because } => {
                write!(f, "dimension of the manifold, by the data: {dimension}: {because}")
            }
            Self::Dimensions { model, errors } => {
                write!(f, "reconstruction error on held-out rows of {model} after short runs:")?;
                for (i, (n, error)) in errors.iter().enumerate() {
                    let sign = if i > 0 { "," } else { "" };
                    write!(f, "{sign} {error:.2e} with --manifold-dim {n}")?;
                }
                Ok(())
            }
            Self::Plane(n) => write!(
                f,
                "the data lie in a plane of {n} dimensions: principal components are the manifold, and only the density \
                 on it is learned"
            ),
            Self::Shape(shape) => describe(*shape, f),
            Self::NoDistances(reason) => {
                write!(f, "note: no start is guided by distances along the manifold: {reason}")
            }
            Self::NotTried { name, reason } => write!(f, "note: {name} is not tried: {reason}"),
            Self::Trial(trial) => write!(
                f,
                "trial of {}: reconstruction error {:.2e} on held-out rows after {} updates, {:.0} s",
                trial.start.as_deref().unwrap_or_default(),
                trial.error,
                trial.updates,
                trial.seconds
            ),
            Self::Chosen(name) => write!(f, "chosen: {name}"),
        }
    }
}

/// Where one chart does not cover a shape, and rows that are on no part of it.
fn describe(shape: Shape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let pieces = (shape.pieces > 1).then(|| format!("in {} pieces", shape.pieces));
    let closed = shape.closed.then(|| "closed, or folded back onto itself".to_owned());
    let parts: Vec<String> = pieces.into_iter().chain(closed).collect();
    match parts.as_slice() {
        [] => write!(f, "the manifold seems to be open and in one piece")?,
        parts => write!(f, "the manifold seems to be {}", parts.join(", and "))?,
    }
    match shape.outliers {
        0 => Ok(()),
        outliers => write!(
            f,
            "; rows far from all others do not guide a start: {outliers} of {} that were looked at",
            shape.rows
        ),
    }
}
