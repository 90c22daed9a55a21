//! Timing in turns: every worker its part of a round, so that ratios hold on a machine whose speed changes.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Error};
use serde::{Deserialize, Serialize};

use super::worker::Worker;
use crate::number;
use crate::table::Table;

/// Ours, that the others are compared with.
pub(crate) const MFLOW: &str = "mflow";

/// The one of [`PEERS`] that is fastest at a case, as the opponent of a target.
pub(crate) const BEST: &str = "the best peer";

/// The packages that are timed beside ours.
pub(crate) const PEERS: [&str; 3] = ["nflows", "zuko", "flowjax"];

/// A least ratio of the time that `against` needs to ours.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) batch: usize,
    pub(crate) against: String,
    pub(crate) ratio: f64,
}

/// How long turns are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Seconds that a worker repeats a case before it is another's turn.
    pub(crate) block: f64,
    /// Rounds of turns.
    pub(crate) rounds: usize,
    /// Seconds for a case after which there are no more than so many rounds.
    pub(crate) seconds: f64,
    pub(crate) fewest: usize,
    /// No round starts after this.
    pub(crate) until: Option<Instant>,
}

/// A case of one batch size, timed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Timed {
    pub(crate) name: String,
    pub(crate) batch: usize,
    /// Seconds of each round, the median of its repetitions, by worker.
    pub(crate) rounds: BTreeMap<String, Vec<f64>>,
    /// How workers do it, and why some do not.
    pub(crate) notes: BTreeMap<String, String>,
}

impl Timed {
    /// Nothing yet.
    pub(crate) fn new(name: &str, batch: usize) -> Self {
        Self { name: name.to_owned(), batch, ..Self::default() }
    }

    /// Says why a worker has no numbers.
    pub(crate) fn lacks(&mut self, worker: &str, why: &str) {
        self.rounds.remove(worker);
        self.notes.insert(worker.to_owned(), format!("not timed: {why}"));
    }

    /// The median over rounds.
    pub(crate) fn median(&self, worker: &str) -> Option<f64> {
        number::median(self.rounds.get(worker)?.iter().copied())
    }

    /// How many times our seconds a worker, or the best peer, needs: the median over rounds, each of
    /// neighbouring blocks.
    pub(crate) fn ratio(&self, worker: &str) -> Option<f64> {
        if worker == BEST {
            return PEERS.iter().filter_map(|peer| self.ratio(peer)).min_by(f64::total_cmp);
        }
        let (theirs, ours) = (self.rounds.get(worker)?, self.rounds.get(MFLOW)?);
        number::median(theirs.iter().zip(ours).map(|(t, o)| t / o))
    }
}

/// Lets workers that have opened the case time it in turns. One that fails is left out from then on, with a
/// note; its errors are returned.
pub(crate) fn take(
    timed: &mut Timed,
    workers: Vec<(&str, &mut Worker)>,
    limits: Limits,
) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut open = Vec::new();
    for (name, worker) in workers {
        // The first is for caches, the allocator and the compiler of whoever has one.
        match worker.time(1).and_then(|_| worker.time(2)) {
            Ok(twice) => {
                let once = number::median(twice).unwrap_or(f64::NAN);
                open.push((name, worker, repetitions(limits.block, once), once));
            }
            Err(error) => {
                timed.lacks(name, &format!("{error:#}"));
                errors.push(error);
            }
        }
    }
    let round: f64 = open.iter().map(|(_, _, n, once)| once * *n as f64).sum();
    let is_long = round * limits.rounds as f64 > limits.seconds;
    for _ in 0..if is_long { limits.fewest } else { limits.rounds } {
        if limits.until.is_some_and(|until| until <= Instant::now()) {
            break;
        }
        open.retain_mut(|(name, worker, n, _)| {
            let block = worker
                .time(*n)
                .and_then(|block| number::median(block).context("a block without timings"));
            match block {
                Ok(block) => timed.rounds.entry((*name).to_owned()).or_default().push(block),
                Err(error) => {
                    timed.lacks(name, &format!("{error:#}"));
                    errors.push(error);
                    return false;
                }
            }
            true
        });
    }
    errors
}

/// How often a case that takes `once` is repeated to fill so many seconds.
pub(crate) fn repetitions(seconds: f64, once: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and 1000"
    )]
    let n = (seconds / once).clamp(1.0, 1000.0) as usize;
    n
}

/// A line on what was measured.
pub(crate) fn line(timed: &Timed) -> String {
    let of = |name: &String| {
        let seconds = timed.median(name)?;
        Some(format!("{name} {} ms", number::short(seconds * 1e3)))
    };
    let all: Vec<String> = timed.rounds.keys().filter_map(of).collect();
    format!("{}, batch {}: {}", timed.name, timed.batch, all.join(", "))
}

/// What was aimed at beside what was measured; nothing where that was not timed.
pub(crate) fn targets<'a>(
    cases: impl IntoIterator<Item = (&'a str, &'a [Target])>,
    all: &[Timed],
) -> Table {
    let mut table = Table::new(["target", "batch", "against", "at least", "measured", "reached"]);
    for (name, targets) in cases {
        for Target { batch, against, ratio } in targets {
            let found = all.iter().find(|t| t.name == name && t.batch == *batch);
            let Some(measured) = found.and_then(|timed| timed.ratio(against)) else { continue };
            table.push([
                name.to_owned(),
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
pub(crate) fn notes(all: &[Timed]) -> String {
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::process::Command;

    pub(crate) fn timed() -> Timed {
        let rounds = [
            (MFLOW, vec![1e-3, 2e-3, 1e-3]),
            ("bound", vec![0.5e-3, 1e-3, 0.8e-3]),
            ("nflows", vec![30e-3, 20e-3, 10e-3]),
            ("flowjax", vec![40e-3, 50e-3, 40e-3]),
        ];
        let mut timed = Timed::new("step", 100);
        timed.rounds = rounds.map(|(name, rounds)| (name.to_owned(), rounds)).into();
        timed.lacks("zuko", "no such thing");
        timed
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        let timed = timed();
        assert_eq!(timed.ratio("nflows"), Some(10.0), "of 30, 10 and 10, not 20 over 1");
        assert_eq!(timed.ratio("bound"), Some(0.5));
        assert_eq!(timed.ratio("zuko"), None);
        assert_eq!(timed.ratio(BEST), Some(10.0), "flowjax takes longer, zuko does not do it");
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
        let all = [target("nflows", 8.0), target("bound", 0.7), target("zuko", 1.0)];
        let text = targets([("step", all.as_slice())], &[timed()]).text();
        assert!(text.contains("yes") && text.contains("NO"), "{text}");
        assert_eq!(text.lines().count(), 4, "what was not timed is not judged: {text}");
    }

    #[test]
    fn repetitions_fill_a_block() {
        assert_eq!([1e-3, 5.0, 0.0].map(|once| repetitions(0.3, once)), [300, 1, 1000]);
    }

    #[test]
    fn a_worker_that_fails_leaves_the_others() {
        let worker =
            |script: &str| Worker::start("test", Command::new("sh").args(["-c", script])).unwrap();
        let mut good = worker("while read line; do echo '{\"seconds\": [0.2, 0.2]}'; done");
        let mut bad = worker("read line; echo '{\"seconds\": [1]}'; read line");
        let limits = Limits { block: 0.1, rounds: 3, seconds: 9.0, fewest: 1, until: None };
        let mut timed = Timed::new("case", 1);
        let errors = take(&mut timed, vec![("good", &mut good), ("bad", &mut bad)], limits);
        assert_eq!(timed.rounds["good"], [0.2; 3]);
        assert_eq!((errors.len(), timed.rounds.len()), (1, 1));
        assert!(timed.notes["bad"].contains("ended"), "{timed:?}");
    }
}
