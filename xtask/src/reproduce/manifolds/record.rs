//! What is kept of a run: a line of `PRESET-METHOD.jsonl`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::study::{Case, Goal};
use crate::files;
use crate::reproduce::record::Place;

/// How much more than the true distance an error may be: more rows would make it less.
const OF_FLOOR: f64 = 1.1;

/// A run with everything needed to repeat it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Record {
    /// Its case, by name.
    pub(super) case: String,
    /// Noise of the data.
    pub(super) noise: f64,
    /// Seed of data and method.
    pub(super) seed: u64,
    /// Hash of the settings.
    pub(super) hash: String,
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
    /// How many runs shared the machine.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(super) at_once: usize,
    /// `done`, or `failed: ` and why.
    pub(super) status: String,
    /// What came out.
    #[serde(flatten)]
    pub(super) found: Found,
}

/// What is measured of a run; a number that is not there is not known, or not finite.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Found {
    /// Root mean square distance of test rows to the learned manifold, over the spread.
    pub(super) error: Option<f64>,
    /// The same to the true manifold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) floor: Option<f64>,
    /// The error of the test rows before the noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) clean_error: Option<f64>,
    /// Mean of the true log-density minus the learned one, nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gap: Option<f64>,
    /// Distance of samples to training rows, over that of true rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ratio: Option<f64>,
    /// Time of the fit.
    #[serde(default)]
    pub(super) seconds: Option<f64>,
    /// The start that won the trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) start: Option<String>,
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_one(count: &usize) -> bool {
    *count == 1
}

impl Record {
    /// Whether it ended well.
    pub(super) fn is_done(&self) -> bool {
        self.status == "done"
    }

    fn key(&self) -> (&str, u64, u64) {
        // Noise is not negative, so its bits are in order.
        (&self.case, self.noise.to_bits(), self.seed)
    }

    /// Whether the run meets the goals of error, gap, ratio and seconds; none where there is no such goal. There is
    /// none for the seconds of a run that did not have the machine for itself.
    pub(super) fn meets(&self, case: &Case, goal: &Goal) -> [Option<bool>; 4] {
        let below = |value: Option<f64>, limit: f64| {
            Some(self.is_done() && value.is_some_and(|value| value < limit))
        };
        let Found { error, gap, ratio, seconds, .. } = self.found;
        let has_gap = case.density && self.noise == 0.0;
        [
            below(error, goal.error.max(self.noise).max(OF_FLOOR * self.floor(case))),
            if has_gap { below(gap.map(f64::abs), goal.gap) } else { None },
            below(ratio, goal.ratio),
            if self.at_once == 1 { below(seconds, goal.seconds) } else { None },
        ]
    }

    /// The error of the true manifold; where that is not known, what is left of the noise across it.
    pub(super) fn floor(&self, case: &Case) -> f64 {
        let [d, n] = [case.features, case.dim].map(f64::from);
        self.found.floor.unwrap_or(self.noise * ((d - n) / d).sqrt())
    }
}

/// The runs of a method under a preset.
#[derive(Debug)]
pub(super) struct Records {
    path: PathBuf,
    all: Vec<Record>,
}

impl Records {
    /// Those that are kept at a place.
    pub(super) fn load(place: Place, preset: &str, method: &str) -> Result<Self> {
        let path = match place {
            Place::Target => Path::new("target/reproduce/manifolds").join(preset),
            Place::Docs => PathBuf::from("docs/results/runs/manifolds"),
        };
        Self::at(path.join(format!("{preset}-{method}.jsonl")))
    }

    fn at(path: PathBuf) -> Result<Self> {
        let text = if path.exists() { files::read(&path)? } else { String::new() };
        let lines = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        let all = lines.with_context(|| format!("in {}", path.display()))?;
        Ok(Self { path, all })
    }

    /// All of them, by case, noise and seed.
    pub(super) fn all(&self) -> &[Record] {
        &self.all
    }

    /// The run of a case, if it had these settings.
    pub(super) fn find(&self, case: &str, noise: f64, seed: u64, hash: &str) -> Option<&Record> {
        let key = (case, noise.to_bits(), seed);
        self.all.iter().find(|record| record.key() == key && record.hash == hash)
    }

    /// Keeps a run in the place of the one before.
    pub(super) fn put(&mut self, record: Record) -> Result<()> {
        self.all.retain(|other| other.key() != record.key());
        self.all.push(record);
        self.all.sort_by(|a, b| a.key().cmp(&b.key()));
        let mut text = String::new();
        for record in &self.all {
            text += &serde_json::to_string(record).context("writing a record as JSON")?;
            text.push('\n');
        }
        files::write(&self.path, text.as_bytes())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::study::Study;
    use super::*;

    pub(in super::super) fn record(case: &str, noise: f64, seed: u64) -> Record {
        Record {
            case: case.to_owned(),
            noise,
            seed,
            hash: "h".to_owned(),
            commit: "c".to_owned(),
            dirty: false,
            date: "d".to_owned(),
            command: "x".to_owned(),
            machine: "y".to_owned(),
            at_once: 1,
            status: "done".to_owned(),
            found: Found {
                error: Some(0.004),
                floor: Some(1e-9),
                gap: Some(-0.04),
                ratio: Some(1.0),
                seconds: Some(50.0),
                start: Some("m-flow, flat start".to_owned()),
                ..Found::default()
            },
        }
    }

    #[test]
    fn goals_are_judged() {
        let study = Study::parse(super::super::study::tests::TEXT).unwrap();
        let case = study.cases(study.preset("quick").unwrap()).next().unwrap();
        let good = record("torus", 0.0, 1);
        let meets = |change: fn(&mut Record)| {
            let mut record = good.clone();
            change(&mut record);
            record.meets(case, &study.goal)
        };
        let all = [Some(true); 4];
        assert_eq!(meets(|_| ()), all);
        assert_eq!(meets(|r| r.found.error = Some(0.006))[0], Some(false));
        assert_eq!(meets(|r| r.found.gap = Some(-0.06))[1], Some(false), "either way");
        assert_eq!(meets(|r| r.found.gap = None)[1], Some(false), "no density was learned");
        assert_eq!(meets(|r| r.found.ratio = Some(1.4))[2], Some(false));
        assert_eq!(meets(|r| r.found.seconds = Some(61.0))[3], Some(false));
        assert_eq!(meets(|r| r.at_once = 2)[3], None, "others took some of the time");
        assert_eq!(meets(|r| r.status = "failed: x".to_owned()), all.map(|_| Some(false)));
        let noisy = |error: f64, floor: Option<f64>| {
            let mut record = record("torus", 0.05, 1);
            (record.found.error, record.found.floor) = (Some(error), floor);
            record.meets(case, &study.goal)
        };
        assert_eq!(noisy(0.049, None), [Some(true), None, Some(true), Some(true)], "the noise");
        assert_eq!(noisy(0.051, None)[0], Some(false));
        assert_eq!(noisy(0.054, Some(0.05))[0], Some(true), "1.1 times the true distance");
        assert_eq!(noisy(0.056, Some(0.05))[0], Some(false));
    }

    #[test]
    fn runs_are_kept_and_replaced() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/manifolds-test");
        files::remove_folder(&folder).unwrap();
        let path = folder.join("quick-mflow.jsonl");
        let mut records = Records::at(path.clone()).unwrap();
        let later = record("torus", 0.05, 1);
        for record in [later.clone(), record("torus", 0.0, 2), record("torus", 0.0, 1)] {
            records.put(record).unwrap();
        }
        let changed = Record { hash: "new".to_owned(), ..record("torus", 0.0, 2) };
        records.put(changed.clone()).unwrap();
        let again = Records::at(path).unwrap();
        assert_eq!(again.all(), [record("torus", 0.0, 1), changed.clone(), later]);
        assert_eq!(again.find("torus", 0.0, 2, "new"), Some(&changed));
        assert_eq!(again.find("torus", 0.0, 2, "h"), None, "other settings");
    }
}
