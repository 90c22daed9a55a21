//! `cargo xtask bench`: criterion's benches with a table of medians and of ratios; with `--compare` other
//! libraries beside ours, with `--quality` whole runs of both, with `--scaling` how costs grow, with
//! `--check` instructions instead of seconds.

pub(crate) mod check;
pub(crate) mod compare;
mod quality;
mod scaling;
pub(crate) mod turns;
pub(crate) mod worker;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};
use clap::Args;
use serde::Deserialize;

use crate::provenance::Provenance;
use crate::shell::{self, Lock};
use crate::table::Table;
use crate::{files, metadata, number};

const RATIOS: &str = "xtask/bench-ratios.toml";
const PAGE: &str = "docs/results/benches.md";

/// Options of `cargo xtask bench`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Write the tables to docs/results/benches.md, with --check the counts to xtask/instructions.toml
    #[arg(long)]
    save: bool,
    /// Count the instructions of the hot kernels with valgrind, and compare with those on record
    #[arg(long, conflicts_with_all = ["compare", "quality", "scaling"])]
    check: bool,
    /// Time mflow and Python libraries in alternation: docs/results/performance.md
    #[arg(long)]
    compare: bool,
    /// Time whole runs of mflow and nflows, a quarter of an hour a seed: docs/results/time-to-quality.md
    #[arg(long, conflicts_with = "compare")]
    quality: bool,
    /// Time how costs grow with the sizes of a model: docs/results/scaling.md
    #[arg(long, conflicts_with_all = ["compare", "quality"])]
    scaling: bool,
    /// With --compare, only the cases with this in their name; nothing is saved
    #[arg(long, requires = "compare")]
    only: Option<String>,
    /// With --compare, how often it is everyone's turn
    #[arg(long, default_value_t = 7, requires = "compare")]
    rounds: usize,
    /// With --quality, the number of seeds
    #[arg(long, default_value_t = 3, requires = "quality")]
    seeds: u64,
    /// The Python that the virtual environment of --compare and --quality is made with, 3.11 or newer
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Arguments for criterion, such as a part of a bench's name
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// The list in `xtask/bench-ratios.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ratios {
    #[serde(default)]
    ratio: Vec<Ratio>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ratio {
    title: String,
    numerator: String,
    denominator: String,
}

/// Criterion's `benchmark.json`.
#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
}

/// Criterion's `estimates.json`.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// Builds a program of the benches and returns where it is.
fn build(program: &str) -> Result<PathBuf> {
    let build = format!("build --release -p mflow-benches --bin {program}");
    shell::run(&mut shell::cargo(&build, Lock::Free))?;
    Ok(metadata::load(Lock::Free)?.target_directory.join("release").join(program))
}

/// Starts a program whose threads are those of its pool; candle's would run inside them.
pub(crate) fn without_own_threads(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("RAYON_NUM_THREADS", "1").env("CANDLE_NUM_THREADS", "1");
    command
}

/// Does what the options ask for.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.check {
        check::run(options.save, Lock::Free)
    } else if options.compare {
        compare::run(options)
    } else if options.quality {
        quality::run(options)
    } else if options.scaling {
        scaling::run()
    } else {
        criterion(options)
    }
}

/// Runs the benches and prints what this call measured.
fn criterion(options: &Options) -> Result<()> {
    let ratios: Ratios =
        toml::from_str(&files::read(Path::new(RATIOS))?).with_context(|| format!("in {RATIOS}"))?;
    let criterion = metadata::load(Lock::Free)?.target_directory.join("criterion");
    let start = SystemTime::now();
    let mut bench = shell::cargo("bench -p mflow-benches", Lock::Free);
    // Threads belong to the benches' own pools, as in the program; candle's would run inside them.
    bench.env("RAYON_NUM_THREADS", "1").env("CANDLE_NUM_THREADS", "1");
    shell::run(bench.arg("--").args(&options.arguments))?;

    let mut medians = BTreeMap::new();
    collect(&criterion, start, &mut medians)?;
    let mut tables = vec![median_table(&medians)];
    tables.extend(ratio_table(&ratios.ratio, &medians));
    for table in &tables {
        println!("\n{}", table.text());
    }
    if options.save {
        files::write(Path::new(PAGE), page(&tables, &Provenance::here()?).as_bytes())?;
        println!("saved in {PAGE}");
    }
    Ok(())
}

/// Finds the medians (nanoseconds) of the benches that were run since `start`.
fn collect(folder: &Path, start: SystemTime, medians: &mut BTreeMap<String, f64>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry.with_context(|| format!("listing {}", folder.display()))?.path();
        let estimates = path.join("estimates.json");
        if !path.ends_with("new") || !estimates.is_file() {
            collect(&path, start, medians)?;
        } else if fs::metadata(&estimates)?.modified()? >= start {
            let benchmark: Benchmark = files::read_json(&path.join("benchmark.json"))?;
            let estimates: Estimates = files::read_json(&estimates)?;
            medians.insert(benchmark.full_id, estimates.median.point_estimate);
        }
    }
    Ok(())
}

fn median_table(medians: &BTreeMap<String, f64>) -> Table {
    let mut table = Table::new(["bench", "median ms"]);
    for (name, nanoseconds) in medians {
        table.push([name.clone(), format!("{:.4}", nanoseconds / 1e6)]);
    }
    table
}

/// The ratios whose two benches were both run; nothing if there are none.
fn ratio_table(ratios: &[Ratio], medians: &BTreeMap<String, f64>) -> Option<Table> {
    let mut table = Table::new(["ratio", "value"]);
    let mut any = false;
    for Ratio { title, numerator, denominator } in ratios {
        if let (Some(over), Some(under)) = (medians.get(numerator), medians.get(denominator)) {
            table.push([title.clone(), number::short(over / under)]);
            any = true;
        }
    }
    any.then_some(table)
}

fn page(tables: &[Table], provenance: &Provenance) -> String {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    let tables: Vec<String> = tables.iter().map(Table::markdown).collect();
    format!(
        "# Benchmarks\n\nWritten by `{command}` on {date}, commit {commit}, on {machine}.\n\n{}",
        tables.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_needs_both_benches() {
        let ratio = |numerator: &str| Ratio {
            title: format!("{numerator} over b"),
            numerator: numerator.to_owned(),
            denominator: "b".to_owned(),
        };
        let medians = BTreeMap::from([("a".to_owned(), 3e6), ("b".to_owned(), 2e6)]);
        let table = ratio_table(&[ratio("a"), ratio("c")], &medians).map(|table| table.text());
        assert_eq!(table.as_deref(), Some("ratio     value\n--------  -----\na over b    1.5\n"));
        assert!(ratio_table(&[ratio("c")], &medians).is_none(), "no table without rows");
    }
}
