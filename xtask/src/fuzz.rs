//! `cargo xtask fuzz`: every reader under libFuzzer: docs/results/fuzz.md.

mod corpus;
mod page;
mod record;
mod work;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use crate::provenance::Provenance;
use crate::reproduce::parallel;
use record::{Record, Records};
use work::Programs;

/// Where libFuzzer works: a corpus, findings and a log of each target.
const FOLDER: &str = "target/fuzz";
const PAGE: &str = "docs/results/fuzz.md";
/// What was measured, and what was found and mended, in words.
const RECORDS: &str = "xtask/fuzz/records.json";
const NOTES: &str = "xtask/fuzz/notes.md";

/// Options of `cargo xtask fuzz`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Targets [default: all]
    targets: Vec<String>,
    /// Minutes of each
    #[arg(long, default_value_t = 10.)]
    minutes: f64,
    /// Targets at a time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Keep a small corpus of what was found, and write docs/results/fuzz.md
    #[arg(long)]
    save: bool,
}

/// Fuzzes, says what came of it, and fails if there was a finding.
pub(crate) fn run(options: &Options) -> Result<()> {
    let provenance = Provenance::here()?;
    let known = work::targets()?;
    for name in &options.targets {
        ensure!(
            known.contains(name),
            "expected one of the targets {}, found {name}",
            known.join(", ")
        );
    }
    let is_chosen = |name: &&String| options.targets.is_empty() || options.targets.contains(name);
    let chosen: Vec<&String> = known.iter().filter(is_chosen).collect();
    let seconds = Duration::try_from_secs_f64(60. * options.minutes)?;
    ensure!(seconds >= Duration::from_secs(1), "expected a second or more for each target");
    let programs = Programs::built(&chosen)?;
    let done = std::sync::Mutex::new(Vec::new());
    parallel::run(options.jobs, None, &chosen, |name| {
        let found = programs.fuzz(name, seconds)?;
        println!("{name}: {found:?}");
        done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((name.clone(), found));
        Ok(true)
    })?;
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(name, _)| known.iter().position(|known| known == name));
    let mut records = Records::read(Path::new(RECORDS))?;
    let mut findings = 0;
    for (name, found) in done {
        findings += found.findings.len();
        for path in &found.findings {
            println!("FOUND by {name}: {}", path.display());
        }
        let kept = match options.save {
            true => programs.keep(&name)?,
            false => corpus::of(&name)?.len(),
        };
        if found.findings.is_empty() {
            records.put(name, Record::new(&found, kept, &provenance));
        }
    }
    println!("\n{}", page::table(&records).text());
    if options.save {
        records.write(Path::new(RECORDS))?;
        page::write(Path::new(PAGE), &records, &provenance)?;
    }
    ensure!(findings == 0, "{findings} inputs that a reader does not survive are in {FOLDER}");
    Ok(())
}
