//! What a task of a job array does: one run, by the way of all runs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

use super::submission::Submission;
use super::{PROGRAM, job_file, task_id};
use crate::provenance::Provenance;
use crate::reproduce::experiment::Experiment;
use crate::reproduce::job;
use crate::reproduce::runner::{End, Suite};
use crate::{files, shell};

/// Does the run of this task of the submission in `folder`.
///
/// # Errors
/// If the run fails; then Slurm shows the task as failed, and does not start it again.
pub(crate) fn run(folder: &Path) -> Result<()> {
    let task = task_id().context("SLURM_ARRAY_TASK_ID is not set: this command is for Slurm")?;
    let told_to_end = Arc::new(AtomicBool::new(false));
    listen(&told_to_end)?;
    let submission = Submission::load(folder)?;
    let index = task.rsplit('_').next().and_then(|index| index.parse::<usize>().ok());
    let run = index.and_then(|index| submission.runs.get(index)).with_context(|| {
        format!("task {task}: {} has {} runs", folder.display(), submission.runs.len())
    })?;
    let text = files::read(&folder.join(job_file(&run.experiment)))?;
    let experiment = Experiment::parse(&run.experiment, &text)?;
    let jobs = job::plan(&experiment, &run.preset, run.seed..run.seed.saturating_add(1))?;
    let job = jobs.iter().find(|job| job.model.name == run.model).with_context(|| {
        format!("{} {} has no model '{}'", run.experiment, run.preset, run.model)
    })?;
    let command = submission.command.clone();
    let provenance = Provenance { command, ..Provenance::packed(folder)? };
    println!("{job}: task {task} of Slurm, on {}", provenance.machine);
    let suite = Suite {
        program: folder.join(PROGRAM),
        place: submission.place(),
        provenance: &provenance,
        at_once: 1,
        deadline: None,
        told_to_end,
    };
    match suite.run_one(job)? {
        End::Done | End::Elsewhere => Ok(()),
        End::Failed => bail!("{job} failed; its log: {}", job.log_path().display()),
        End::Interrupted => requeue(&task),
    }
}

/// Has Slurm start this task again, if it does not do so, or end it for good, of its own accord.
fn requeue(task: &str) -> Result<()> {
    let state = shell::read(
        Command::new("squeue").args(["--noheader", "--format=%T", "--jobs"]).arg(task),
    )?;
    if state.trim() != "RUNNING" {
        println!("task {task} of Slurm is {}", state.trim());
        return Ok(());
    }
    shell::run(Command::new("scontrol").args(["requeue", task]))
}

/// Lets no signal end this process before its program. Slurm sends SIGTERM to all processes of a task when it ends it,
/// and SIGUSR1 to this process alone when the end is near; the program knows SIGTERM only, and dies of a second one.
#[cfg(unix)]
fn listen(told_to_end: &Arc<AtomicBool>) -> Result<()> {
    use signal_hook::consts::{SIGTERM, SIGUSR1};

    let mut signals =
        signal_hook::iterator::Signals::new([SIGTERM, SIGUSR1]).context("listening for signals")?;
    let told_to_end = Arc::clone(told_to_end);
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let first = !told_to_end.swap(true, Ordering::Relaxed);
            println!("told to end, by signal {signal}");
            if first && signal == SIGUSR1 {
                // To all processes of the task.
                let sent = Command::new("sh").args(["-c", "kill -s TERM 0"]).status();
                drop(sent); // the shell dies of it, too
            }
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn listen(_: &Arc<AtomicBool>) -> Result<()> {
    bail!("there are no signals of Slurm on this system")
}
