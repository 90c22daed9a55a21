//! `cargo xtask reproduce`: the runs behind the numbers in docs/results, beside published ones.

mod claim;
mod comparison;
mod experiment;
mod forecast;
mod job;
mod manifolds;
mod merge;
mod overview;
pub(crate) mod page;
pub(crate) mod parallel;
mod record;
mod report;
mod runner;
mod slurm;
mod watched;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

pub(crate) use experiment::Experiment;
use job::Job;
use page::Shown;
pub(crate) use record::Outcome;
use record::Place;
pub(crate) use slurm::task as slurm_task;

use crate::provenance::Provenance;
use crate::shell::{self, Lock};
use crate::{data, metadata, number};

/// What the committed runs of a model with a preset came to, those that were done.
pub(crate) fn kept(name: &str, preset: &str, model: &str) -> Result<Vec<Outcome>> {
    let records = record::Record::load_all(&Place::Docs.folder(name, preset))?;
    let done = records.into_iter().filter(|record| record.is_done() && record.model == model);
    Ok(done.map(|record| record.outcome).collect())
}

/// Options of `cargo xtask reproduce`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Experiments, as their files in xtask/experiments are named; or `manifolds`: do default fits find known ones?
    #[arg(default_value = "polynomial-surface")]
    names: Vec<String>,
    /// Size of the runs: quick, paper, or another that the experiment has
    #[arg(long, default_value = "quick")]
    preset: String,
    /// Run only this row, by its name in the experiment's file, or this case of `manifolds`; again for more
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,
    /// Number of seeds (default: what the experiment says)
    #[arg(long)]
    seeds: Option<u64>,
    /// The first of the seeds
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Number of runs at once [default: 2 where there are as many cores, of manifolds 1; with --slurm as many as it has place for]
    #[arg(long)]
    jobs: Option<usize>,
    /// Submit the runs to Slurm, one task each, instead of running them here
    #[arg(long, conflicts_with_all = ["time_limit", "peers"])]
    slurm: bool,
    /// The partition of these tasks [default: that of the cluster]
    #[arg(long, requires = "slurm")]
    partition: Option<String>,
    /// Further options of sbatch for them, like "--time=4:00:00 --cpus-per-task=4"
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true, requires = "slurm")]
    sbatch: Option<String>,
    /// Start no run after so many minutes; a second call goes on
    #[arg(long, value_name = "MINUTES")]
    time_limit: Option<f64>,
    /// Keep records, page and figure in docs/results
    #[arg(long)]
    record: bool,
    /// Run scikit-learn on the data of `manifolds`, instead of mflow
    #[arg(long)]
    peers: bool,
    /// The Python that the virtual environment of the peers is made with, 3.11 or newer
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Show experiments and what is done of them, and run nothing
    #[arg(long)]
    list: bool,
}

impl Options {
    /// How many runs are done at once, `default` of them if nothing is said.
    fn at_once(&self, default: usize) -> usize {
        self.jobs.unwrap_or(default).max(1)
    }
}

/// How many of these runs are done at once on this machine. Batches are small: two runs on a core each end before two, one
/// after the other, on two cores. More might take more memory than there is.
fn at_once_here(runs: usize) -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(runs).min(2)
}

/// Runs what is not done yet and reports on everything asked for.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.list {
        return overview::print();
    }
    if options.names.iter().any(|name| name == manifolds::NAME) {
        return manifolds::run(options);
    }
    ensure!(!options.peers, "--peers: only `{}` has peers", manifolds::NAME);
    if options.slurm {
        slurm::require()?;
    }
    let start = Instant::now();
    let provenance = Provenance::here()?;
    let place = if options.record { Place::Docs } else { Place::Target };
    let experiments: Vec<Experiment> =
        options.names.iter().map(|name| Experiment::load(name)).collect::<Result<_>>()?;
    let mut jobs = Vec::new();
    for experiment in &experiments {
        experiment.data.as_deref().map_or(Ok(()), data::require)?;
        let seeds = options.seeds.unwrap_or(experiment.seeds);
        let seeds = options.first_seed..options.first_seed.saturating_add(seeds);
        jobs.extend(job::plan(experiment, &options.preset, seeds)?);
        let rows = experiment.rows(&options.preset)?;
        let known: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        if let Some(unknown) = options.models.iter().find(|name| !known.contains(&name.as_str())) {
            let (name, preset) = (&experiment.name, &options.preset);
            bail!("--model {unknown}: {name} {preset} has {}", known.join(", "));
        }
    }

    let (mut open, mut waiting) = sift(&jobs, options, place, &provenance)?;
    let mut left = 0;
    let mut plotter = None;
    if !open.is_empty() {
        let usual = if options.slurm { open.len() } else { at_once_here(open.len()) };
        let at_once = options.at_once(usual);
        println!("{}\n", forecast::forecast(&open, at_once)?);
        let program = program()?;
        if options.slurm {
            let plan = slurm::Plan {
                program: &program,
                place,
                provenance: &provenance,
                at_once: options.jobs,
                partition: options.partition.as_deref(),
                options: options.sbatch.as_deref().unwrap_or_default(),
            };
            println!("submitted as job {} of Slurm: {} task(s)", plan.submit(&open)?, open.len());
            waiting.append(&mut open);
        } else {
            let suite = runner::Suite {
                program: plotter.insert(program).clone(),
                place,
                provenance: &provenance,
                at_once,
                deadline: deadline(options.time_limit)?,
                told_to_end: Arc::new(AtomicBool::new(false)),
            };
            left = open.len() - suite.run(&open)?;
        }
    }

    for experiment in &experiments {
        let mine: Vec<&Job<'_>> =
            jobs.iter().filter(|job| job.experiment.name == experiment.name).collect();
        report(experiment, &mine, options, place)?;
        // Nothing new, nothing to draw but what is to be kept.
        if options.record && plotter.is_none() {
            plotter = Some(program()?);
        }
        let Some(program) = &plotter else { continue };
        if let Some(folder) = comparison::draw(program, experiment, &options.preset, &mine)? {
            println!("side by side: {}", folder.join("report.html").display());
            if options.record {
                page::keep_figures(experiment, &options.preset, Shown::Rows, &folder)?;
                page::write(experiment)?;
            }
        }
    }
    println!("wall time: {} s", number::seconds(start.elapsed().as_secs_f64()));
    if left > 0 {
        println!("{left} run(s) left; the same command goes on with them");
    }
    if !waiting.is_empty() {
        println!(
            "{} run(s) are with Slurm; the same command tells when they are done",
            waiting.len()
        );
    }
    let mut failed = 0;
    // Slurm is about to do those that wait again.
    for job in jobs.iter().filter(|&job| !waiting.iter().any(|other| std::ptr::eq(*other, job))) {
        if job.record(place)?.is_some_and(|record| !record.is_done()) {
            println!("{job} failed; its log: {}", job.log_path().display());
            failed += 1;
        }
    }
    ensure!(failed == 0, "{failed} run(s) failed");
    Ok(())
}

/// Says what of that which is asked for is done, and what is with Slurm. Returns what nobody does, and what Slurm does.
fn sift<'a>(
    jobs: &'a [Job<'a>],
    options: &Options,
    place: Place,
    provenance: &Provenance,
) -> Result<(Vec<&'a Job<'a>>, Vec<&'a Job<'a>>)> {
    let queue = slurm::Queue::load()?;
    let (mut open, mut waiting) = (Vec::new(), Vec::new());
    let is_asked =
        |job: &&Job<'_>| options.models.is_empty() || options.models.contains(&job.model.name);
    for job in jobs.iter().filter(is_asked) {
        if job.settle(place, provenance)? {
            println!("{job}: done already, skipped");
        } else if let Some(state) = queue.state(job) {
            println!("{job}: {state}");
            waiting.push(job);
        } else {
            let has_record = job.record(place)?.is_some();
            if let Some(trouble) = queue.trouble(job).filter(|_| !has_record) {
                println!("{job}: {trouble}");
            }
            open.push(job);
        }
    }
    Ok((open, waiting))
}

/// Prints the table of one experiment, and keeps figure and page if asked to.
fn report(
    experiment: &Experiment,
    jobs: &[&Job<'_>],
    options: &Options,
    place: Place,
) -> Result<()> {
    let mut records = Vec::new();
    let mut figures = None;
    for job in jobs {
        records.extend(job.record(place)?);
        figures = figures.map_or_else(|| job.figures(), |first| Ok(Some(first)))?;
    }
    println!("\n{}", report::terminal(experiment, &options.preset, &records));
    if let Some(folder) = figures {
        for name in &experiment.figures {
            println!("figure: {}", folder.join(Experiment::figure_file(name)).display());
        }
        if options.record {
            page::keep_figures(experiment, &options.preset, Shown::Run, &folder)?;
        }
    }
    if options.record {
        println!("page: {}", page::write(experiment)?.display());
    }
    Ok(())
}

fn deadline(minutes: Option<f64>) -> Result<Option<Instant>> {
    let after = |minutes: f64| {
        let wait = Duration::try_from_secs_f64(60.0 * minutes);
        wait.with_context(|| format!("--time-limit {minutes}: expected 0 or more minutes"))
    };
    Ok(minutes.map(after).transpose()?.and_then(|wait| Instant::now().checked_add(wait)))
}

/// The program that does the runs: `MFLOW_BIN`, or a release build made now.
pub(crate) fn program() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("MFLOW_BIN") {
        let path = PathBuf::from(given);
        println!("MFLOW_BIN: {} is used, nothing is built", path.display());
        return path
            .canonicalize()
            .with_context(|| format!("MFLOW_BIN={} (relative to the root)", path.display()));
    }
    let start = Instant::now();
    shell::run(&mut shell::cargo("build --release -p mflow", Lock::Free))?;
    println!("built in {} s", number::seconds(start.elapsed().as_secs_f64()));
    let name = format!("mflow{}", std::env::consts::EXE_SUFFIX);
    Ok(metadata::load(Lock::Free)?.target_directory.join("release").join(name))
}
