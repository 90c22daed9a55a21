//! Runs that differ in nothing but their seed, and what tells such groups apart.
use crate::fit::FitConfig;
use crate::{Error, Finished, Result};
use serde_json::Value;
use std::collections::BTreeMap;

/// Runs of one config with different seeds.
#[derive(Debug)]
pub(super) struct Variant<'a> {
    /// Model and schedule, and what else differs from others of that name.
    pub(super) name: String,
    /// At least one, in the order in which they were given.
    pub(super) runs: Vec<&'a Finished>,
}

/// Fields that do not make another variant: the seed and what follows from it, and what changes no result
/// beyond rounding.
const NOT_COMPARED: [&str; 4] =
    ["seed", "model.normalization", "train.shards", "train.checkpoint_seconds"];

/// A config as the text of each of its fields.
type Fields = BTreeMap<String, String>;

/// The runs by variant, in the order of their first runs.
pub(super) fn variants(runs: &[Finished]) -> Result<Vec<Variant<'_>>> {
    let mut found: Vec<(Fields, Vec<&Finished>)> = vec![];
    for run in runs {
        let fields = fields(run)?;
        match found.iter_mut().find(|(of, _)| *of == fields) {
            Some((_, runs)) => runs.push(run),
            None => found.push((fields, vec![run])),
        }
    }
    let titles: Vec<String> = found.iter().map(|(_, runs)| runs[0].title()).collect();
    let name = |i: usize| {
        let fields = &found[i].0;
        let like = || (0..found.len()).filter(|&j| titles[j] == titles[i]).map(|j| &found[j].0);
        let value = |field: &str| fields.get(field).map_or("none", String::as_str);
        let differs = |field: &&String| like().any(|other| other.get(*field) != fields.get(*field));
        let mut all: Vec<&String> = like().flat_map(BTreeMap::keys).collect();
        all.sort();
        all.dedup();
        let differences = all.into_iter().filter(differs);
        let differences = differences.map(|field| format!("{field} = {}", value(field)));
        let mut parts = vec![titles[i].clone()];
        parts.extend(differences);
        parts.join(", ")
    };
    let names: Vec<String> = (0..found.len()).map(name).collect();
    let groups = found.into_iter().map(|(_, runs)| runs);
    Ok(names.into_iter().zip(groups).map(|(name, runs)| Variant { name, runs }).collect())
}

fn fields(run: &Finished) -> Result<Fields> {
    let config = match run {
        Finished::Experiment(run) => serde_json::to_value(&run.config),
        Finished::Fit(fit) => serde_json::to_value::<&FitConfig>(&fit.config),
    };
    let config =
        config.map_err(|e| Error::Run { path: run.folder().to_owned(), reason: e.to_string() })?;
    let mut fields = Fields::new();
    flatten("", &config, &mut fields);
    Ok(fields)
}

fn flatten(path: &str, value: &Value, fields: &mut Fields) {
    if NOT_COMPARED.contains(&path) {
        return;
    }
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(key, value)| flatten(&join(key), value, fields));
        }
        Value::Array(array) => {
            let entries = array.iter().enumerate();
            entries.for_each(|(i, value)| flatten(&join(&i.to_string()), value, fields));
        }
        Value::String(text) => {
            fields.insert(path.to_owned(), text.clone());
        }
        value => {
            fields.insert(path.to_owned(), value.to_string());
        }
    }
}
