//! Checkpoints: everything that a run needs to go on to the same bits.
use crate::{Error, Result};
use candle_core::Tensor;
use mflow_core::{read_tensors, write_tensors};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Where a run stands: the next batch to do. Random numbers need no state of their own, since each
/// stream is named after its seed, phase and epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Phase, counted from 0; past the last one the run is finished.
    pub phase: usize,
    /// Epoch, counted from 0.
    pub epoch: usize,
    /// Batch, counted from 0.
    pub batch: usize,
}

/// Running sums over the present epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EpochSums {
    /// Loss times rows.
    pub(crate) loss: f64,
    pub(crate) rows: usize,
    pub(crate) norm: f64,
    pub(crate) batches: usize,
}

/// The best epoch of the present phase.
#[derive(Clone, Debug)]
pub(crate) struct Best {
    pub(crate) epoch: usize,
    pub(crate) loss: f64,
    /// All parameters as named tensors.
    pub(crate) weights: BTreeMap<String, Tensor>,
}

/// A saved state.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) position: Position,
    pub(crate) sums: EpochSums,
    /// Updates of the present phase's optimizer.
    pub(crate) steps: u64,
    pub(crate) metrics_len: u64,
    pub(crate) weights: BTreeMap<String, Tensor>,
    /// Moments of the present phase's optimizer; empty between phases.
    pub(crate) moments: BTreeMap<String, Tensor>,
    pub(crate) best: Option<Best>,
}

/// What a checkpoint file says besides its tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    position: Position,
    sums: EpochSums,
    steps: u64,
    metrics_len: u64,
    best: Option<(usize, f64)>,
}

const FORMAT: &str = "mflow-checkpoint";
const VERSION: u32 = 1;
const WEIGHTS: &str = "weights/";
const MOMENTS: &str = "moments/";
const BEST: &str = "best/";

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
        let state = State {
            position: self.position,
            sums: self.sums,
            steps: self.steps,
            metrics_len: self.metrics_len,
            best: self.best.as_ref().map(|b| (b.epoch, b.loss)),
        };
        let state = serde_json::to_string(&state).map_err(|e| Error::run(path, e.to_string()))?;
        let metadata = BTreeMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("format_version".to_owned(), VERSION.to_string()),
            ("state".to_owned(), state),
        ]);
        Ok(write_tensors(path, &tensors, metadata)?)
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
        let best = state.best.map(|(epoch, loss)| Best { epoch, loss, weights: under(BEST) });
        Ok(Self {
            position: state.position,
            sums: state.sums,
            steps: state.steps,
            metrics_len: state.metrics_len,
            weights: under(WEIGHTS),
            moments: under(MOMENTS),
            best,
        })
    }
}
