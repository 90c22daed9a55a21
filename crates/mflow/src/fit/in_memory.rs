//! A fit of rows that are in memory, from what is asked for to a run folder: what a caller of the library does in one step.
use super::{
    Candidates, Chosen, DataUnits, Fit, FitConfig, FitRequest, HeldOut, HeldOutRows, MODEL_FILE,
    News, Plan, Planned, Way, keep_config, keep_points, kept_shards,
};
use crate::settings::Setting;
use crate::{Error, Result};
use mflow_core::candle::{DType, Device};
use mflow_core::{RowLayout, load_model, standardize, standardize_weighted};
use mflow_train::{CONFIG_FILE, Observer, Outcome, Pool, RowSource, Rows, RunDir};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Rows in memory, with what goes with them.
#[derive(Clone, Debug)]
pub struct InMemory {
    x: Vec<f64>,
    columns: usize,
    names: Option<Vec<String>>,
    /// `[rows, C]`, and `C`.
    context: Option<(Vec<f64>, usize)>,
    weights: Option<Vec<f64>>,
}

/// That something does not fit the data.
fn refuse(what: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Error {
    let (expected, found) = (expected.into(), found.into());
    mflow_train::Error::Data { what, expected, found }.into()
}

/// Refuse values of `what`, of rows of `columns`, that are not finite or too large for `dtype`.
#[expect(clippy::integer_division_remainder_used, reason = "at least 1")]
fn check_values(what: &'static str, values: &[f64], columns: usize, dtype: DType) -> Result<()> {
    let (largest, expected) = match dtype {
        DType::F32 => (f64::from(f32::MAX), "numbers that single precision can hold"),
        _ => (f64::MAX, "finite numbers"),
    };
    let is_bad = |v: &f64| v.is_nan() || v.abs() > largest;
    match values.iter().position(is_bad) {
        None => Ok(()),
        Some(i) => {
            let (columns, value) = (columns.max(1), values.get(i).copied().unwrap_or_default());
            let found = format!("{value} in row {}, column {}", i / columns, i % columns);
            Err(refuse(what, expected, found))
        }
    }
}

impl InMemory {
    /// Rows of `x: [rows, columns]`, row-major, whose columns may have names.
    ///
    /// # Errors
    /// If there are no columns, or the length is no multiple of them, or a value is not finite; or there are not as many names.
    pub fn new(x: Vec<f64>, columns: usize, names: Option<Vec<String>>) -> Result<Self> {
        if columns == 0 || x.is_empty() || !x.len().is_multiple_of(columns) {
            let expected = format!("a row or more of {columns} values");
            return Err(refuse("data", expected, format!("{} values", x.len())));
        }
        if let Some(names) = names.as_ref().filter(|names| names.len() != columns) {
            let expected = format!("{columns} names of columns");
            return Err(refuse("data", expected, names.len().to_string()));
        }
        check_values("data", &x, columns, DType::F64)?;
        Ok(Self { x, columns, names, context: None, weights: None })
    }

    /// With the context of each row, `[rows, C]`, row-major.
    ///
    /// # Errors
    /// If there are not as many rows, or a value is not finite.
    pub fn with_context(mut self, context: Vec<f64>, columns: usize) -> Result<Self> {
        let rows = Planned::rows(&self);
        if columns == 0 || context.len() != rows.saturating_mul(columns) {
            let expected = format!("{rows} rows, as many as there are of the data");
            let found = context.len().checked_div(columns).unwrap_or(0).to_string();
            return Err(refuse("context", expected, found));
        }
        check_values("context", &context, columns, DType::F64)?;
        self.context = Some((context, columns));
        Ok(self)
    }

    /// With what each row counts, `[rows]`.
    ///
    /// # Errors
    /// If there are not as many.
    pub fn with_weights(mut self, weights: Vec<f64>) -> Result<Self> {
        let rows = Planned::rows(&self);
        if weights.len() != rows {
            return Err(refuse("weights", format!("{rows} values"), weights.len().to_string()));
        }
        self.weights = Some(weights);
        Ok(self)
    }

    /// Refuse what does not fit `config`.
    fn check(&self, config: &FitConfig) -> Result<()> {
        let (dtype, sizes): (DType, _) = (config.dtype.into(), &config.model.sizes);
        check_values("data", &self.x, self.columns, dtype)?;
        let fits = |what, expected: usize, found: usize| match found == expected {
            true => Ok(()),
            false => Err(refuse(what, format!("{expected} columns"), found.to_string())),
        };
        fits("data", sizes.data_dim, self.columns)?;
        fits("context", sizes.context_dim, self.context.as_ref().map_or(0, |(_, c)| *c))?;
        if let Some((context, columns)) = &self.context {
            check_values("context", context, *columns, dtype)?;
        }
        if let Some(weights) = &self.weights {
            config.train.check_weights(weights)?;
        }
        if config.train.uses_scores() {
            return Err(refuse(
                "joint scores",
                "one of each row",
                "none: rows in memory have none",
            ));
        }
        Ok(())
    }

    /// What a trainer eats.
    fn source(self, config: &FitConfig, device: &Device) -> Result<Rows> {
        let rows = Rows::new(self.x, self.columns, self.context, config.dtype.into(), device)?;
        Ok(match self.weights {
            Some(weights) => rows.with_weights(&weights)?,
            None => rows,
        })
    }
}

impl Planned for InMemory {
    type Error = Error;

    fn rows(&self) -> usize {
        self.x.len().checked_div(self.columns).unwrap_or(0)
    }
    fn columns(&self) -> usize {
        self.columns
    }
    fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }
    fn gather(&self, rows: &[usize]) -> Result<Vec<f64>> {
        let d = self.columns;
        let row = |&i: &usize| self.x.get(i * d..(i + 1) * d).unwrap_or_default();
        Ok(rows.iter().flat_map(row).copied().collect())
    }
    fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }
    fn units(&self) -> Result<DataUnits> {
        let of = |values: &[f64], columns| match self.weights() {
            None => standardize(values, columns),
            Some(weights) => standardize_weighted(values, columns, weights),
        };
        let context = self.context.as_ref().map(|(values, columns)| of(values, *columns));
        Ok(DataUnits { data: of(&self.x, self.columns)?, context: context.transpose()? })
    }
}

/// A fit of rows in memory. For the same rows, request and number of shards it gives the same bits as `mflow fit`.
#[derive(Debug)]
pub struct InMemoryFit<'a> {
    /// What is asked for.
    pub request: FitRequest,
    /// What is fitted to.
    pub data: InMemory,
    /// Rows to choose weights by; none holds out a part of the data.
    pub validation: Option<InMemory>,
    /// Where the model comes from, for its file; version, rows and seed are added.
    pub provenance: BTreeMap<String, String>,
    /// The run folder; see [`Finished`](crate::Finished).
    pub folder: &'a Path,
    /// Whether to go on with the run in the folder, if there is one.
    pub resume: bool,
    /// Threads.
    pub pool: &'a Pool,
}

impl InMemoryFit<'_> {
    /// Choose a model by trials where the request leaves that open, train it, and write the run folder with all that a report
    /// is made of. `tell` hears what is found out. [`Outcome::Interrupted`] if `stop` was raised: then the folder has a
    /// checkpoint, unless that was during the trials.
    ///
    /// # Errors
    /// If request and data do not fit, training diverges, or a file cannot be written.
    pub fn run(
        self,
        observer: &mut dyn Observer,
        tell: &mut dyn FnMut(News),
        stop: &AtomicBool,
    ) -> Result<Outcome> {
        let Self { request, data, validation, mut provenance, folder, resume, pool } = self;
        let config = folder.join(CONFIG_FILE);
        let earlier =
            (resume && config.is_file()).then(|| Setting::of_file(&config)).transpose()?;
        let is_continued = earlier.is_some();
        let kept = if is_continued { kept_shards(&config) } else { None };
        let shards = kept.unwrap_or_else(|| pool.workers());
        let mut plan = Plan::of(request, earlier, &data, pool)?;
        for Way { config, .. } in &mut plan.ways {
            if config.train.shards == 0 {
                config.train.shards = shards;
            }
            data.check(config)?;
            validation.as_ref().map_or(Ok(()), |validation| validation.check(config))?;
            config.train.validate()?;
            config.model.check_precision(config.dtype.into())?;
        }
        let ways = std::mem::take(&mut plan.ways);
        let Some(Way { config: first, .. }) = ways.first() else {
            return Err(refuse("request", "a way to fit the data", "none"));
        };
        let device = first.device.open(first.dtype.into())?;
        provenance.extend([
            ("mflow".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("rows".to_owned(), Planned::rows(&data).to_string()),
            ("seed".to_owned(), first.seed.to_string()),
        ]);
        let columns = data.names.clone();
        let data = data.source(first, &device)?;
        let validation = validation.map(|rows| rows.source(first, &device)).transpose()?;
        let validation = validation.as_ref().map(|rows| rows as &dyn RowSource);
        plan.news.drain(..).for_each(&mut *tell);
        let candidates = Candidates::new(ways, &data, tell)?;
        let run = RunDir::open(folder, resume)?;
        let chosen = plan.choose(candidates, &data, validation, pool, tell, stop)?;
        let Some(Chosen { config, trials }) = chosen else { return Ok(Outcome::Interrupted) };
        // A run that was killed before its first checkpoint has its trials already.
        if !run.resumed() && !is_continued {
            run.write_trials(&trials)?;
        }
        keep_config(&run, &config)?;
        let layout = RowLayout::default();
        let (config, run) = (&config, &run);
        let fit = Fit { config, data: &data, validation, columns, layout, provenance, run, pool };
        if fit.run(observer, stop)? == Outcome::Interrupted {
            return Ok(Outcome::Interrupted);
        }
        keep_points(run, &data)?;
        let model = load_model(&run.file(MODEL_FILE), None, &device)?.model;
        if model.signature().is_generative() {
            let held_out = HeldOutRows::of_validation(&data, validation, config);
            HeldOut::measure(model.as_ref(), &held_out, &data, pool)?.write(run)?;
        }
        Ok(Outcome::Finished)
    }
}
