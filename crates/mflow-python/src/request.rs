//! What is asked of a fit, from JSON that the estimators write.
use crate::errors::Failure;
use mflow::Setting;
use mflow::core::DeviceName;
use mflow::fit::{Ask, DTypeName, FitRequest, Kind, Normalize};
use mflow::train::Schedule;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// The fields of a [`FitRequest`], as they are written in Python.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Request {
    model: Option<String>,
    chart: Option<Value>,
    start: Option<Value>,
    manifold_dim: Option<Value>,
    conditional_manifold: bool,
    normalize: Option<Normalize>,
    normalize_context: Option<Normalize>,
    schedule: Option<Schedule>,
    epochs: Option<usize>,
    restarts: Option<usize>,
    batch_size: Option<usize>,
    learning_rate: Option<f64>,
    seed: Option<u64>,
    dtype: Option<DTypeName>,
    device: Option<DeviceName>,
    config: Option<PathBuf>,
    set: Map<String, Value>,
}

const AUTO: &str = "auto";

/// A field that may be `"auto"`.
fn ask<T: DeserializeOwned>(field: &str, value: Option<Value>) -> Result<Ask<T>, Failure> {
    match value {
        None => Ok(Ask::Nothing),
        Some(value) if value == AUTO => Ok(Ask::Auto),
        Some(value) => {
            let said = serde_json::from_value(value);
            said.map(Ask::For).map_err(|e| Failure::Config(format!("`{field}`: {e}")))
        }
    }
}

impl Request {
    pub(crate) fn parse(text: &str) -> Result<FitRequest, Failure> {
        serde_json::from_str::<Self>(text)?.resolve()
    }

    fn resolve(self) -> Result<FitRequest, Failure> {
        let model = match self.model.as_deref() {
            None | Some(AUTO) => None,
            Some(name) => Some(Kind::named(name).ok_or_else(|| {
                let known = Kind::ALL.map(Kind::name).join("`, `");
                Failure::Config(format!(
                    "`model`: expected `{AUTO}` or one of `{known}`, found `{name}`"
                ))
            })?),
        };
        let set = self.set.iter().map(|(path, value)| format!("{path}={value}").parse::<Setting>());
        Ok(FitRequest {
            model,
            chart: ask("chart", self.chart)?,
            start: ask("start", self.start)?,
            manifold_dim: ask("manifold_dim", self.manifold_dim)?,
            conditional_manifold: self.conditional_manifold,
            normalize: self.normalize,
            normalize_context: self.normalize_context,
            schedule: self.schedule,
            epochs: self.epochs,
            restarts: self.restarts,
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            scandal: None,
            seed: self.seed,
            dtype: self.dtype,
            device: self.device,
            config: self.config.as_deref().map(Setting::of_file).transpose()?,
            set: set.collect::<Result<_, _>>().map_err(Failure::Config)?,
        })
    }
}
