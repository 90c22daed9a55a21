//! A fit: rows, context and weights in, a run folder out.
use crate::array::Rows;
use crate::errors::Failure;
use crate::events::{Event, Worker, attended};
use crate::pools;
use crate::request::Request;
use mflow::core::ChartConfig;
use mflow::fit::{InMemory, InMemoryFit, Kind, failure, unknown};
use mflow::train::{Attempt, EpochMetrics, Observer, Outcome, Progress};
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Time between two messages of where training stands, at least.
const PAUSE: Duration = Duration::from_millis(100);

/// Hears a trainer, for a worker.
struct Watch<'a> {
    worker: &'a Worker<'a>,
    told: Option<Instant>,
}

impl Observer for Watch<'_> {
    fn batch(&mut self, now: Progress<'_>) {
        let is_last = now.steps == now.total_steps;
        if !is_last && self.told.is_some_and(|told| told.elapsed() < PAUSE) {
            return;
        }
        self.told = Some(Instant::now());
        self.worker.tell(Event::Progress {
            phase: now.phase.to_owned(),
            epoch: now.epoch,
            epochs: now.epochs,
            step: now.steps,
            steps: now.total_steps,
            loss: now.loss,
        });
    }

    fn epoch(&mut self, metrics: &EpochMetrics) {
        self.worker.tell(Event::Epoch {
            phase: metrics.phase.clone(),
            epoch: metrics.epoch,
            loss: metrics.train_loss,
            validation_loss: metrics.validation_loss,
            learning_rate: metrics.learning_rate,
        });
    }

    fn attempt(&mut self, attempt: &Attempt) {
        if let Some(text) = failure(attempt).or_else(|| unknown(attempt)) {
            self.worker.tell(Event::Told(text));
        }
    }
}

/// Give an event to `hear`, as a name and a dictionary.
fn pass_on(hear: &Bound<'_, PyAny>, event: Event) -> PyResult<()> {
    let said = PyDict::new(hear.py());
    let name = match event {
        Event::Told(text) => {
            said.set_item("text", text)?;
            "told"
        }
        Event::Progress { phase, epoch, epochs, step, steps, loss } => {
            said.set_item("phase", phase)?;
            said.set_item("epoch", epoch)?;
            said.set_item("epochs", epochs)?;
            said.set_item("step", step)?;
            said.set_item("steps", steps)?;
            said.set_item("loss", loss)?;
            "progress"
        }
        Event::Epoch { phase, epoch, loss, validation_loss, learning_rate } => {
            said.set_item("phase", phase)?;
            said.set_item("epoch", epoch)?;
            said.set_item("loss", loss)?;
            said.set_item("validation_loss", validation_loss)?;
            said.set_item("learning_rate", learning_rate)?;
            "epoch"
        }
    };
    hear.call1((name, said))?;
    Ok(())
}

/// Rows with what goes with them.
fn in_memory(
    x: &Rows<'_>,
    context: Option<&Rows<'_>>,
    weights: Option<&PyReadonlyArray1<'_, f64>>,
    names: Option<Vec<String>>,
) -> Result<InMemory, Failure> {
    let mut data = InMemory::new(x.values(), x.shape().1, names)?;
    if let Some(context) = context {
        data = data.with_context(context.values(), context.shape().1)?;
    }
    if let Some(weights) = weights {
        data = data.with_weights(weights.as_array().iter().copied().collect())?;
    }
    Ok(data)
}

/// Fit a model and write the run folder. False if it was stopped by what `hear` raised.
#[pyfunction]
#[pyo3(signature = (request, x, context, weights, names, folder, resume, threads, hear))]
pub(crate) fn fit(
    py: Python<'_>,
    request: &str,
    x: Rows<'_>,
    context: Option<Rows<'_>>,
    weights: Option<PyReadonlyArray1<'_, f64>>,
    names: Option<Vec<String>>,
    folder: PathBuf,
    resume: bool,
    threads: Option<usize>,
    hear: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let request = Request::parse(request)?;
    let data = in_memory(&x, context.as_ref(), weights.as_ref(), names)?;
    let pool = pools::pool(threads)?;
    let provenance = BTreeMap::from([("data".to_owned(), "arrays in Python".to_owned())]);
    let work = |worker: &Worker<'_>| {
        let fit = InMemoryFit {
            request,
            data,
            validation: None,
            provenance,
            folder: &folder,
            resume,
            pool: &pool,
        };
        let mut watch = Watch { worker, told: None };
        let mut tell = |news: mflow::fit::News| worker.tell(Event::Told(news.to_string()));
        Ok(fit.run(&mut watch, &mut tell, worker.stop)?)
    };
    let outcome = attended(py, work, &mut |_, event| pass_on(hear, event))?;
    Ok(outcome == Outcome::Finished)
}

/// Names of kinds of models with a sentence on each.
#[pyfunction]
pub(crate) fn kinds() -> Vec<(&'static str, &'static str)> {
    Kind::ALL.map(|kind| (kind.name(), kind.about())).to_vec()
}

/// Names of charts.
#[pyfunction]
pub(crate) fn charts() -> Vec<&'static str> {
    ChartConfig::NAMES.to_vec()
}
