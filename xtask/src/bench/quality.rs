//! `cargo xtask bench --quality`: the whole polynomial-surface run at the published settings, and the seconds
//! until it reconstructs well, with mflow and with nflows.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{Options, compare};
use crate::provenance::Provenance;
use crate::reproduce::Experiment;
use crate::table::Table;
use crate::{files, number, shell};

const EXPERIMENT: &str = "polynomial-surface";
const PRESET: &str = "paper";
const MODEL: &str = "m-flow";

const PAGE: &str = "docs/results/time-to-quality.md";
const FOLDER: &str = "target/quality";

/// Reconstruction errors whose time is told.
const ERRORS: [f64; 2] = [0.005, 0.002];

/// The least ratio of the seconds of whole runs that is aimed at.
const TARGET: f64 = 10.0;

/// After an epoch of the manifold phase.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Epoch {
    /// Seconds of training so far.
    seconds: f64,
    error: f64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Deserialize)]
struct End {
    train: f64,
    evaluate: f64,
    error: f64,
    log_prob: f64,
}

/// A line of output.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Epoch(Epoch),
    End(End),
}

/// A run of one library.
#[derive(Debug)]
struct Run {
    library: &'static str,
    seed: u64,
    epochs: Vec<Epoch>,
    end: End,
}

impl Run {
    /// From what it printed.
    fn parse(library: &'static str, seed: u64, output: &str) -> Result<Self> {
        let (mut epochs, mut end) = (Vec::new(), None);
        for line in output.lines() {
            let line = serde_json::from_str(line)
                .with_context(|| format!("seed {seed} of {library} printed {line}"))?;
            match line {
                Line::Epoch(epoch) => epochs.push(epoch),
                Line::End(last) => end = Some(last),
            }
        }
        let end = end.with_context(|| format!("seed {seed} of {library} did not end"))?;
        Ok(Self { library, seed, epochs, end })
    }
    fn seconds(&self) -> f64 {
        self.end.train + self.end.evaluate
    }
    /// Seconds of training until the first epoch that ends within this error.
    fn until(&self, error: f64) -> Option<f64> {
        self.epochs.iter().find(|epoch| epoch.error <= error).map(|epoch| epoch.seconds)
    }
}

/// Runs both with each seed, one after the other, and writes the page.
pub(super) fn run(options: &Options) -> Result<()> {
    let experiment = Experiment::load(EXPERIMENT)?;
    let model = experiment.model.iter().find(|model| model.name == MODEL);
    let model = model.with_context(|| format!("{EXPERIMENT} has no model {MODEL}"))?;
    let python = compare::ENVIRONMENT.python(&options.python)?;
    let program = super::build("quality")?;
    files::remove_folder(Path::new(FOLDER))?;
    let mut runs = Vec::new();
    for seed in 1..=options.seeds {
        let settings = format!("{FOLDER}/{seed}.toml");
        files::write(Path::new(&settings), experiment.resolve(PRESET, model, seed)?.as_bytes())?;
        let folder = format!("{FOLDER}/{seed}");
        // The second takes its data and settings from what the first one leaves.
        let mut ours = super::without_own_threads(&program);
        ours.args([&settings, &folder]);
        let mut theirs = Command::new(&python);
        theirs.args(["xtask/compare/train_nflows.py", &folder]);
        for (library, command) in [("mflow", &mut ours), ("nflows", &mut theirs)] {
            let run = Run::parse(library, seed, &shell::read(command)?)?;
            println!("{library}, seed {seed}: {} s", number::seconds(run.seconds()));
            runs.push(run);
        }
    }
    ensure!(!runs.is_empty(), "--seeds must be at least 1");
    println!("\n{}\n{}", ratios(&runs).text(), table(&runs).text());
    files::write(Path::new(PAGE), page(&runs, &Provenance::here()?).as_bytes())?;
    println!("saved in {PAGE}");
    Ok(())
}

/// Every run.
fn table(runs: &[Run]) -> Table {
    let mut head = vec!["seed".to_owned(), "library".to_owned()];
    head.extend(ERRORS.iter().map(|error| format!("s to error {error}")));
    head.extend(
        ["train s", "evaluate s", "whole s", "last error", "log_prob, nats"].map(str::to_owned),
    );
    let mut table = Table::new(head);
    for run in runs {
        let End { train, evaluate, error, log_prob } = run.end;
        let mut row = vec![run.seed.to_string(), run.library.to_owned()];
        row.extend(ERRORS.iter().map(|&error| seconds(run.until(error))));
        row.extend([train, evaluate, run.seconds()].map(number::seconds));
        row.extend([number::short(error), format!("{log_prob:.3}")]);
        table.push(row);
    }
    table
}

fn seconds(value: Option<f64>) -> String {
    value.map_or("never".to_owned(), number::seconds)
}

/// Medians over seeds, and how they compare.
fn ratios(runs: &[Run]) -> Table {
    let mut table = Table::new(["seconds", "mflow", "nflows", "nflows / mflow", "at least"]);
    let by = |library: &str, of: &dyn Fn(&Run) -> Option<f64>| -> (Option<f64>, String) {
        let all: Vec<Option<f64>> =
            runs.iter().filter(|run| run.library == library).map(of).collect();
        let reached: Vec<f64> = all.iter().copied().flatten().collect();
        let median = number::median(reached.iter().copied());
        let text = format!("{} ({} of {})", seconds(median), reached.len(), all.len());
        (median, text)
    };
    let mut row = |title: String, of: &dyn Fn(&Run) -> Option<f64>, target: &str| {
        let ((ours, our_text), (theirs, their_text)) = (by("mflow", of), by("nflows", of));
        let ratio = ours.zip(theirs).map_or("-".to_owned(), |(o, t)| number::short(t / o));
        table.push([title, our_text, their_text, ratio, target.to_owned()]);
    };
    for error in ERRORS {
        row(format!("until reconstruction error {error}"), &|run| run.until(error), "");
    }
    row("whole run".to_owned(), &|run| Some(run.seconds()), &number::short(TARGET));
    table
}

fn page(runs: &[Run], provenance: &Provenance) -> String {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    format!(
        "# Time to quality

Written by `{command}` on {date}, commit {commit}, on {machine}.

The M-flow of the polynomial surface at the published settings, preset `{PRESET}` of
[{EXPERIMENT}.toml](../../xtask/experiments/{EXPERIMENT}.toml), from the first update to the last test row: the manifold
phase, the density phase, a pass over the validation rows after each epoch, and at the end 10,000
test rows projected, their exact densities, and as many samples. Two threads, f32, one run after the
other; both libraries have the same rows, settings and order of phases, and their own random initial weights and
batches, so that a seed means another run in each. nflows runs on the faster, mask-free spline and finds the
coordinates of a batch on the manifold in every step of the density phase, as the authors' code does;
mflow does it once.

Errors are means of `|x - x'|` over the test rows, after each epoch of the manifold phase; measuring them is not in
the seconds. These are medians over the seeds that reach the error, and how many do.

{ratios}
{table}",
        ratios = ratios(runs).markdown(),
        table = table(runs).markdown(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = r#"{"epoch": 1, "seconds": 2.0, "error": 0.01}
{"epoch": 2, "seconds": 4.0, "error": 0.004}
{"epoch": 3, "seconds": 6.0, "error": 0.006}
{"train": 9.0, "evaluate": 1.0, "error": 0.006, "log_prob": -4.2}
"#;

    #[test]
    fn runs_are_read_and_compared() {
        let ours = Run::parse("mflow", 1, OUTPUT).unwrap();
        assert_eq!((ours.until(0.005), ours.until(0.002)), (Some(4.0), None));
        assert_eq!(ours.seconds(), 10.0);
        let slow = OUTPUT.replace("9.0", "60.0").replace("4.0,", "20.0,");
        let runs = [ours, Run::parse("nflows", 1, &slow).unwrap()];
        let text = ratios(&runs).text();
        let line = |part: &str| text.lines().find(|line| line.contains(part)).unwrap().to_owned();
        assert!(line("0.005").contains("4.0 (1 of 1)") && line("0.005").contains("5.0"), "{text}");
        assert!(line("0.002").contains("never (0 of 1)"), "{text}");
        assert!(line("whole").contains("6.1"), "{text}");
    }

    #[test]
    fn a_run_that_broke_off_is_an_error() {
        let broken: Vec<&str> = OUTPUT.lines().take(2).collect();
        let error = Run::parse("mflow", 3, &broken.join("\n")).unwrap_err();
        assert!(error.to_string().contains("seed 3 of mflow did not end"), "{error}");
        assert!(Run::parse("mflow", 3, "what?").is_err());
    }
}
