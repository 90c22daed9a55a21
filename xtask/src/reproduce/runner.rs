//! Runs jobs, some at once, and writes their records.

use std::fs::{self, File};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Error, Result, anyhow};

use super::claim::{self, Claim, Taken};
use super::job::Job;
use super::parallel;
use super::record::{Outcome, Place, Record};
use super::watched;
use crate::number;
use crate::provenance::Provenance;

/// The exit code of a program that a signal made write a checkpoint and end.
const INTERRUPTED: i32 = 130;

/// How the jobs are run.
#[derive(Debug)]
pub(super) struct Suite<'a> {
    /// `mflow`.
    pub(super) program: PathBuf,
    /// Where records go, apart from beside the runs.
    pub(super) place: Place,
    /// What records say of this call.
    pub(super) provenance: &'a Provenance,
    /// Number of processes at once.
    pub(super) at_once: usize,
    /// No run starts after this.
    pub(super) deadline: Option<Instant>,
    /// Raised by a signal that says to end: a run that ends badly then is one that was interrupted.
    pub(super) told_to_end: Arc<AtomicBool>,
}

/// How a run ended, as far as this process is concerned.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// With a record of what came out.
    Done,
    /// With a record that says why not.
    Failed,
    /// By a signal; it can be gone on with.
    Interrupted,
    /// It is that of another process, and was not started.
    Elsewhere,
}

impl Suite<'_> {
    /// Runs the jobs in order and returns how many have a record now. A run that fails has one like any other; an
    /// error is one of xtask itself.
    pub(super) fn run(&self, jobs: &[&Job<'_>]) -> Result<usize> {
        parallel::run(self.at_once, self.deadline, jobs, |job| {
            Ok(matches!(self.run_one(job)?, End::Done | End::Failed))
        })
    }

    /// Runs one job, if no other process is at it or has done it meanwhile.
    pub(super) fn run_one(&self, job: &Job<'_>) -> Result<End> {
        let _claim = match Claim::take(&job.claim_path())? {
            Taken::Ours(claim) => claim,
            Taken::Theirs(owner) => {
                println!("{job}: left to {owner}");
                return Ok(End::Elsewhere);
            }
        };
        if job.settle(self.place, self.provenance)? {
            println!("{job}: done meanwhile, skipped");
            return Ok(End::Done);
        }
        // The program goes on when xtask is killed alone.
        if claim::is_locked(&job.lock_path()) {
            println!("{job}: left to a program that an earlier call started and that still runs");
            return Ok(End::Elsewhere);
        }
        job.prepare()?;
        let start = Instant::now();
        let called = self.call(job);
        let took = number::seconds(start.elapsed().as_secs_f64());
        let (end, status, outcome) = match called {
            Ok(Some(outcome)) => (End::Done, "done".to_owned(), outcome),
            Ok(None) => {
                println!("{job}: interrupted after {took} s; the same command goes on with it");
                return Ok(End::Interrupted);
            }
            Err(error) => (End::Failed, format!("failed: {error:#}"), Outcome::default()),
        };
        println!("{job}: {status} after {took} s");
        let Provenance { commit, dirty, date, machine, command } = self.provenance.clone();
        let record = Record {
            name: job.experiment.name.clone(),
            preset: job.preset.to_owned(),
            model: job.model.name.clone(),
            seed: job.seed,
            config_hash: job.config_hash(),
            commit,
            dirty,
            date,
            command,
            machine,
            status,
            outcome,
        };
        record.save(&job.record_path(Place::Target))?;
        record.save(&job.record_path(self.place))?;
        Ok(end)
    }

    /// What came out of the program; nothing if it was interrupted.
    fn call(&self, job: &Job<'_>) -> Result<Option<Outcome>> {
        let directory = job.directory();
        let mut command = Command::new(&self.program);
        command.arg("run").arg(job.config_path()).arg("--out").arg(&directory);
        command.args(["--resume", "auto"]);
        if self.at_once > 1 && std::env::var_os("RAYON_NUM_THREADS").is_none() {
            // Each run would take all cores, and all would be slower for it.
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            command.env("RAYON_NUM_THREADS", (cores / self.at_once).max(1).to_string());
        }
        // On a terminal the progress bar is worth more than a log.
        let shown = self.at_once == 1 && std::io::stderr().is_terminal();
        let log = job.log_path();
        if !shown {
            let file = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
            command.stdout(file.try_clone().context("sharing the log")?).stderr(file);
        }
        let program = self.program.display();
        let mut child = command.spawn().with_context(|| format!("starting {program}"))?;
        let ended = match shown {
            true => child.wait(),
            false => watched::wait(&mut child, &log, |line| println!("{job}: {line}")),
        };
        let status = ended.with_context(|| format!("waiting for {program}"))?;
        if status.success() {
            return Outcome::load(&directory).map(Some);
        }
        // Early in its life a program just dies of a signal.
        if status.code() == Some(INTERRUPTED) || self.told_to_end.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let output = if shown { String::new() } else { read_lossy(&log)? };
        Err(complaint(&output)
            .map_or_else(|| Error::msg(status), |complaint| anyhow!("{complaint} ({status})")))
    }
}

fn read_lossy(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a program says when it ends badly: its `Error:` with the causes, else its last line.
pub(super) fn complaint(output: &str) -> Option<String> {
    let error = output.rfind("Error: ").map(|at| {
        let lines = output[at..].lines().map(str::trim);
        let lines = lines.take_while(|line| !line.starts_with("Stack backtrace"));
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    });
    let last = || output.lines().map(str::trim).rfind(|line| !line.is_empty());
    error.or_else(|| last().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn the_error_is_picked_out_of_the_output() {
        let output = "step 3\nError: training\n\nCaused by:\n    NaN\n\nStack backtrace:\n 0: f\n";
        assert_eq!(complaint(output).as_deref(), Some("Error: training Caused by: NaN"));
        assert_eq!(complaint("step 3\nkilled\n\n").as_deref(), Some("killed"));
        assert_eq!(complaint("\n"), None);
    }
}
