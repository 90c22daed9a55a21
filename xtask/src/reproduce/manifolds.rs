//! `cargo xtask reproduce manifolds`: does `mflow fit` find the manifold with its default settings?

mod job;
mod page;
mod peers;
mod record;
mod study;

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use super::record::Place;
use super::{Options, deadline, parallel, program};
use crate::provenance::Provenance;
use crate::shell::{self, Lock};
use crate::table::Table;
use crate::{files, metadata, number};
use job::{Job, MFLOW, Method, Programs};
use record::{Record, Records};
use study::Study;

/// What the command is told to run this study.
pub(super) const NAME: &str = "manifolds";

/// Runs what is not done yet, and reports on all of the preset.
pub(super) fn run(options: &Options) -> Result<()> {
    ensure!(options.names.len() == 1, "{NAME} is run alone: leave out the other names");
    ensure!(
        !options.slurm,
        "--slurm: the tasks of {NAME} would write one file of records; use --jobs"
    );
    // Each is timed.
    let at_once = options.at_once(1);
    let alone = at_once == 1 || !options.peers;
    ensure!(alone, "--jobs: the peers are timed, and run one after the other");
    let study = Study::load()?;
    let provenance = Provenance::here()?;
    let place = if options.record { Place::Docs } else { Place::Target };
    let jobs = plan(&study, options)?;
    let deadline = deadline(options.time_limit)?;

    let mut open = Vec::new();
    for job in &jobs {
        if settle(job, place, &provenance)? {
            println!("{job}: done already, skipped");
        } else {
            open.push(job);
        }
    }
    if !open.is_empty() {
        let programs = programs(options, at_once)?;
        let keep = Mutex::new(());
        let done = parallel::run(at_once, deadline, &open, |job| {
            let record = record(job, &programs, &provenance, at_once);
            let of = record.found.error.map_or_else(String::new, |error| {
                format!(", error {} of the spread", number::short(error))
            });
            println!("{job}: {}{of}", record.status);
            // A file has the records of many runs: one writes at a time. A thread that panicked left it whole.
            let _one = keep.lock().unwrap_or_else(PoisonError::into_inner);
            for place in places(place) {
                Records::load(place, job.preset, job.method.name())?.put(record.clone())?;
            }
            Ok(true)
        })?;
        if done < open.len() {
            let left = open.len() - done;
            println!("time limit: {left} run(s) left; the same command goes on with them");
        }
    }
    println!("\n{}", page::terminal(&study, study.whole(&options.preset)?, place)?);
    if options.record {
        keep_figures(&jobs)?;
        files::write(page::PATH.as_ref(), page::text(&study)?.as_bytes())?;
        println!("page: {}", page::PATH);
    }
    let mut failed = 0;
    for job in &jobs {
        let records = Records::load(place, job.preset, job.method.name())?;
        let record = records.find(&job.case.name, job.noise, job.seed, &job.hash());
        failed += usize::from(record.is_some_and(|record| !record.is_done()));
    }
    ensure!(failed == 0, "{failed} run(s) failed");
    Ok(())
}

/// The page, if it is not what its records give now.
pub(super) fn outdated() -> Result<Option<PathBuf>> {
    let path = PathBuf::from(page::PATH);
    Ok((path.is_file() && files::read(&path)? != page::text(&Study::load()?)?).then_some(path))
}

/// Adds a line for each preset to the table of `--list`.
pub(super) fn list(table: &mut Table) -> Result<()> {
    let study = Study::load()?;
    for name in study.wholes() {
        let preset = study.preset(name)?;
        let done = |place| -> Result<String> {
            let records = Records::load(place, name, MFLOW)?;
            Ok(records.all().iter().filter(|record| record.is_done()).count().to_string())
        };
        let cases = preset.noise.iter().flat_map(|&noise| study.cases_with(preset, noise)).count();
        let [cases, seeds] = [cases.to_string(), preset.seeds.to_string()];
        let [here, docs] = [done(Place::Target)?, done(Place::Docs)?];
        table.push([NAME, name, &cases, &seeds, &here, &docs]);
    }
    Ok(())
}

/// All runs that are asked for, seed by seed so that a study that is cut short still has all cases.
fn plan<'a>(study: &'a Study, options: &'a Options) -> Result<Vec<Job<'a>>> {
    let (size, preset) = (study.preset(&options.preset)?, study.whole(&options.preset)?);
    let cases: Vec<_> = study.cases(size).collect();
    if let Some(unknown) =
        options.models.iter().find(|name| !cases.iter().any(|case| case.name == **name))
    {
        let known: Vec<&str> = cases.iter().map(|case| &*case.name).collect();
        bail!("--model {unknown}: {NAME} {} has {}", options.preset, known.join(", "));
    }
    let methods: Vec<Method<'_>> = match options.peers {
        true => peers::PEERS.iter().map(|(name, _)| Method::Peer(name)).collect(),
        false => {
            let variants = study.variants(size).map(Method::Variant);
            [Method::Mflow].into_iter().chain(variants).collect()
        }
    };
    let is_asked = |name: &String| options.models.is_empty() || options.models.contains(name);
    let seeds = options.seeds.unwrap_or(size.seeds);
    let mut jobs = Vec::new();
    for seed in options.first_seed..options.first_seed.saturating_add(seeds) {
        for &noise in &size.noise {
            for case in study.cases_with(size, noise).filter(|case| is_asked(&case.name)) {
                let of = |&method: &Method<'a>| Job { preset, size, case, noise, seed, method };
                jobs.extend(methods.iter().map(of));
            }
        }
    }
    Ok(jobs)
}

/// Where records go: beside the runs, and in the docs if they are to be kept.
fn places(place: Place) -> Vec<Place> {
    if place == Place::Docs { vec![Place::Target, Place::Docs] } else { vec![Place::Target] }
}

/// Whether the run is done. One beside the others is taken into the docs if it was made of just the commit that is
/// checked out.
fn settle(job: &Job<'_>, place: Place, now: &Provenance) -> Result<bool> {
    let done = |place| -> Result<Option<Record>> {
        let records = Records::load(place, job.preset, job.method.name())?;
        let record = records.find(&job.case.name, job.noise, job.seed, &job.hash());
        Ok(record.filter(|record| record.is_done()).cloned())
    };
    if done(place)?.is_some() {
        return Ok(true);
    }
    let current = |record: &Record| record.commit == now.commit && !record.dirty && !now.dirty;
    match done(Place::Target)?.filter(current) {
        Some(record) => {
            Records::load(place, job.preset, job.method.name())?.put(record).map(|()| true)
        }
        None => Ok(false),
    }
}

fn programs(options: &Options, at_once: usize) -> Result<Programs> {
    // First, since it may be the one that is missing.
    let python = options.peers.then(|| peers::python(&options.python)).transpose()?;
    let mflow = program()?;
    shell::run(&mut shell::cargo("build --release -p mflow --example manifolds", Lock::Free))?;
    let name = format!("manifolds{}", std::env::consts::EXE_SUFFIX);
    let example = metadata::load(Lock::Free)?.target_directory.join("release/examples").join(name);
    let threads = (at_once > 1).then(|| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        (cores / at_once).max(1)
    });
    Ok(Programs { mflow, example, python, threads })
}

/// Does a run. One that fails becomes a record like any other.
fn record(job: &Job<'_>, programs: &Programs, provenance: &Provenance, at_once: usize) -> Record {
    let (status, found) = match job.run(programs) {
        Ok(found) => ("done".to_owned(), found),
        Err(error) => (format!("failed: {error:#}"), record::Found::default()),
    };
    let Provenance { commit, dirty, date, machine, command } = provenance.clone();
    Record {
        case: job.case.name.clone(),
        noise: job.noise,
        seed: job.seed,
        hash: job.hash(),
        commit,
        dirty,
        date,
        command,
        machine,
        at_once,
        status,
        found,
    }
}

/// Copies the picture of each case, that of its first run without noise, to where the page shows it.
fn keep_figures(jobs: &[Job<'_>]) -> Result<()> {
    let mut seen = Vec::new();
    let is_shown = |job: &&Job<'_>| matches!(job.method, Method::Mflow) && job.noise == 0.0;
    for job in jobs.iter().filter(is_shown) {
        let figure = job.folder().join("figure.png");
        if seen.contains(&&job.case.name) || !figure.is_file() {
            continue;
        }
        seen.push(&job.case.name);
        let picture = fs::read(&figure).with_context(|| format!("reading {}", figure.display()))?;
        files::write(&page::figure(job.preset, &job.case.name), &picture)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    /// The runs that a command line asks for.
    fn planned(line: &str) -> Result<Vec<String>> {
        let Line { options } = Line::parse_from(format!("reproduce {line}").split(' '));
        let study = Study::parse(study::tests::TEXT)?;
        Ok(plan(&study, &options)?.iter().map(Job::to_string).collect())
    }

    #[test]
    fn arguments_choose_the_runs() {
        assert_eq!(
            planned("manifolds").unwrap(),
            ["manifolds quick torus, noise 0, seed 1, mflow"],
            "the default"
        );
        let full = planned("manifolds --preset full").unwrap();
        assert_eq!(full.len(), 2 * (2 + 1), "seeds; cases without noise, and with it: {full:?}");
        assert!(full[..3].iter().all(|job| job.contains("seed 1")), "seed by seed: {full:?}");
        let torus = planned("manifolds --preset full --model torus --seeds 1 --first-seed 5");
        let expected = ["torus, noise 0, seed 5, mflow", "torus, noise 0.05, seed 5, mflow"];
        assert_eq!(torus.unwrap(), expected.map(|job| format!("manifolds full {job}")));
        let peers = planned("manifolds --peers").unwrap();
        assert_eq!(peers.len(), peers::PEERS.len(), "one of each: {peers:?}");
        assert!(peers.iter().all(|job| !job.ends_with(MFLOW)), "and no mflow: {peers:?}");
        let ablation = planned("manifolds --preset ablation --model torus").unwrap();
        let expected =
            ["mflow", "flat"].map(|m| format!("manifolds full torus, noise 0, seed 1, {m}"));
        assert_eq!(ablation, expected, "the default settings, and each variant");
        let error = planned("manifolds --model tours").unwrap_err().to_string();
        assert_eq!(error, "--model tours: manifolds quick has torus");
    }
}
