//! `cargo xtask check-slurm`: what `reproduce --slurm` promises, by a Slurm that is started for it.

mod cluster;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{files, reproduce, shell};
use cluster::Cluster;

const EXPERIMENT: &str = include_str!("check_slurm/experiment.toml");
const FOLDER: &str = "target/check-slurm";
const SEEDS: [&str; 2] = ["1", "2"];

/// Runs a small sweep without Slurm and with it, interrupts the latter, and compares.
pub(crate) fn run() -> Result<()> {
    let program = reproduce::program()?;
    files::remove_folder(Path::new(FOLDER))?;
    let root = |name, threads| Root { path: Path::new(FOLDER).join(name), threads };
    // The number of shards is that of the threads, and changes the last bits.
    let (plain, sweep) = (root("plain", Some("2")), root("sweep", None));
    let cluster = Cluster::start()?;
    println!("Slurm is ready");
    let call = |root: &Root, arguments: &str| root.reproduce(&cluster, &program, arguments);
    let (ended_well, said) = call(&plain, "--model steady --jobs 2")?;
    ensure!(ended_well, "the runs without Slurm failed: {said}");
    // In a partition that is not the one of tasks which name none, and with an option that the script has, too.
    let submit = "--slurm --partition usual --record --sbatch --cpus-per-task=2";
    let (_, said) = call(&sweep, submit)?;
    let number = said
        .split_once("submitted as job ")
        .and_then(|(_, rest)| rest.split(' ').next())
        .with_context(|| format!("expected the number of a job, found {said}"))?;
    let (_, said) = call(&sweep, "--slurm --record")?;
    ensure!(!said.contains("submitted"), "runs were submitted twice: {said}");
    let cores = shell::read(cluster.command("squeue").args(["--noheader", "--format=%C"]))?;
    let is_two = |cores: &str| cores.trim() == "2";
    ensure!(cores.lines().all(is_two), "expected tasks of 2 cores, found {cores}");
    println!("4 runs are submitted once, as job {number}");
    interrupt(&cluster, &sweep, number)
        .with_context(|| format!("tasks have their logs in {}", sweep.submission().display()))?;
    cluster.wait("the last task", || {
        shell::read(cluster.command("squeue").arg("--noheader")).map(|queue| queue.is_empty())
    })?;
    compare(&plain, &sweep)?;
    let (ended_well, said) = call(&sweep, "--time-limit 0 --record")?;
    let words = ["steady seed 1: done already", "broken-2.log", "2 run(s) failed"];
    let missing = words.into_iter().find(|words| !said.contains(words));
    ensure!(!ended_well && missing.is_none(), "expected '{}' in {said}", missing.unwrap_or("?"));
    println!("runs that fail are told of, and are not started again");
    let page = files::read(&sweep.path.join("docs/results/check.md"))?;
    ensure!(page.contains("median of 2"), "expected two finished runs on the page, found {page}");
    println!("the page has the finished runs");
    Ok(())
}

/// Has each of the runs that end give way to a job that is more urgent, and one of them learn that its time is up.
fn interrupt(cluster: &Cluster, sweep: &Root, number: &str) -> Result<()> {
    for seed in SEEDS {
        cluster.wait("an epoch", || Ok(sweep.epochs(seed) > 2))?;
    }
    let mut urgent = cluster.command("sbatch");
    urgent.args(["--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=true"]);
    shell::read(&mut urgent)?;
    // The others fail: the order is seed by seed.
    for (index, seed) in ["0", "2"].into_iter().zip(SEEDS) {
        cluster.wait("a task that is started again", || Ok(sweep.starts(index) == 2))?;
        let epochs = sweep.epochs(seed);
        cluster.wait("an epoch", || Ok(sweep.epochs(seed) > epochs + 2))?;
    }
    println!("both runs gave way to another job, and went on");
    let task = format!("{number}_2");
    shell::read(cluster.command("scancel").args(["--batch", "--signal=USR1", &task]))?;
    cluster.wait("a task that is started again", || Ok(sweep.starts("2") == 3))?;
    println!("one was warned of the end of its time, and went on");
    Ok(())
}

fn compare(plain: &Root, sweep: &Root) -> Result<()> {
    for seed in SEEDS {
        let model = |root: &Root| {
            let path = root.run("steady", seed).join("model.safetensors");
            fs::read(&path).with_context(|| format!("reading {}", path.display()))
        };
        ensure!(model(plain)? == model(sweep)?, "the model of seed {seed} has other bits");
        let [expected, found] = [plain, sweep].map(|root| root.record("steady", seed));
        let (expected, found) = (expected?, found?);
        for key in ["metrics", "status", "config_hash"] {
            ensure!(expected[key] == found[key], "seed {seed}: expected {expected}, found {found}");
        }
        let failed = sweep.record("broken", seed)?;
        let status = failed["status"].as_str().unwrap_or_default();
        ensure!(status.starts_with("failed: "), "seed {seed}: expected a failure, found {failed}");
    }
    let starts = ["0", "1", "2", "3"].map(|index| sweep.starts(index));
    ensure!(starts == [2, 1, 3, 1], "expected 2, 1, 3 and 1 starts of the tasks, found {starts:?}");
    println!("the models have the bits, and the records the metrics, of runs without Slurm");
    Ok(())
}

/// A folder that xtask takes for a repository with one experiment.
struct Root {
    path: PathBuf,
    /// Of each run, if it is not the number of cores of a task.
    threads: Option<&'static str>,
}

impl Root {
    /// Calls `cargo xtask reproduce check`; returns whether it ended well, and what it said.
    fn reproduce(
        &self,
        cluster: &Cluster,
        program: &Path,
        arguments: &str,
    ) -> Result<(bool, String)> {
        let experiment = self.path.join("xtask/experiments/check.toml");
        files::write(&experiment, EXPERIMENT.as_bytes())?;
        let own = std::env::current_exe().context("finding the program of xtask")?;
        let mut xtask = cluster.command(&own.to_string_lossy());
        xtask.args(["reproduce", "check"]).args(arguments.split(' '));
        let root = self.path.join("xtask");
        let root = root.canonicalize().with_context(|| format!("finding {}", root.display()))?;
        xtask.env("CARGO_MANIFEST_DIR", root).env("MFLOW_BIN", program);
        match self.threads {
            Some(threads) => xtask.env("RAYON_NUM_THREADS", threads),
            None => xtask.env_remove("RAYON_NUM_THREADS"),
        };
        let output = xtask.output().context("starting xtask")?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }

    fn run(&self, model: &str, seed: &str) -> PathBuf {
        self.path.join(format!("target/reproduce/check/quick/{model}-{seed}"))
    }

    fn record(&self, model: &str, seed: &str) -> Result<Value> {
        let folder = self.path.join("target/reproduce/check/quick/records");
        files::read_json(&folder.join(format!("{model}-{seed}.json")))
    }

    /// How many epochs a run has written down.
    fn epochs(&self, seed: &str) -> usize {
        let metrics = files::read(&self.run("steady", seed).join("metrics.jsonl"));
        metrics.unwrap_or_default().lines().count()
    }

    /// The folder of the only submission.
    fn submission(&self) -> PathBuf {
        self.path.join("target/reproduce/slurm/1")
    }

    /// How often a task was started.
    fn starts(&self, index: &str) -> usize {
        let log = self.submission().join(format!("{index}.log"));
        files::read(&log).unwrap_or_default().matches(" of Slurm, on ").count()
    }
}
