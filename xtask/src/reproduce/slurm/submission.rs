//! What was submitted: the list of runs, in the folder of their tasks.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::reproduce::job::Job;
use crate::reproduce::record::Place;

const FOLDER: &str = "target/reproduce/slurm";
const FILE: &str = "submission.json";

/// A job array.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Submission {
    /// Where all of it is.
    #[serde(skip)]
    pub(super) folder: PathBuf,
    /// Its number in Slurm, once it has one.
    pub(super) number: Option<String>,
    /// What was typed.
    pub(super) command: String,
    /// Whether records are kept in the docs.
    record: bool,
    /// What the tasks run, in the order of their numbers.
    pub(super) runs: Vec<Run>,
}

/// A run, as names.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Run {
    pub(super) experiment: String,
    pub(super) preset: String,
    pub(super) model: String,
    pub(super) seed: u64,
}

impl Run {
    pub(super) fn of(job: &Job<'_>) -> Self {
        Self {
            experiment: job.experiment.name.clone(),
            preset: job.preset.to_owned(),
            model: job.model.name.clone(),
            seed: job.seed,
        }
    }
}

impl Submission {
    /// Starts one, in a folder of its own.
    pub(super) fn create(place: Place, command: &str, jobs: &[&Job<'_>]) -> Result<Self> {
        let runs = jobs.iter().map(|job| Run::of(job)).collect();
        fs::create_dir_all(FOLDER).with_context(|| format!("writing {FOLDER}"))?;
        let mut number = numbers()?.last().map_or(1, |last| last + 1);
        let folder = loop {
            let folder = Path::new(FOLDER).join(number.to_string());
            match fs::create_dir(&folder) {
                // Another caller was faster.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                made => {
                    made.with_context(|| format!("writing {}", folder.display()))?;
                    break folder;
                }
            }
        };
        let record = place == Place::Docs;
        Ok(Self { folder, number: None, command: command.to_owned(), record, runs })
    }

    /// Reads the one in `folder`.
    pub(super) fn load(folder: &Path) -> Result<Self> {
        let submission: Self = files::read_json(&folder.join(FILE))?;
        Ok(Self { folder: folder.to_owned(), ..submission })
    }

    /// All that Slurm was given, in order.
    pub(super) fn load_all() -> Result<Vec<Self>> {
        let folders =
            numbers()?.into_iter().map(|number| Path::new(FOLDER).join(number.to_string()));
        // One without the file is being written.
        let written = folders.filter(|folder| folder.join(FILE).is_file());
        let mut all = written.map(|folder| Self::load(&folder)).collect::<Result<Vec<_>>>()?;
        all.retain(|submission| submission.number.is_some());
        Ok(all)
    }

    /// Writes it into its folder.
    pub(super) fn save(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("writing a submission as JSON")?;
        files::replace(&self.folder.join(FILE), text.as_bytes())
    }

    /// Where records go, apart from beside the runs.
    pub(super) fn place(&self) -> Place {
        if self.record { Place::Docs } else { Place::Target }
    }

    /// What a task says, apart from the program that it runs.
    pub(super) fn log_path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{index}.log"))
    }
}

/// The names of the folders, in order.
fn numbers() -> Result<Vec<u64>> {
    let entries = match fs::read_dir(FOLDER) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("listing {FOLDER}"))?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.with_context(|| format!("listing {FOLDER}"))?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
