//! `cargo xtask reproduce --slurm`: the runs as one array of Slurm jobs.
//!
//! A submission is a folder in `target/reproduce/slurm` with all that its tasks need: the programs, the experiments and
//! the list of runs. So the sources may be changed, and built, while tasks wait.

mod queue;
mod submission;
mod task;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::job::Job;
use super::record::Place;
use crate::provenance::Provenance;
use crate::{files, shell};
pub(super) use queue::Queue;
use submission::Submission;
pub(crate) use task::run as task;

/// The names of files in the folder of a submission.
const PROGRAM: &str = "mflow";
const XTASK: &str = "xtask";
const SCRIPT: &str = "tasks.sh";

/// This process as a task of a job array, like `12_3`; nothing if Slurm did not start it.
pub(super) fn task_id() -> Option<String> {
    let [array, index] = ["SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"].map(std::env::var);
    Some(format!("{}_{}", array.ok()?, index.ok()?))
}

/// Refuses to go on where there is no Slurm.
pub(super) fn require() -> Result<()> {
    for command in ["sbatch", "squeue"] {
        shell::read(Command::new(command).arg("--version")).context(
            "--slurm needs sbatch and squeue, set up for a cluster: call it on a login node (the package of the \
             commands is slurm-client on Debian and Ubuntu), or use --jobs",
        )?;
    }
    Ok(())
}

/// What is the same for all runs of a submission.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The program that does the runs.
    pub(super) program: &'a Path,
    /// Where records go, apart from beside the runs.
    pub(super) place: Place,
    /// What records say of this call.
    pub(super) provenance: &'a Provenance,
    /// The number of runs at once; without one that is up to Slurm.
    pub(super) at_once: Option<usize>,
    /// Without one it is that of the cluster.
    pub(super) partition: Option<&'a str>,
    /// Further options of sbatch, as they are typed.
    pub(super) options: &'a str,
}

impl Plan<'_> {
    /// Submits the jobs, a task each. Returns the number of the job array.
    pub(super) fn submit(&self, jobs: &[&Job<'_>]) -> Result<String> {
        let mut submission = Submission::create(self.place, &self.provenance.command, jobs)?;
        let folder = submission.folder.clone();
        let number = self.fill(&submission, jobs).and_then(|()| {
            let mut sbatch = Command::new("sbatch");
            let said = shell::read(sbatch.args(["--parsable", SCRIPT]).current_dir(&folder))?;
            // A name of the cluster may follow.
            Ok(said.trim().split(';').next().unwrap_or_default().to_owned())
        });
        // Without a job it would be taken for one whose tasks all died.
        let number = number.inspect_err(|_| drop(files::remove_folder(&folder)))?;
        submission.number = Some(number.clone());
        submission.save()?;
        Ok(number)
    }

    fn fill(&self, submission: &Submission, jobs: &[&Job<'_>]) -> Result<()> {
        let folder = &submission.folder;
        let own = std::env::current_exe().context("finding the program of xtask")?;
        let experiments = jobs.iter().map(|job| &job.experiment.name);
        let experiments = experiments.map(|name| (job_file(name), super::Experiment::path(name)));
        let programs = [(PROGRAM.to_owned(), self.program.to_owned()), (XTASK.to_owned(), own)];
        for (name, from) in programs.into_iter().chain(experiments) {
            let to = folder.join(name);
            fs::copy(&from, &to)
                .with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
        }
        self.provenance.pack(folder)?;
        submission.save()?;
        let options = self.partition.map(|name| format!("--partition={name} "));
        let options = options.unwrap_or_default() + self.options;
        let script = script(jobs, self.at_once, &options);
        files::write(&folder.join(SCRIPT), script.as_bytes())
    }
}

/// The file with an experiment's text in the folder of a submission.
fn job_file(experiment: &str) -> String {
    format!("{experiment}.toml")
}

/// What sbatch reads. It is submitted from its own folder, which so becomes that of the tasks.
fn script(jobs: &[&Job<'_>], at_once: Option<usize>, options: &str) -> String {
    let names: BTreeSet<&str> = jobs.iter().map(|job| &*job.experiment.name).collect();
    let names = names.into_iter().collect::<Vec<_>>().join("+");
    let preset = jobs.first().map_or("", |job| job.preset);
    let last = jobs.len().saturating_sub(1);
    let at_once = at_once.map_or(String::new(), |count| format!("%{}", count.max(1)));
    // Of an option that is there twice, Slurm takes the last.
    let options = match options {
        "" => String::new(),
        options => format!("#SBATCH {options}\n"),
    };
    format!(
        "#!/bin/sh
#SBATCH --job-name=mflow-{names}-{preset}
#SBATCH --cpus-per-task=1
# A minute before the time is up, and when another job needs the place, if the cluster says so then.
#SBATCH --signal=B:USR1@60
{options}#SBATCH --array=0-{last}{at_once}
#SBATCH --output=%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
export RAYON_NUM_THREADS=\"${{RAYON_NUM_THREADS:-$SLURM_CPUS_PER_TASK}}\"
# It takes the place of the shell, so that it gets the signals.
exec ./{XTASK} slurm-task \"$PWD\"
"
    )
}

#[cfg(test)]
mod tests {
    use super::super::experiment::tests::TEXT;
    use super::super::job;
    use super::*;

    #[test]
    fn the_script_has_a_task_for_each_run() {
        let experiments =
            ["b", "a"].map(|name| super::super::Experiment::parse(name, TEXT).unwrap());
        let jobs = experiments.iter().flat_map(|e| job::plan(e, "quick", 1..3).unwrap());
        let jobs: Vec<_> = jobs.collect();
        let jobs: Vec<_> = jobs.iter().collect();
        let lines = |at_once, options| -> Vec<String> {
            let text = script(&jobs, at_once, options);
            let options = text.lines().filter_map(|line| line.strip_prefix("#SBATCH "));
            options.map(str::to_owned).collect()
        };
        let plain = lines(None, "");
        assert_eq!(plain[0], "--job-name=mflow-a+b-quick");
        assert!(plain.contains(&"--array=0-7".to_owned()), "{plain:?}");
        let more = lines(Some(3), "--partition=short --array=9");
        assert!(more.contains(&"--array=0-7%3".to_owned()), "{more:?}");
        let at = |option: &str| more.iter().position(|line| line.starts_with(option)).unwrap();
        assert!(
            at("--cpus-per-task") < at("--partition"),
            "the user's come after what can be changed"
        );
        assert!(at("--partition") < at("--array=0"), "and before what cannot");
    }
}
