//! `cargo xtask bench --compare`: mflow beside Python libraries on the same machine, in alternation.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::turns::{self, Limits, MFLOW, PEERS, Target, Timed, line, notes};
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

/// Our worker too, with the matrix products alone.
const BOUND: &str = "bound";

/// Rounds of a case that takes long.
const FEWEST_ROUNDS: usize = 3;

/// `cases.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cases {
    pub(crate) defaults: Map<String, Value>,
    case: Vec<Case>,
}

impl Cases {
    pub(crate) fn read() -> Result<Self> {
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
    let mut timed = Timed::new(name, batch);
    let mut open = Vec::new();
    for (name, worker) in workers {
        let mut case = case.clone();
        if *name == BOUND {
            case["bound"] = json!(true);
        }
        match worker.open(&case)? {
            Err(why) => timed.lacks(name, &why),
            Ok(note) => {
                timed.notes.insert((*name).to_owned(), note);
                open.push((*name, worker));
            }
        }
    }
    let limits = Limits { block: 0.3, rounds, seconds: 60.0, fewest: FEWEST_ROUNDS, until: None };
    match turns::take(&mut timed, open, limits).into_iter().next() {
        Some(error) => Err(error),
        None => Ok(timed),
    }
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
    turns::targets(cases.iter().map(|case| (case.name.as_str(), case.targets.as_slice())), all)
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
}
