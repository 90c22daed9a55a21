//! Fitting a model to rows: from what is asked for ([`FitRequest`]) to the ways that are open ([`Way`]), to those that
//! the data allow ([`Candidates`]), to the one that is trained ([`Chosen`], [`Fit`]).
mod candidates;
mod columns;
mod config;
mod dimension;
mod held_out;
mod in_memory;
mod kind;
mod news;
mod plan;
mod request;
mod shape;
mod units;
mod verdict;
mod ways;

pub use candidates::{Candidates, Chosen};
pub use columns::ColumnFacts;
pub use config::{DTypeName, FitConfig, Normalize};
pub use dimension::manifold_below;
pub use held_out::{HELD_OUT_FILE, HeldOut, HeldOutRows};
pub use in_memory::{InMemory, InMemoryFit};
pub use kind::Kind;
pub use news::News;
pub use plan::{Plan, Planned};
pub use request::{Ask, FitRequest};
pub use shape::{Shape, evenly, is_flat, place_charts, shape_of, start_from};
pub use units::DataUnits;
pub use verdict::{failure, in_words, unknown};
pub use ways::Way;

use crate::{Error, Result};
use mflow_bijectors::ParamStore;
use mflow_core::{DeviceName, ModelCard, RowLayout, save_model, write_atomically};
use mflow_data::io::{Array, Dtype, write_npy};
use mflow_train::{CONFIG_FILE, Observer, Outcome, Pool, RowSource, RunDir, Trainer};
use serde::Serialize;
use shape::spread;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Name of the model file in a run directory.
pub const MODEL_FILE: &str = "model.safetensors";

/// Name of the file with some rows of the data in the run directory of a fit: what its report shows beside the
/// manifold.
pub const POINTS_FILE: &str = "points.npy";

/// Rows in [`POINTS_FILE`] at most.
const POINTS: usize = 1000;

/// Write up to 1000 rows of `data`, evenly spread, to [`POINTS_FILE`].
///
/// # Errors
/// If a row cannot be read, or the file cannot be written.
#[expect(clippy::integer_division_remainder_used, reason = "a model has a feature or more")]
pub fn keep_points(run: &RunDir, data: &dyn RowSource) -> Result<()> {
    let x = spread(data, POINTS)?;
    let d = data.data_dim();
    let array = Array::matrix(x.len() / d, d, &x, Dtype::F64)?;
    Ok(write_npy(&run.file(POINTS_FILE), &array)?)
}

/// Write the config of a run that starts.
///
/// # Errors
/// If it cannot be written.
pub fn keep_config(run: &RunDir, config: &impl Serialize) -> Result<()> {
    if run.writes() && !run.resumed() {
        let path = run.file(CONFIG_FILE);
        let reason = |e: toml::ser::Error| format!("the config cannot be written as TOML: {e}");
        let text = toml::to_string(config)
            .map_err(|e| Error::Run { path: path.clone(), reason: reason(e) })?;
        write_atomically(&path, |file| file.write_all(text.as_bytes()))?;
    }
    Ok(())
}

/// The number of shards in the config at `path` that a run keeps, which does not change when it is continued.
#[must_use]
pub fn kept_shards(path: &Path) -> Option<usize> {
    let table: toml::Table = toml::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    usize::try_from(table.get("train")?.get("shards")?.as_integer()?).ok()
}

/// A fit: a model, data, and where they meet.
#[derive(Debug)]
pub struct Fit<'a> {
    /// What to fit and how.
    pub config: &'a FitConfig,
    /// The data; the model is where they are.
    pub data: &'a dyn RowSource,
    /// Data to choose weights by; none holds out a part of the data.
    pub validation: Option<&'a dyn RowSource>,
    /// Names of the data columns.
    pub columns: Option<Vec<String>>,
    /// How a row of the data is taken from a file.
    pub layout: RowLayout,
    /// Where the model comes from, for its file.
    pub provenance: BTreeMap<String, String>,
    /// Where it goes.
    pub run: &'a RunDir,
    /// Threads.
    pub pool: &'a Pool,
}

impl Fit<'_> {
    /// Fit the model, or go on with the fit that was interrupted in the run directory, and write its
    /// file, [`MODEL_FILE`], when it is done.
    ///
    /// # Errors
    /// If config and data do not fit, training diverges, or a file cannot be written.
    pub fn run(self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome> {
        let Self { config, data, validation, columns, layout, provenance, run, pool } = self;
        let found = DeviceName::of(data.device());
        if found != config.device {
            let reason = format!("the data are on {found}");
            return Err(mflow_core::Error::Device { device: config.device, reason }.into());
        }
        let mut store = ParamStore::new(config.seed, config.dtype.into(), data.device());
        let mut trainer = Trainer {
            model: &config.model,
            store: &mut store,
            data,
            validation,
            config: &config.train,
            seed: config.seed,
            pool,
            run: Some(run),
        };
        let outcome = trainer.run(observer, stop)?;
        if outcome == Outcome::Finished && run.writes() {
            let card = ModelCard { config: config.model.clone(), columns, layout, provenance };
            save_model(&run.file(MODEL_FILE), &card, &store)?;
        }
        Ok(outcome)
    }
}
