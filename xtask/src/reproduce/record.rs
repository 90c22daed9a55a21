//! What is kept of a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::experiment::Bounds;
use crate::{files, number};

/// Where records are looked for and written to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    /// Beside the runs; git does not see it.
    Target,
    /// In docs/results, to be committed.
    Docs,
}

impl Place {
    /// The folder of an experiment's records under a preset.
    pub(super) fn folder(self, name: &str, preset: &str) -> PathBuf {
        match self {
            Self::Target => Path::new("target/reproduce").join(name).join(preset).join("records"),
            Self::Docs => Path::new("docs/results/runs").join(name).join(preset),
        }
    }
}

/// A run's `result.json`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Outcome {
    /// What the experiment measures.
    #[serde(default)]
    pub(crate) metrics: BTreeMap<String, Measured>,
    /// Wall times.
    #[serde(default)]
    pub(crate) seconds: BTreeMap<String, f64>,
    /// The largest resident set.
    #[serde(default)]
    pub(crate) peak_memory_mib: Option<f64>,
    /// The attempts at learning a manifold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) attempts: Vec<Attempt>,
    /// Everything else that the run wrote.
    #[serde(default)]
    other: Map<String, Value>,
}

/// How an attempt ended.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Attempt {
    /// Which one it is, counted from 0; a schedule with several stages has one of each for every stage.
    attempt: usize,
    /// Whether the failure detector stopped it.
    pub(crate) failed: bool,
    /// Its error, and whatever else is said of it.
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// A metric's value.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Measured {
    /// Nothing where it was not finite, which JSON cannot say.
    pub(crate) value: Option<f64>,
    /// The value's uncertainty and whatever else is said of it.
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Outcome {
    /// Reads `result.json` in a run's directory.
    pub(crate) fn load(directory: &Path) -> Result<Self> {
        let path = directory.join("result.json");
        Self::parse(&files::read(&path)?).with_context(|| format!("in {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut all: Map<String, Value> = serde_json::from_str(text)?;
        let known = ["metrics", "seconds", "peak_memory_mib", "attempts"]
            .into_iter()
            .filter_map(|key| all.remove_entry(key))
            .collect();
        let outcome: Self = serde_json::from_value(Value::Object(known))?;
        // Apart, because the run may well use the names that a record has.
        Ok(Self { other: all, ..outcome })
    }

    /// The metric's value; nothing if it is missing or not finite.
    pub(crate) fn value(&self, key: &str) -> Option<f64> {
        self.metrics.get(key)?.value.filter(|value| value.is_finite())
    }

    /// Whether the failure detector saw an error that it could judge.
    pub(crate) fn was_watched(&self) -> bool {
        !self.attempts.is_empty()
    }

    /// Whether it found a manifold to be none.
    pub(crate) fn was_detected(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.failed)
    }

    /// Whether the run started anew, as the manifold was none.
    pub(crate) fn was_restarted(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.attempt > 0)
    }

    /// Whether the metrics that the model has are finite and within their bounds; one without a density has no
    /// divergence.
    pub(crate) fn is_within(&self, bounds: &Bounds) -> bool {
        let mut known = bounds.iter().filter(|(key, _)| self.metrics.contains_key(*key)).peekable();
        known.peek().is_some()
            && known.all(|(key, bound)| self.value(key).is_some_and(|value| value.abs() <= *bound))
    }

    /// Which metrics are missing, not finite or larger than their bounds.
    pub(crate) fn beyond(&self, bounds: &Bounds) -> Vec<String> {
        let beyond = bounds.iter().filter_map(|(key, bound)| match self.value(key) {
            Some(value) if value.abs() <= *bound => None,
            Some(value) => Some(format!("{key} {} > {bound}", number::short(value.abs()))),
            None => Some(format!("{key} is not finite or missing")),
        });
        beyond.collect()
    }
}

/// A run with everything needed to repeat it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Record {
    /// The experiment.
    pub(super) name: String,
    /// The size of the run.
    pub(super) preset: String,
    /// The model's name.
    pub(super) model: String,
    /// The seed.
    pub(super) seed: u64,
    /// Hash of the settings that `mflow run` got.
    pub(super) config_hash: String,
    /// What was checked out.
    pub(super) commit: String,
    /// Whether the sources differed from that.
    pub(super) dirty: bool,
    /// Day of the run.
    pub(super) date: String,
    /// What was typed.
    pub(super) command: String,
    /// Where it ran.
    pub(super) machine: String,
    /// `done`, or `failed: ` and why.
    pub(super) status: String,
    /// What came out.
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

impl Record {
    /// Reads a record; nothing if there is none.
    pub(super) fn load(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        files::read_json(path).map(Some)
    }

    /// Reads all records of a folder, by model and seed.
    pub(super) fn load_all(folder: &Path) -> Result<Vec<Self>> {
        let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| format!("listing {}", folder.display()))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                records.extend(Self::load(&path)?);
            }
        }
        records.sort_by(|a, b| (&a.model, a.seed).cmp(&(&b.model, b.seed)));
        Ok(records)
    }

    /// Writes the record, all at once for those who read it meanwhile.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("writing a record as JSON")?;
        files::replace(path, (text + "\n").as_bytes())
    }

    /// Whether the program ended well.
    pub(super) fn is_done(&self) -> bool {
        self.status == "done"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = r#"{
        "metrics": {
            "distance": {"value": 0.004, "standard_error": 0.0001},
            "gap": {"value": -0.2},
            "kl": {"value": null}
        },
        "seconds": {"train": 80.1, "total": 92.0},
        "peak_memory_mib": 120.5,
        "seed": 3
    }"#;

    #[test]
    fn bounds_are_on_absolute_finite_values() {
        let outcome = Outcome::parse(RESULT).unwrap();
        let bounds = |key: &str, bound| Bounds::from([(key.to_owned(), bound)]);
        assert!(outcome.beyond(&bounds("distance", 0.004)).is_empty(), "on the bound is within");
        assert_eq!(outcome.beyond(&bounds("gap", 0.1)), ["gap 0.20 > 0.1"]);
        assert_eq!(outcome.beyond(&bounds("kl", 0.1)), ["kl is not finite or missing"]);
        assert_eq!(outcome.beyond(&bounds("none", 0.1)), ["none is not finite or missing"]);
    }

    #[test]
    fn unknown_keys_survive() {
        let record = Record {
            name: "n".to_owned(),
            preset: "p".to_owned(),
            model: "m".to_owned(),
            seed: 1,
            config_hash: "h".to_owned(),
            commit: "c".to_owned(),
            dirty: false,
            date: "d".to_owned(),
            command: "x".to_owned(),
            machine: "y".to_owned(),
            status: "done".to_owned(),
            outcome: Outcome::parse(RESULT).unwrap(),
        };
        let text = serde_json::to_string(&record).unwrap();
        let again: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(again.seed, 1);
        assert_eq!(again.outcome.other["seed"], 3);
        assert_eq!(again.outcome.metrics["distance"].other["standard_error"], 0.0001);
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
    }
}
