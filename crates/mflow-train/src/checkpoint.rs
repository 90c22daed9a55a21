//! Checkpoints: everything that a run needs to go on to the same bits.
use crate::attempt::Attempt;
use crate::schedule::Stage;
use crate::{Error, Result};
use candle_core::Tensor;
use mflow_core::{read_tensors, write_tensors};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Where a run stands: the next update to do. Random numbers need no state of their own, since each
/// stream is named after its seed, phase and epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Node of the schedule, counted from 0; past the last one the run is finished.
    pub stage: usize,
    /// Attempt at it, counted from 0.
    pub attempt: usize,
    /// Epoch, or cycle of an alternation, counted from 0.
    pub round: usize,
    /// Update in the round, counted from 0.
    pub update: usize,
}

/// Running sums over the present round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EpochSums {
    /// Loss times rows.
    pub(crate) loss: f64,
    pub(crate) rows: usize,
    pub(crate) norm: f64,
    pub(crate) batches: usize,
}

/// What a phase carries from update to update, beside its optimizer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PhaseState {
    /// Updates so far.
    pub(crate) updates: u64,
    pub(crate) sums: EpochSums,
    /// Validation losses of the rounds so far.
    pub(crate) validation: Vec<f64>,
}

impl PhaseState {
    /// Whether a phase can be there after so many rounds: its counts go on.
    fn fits(&self, rounds: usize) -> bool {
        /// More than any machine does.
        const MOST: u64 = 1 << 53;
        let counts = [self.updates, self.sums.rows as u64, self.sums.batches as u64];
        self.validation.len() == rounds && counts.iter().all(|count| *count <= MOST)
    }
}

/// The best round of the present stage.
#[derive(Clone, Debug)]
pub(crate) struct Best {
    pub(crate) round: usize,
    pub(crate) loss: f64,
    /// All parameters as named tensors.
    pub(crate) weights: BTreeMap<String, Tensor>,
}

/// A saved state.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) position: Position,
    /// Of the phases of the present stage; empty between stages.
    pub(crate) phases: Vec<PhaseState>,
    pub(crate) metrics_len: u64,
    pub(crate) weights: BTreeMap<String, Tensor>,
    /// What the optimizers of the present stage keep; empty between stages.
    pub(crate) moments: BTreeMap<String, Tensor>,
    pub(crate) best: Option<Best>,
    /// All attempts that have ended.
    pub(crate) attempts: Vec<Attempt>,
    /// The weights of the best attempt at the present stage, if one has ended.
    pub(crate) chosen: Option<BTreeMap<String, Tensor>>,
}

/// What a checkpoint file says besides its tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    position: Position,
    phases: Vec<PhaseState>,
    metrics_len: u64,
    best: Option<(usize, f64)>,
    attempts: Vec<Attempt>,
}

const FORMAT: &str = "mflow-checkpoint";
const VERSION: u32 = 2;
const WEIGHTS: &str = "weights/";
const MOMENTS: &str = "moments/";
const BEST: &str = "best/";
const CHOSEN: &str = "chosen/";

impl Checkpoint {
    /// Write atomically: a crash leaves the checkpoint before or this one.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let mut tensors = BTreeMap::new();
        let mut put = |prefix: &str, named: &BTreeMap<String, Tensor>| {
            tensors.extend(named.iter().map(|(n, t)| (format!("{prefix}{n}"), t.clone())));
        };
        put(WEIGHTS, &self.weights);
        put(MOMENTS, &self.moments);
        if let Some(best) = &self.best {
            put(BEST, &best.weights);
        }
        if let Some(chosen) = &self.chosen {
            put(CHOSEN, chosen);
        }
        let state = State {
            position: self.position,
            phases: self.phases.clone(),
            metrics_len: self.metrics_len,
            best: self.best.as_ref().map(|b| (b.round, b.loss)),
            attempts: self.attempts.clone(),
        };
        let state = serde_json::to_string(&state).map_err(|e| Error::run(path, e.to_string()))?;
        let metadata = BTreeMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("format_version".to_owned(), VERSION.to_string()),
            ("state".to_owned(), state),
        ]);
        Ok(write_tensors(path, &tensors, metadata)?)
    }

    /// Whether a run of this schedule can stand there. A file that was changed by hand may say anything.
    pub(crate) fn fits(&self, schedule: &[Stage]) -> bool {
        let Position { stage, attempt, round, .. } = self.position;
        let Some(stage) = schedule.get(stage) else { return self.phases.is_empty() };
        let in_it = self.phases.len() == stage.phases().len();
        round <= stage.rounds()
            && attempt <= self.attempts.len()
            && (in_it || self.phases.is_empty() && round == 0)
            && self.phases.iter().all(|phase| phase.fits(round))
    }

    /// Read a checkpoint.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let file = read_tensors(path)?;
        let state: State = file.parse(path, FORMAT, VERSION, "state")?;
        let under = |prefix: &str| -> BTreeMap<String, Tensor> {
            let named = file.tensors.iter().filter_map(|(name, t)| {
                name.strip_prefix(prefix).map(|n| (n.to_owned(), t.clone()))
            });
            named.collect()
        };
        let best = state.best.map(|(round, loss)| Best { round, loss, weights: under(BEST) });
        let chosen = under(CHOSEN);
        Ok(Self {
            position: state.position,
            phases: state.phases,
            metrics_len: state.metrics_len,
            weights: under(WEIGHTS),
            moments: under(MOMENTS),
            best,
            attempts: state.attempts,
            chosen: (!chosen.is_empty()).then_some(chosen),
        })
    }
}
