//! Phases and schedules, as data.
use crate::loss::{Loss, WeightedLoss};
use crate::lr::LrSchedule;
use crate::optim::AdamWConfig;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Which weights a phase ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Keep {
    /// Those of the epoch with the smallest validation loss.
    #[default]
    Best,
    /// Those of the last epoch (the published runs).
    Last,
}

/// One phase of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Phase {
    /// Name, for messages and metrics.
    pub name: String,
    /// Groups of parameters that train, by the first part of their names: `outer`, `inner`.
    pub trains: Vec<String>,
    /// What is minimised.
    pub losses: Vec<WeightedLoss>,
    /// Passes over the training rows.
    pub epochs: usize,
    /// Rows per update.
    #[serde(default = "default_batch")]
    pub batch_size: usize,
    /// The optimizer.
    #[serde(default)]
    pub optimizer: AdamWConfig,
    /// How the learning rate runs over the phase.
    #[serde(default)]
    pub lr_schedule: LrSchedule,
    /// The norm to which larger gradients are scaled down; 0 turns clipping off.
    #[serde(default = "default_clip")]
    pub clip_norm: f64,
    /// Which weights the phase ends with.
    #[serde(default)]
    pub keep: Keep,
}

fn default_batch() -> usize {
    100
}
fn default_clip() -> f64 {
    1.
}

impl Phase {
    /// A phase with the defaults for everything else.
    pub fn new(
        name: impl Into<String>,
        trains: &[&str],
        losses: Vec<WeightedLoss>,
        epochs: usize,
    ) -> Self {
        Self {
            name: name.into(),
            trains: trains.iter().map(|&g| g.to_owned()).collect(),
            losses,
            epochs,
            batch_size: default_batch(),
            optimizer: AdamWConfig::default(),
            lr_schedule: LrSchedule::default(),
            clip_norm: default_clip(),
            keep: Keep::default(),
        }
    }

    /// Whether the phase trains the parameters of layer `name`.
    pub(crate) fn trains_parameter(&self, name: &str) -> bool {
        let group = name.split('.').next().unwrap_or(name);
        self.trains.iter().any(|g| g == group)
    }

    fn validate(&self, path: &str) -> Result<()> {
        let positive = |field: &str, v: usize| {
            if v > 0 {
                return Ok(());
            }
            Err(Error::config(format!("{path}.{field}"), "must be positive, found 0"))
        };
        positive("epochs", self.epochs)?;
        positive("batch_size", self.batch_size)?;
        positive("trains (number of groups)", self.trains.len())?;
        positive("losses (number of losses)", self.losses.len())?;
        for (i, w) in self.losses.iter().enumerate() {
            if !(w.weight > 0. && w.weight.is_finite()) {
                let reason = format!("must be positive and finite, found {}", w.weight);
                return Err(Error::config(format!("{path}.losses[{i}].weight"), reason));
            }
        }
        if self.clip_norm < 0. || !self.clip_norm.is_finite() {
            let reason = format!("must be 0 (off) or positive, found {}", self.clip_norm);
            return Err(Error::config(format!("{path}.clip_norm"), reason));
        }
        self.optimizer.validate(&format!("{path}.optimizer"))
    }
}

/// How a model is trained: everything but the model and the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TrainConfig {
    /// The phases, one after the other.
    pub phases: Vec<Phase>,
    /// Share of the rows that is held out to choose weights.
    #[serde(default = "default_validation")]
    pub validation_fraction: f64,
    /// Largest number of row shards of a batch; 0 means one per core when the run starts.
    #[serde(default)]
    pub shards: usize,
    /// Seconds between checkpoints inside an epoch.
    #[serde(default = "default_checkpoint_seconds")]
    pub checkpoint_seconds: f64,
}

fn default_validation() -> f64 {
    0.1
}
fn default_checkpoint_seconds() -> f64 {
    30.
}

impl TrainConfig {
    /// The given phases, with the defaults for everything else.
    pub fn new(phases: Vec<Phase>) -> Self {
        Self {
            phases,
            validation_fraction: default_validation(),
            shards: 0,
            checkpoint_seconds: default_checkpoint_seconds(),
        }
    }

    /// The M/D sequential schedule: first the manifold by its reconstruction error, then the density
    /// on it, each for half of `epochs` (at least one). Brehmer & Cranmer (2020), section 3.B.
    pub fn sequential(epochs: usize) -> Self {
        let weighted = |loss, weight| vec![WeightedLoss { loss, weight }];
        let first = (epochs / 2).max(1);
        let second = epochs.saturating_sub(first).max(1);
        let manifold = weighted(Loss::Reconstruction, 1000.);
        let density = weighted(Loss::CoordinateLikelihood, 1.);
        Self::new(vec![
            Phase::new("manifold", &["outer"], manifold, first),
            Phase::new("density", &["inner"], density, second),
        ])
    }

    /// Check every field.
    ///
    /// # Errors
    /// If one is out of range, with its path.
    pub fn validate(&self) -> Result<()> {
        if self.phases.is_empty() {
            return Err(Error::config("train.phases", "must not be empty"));
        }
        for (i, phase) in self.phases.iter().enumerate() {
            phase.validate(&format!("train.phases[{i}]"))?;
        }
        if !(self.validation_fraction > 0. && self.validation_fraction < 1.) {
            let reason = format!("must be between 0 and 1, found {}", self.validation_fraction);
            return Err(Error::config("train.validation_fraction", reason));
        }
        if self.checkpoint_seconds.is_nan() || self.checkpoint_seconds < 0. {
            let reason = format!("must not be negative, found {}", self.checkpoint_seconds);
            return Err(Error::config("train.checkpoint_seconds", reason));
        }
        Ok(())
    }
}
