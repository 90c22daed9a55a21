//! What Slurm still has of earlier submissions.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::Result;

use super::submission::{Run, Submission};
use crate::reproduce::job::Job;
use crate::shell;

/// The submissions, and the states of their tasks.
#[derive(Debug)]
pub(in super::super) struct Queue {
    submissions: Vec<Submission>,
    /// Of tasks like `12_3` that Slurm has not ended; nothing where it cannot be asked.
    states: Option<BTreeMap<String, String>>,
}

impl Queue {
    /// Asks Slurm, if anything was submitted.
    pub(in super::super) fn load() -> Result<Self> {
        let submissions = Submission::load_all()?;
        let states = match submissions.is_empty() {
            true => Some(BTreeMap::new()),
            false => states()
                .inspect_err(|error| {
                    println!("Slurm cannot be asked which of its tasks wait or run: {error:#}");
                })
                .ok(),
        };
        Ok(Self { submissions, states })
    }

    /// The state of the task that waits to do this run or does it; nothing if there is none.
    pub(in super::super) fn state(&self, job: &Job<'_>) -> Option<String> {
        let states = self.states.as_ref()?;
        self.tasks(job).find_map(|(_, _, task)| {
            states.get(&task).map(|state| format!("task {task} of Slurm, {state}"))
        })
    }

    /// What to say of a run whose tasks all have ended, the last of them without a record of the run.
    pub(in super::super) fn trouble(&self, job: &Job<'_>) -> Option<String> {
        self.states.as_ref()?;
        let (submission, index, task) = self.tasks(job).last()?;
        let log = submission.log_path(index);
        Some(format!("task {task} of Slurm ended without a result; see {}", log.display()))
    }

    /// The tasks that were submitted for this run, in order.
    fn tasks<'a>(
        &'a self,
        job: &Job<'_>,
    ) -> impl Iterator<Item = (&'a Submission, usize, String)> + use<'a> {
        let wanted = Run::of(job);
        self.submissions.iter().filter_map(move |submission| {
            let index = submission.runs.iter().position(|run| *run == wanted)?;
            Some((submission, index, format!("{}_{index}", submission.number.as_ref()?)))
        })
    }
}

/// The states of this user's tasks.
fn states() -> Result<BTreeMap<String, String>> {
    let arguments = ["--me", "--noheader", "--array", "--format=%F_%K %T"];
    let listed = shell::read(Command::new("squeue").args(arguments))?;
    let pairs = listed.lines().filter_map(|line| line.trim().split_once(' '));
    Ok(pairs.map(|(task, state)| (task.to_owned(), state.to_owned())).collect())
}
