//! Our numbers beside the published ones.

use std::collections::{BTreeMap, BTreeSet};

use super::experiment::{Bounds, Experiment, Metric};
use super::record::Record;
use crate::number::{self, median};
use crate::table::Table;

/// How a run is judged by the experiment's bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Failed,
    Fair,
    Good,
}

/// The report for a terminal: seeds, medians and published rows in one table.
pub(super) fn terminal(experiment: &Experiment, preset: &str, records: &[Record]) -> String {
    format!(
        "{} ({}, preset {preset})\n\n{}\n{}\n{}\n{}",
        experiment.title,
        experiment.name,
        per_seed(experiment, records).text(),
        summary(experiment, records).text(),
        failures(experiment, records),
        sources(experiment)
    )
}

/// Medians and published rows.
pub(super) fn summary(experiment: &Experiment, records: &[Record]) -> Table {
    let columns = columns(experiment, |metric| !metric.detail);
    let mut table = empty(&columns);
    table.extend(median_rows(experiment, &columns, records));
    table.extend(published_rows(experiment, &columns));
    table
}

/// A row for every run.
pub(super) fn per_seed(experiment: &Experiment, records: &[Record]) -> Table {
    let columns = columns(experiment, |_| true);
    let mut table = empty(&columns);
    table.extend(seed_rows(experiment, &columns, records));
    table
}

/// Where the published rows stand.
pub(super) fn sources(experiment: &Experiment) -> String {
    let sources: BTreeSet<&str> =
        experiment.published.iter().map(|row| row.source.as_str()).collect();
    sources.into_iter().map(|source| format!("Published: {source}.\n")).collect()
}

/// How many runs failed and why, a line each.
pub(super) fn failures(experiment: &Experiment, records: &[Record]) -> String {
    let failed: Vec<String> = records
        .iter()
        .filter(|record| judge(experiment, record) == Verdict::Failed)
        .map(|record| {
            let reason = if record.is_done() {
                record.outcome.beyond(&experiment.failure).join("; ")
            } else {
                record.status.clone()
            };
            format!("- {} seed {}: {reason}\n", record.model, record.seed)
        })
        .collect();
    let good = records.iter().filter(|record| judge(experiment, record) == Verdict::Good).count();
    let all = records.len();
    let mut text = format!("{} of {all} runs failed", failed.len());
    if !experiment.good.is_empty() {
        text += &format!(", {good} good");
    }
    text += ".\n";
    text += &meaning(experiment);
    text += &detected(records, |record| judge(experiment, record) == Verdict::Failed);
    text + &failed.concat()
}

/// What the bounds of failed and good runs are.
fn meaning(experiment: &Experiment) -> String {
    let bounds = |bounds: &Bounds, comparison: &str, join: &str| {
        let title = |key: &str| {
            let metric = experiment.metric.iter().find(|metric| metric.key == key);
            metric.map_or_else(|| key.to_owned(), |metric| metric.title.clone())
        };
        let each = bounds.iter().map(|(key, bound)| format!("{} {comparison} {bound}", title(key)));
        each.collect::<Vec<_>>().join(join)
    };
    let mut text = "Failed is a run that did not end".to_owned();
    if !experiment.failure.is_empty() {
        text += &format!(", or with {}", bounds(&experiment.failure, "above", " or "));
    }
    if !experiment.good.is_empty() {
        text += &format!("; good is one with {}", bounds(&experiment.good, "up to", " and "));
        text += ", of those that its model has";
    }
    text + ".\n"
}

/// What the failure detector found among the runs that it watched, what came of it, and which of them `failed`.
fn detected(records: &[Record], failed: impl Fn(&Record) -> bool) -> String {
    let watched: Vec<&Record> =
        records.iter().filter(|record| record.outcome.was_watched()).collect();
    if watched.is_empty() {
        return String::new();
    }
    let names = |records: &[&Record]| {
        let mut seeds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for record in records {
            seeds.entry(&record.model).or_default().push(record.seed.to_string());
        }
        let of_model = |(model, seeds): (&str, Vec<String>)| {
            let word = if seeds.len() == 1 { "seed" } else { "seeds" };
            format!("{model} {word} {}", seeds.join(", "))
        };
        seeds.into_iter().map(of_model).collect::<Vec<_>>().join("; ")
    };
    let of_failed = |records: &[&Record]| records.iter().filter(|record| failed(record)).count();
    let (detected, passed): (Vec<&Record>, Vec<&Record>) =
        watched.iter().partition(|record| record.outcome.was_detected());
    let (restarted, warned): (Vec<&Record>, Vec<&Record>) =
        detected.iter().partition(|record| record.outcome.was_restarted());
    let mut text = format!("The failure detector watched {} of them", watched.len());
    text += &match restarted.len() {
        0 => " and had none start anew: without it the numbers are the same.\n".to_owned(),
        count => format!(
            " and had {count} start anew ({}), which without it would have gone on with a manifold that it \
             took for none; {} of these failed.\n",
            names(&restarted),
            of_failed(&restarted)
        ),
    };
    if !warned.is_empty() {
        let (count, bad) = (warned.len(), of_failed(&warned));
        text += &format!(
            "It warned of {count} that had no restart left, and {bad} of these failed ({}).\n",
            names(&warned)
        );
    }
    let missed: Vec<&Record> = passed.into_iter().filter(|record| failed(record)).collect();
    if !missed.is_empty() {
        text += &format!("It let {} pass that failed ({}).\n", missed.len(), names(&missed));
    }
    text
}

fn columns(experiment: &Experiment, keep: impl Fn(&Metric) -> bool) -> Vec<&Metric> {
    experiment.metric.iter().filter(|metric| keep(metric)).collect()
}

fn empty(columns: &[&Metric]) -> Table {
    let metrics = columns.iter().map(|metric| metric.title.as_str());
    let head = ["model", "seed"].into_iter().chain(metrics);
    Table::new(head.chain(["train s", "total s", "MiB", "verdict"]))
}

fn judge(experiment: &Experiment, record: &Record) -> Verdict {
    if !record.is_done() || !record.outcome.beyond(&experiment.failure).is_empty() {
        Verdict::Failed
    } else if record.outcome.is_within(&experiment.good) {
        Verdict::Good
    } else {
        Verdict::Fair
    }
}

/// The cells between seed and verdict, as the numbers are picked from a record by `pick`.
fn cells(
    columns: &[&Metric],
    pick: impl Fn(&dyn Fn(&Record) -> Option<f64>) -> Option<f64>,
) -> Vec<String> {
    let text = |value: Option<f64>, format: fn(f64) -> String| value.map_or("-".to_owned(), format);
    let metrics = columns.iter().map(|metric| {
        let value = pick(&|record| record.outcome.value(&metric.key));
        value.map_or("-".to_owned(), |value| metric.text(value))
    });
    let seconds = ["train", "total"].map(|part| {
        text(pick(&|record| record.outcome.seconds.get(part).copied()), number::seconds)
    });
    let memory = text(pick(&|record| record.outcome.peak_memory_mib), |mib| format!("{mib:.0}"));
    metrics.chain(seconds).chain([memory]).collect()
}

fn seed_rows(experiment: &Experiment, columns: &[&Metric], records: &[Record]) -> Vec<Vec<String>> {
    let row = |record: &Record| {
        let verdict = match judge(experiment, record) {
            Verdict::Failed => "failed",
            Verdict::Fair => "",
            Verdict::Good => "good",
        };
        let mut row = vec![title(experiment, &record.model), record.seed.to_string()];
        row.extend(cells(columns, |get| get(record)));
        row.push(verdict.to_owned());
        row
    };
    let models = models(experiment, records);
    let ordered = models.iter().flat_map(|model| of_model(records, model));
    ordered.map(row).collect()
}

fn median_rows(
    experiment: &Experiment,
    columns: &[&Metric],
    records: &[Record],
) -> Vec<Vec<String>> {
    let row = |model: &String| {
        let runs: Vec<&Record> = of_model(records, model).collect();
        let count = |verdict| runs.iter().filter(|run| judge(experiment, run) == verdict).count();
        let done = runs.iter().filter(|run| run.is_done()).count();
        let mut row = vec![title(experiment, model), format!("median of {done}")];
        row.extend(cells(columns, |get| median(runs.iter().filter_map(|run| get(run)))));
        let failed = format!("{} failed", count(Verdict::Failed));
        row.push(if experiment.good.is_empty() {
            failed
        } else {
            format!("{} good, {failed}", count(Verdict::Good))
        });
        row
    };
    models(experiment, records).iter().map(row).collect()
}

fn published_rows(experiment: &Experiment, columns: &[&Metric]) -> Vec<Vec<String>> {
    let row = |published: &super::experiment::Published| {
        // As printed there, not rounded again.
        let value = |key: &String| published.values.get(key).map_or("-".to_owned(), f64::to_string);
        let mut row = vec![published.model.clone(), "published".to_owned()];
        row.extend(columns.iter().map(|metric| value(&metric.key)));
        row
    };
    experiment.published.iter().map(row).collect()
}

/// The models that have records: in the experiment's order, then those it no longer has.
fn models(experiment: &Experiment, records: &[Record]) -> Vec<String> {
    let mut with_records: BTreeSet<&str> =
        records.iter().map(|record| record.model.as_str()).collect();
    let listed = experiment.model.iter().map(|model| model.name.as_str());
    let mut models: Vec<String> =
        listed.filter(|name| with_records.remove(name)).map(str::to_owned).collect();
    models.extend(with_records.into_iter().map(str::to_owned));
    models
}

fn of_model<'a>(records: &'a [Record], model: &str) -> impl Iterator<Item = &'a Record> {
    records.iter().filter(move |record| record.model == model)
}

fn title(experiment: &Experiment, model: &str) -> String {
    let known = experiment.model.iter().find(|known| known.name == model);
    known.map_or(model, |known| &known.title).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record whose attempts, one a stage, have these numbers and were found to have failed or not.
    fn record(seed: u64, attempts: &[(usize, bool)]) -> Record {
        let attempts: Vec<String> = attempts
            .iter()
            .map(|(attempt, failed)| format!(r#"{{"attempt": {attempt}, "failed": {failed}}}"#))
            .collect();
        let text = format!(
            r#"{{"name": "n", "preset": "p", "model": "m", "seed": {seed}, "config_hash": "h", "commit": "c",
            "dirty": false, "date": "d", "command": "x", "machine": "y", "status": "done", "metrics": {{}},
            "attempts": [{}]}}"#,
            attempts.join(",")
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_the_failure_detector_did_is_told() {
        let none = |_: &Record| false;
        assert_eq!(detected(&[record(1, &[])], none), "", "nothing was watched");
        let good = detected(&[record(1, &[]), record(2, &[(0, false)])], none);
        assert!(good.contains("watched 1 of them and had none start anew"), "{good}");
        let stages = detected(&[record(1, &[(0, true), (0, true)])], none);
        assert!(stages.contains("had none start anew"), "two stages of one attempt: {stages}");
        assert!(stages.contains("warned of 1 that had no restart left, and 0 of"), "{stages}");
        let mixed = [
            record(1, &[(0, true), (1, false)]),
            record(2, &[(0, true)]),
            record(3, &[(0, false)]),
            record(4, &[(0, false)]),
        ];
        let text = detected(&mixed, |record| [2, 4].contains(&record.seed));
        assert!(text.contains("watched 4 of them and had 1 start anew (m seed 1)"), "{text}");
        assert!(text.contains("0 of these failed.\nIt warned of 1"), "{text}");
        assert!(text.contains("1 of these failed (m seed 2)"), "{text}");
        assert!(text.contains("It let 1 pass that failed (m seed 4)"), "{text}");
        assert!(!text.contains("seed 3"), "{text}");
    }
}
