//! Phases and stages, as data.
use crate::loss::{Loss, WeightedLoss};
use crate::lr::LrSchedule;
use crate::optim::OptimizerConfig;
use crate::presets::{Schedule, Settings};
use crate::{Error, Result};
use mflow_core::ModelConfig;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Which weights a stage ends with.
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

/// How a stage ends: the fields that a [`Phase`] by itself and an [`Alternate`] share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) keep: Keep,
    pub(crate) patience: usize,
    pub(crate) restarts: usize,
}

/// One phase of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Phase {
    /// Name, for messages and metrics.
    pub name: String,
    /// Groups of parameters that train, by the first part of their names, such as `outer` and `inner`;
    /// `*` stands for all.
    pub trains: Vec<String>,
    /// What is minimised.
    pub losses: Vec<WeightedLoss>,
    /// Passes over the training rows; in an alternation those of each cycle.
    #[serde(default = "one")]
    pub epochs: usize,
    /// Rows per update.
    #[serde(default = "default_batch")]
    pub batch_size: usize,
    /// The optimizer.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// How the learning rate runs over the phase, in an alternation over all of its cycles.
    #[serde(default)]
    pub lr_schedule: LrSchedule,
    /// The norm to which larger gradients are scaled down; 0 turns clipping off.
    #[serde(default = "default_clip")]
    pub clip_norm: f64,
    /// Decay of an exponential moving average of the weights, which then are those that are validated
    /// and kept; 0 turns it off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ema: f64,
    /// Which weights the phase ends with.
    #[serde(default)]
    pub keep: Keep,
    /// End after so many epochs without a smaller validation loss; 0 goes on to the end.
    #[serde(default, skip_serializing_if = "is_none")]
    pub patience: usize,
    /// How often the phase is started anew, from other weights, if its reconstruction failed; see
    /// [`crate::Attempt`].
    #[serde(default, skip_serializing_if = "is_none")]
    pub restarts: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(v: &f64) -> bool {
    *v == 0.
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(v: &usize) -> bool {
    *v == 0
}
fn one() -> usize {
    1
}
fn default_batch() -> usize {
    100
}
fn default_clip() -> f64 {
    1.
}

/// The group that stands for all of them.
const ALL: &str = "*";

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
            optimizer: OptimizerConfig::default(),
            lr_schedule: LrSchedule::default(),
            clip_norm: default_clip(),
            ema: 0.,
            keep: Keep::default(),
            patience: 0,
            restarts: 0,
        }
    }

    /// Whether the phase trains the parameters of layer `name`.
    pub(crate) fn trains_parameter(&self, name: &str) -> bool {
        let group = name.split('.').next().unwrap_or(name);
        self.trains.iter().any(|g| g == group || g == ALL)
    }

    /// Groups that must exist.
    pub(crate) fn named_groups(&self) -> impl Iterator<Item = &String> {
        self.trains.iter().filter(|g| *g != ALL)
    }

    /// Whether the phase is to learn a manifold by its reconstruction error. A guided phase, which only gives the manifold
    /// a start, does not count.
    pub(crate) fn reconstructs(&self) -> bool {
        self.losses.iter().any(|w| matches!(w.loss, Loss::Reconstruction { .. }))
            && !self.losses.iter().any(|w| w.loss.guide().is_some())
    }

    /// Whether the phase has no other loss than that.
    pub(crate) fn only_reconstructs(&self) -> bool {
        self.losses.iter().all(|w| matches!(w.loss, Loss::Reconstruction { .. }))
    }

    fn ending(&self) -> Ending {
        let Self { keep, patience, restarts, .. } = *self;
        Ending { keep, patience, restarts }
    }

    fn validate(&self, path: &str) -> Result<()> {
        positive(path, "epochs", self.epochs)?;
        positive(path, "batch_size", self.batch_size)?;
        positive(path, "trains (number of groups)", self.trains.len())?;
        positive(path, "losses (number of losses)", self.losses.len())?;
        for (i, w) in self.losses.iter().enumerate() {
            if !(w.weight > 0. && w.weight.is_finite()) {
                let reason = format!("must be positive and finite, found {}", w.weight);
                return Err(Error::config(format!("{path}.losses[{i}].weight"), reason));
            }
            w.loss.validate(&format!("{path}.losses[{i}]"))?;
        }
        if self.losses.iter().filter(|w| w.loss.divergence().is_some()).count() > 1 {
            let reason = "must have one divergence at most, found several";
            return Err(Error::config(format!("{path}.losses"), reason));
        }
        if self.clip_norm < 0. || !self.clip_norm.is_finite() {
            let reason = format!("must be 0 (off) or positive, found {}", self.clip_norm);
            return Err(Error::config(format!("{path}.clip_norm"), reason));
        }
        if !(0. ..1.).contains(&self.ema) {
            let reason = format!("must be 0 (off) or between 0 and 1, found {}", self.ema);
            return Err(Error::config(format!("{path}.ema"), reason));
        }
        self.lr_schedule.validate(&format!("{path}.lr_schedule"))?;
        self.optimizer.validate(&format!("{path}.optimizer"))
    }
}

fn positive(path: &str, field: &str, v: usize) -> Result<()> {
    if v > 0 {
        return Ok(());
    }
    Err(Error::config(format!("{path}.{field}"), "must be positive, found 0"))
}

/// How the phases of an alternation take turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Turn {
    /// Each makes its passes over the rows before the next one starts.
    #[default]
    Epoch,
    /// Each makes so many updates, again and again, until all have made their passes of the cycle.
    Batches(usize),
}

/// Phases that take turns. Each keeps its optimizer and its place in its learning-rate schedule over all
/// cycles; weights are judged after each cycle, by the sum of the validation losses of all phases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Alternate {
    /// The phases; `epochs` of each are its passes in one cycle.
    pub alternate: Vec<Phase>,
    /// Number of cycles.
    pub cycles: usize,
    /// Who is on when.
    #[serde(default)]
    pub unit: Turn,
    /// Which weights the alternation ends with.
    #[serde(default)]
    pub keep: Keep,
    /// End after so many cycles without a smaller sum; 0 goes on to the end.
    #[serde(default, skip_serializing_if = "is_none")]
    pub patience: usize,
    /// How often the alternation is started anew, from other weights, if its reconstruction failed; see
    /// [`crate::Attempt`].
    #[serde(default, skip_serializing_if = "is_none")]
    pub restarts: usize,
}

impl Alternate {
    /// The phases, turn by turn, for so many cycles.
    pub fn new(alternate: Vec<Phase>, cycles: usize) -> Self {
        let (unit, keep) = (Turn::default(), Keep::default());
        Self { alternate, cycles, unit, keep, patience: 0, restarts: 0 }
    }
}

/// A node of a schedule: a phase by itself, or several that take turns. In a file a table with the key
/// `alternate` is the latter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Stage {
    /// A phase.
    Phase(Phase),
    /// Phases that take turns.
    Alternate(Alternate),
}

impl From<Phase> for Stage {
    fn from(phase: Phase) -> Self {
        Self::Phase(phase)
    }
}
impl From<Alternate> for Stage {
    fn from(alternate: Alternate) -> Self {
        Self::Alternate(alternate)
    }
}

impl<'de> Deserialize<'de> for Stage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value.get("alternate") {
            Some(_) => serde_json::from_value(value).map(Self::Alternate).map_err(D::Error::custom),
            // One pass is the default in an alternation only.
            None if value.get("epochs").is_none() => Err(D::Error::missing_field("epochs")),
            None => serde_json::from_value(value).map(Self::Phase).map_err(D::Error::custom),
        }
    }
}

impl Stage {
    /// All phases.
    pub fn phases(&self) -> &[Phase] {
        match self {
            Self::Phase(phase) => std::slice::from_ref(phase),
            Self::Alternate(a) => &a.alternate,
        }
    }
    /// All phases, to change.
    pub fn phases_mut(&mut self) -> &mut [Phase] {
        match self {
            Self::Phase(phase) => std::slice::from_mut(phase),
            Self::Alternate(a) => &mut a.alternate,
        }
    }
    /// How often weights are judged: epochs of a phase, cycles of an alternation.
    pub fn rounds(&self) -> usize {
        match self {
            Self::Phase(phase) => phase.epochs,
            Self::Alternate(a) => a.cycles,
        }
    }
    /// The same number, to change.
    pub fn rounds_mut(&mut self) -> &mut usize {
        match self {
            Self::Phase(phase) => &mut phase.epochs,
            Self::Alternate(a) => &mut a.cycles,
        }
    }
    /// Choose which weights it ends with.
    pub(crate) fn set_keep(&mut self, keep: Keep) {
        match self {
            Self::Phase(phase) => phase.keep = keep,
            Self::Alternate(alternate) => alternate.keep = keep,
        }
    }
    /// Choose how often the stage is started anew if the manifold was not found.
    pub(crate) fn set_restarts(&mut self, restarts: usize) {
        match self {
            Self::Phase(phase) => phase.restarts = restarts,
            Self::Alternate(alternate) => alternate.restarts = restarts,
        }
    }
    /// Passes over the rows that `phase` makes in each round.
    pub(crate) fn passes(&self, phase: &Phase) -> usize {
        match self {
            Self::Phase(_) => 1,
            Self::Alternate(_) => phase.epochs,
        }
    }
    pub(crate) fn turn(&self) -> Turn {
        match self {
            Self::Phase(_) => Turn::Epoch,
            Self::Alternate(a) => a.unit,
        }
    }
    pub(crate) fn ending(&self) -> Ending {
        match self {
            Self::Phase(phase) => phase.ending(),
            Self::Alternate(Alternate { keep, patience, restarts, .. }) => {
                Ending { keep: *keep, patience: *patience, restarts: *restarts }
            }
        }
    }
    /// Name, for messages: that of the phase, or of all phases.
    pub fn name(&self) -> String {
        let names: Vec<&str> = self.phases().iter().map(|p| p.name.as_str()).collect();
        names.join(" and ")
    }

    /// Whether both are of the same kind, with phases that train the same groups on the same losses.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        // Scores beside a likelihood leave a schedule what it is.
        let kinds = |losses: &[WeightedLoss]| -> Vec<_> {
            let losses = losses.iter().filter(|w| w.loss != Loss::Score {});
            losses.map(|w| std::mem::discriminant(&w.loss)).collect()
        };
        let (a, b) = (self.phases(), other.phases());
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && a.len() == b.len()
            && a.iter()
                .zip(b)
                .all(|(a, b)| a.trains == b.trains && kinds(&a.losses) == kinds(&b.losses))
    }

    fn validate(&self, path: &str) -> Result<()> {
        if self.ending().restarts > 0 && !self.reconstructs() {
            let reason = format!(
                "must be 0 where no loss is a reconstruction error to judge an attempt by, found {}",
                self.ending().restarts
            );
            return Err(Error::config(format!("{path}.restarts"), reason));
        }
        match self {
            Self::Phase(phase) => phase.validate(path),
            Self::Alternate(a) => {
                positive(path, "cycles", a.cycles)?;
                positive(path, "alternate (number of phases)", a.alternate.len())?;
                if a.unit == Turn::Batches(0) {
                    return positive(path, "unit.batches", 0);
                }
                for (i, phase) in a.alternate.iter().enumerate() {
                    let path = format!("{path}.alternate[{i}]");
                    phase.validate(&path)?;
                    if phase.ending() != Ending::default() {
                        let reason = "must be set on the alternation: its phases end together";
                        let field = format!("{path}.keep, patience or restarts");
                        return Err(Error::config(field, reason));
                    }
                }
                Ok(())
            }
        }
    }
}

/// How a model is trained: everything but the model and the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TrainConfig {
    /// The schedule, one node after the other.
    #[serde(default)]
    pub phases: Vec<Stage>,
    /// In the place of `phases`, a schedule by its name; see [`TrainConfig::resolve`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Epochs of a schedule by its name, of all of its phases together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Whose settings a schedule by its name has; ours by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// How often the nodes of a schedule by its name that learn a manifold are started anew, if not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<usize>,
    /// Fit joint scores beside each likelihood, with so many times its weight; see [`TrainConfig::set_scandal`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scandal: Option<f64>,
    /// Share of the rows that is held out to choose weights, if there are no rows of their own for that.
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
    /// The given stages, with the defaults for everything else.
    pub fn new(phases: Vec<impl Into<Stage>>) -> Self {
        Self {
            phases: phases.into_iter().map(Into::into).collect(),
            schedule: None,
            epochs: None,
            settings: None,
            restarts: None,
            scandal: None,
            validation_fraction: default_validation(),
            shards: 0,
            checkpoint_seconds: default_checkpoint_seconds(),
        }
    }

    /// Write the phases out if only the name of their schedule is there: with the settings that are asked
    /// for, in `epochs` epochs. Write the losses out that `scandal` asks for.
    ///
    /// # Errors
    /// If there is neither, or both, or the schedule does not fit the model, or scores do not.
    pub fn resolve(&mut self, model: &ModelConfig) -> Result<()> {
        self.resolve_schedule(model)?;
        match self.scandal.take() {
            Some(weight) => self.set_scandal(weight, model),
            None => Ok(()),
        }
    }

    fn resolve_schedule(&mut self, model: &ModelConfig) -> Result<()> {
        let alone = |field: &str| {
            Err(Error::config(field, "goes with train.schedule; phases have their own"))
        };
        let (epochs, settings) = (self.epochs.take(), self.settings.take());
        let restarts = self.restarts.take();
        match (self.schedule.take(), epochs) {
            (None, Some(_)) => alone("train.epochs"),
            (None, None) if settings.is_some() => alone("train.settings"),
            (None, None) if restarts.is_some() => alone("train.restarts"),
            (None, None) => Ok(()),
            (Some(_), None) => {
                Err(Error::config("train.epochs", "must be given with train.schedule, found none"))
            }
            (Some(_), Some(_)) if !self.phases.is_empty() => {
                let reason = "must be left out where there are train.phases, found both";
                Err(Error::config("train.schedule", reason))
            }
            (Some(schedule), Some(epochs)) => {
                self.phases = schedule.with(settings.unwrap_or_default(), model, epochs)?.phases;
                self.set_restarts(restarts.unwrap_or(0))
            }
        }
    }

    /// Start each node that learns a manifold by its reconstruction error anew up to so many times.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn set_restarts(&mut self, restarts: usize) -> Result<()> {
        let mut found = false;
        for stage in self.phases.iter_mut().filter(|stage| stage.reconstructs()) {
            found = true;
            stage.set_restarts(restarts);
        }
        match found || restarts == 0 {
            true => Ok(()),
            false => {
                let reason = "needs a phase with a reconstruction error to judge it by";
                Err(Error::config("restarts", reason))
            }
        }
    }

    /// Check every field.
    ///
    /// # Errors
    /// If one is out of range, with its path.
    pub fn validate(&self) -> Result<()> {
        if self.schedule.is_some() {
            let reason = "must be resolved to phases first, see TrainConfig::resolve";
            return Err(Error::config("train.schedule", reason));
        }
        if self.scandal.is_some() {
            let reason = "must be resolved to losses first, see TrainConfig::resolve";
            return Err(Error::config("train.scandal", reason));
        }
        if self.phases.is_empty() {
            return Err(Error::config("train.phases", "must not be empty"));
        }
        for (i, stage) in self.phases.iter().enumerate() {
            stage.validate(&format!("train.phases[{i}]"))?;
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
