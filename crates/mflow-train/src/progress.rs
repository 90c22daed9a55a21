//! What a trainer tells whoever watches.
use crate::attempt::Attempt;
use serde::{Deserialize, Serialize};

/// One finished epoch: a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochMetrics {
    /// Name of the phase.
    pub phase: String,
    /// Attempt at the phase, counted from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub attempt: usize,
    /// Epoch in the phase, or cycle of its alternation, counted from 1.
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_first(attempt: &usize) -> bool {
    *attempt == 0
}

/// Where training stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Name of the phase.
    pub phase: &'a str,
    /// Epoch in the phase, or cycle of its alternation, counted from 1.
    pub epoch: usize,
    /// Epochs of the phase, or cycles of its alternation.
    pub epochs: usize,
    /// Updates done in this phase, or in all phases of its alternation.
    pub steps: u64,
    /// Updates that it takes, or they take.
    pub total_steps: u64,
    /// Loss of the last batch.
    pub loss: f64,
}

/// Receives what happens; every method does nothing by default.
pub trait Observer {
    /// After each update.
    fn batch(&mut self, _progress: Progress<'_>) {}
    /// After each epoch.
    fn epoch(&mut self, _metrics: &EpochMetrics) {}
    /// After each attempt at learning a manifold.
    fn attempt(&mut self, _attempt: &Attempt) {}
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
