//! What a run on a device leaves: a JSON object per line, written as it goes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::bench::turns::Timed;
use crate::files;
use crate::reproduce::Outcome;

/// The name of the file.
pub(super) const FILE: &str = "gpu.jsonl";

/// A line.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Record {
    Start(Start),
    Machine(Machine),
    Ceilings(Ceilings),
    Tests(Tests),
    Again(Again),
    Versions(Versions),
    Speed(Speed),
    Whole(Whole),
    /// Something that was to be done, and why it was not.
    NotRun {
        what: String,
        why: String,
    },
    /// A part of the run, and how long it took.
    Stage {
        name: String,
        seconds: f64,
    },
}

/// What was run, and where.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Start {
    pub(super) commit: String,
    pub(super) dirty: bool,
    pub(super) date: String,
    pub(super) machine: String,
    pub(super) command: String,
    pub(super) device: String,
    pub(super) preset: String,
    pub(super) minutes: f64,
}

/// The device, as others describe it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Machine {
    /// Name, driver and memory of the GPUs, where there are any.
    pub(super) gpus: Vec<String>,
    /// What `nvidia-smi` prints, or why it does not.
    pub(super) smi: String,
    /// What `mflow info` prints.
    pub(super) info: String,
}

/// What the device does in a second.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Ceilings {
    /// Rows and columns of the matrices.
    pub(super) size: usize,
    pub(super) flops: f64,
    pub(super) bytes: f64,
}

/// Tests that ran in one process.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Tests {
    pub(super) binary: String,
    pub(super) group: String,
    pub(super) passed: usize,
    pub(super) ignored: usize,
    pub(super) failed: Vec<Failure>,
    /// Those without a verdict when the process ended.
    pub(super) unfinished: Vec<String>,
    pub(super) seconds: f64,
    /// How the process ended.
    pub(super) end: String,
}

/// A test that failed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Failure {
    pub(super) name: String,
    /// The first lines of what it printed.
    pub(super) output: String,
}

/// A test that failed, or had no verdict, in a process of its own.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Again {
    pub(super) binary: String,
    pub(super) name: String,
    pub(super) passed: bool,
    /// The first lines of what it printed, if it failed.
    pub(super) output: String,
}

/// What a worker times.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Versions {
    pub(super) worker: String,
    pub(super) versions: String,
}

/// A case, timed, with what it cannot do without.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Speed {
    #[serde(flatten)]
    pub(super) timed: Timed,
    pub(super) flops: Option<f64>,
    pub(super) bytes: Option<f64>,
    /// Seconds that peers took to open it, others compiling at the same time.
    pub(super) opening: BTreeMap<String, f64>,
}

/// A run of the program from its first update to its figures.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Whole {
    pub(super) experiment: String,
    pub(super) model: String,
    pub(super) preset: String,
    /// `done`, or how it ended.
    pub(super) status: String,
    /// Of the whole process.
    pub(super) seconds: f64,
    /// As far as they went.
    pub(super) phases: Vec<Phase>,
    /// Empty if it was not done.
    pub(super) outcome: Outcome,
}

/// A phase of training, or one of several attempts at it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Phase {
    pub(super) name: String,
    /// Counted from 0.
    pub(super) attempt: usize,
    /// Those that ended.
    pub(super) epochs: usize,
    pub(super) updates_per_epoch: usize,
    /// Validation included; without the first epoch, if there is another.
    pub(super) seconds_per_update: f64,
    /// Mean training loss of the first epoch, and of the last.
    pub(super) first_loss: f64,
    pub(super) last_loss: f64,
}

/// The records of a run that goes on.
#[derive(Debug)]
pub(super) struct Book {
    file: File,
    path: PathBuf,
}

impl Book {
    /// An empty one in `folder`.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        files::write(&path, b"")?;
        let file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        Ok(Self { file, path })
    }

    /// Adds a line; it is in the file when this returns.
    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        let line = serde_json::to_string(record).context("writing a record as JSON")?;
        let written = writeln!(self.file, "{line}").and_then(|()| self.file.flush());
        written.with_context(|| format!("writing {}", self.path.display()))
    }

    /// Says what is left out.
    pub(super) fn not_run(&mut self, what: &str, why: &str) -> Result<()> {
        println!("NOT RUN: {what}: {why}");
        self.write(&Record::NotRun { what: what.to_owned(), why: why.to_owned() })
    }
}

/// Reads the records of a run; a last line that was cut off is left out.
pub(super) fn read(path: &Path) -> Result<Vec<Record>> {
    parse(&files::read(path)?).with_context(|| format!("in {}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match serde_json::from_str(line) {
            Ok(record) => records.push(record),
            Err(_) if number == text.lines().count() && !text.ends_with('\n') => {}
            Err(error) => {
                return Err(error).with_context(|| format!("line {number}: expected a record"));
            }
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::turns;

    #[test]
    fn records_survive_a_file() {
        let speed = Speed {
            timed: turns::tests::timed(),
            flops: Some(1e9),
            bytes: None,
            opening: BTreeMap::new(),
        };
        let phase = Phase {
            name: "manifold".to_owned(),
            attempt: 0,
            epochs: 4,
            updates_per_epoch: 18,
            seconds_per_update: 0.1,
            first_loss: 9.0,
            last_loss: 2.0,
        };
        let whole = Whole {
            experiment: "images-scan".to_owned(),
            model: "n08".to_owned(),
            preset: "smoke".to_owned(),
            status: "done".to_owned(),
            seconds: 3.0,
            phases: vec![phase],
            outcome: Outcome::default(),
        };
        let records = [Record::Speed(speed), Record::Whole(whole)];
        let lines: Vec<String> =
            records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
        let again = parse(&(lines.join("\n") + "\n")).unwrap();
        for (record, line) in again.iter().zip(&lines) {
            assert_eq!(serde_json::to_string(record).unwrap(), *line);
        }
        assert_eq!(again.len(), 2);
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out_and_a_wrong_one_is_named() {
        let good = r#"{"kind": "stage", "name": "speed", "seconds": 2.0}"#;
        assert_eq!(parse(&format!("{good}\n{}", &good[..20])).unwrap().len(), 1);
        let error = format!("{:#}", parse(&format!("{{}}\n{good}\n")).unwrap_err());
        assert!(error.contains("line 1"), "{error}");
    }
}
