//! `cargo xtask bench --compare`: mflow beside Python libraries on the same machine, in alternation.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::worker::Worker;
use crate::files;
use crate::number;
use crate::provenance::Provenance;
use crate::python::Environment;
use crate::table::Table;

use super::Options;

/// Where cases and the peers' scripts are.
const SOURCE: &str = "xtask/compare";

const PAGE: &str = "docs/results/performance.md";

pub(super) const ENVIRONMENT: Environment = Environment {
    folder: "target/compare-venv",
    requirements: "xtask/compare/requirements.txt",
    versions: &["3.11", "3.12", "3.13"],
    size: "about 3 GB to download, 6 GB on disk",
};

/// Ours first; the bound is our worker too, with the matrix products alone.
const MFLOW: &str = "mflow";
const BOUND: &str = "bound";
const PEERS: [&str; 3] = ["nflows", "zuko", "flowjax"];

/// Seconds that a worker repeats a case before it is another's turn.
const BLOCK_SECONDS: f64 = 0.3;

/// Seconds for a case after which there are no more than [`FEWEST_ROUNDS`].
const CASE_SECONDS: f64 = 60.0;
const FEWEST_ROUNDS: usize = 3;

/// `cases.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cases {
    pub(super) defaults: Map<String, Value>,
    case: Vec<Case>,
}

impl Cases {
    pub(super) fn read() -> Result<Self> {
        let path = Path::new(SOURCE).join("cases.toml");
        toml::from_str(&files::read(&path)?).with_context(|| format!("in {}", path.display()))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    batches: Vec<usize>,
    set: Map<String, Value>,
    #[serde(default)]
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    batch: usize,
    against: String,
    ratio: f64,
}

/// A case of one batch size, timed.
#[derive(Debug)]
struct Timed {
    name: String,
    batch: usize,
    /// Seconds of each round, the median of its repetitions, by worker.
    rounds: BTreeMap<&'static str, Vec<f64>>,
    /// How workers do it, and why some do not.
    notes: BTreeMap<&'static str, String>,
}

impl Timed {
    fn median(&self, worker: &str) -> Option<f64> {
        number::median(self.rounds.get(worker)?.iter().copied())
    }
    /// How many times our seconds a worker needs: the median over rounds, each of neighbouring blocks.
    fn ratio(&self, worker: &str) -> Option<f64> {
        let (theirs, ours) = (self.rounds.get(worker)?, self.rounds.get(MFLOW)?);
        number::median(theirs.iter().zip(ours).map(|(t, o)| t / o))
    }
}

/// Times the cases and writes the page, unless only some were asked for.
pub(super) fn run(options: &Options) -> Result<()> {
    let cases = Cases::read()?;
    let python = ENVIRONMENT.python(&options.python)?;
    let worker = super::build("worker")?;
    let mut workers = Vec::new();
    for name in [MFLOW, BOUND] {
        workers.push((name, Worker::start(name, &mut super::without_own_threads(&worker))?));
    }
    for name in PEERS {
        let mut command = Command::new(&python);
        command.arg(Path::new(SOURCE).join(format!("peer_{name}.py")));
        workers.push((name, Worker::start(name, &mut command)?));
    }
    let versions = workers.iter_mut().map(|(_, worker)| worker.versions());
    let mut versions = versions.collect::<Result<Vec<_>>>()?;
    versions.dedup();

    let wanted = |name: &str| options.only.as_ref().is_none_or(|part| name.contains(part));
    let mut all = Vec::new();
    for case in cases.case.iter().filter(|case| wanted(&case.name)) {
        for &batch in &case.batches {
            let mut set = cases.defaults.clone();
            set.extend(case.set.clone());
            set.insert("batch".to_owned(), batch.into());
            let timed = time(&case.name, batch, &Value::Object(set), &mut workers, options.rounds)?;
            println!("{}", line(&timed));
            all.push(timed);
        }
    }
    ensure!(!all.is_empty(), "no case has {:?} in its name", options.only);
    println!("\n{}\n{}", table(&all).text(), targets(&cases.case, &all).text());
    if options.only.is_none() {
        let page = page(&cases.case, &all, &versions, options.rounds, &Provenance::here()?);
        files::write(Path::new(PAGE), page.as_bytes())?;
        println!("saved in {PAGE}");
    }
    Ok(())
}

/// Lets the workers time a case in turns.
fn time(
    name: &str,
    batch: usize,
    case: &Value,
    workers: &mut [(&'static str, Worker)],
    rounds: usize,
) -> Result<Timed> {
    let mut timed =
        Timed { name: name.to_owned(), batch, rounds: BTreeMap::new(), notes: BTreeMap::new() };
    let mut open = Vec::new();
    for (name, worker) in workers {
        let mut case = case.clone();
        if *name == BOUND {
            case["bound"] = json!(true);
        }
        match worker.open(&case)? {
            Err(why) => {
                timed.notes.insert(name, format!("not timed: {why}"));
            }
            Ok(note) => {
                timed.notes.insert(name, note);
                // The first is for caches, the allocator and the compiler of whoever has one.
                worker.time(1)?;
                let once = number::median(worker.time(2)?).unwrap_or(f64::NAN);
                open.push((*name, worker, repetitions(BLOCK_SECONDS, once), once));
            }
        }
    }
    let round: f64 = open.iter().map(|(_, _, n, once)| once * *n as f64).sum();
    let rounds = if round * rounds as f64 > CASE_SECONDS { FEWEST_ROUNDS } else { rounds };
    for _ in 0..rounds {
        for (name, worker, n, _) in &mut open {
            let block = number::median(worker.time(*n)?).context("a block without timings")?;
            timed.rounds.entry(name).or_default().push(block);
        }
    }
    Ok(timed)
}

/// How often a case that takes `once` is repeated to fill so many seconds.
pub(super) fn repetitions(seconds: f64, once: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and 1000"
    )]
    let n = (seconds / once).clamp(1.0, 1000.0) as usize;
    n
}

fn line(timed: &Timed) -> String {
    let of = |name: &&str| {
        let seconds = timed.median(name)?;
        Some(format!("{name} {} ms", number::short(seconds * 1e3)))
    };
    let all: Vec<String> = timed.rounds.keys().filter_map(of).collect();
    format!("{}, batch {}: {}", timed.name, timed.batch, all.join(", "))
}

/// Milliseconds and ratios of all cases.
fn table(all: &[Timed]) -> Table {
    let mut head = vec!["case".to_owned(), "batch".to_owned(), "mflow ms".to_owned()];
    head.extend(["range".to_owned(), "matrix products ms".to_owned(), "share".to_owned()]);
    head.extend(PEERS.iter().flat_map(|peer| [format!("{peer} ms"), "/ mflow".to_owned()]));
    let mut table = Table::new(head);
    for timed in all {
        let ms = |name: &str| match timed.median(name) {
            Some(seconds) => number::short(seconds * 1e3),
            None => "-".to_owned(),
        };
        let ratio = |name: &str| timed.ratio(name).map_or("-".to_owned(), number::short);
        let ours = timed.rounds.get(MFLOW).map(Vec::as_slice).unwrap_or_default();
        let low = ours.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ours.iter().copied().fold(0.0, f64::max);
        let range = format!("{} to {}", number::short(low * 1e3), number::short(high * 1e3));
        let mut row = vec![timed.name.clone(), timed.batch.to_string(), ms(MFLOW), range];
        row.extend([ms(BOUND), ratio(BOUND)]);
        row.extend(PEERS.iter().flat_map(|peer| [ms(peer), ratio(peer)]));
        table.push(row);
    }
    table
}

/// What was aimed at beside what was measured.
fn targets(cases: &[Case], all: &[Timed]) -> Table {
    let mut table = Table::new(["target", "batch", "against", "at least", "measured", "reached"]);
    for case in cases {
        for Target { batch, against, ratio } in &case.targets {
            let found = all.iter().find(|t| t.name == case.name && t.batch == *batch);
            let Some(measured) = found.and_then(|timed| timed.ratio(against)) else { continue };
            table.push([
                case.name.clone(),
                batch.to_string(),
                against.clone(),
                number::short(*ratio),
                number::short(measured),
                if measured >= *ratio { "yes" } else { "NO" }.to_owned(),
            ]);
        }
    }
    table
}

/// Names of cases with their batches.
type Batches<'a> = Vec<(&'a str, Vec<String>)>;

/// How each worker does each case, where it says something.
fn notes(all: &[Timed]) -> String {
    let mut said: BTreeMap<(&str, &str), Batches<'_>> = BTreeMap::new();
    for timed in all {
        for (worker, note) in timed.notes.iter().filter(|(_, note)| !note.is_empty()) {
            let cases = said.entry((worker, note)).or_default();
            match cases.last_mut() {
                Some((name, batches)) if *name == timed.name => {
                    batches.push(timed.batch.to_string());
                }
                _ => cases.push((&timed.name, vec![timed.batch.to_string()])),
            }
        }
    }
    let case = |(name, batches): &(&str, Vec<String>)| {
        let plural = if batches.len() > 1 { "batches" } else { "batch" };
        format!("{name}, {plural} {}", batches.join(", "))
    };
    let line = |((worker, note), cases): (&(&str, &str), &Batches<'_>)| {
        let cases: Vec<String> = cases.iter().map(case).collect();
        format!("- {worker}: {note} ({})\n", cases.join("; "))
    };
    said.iter().map(line).collect()
}

fn page(
    cases: &[Case],
    all: &[Timed],
    versions: &[String],
    rounds: usize,
    provenance: &Provenance,
) -> String {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    format!(
        "# Speed beside other libraries

Written by `{command}` on {date}, commit {commit}, on {machine}: {versions}.

All take turns on the same machine with two threads each, a third of a second at a time, {rounds} rounds of them
({FEWEST_ROUNDS} where a round is long). A number is the median over rounds of the median of a turn, the range that
of the rounds. Ratios are taken within a round, as the machine's speed changes from minute to minute; above 1,
mflow is that many times as fast. All numbers are in f32, and each library has its own memory allocator; mflow's
is that of the program, mimalloc.

*Matrix products* are those that a case cannot do without, alone, by the same routine on the same shapes, one
independent stream per thread, on memory that stays in the cache; *share* is how much of mflow's time they are.

{targets}
{table}
## How each does it

Steps are updates of all trained parameters: loss, gradient, clipping of the norm, AdamW. mflow's are those of its
trainer, with the shuffling of rows; the others get one batch that never changes. In a density step mflow finds
the coordinates of the training set on the manifold once in a run, the others project their batch in every step.

{notes}
Whole runs: [time to quality](time-to-quality.md). What limits the speed: [speed](../speed.md).
",
        versions = versions.join("; "),
        targets = targets(cases, all).markdown(),
        table = table(all).markdown(),
        notes = notes(all),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell;

    fn timed() -> Timed {
        Timed {
            name: "step".to_owned(),
            batch: 100,
            rounds: BTreeMap::from([
                (MFLOW, vec![1e-3, 2e-3, 1e-3]),
                (BOUND, vec![0.5e-3, 1e-3, 0.8e-3]),
                ("nflows", vec![30e-3, 20e-3, 10e-3]),
            ]),
            notes: BTreeMap::from([("zuko", "not timed: no such thing".to_owned())]),
        }
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        let timed = timed();
        assert_eq!(timed.ratio("nflows"), Some(10.0), "of 30, 10 and 10, not 20 over 1");
        assert_eq!(timed.ratio(BOUND), Some(0.5));
        assert_eq!(timed.ratio("zuko"), None);
    }

    #[test]
    fn notes_name_a_case_once() {
        let of = |batch| Timed { batch, ..timed() };
        let text = notes(&[of(100), of(1000)]);
        assert_eq!(text, "- zuko: not timed: no such thing (step, batches 100, 1000)\n");
    }

    #[test]
    fn targets_are_judged() {
        let target = |against: &str, ratio| Target { batch: 100, against: against.into(), ratio };
        let case = Case {
            name: "step".to_owned(),
            batches: vec![100],
            set: Map::new(),
            targets: vec![target("nflows", 8.0), target(BOUND, 0.7), target("zuko", 1.0)],
        };
        let text = targets(&[case], &[timed()]).text();
        assert!(text.contains("yes") && text.contains("NO"), "{text}");
        assert_eq!(text.lines().count(), 4, "what was not timed is not judged: {text}");
    }

    #[test]
    fn the_cases_in_the_repository_are_read() {
        shell::enter_repository().unwrap();
        let cases = Cases::read().unwrap();
        for case in &cases.case {
            for target in &case.targets {
                assert!(case.batches.contains(&target.batch), "{}: no such batch", case.name);
                let known = PEERS.contains(&&*target.against) || target.against == BOUND;
                assert!(known, "{}: against whom?", case.name);
            }
        }
    }

    #[test]
    fn repetitions_fill_a_block() {
        assert_eq!([1e-3, 5.0, 0.0].map(|once| repetitions(0.3, once)), [300, 1, 1000]);
    }
}
