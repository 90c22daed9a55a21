//! The rows of an experiment side by side: figures and a report by `mflow plot`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::experiment::Experiment;
use super::job::Job;
use super::record::Place;

/// Compares the first finished run of each row, if there are several. Returns the folder with the report and
/// the figures.
///
/// # Errors
/// If the program fails.
pub(super) fn draw(
    program: &Path,
    experiment: &Experiment,
    preset: &str,
    jobs: &[&Job<'_>],
) -> Result<Option<PathBuf>> {
    let mut runs: Vec<PathBuf> = Vec::new();
    for model in experiment.compared() {
        for job in jobs.iter().filter(|job| job.model.name == model.name) {
            let is_done = job.record(Place::Target)?.is_some_and(|record| record.is_done());
            if is_done && job.directory().is_dir() {
                runs.push(job.directory());
                break;
            }
        }
    }
    if runs.len() < 2 {
        return Ok(None);
    }
    let folder =
        Path::new("target/reproduce").join(&experiment.name).join(preset).join("comparison");
    let mut plot = Command::new(program);
    let output = plot.arg("plot").args(&runs).arg("--out").arg(&folder).output();
    let output = output.with_context(|| format!("starting {}", program.display()))?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "mflow plot: {}", message.trim());
    Ok(Some(folder))
}
