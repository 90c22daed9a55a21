//! What a trainer tells whoever watches.
use serde::{Deserialize, Serialize};

/// One finished epoch: a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochMetrics {
    /// Name of the phase.
    pub phase: String,
    /// Epoch in the phase, counted from 1.
    pub epoch: usize,
    /// Mean training loss over the epoch.
    pub train_loss: f64,
    /// Validation loss after it.
    pub validation_loss: f64,
    /// Learning rate of its last update.
    pub learning_rate: f64,
    /// Mean norm of the gradient before clipping.
    pub gradient_norm: f64,
}

/// Where training stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Name of the phase.
    pub phase: &'a str,
    /// Epoch in the phase, counted from 1.
    pub epoch: usize,
    /// Epochs of the phase.
    pub epochs: usize,
    /// Updates done in this phase.
    pub steps: usize,
    /// Updates that the phase takes.
    pub total_steps: usize,
    /// Loss of the last batch.
    pub loss: f64,
}

/// Receives what happens; every method does nothing by default.
pub trait Observer {
    /// After each update.
    fn batch(&mut self, _progress: Progress<'_>) {}
    /// After each epoch.
    fn epoch(&mut self, _metrics: &EpochMetrics) {}
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
