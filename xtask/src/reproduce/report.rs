//! Our numbers beside the published ones.

use std::collections::BTreeSet;

use super::experiment::{Experiment, Metric};
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
    text += &detected(records);
    text + &failed.concat()
}

/// What the failure detector found among the runs that it watched, and what came of it.
fn detected(records: &[Record]) -> String {
    let watched: Vec<&Record> =
        records.iter().filter(|record| record.outcome.was_watched()).collect();
    let (restarted, others): (Vec<&Record>, Vec<&Record>) = watched
        .iter()
        .filter(|record| record.outcome.was_detected())
        .partition(|record| record.outcome.was_restarted());
    let names = |records: Vec<&Record>| {
        let names = records.iter().map(|record| format!("{} seed {}", record.model, record.seed));
        names.collect::<Vec<_>>().join(", ")
    };
    let mut text = String::new();
    if !watched.is_empty() && restarted.is_empty() && others.is_empty() {
        let count = watched.len();
        text += &format!(
            "The failure detector watched {count} of them and had none start anew: without it the numbers \
             are the same.\n"
        );
    }
    if !restarted.is_empty() {
        let count = restarted.len();
        text += &format!(
            "Without the failure detector {count} more would have gone on with a manifold that was not \
             found: it had them start anew ({}).\n",
            names(restarted)
        );
    }
    if !others.is_empty() {
        let count = others.len();
        text += &format!(
            "The failure detector found the manifold missing in {count} that had no restart left ({}).\n",
            names(others)
        );
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
    } else if !experiment.good.is_empty() && record.outcome.beyond(&experiment.good).is_empty() {
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

    fn record(seed: u64, attempts: &[bool]) -> Record {
        let attempts: Vec<String> =
            attempts.iter().map(|failed| format!(r#"{{"failed": {failed}}}"#)).collect();
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
        assert_eq!(detected(&[record(1, &[])]), "", "nothing was watched");
        let good = detected(&[record(1, &[]), record(2, &[false])]);
        assert!(good.contains("watched 1 of them and had none start anew"), "{good}");
        let mixed = [record(1, &[true, false]), record(2, &[true]), record(3, &[false])];
        let text = detected(&mixed);
        assert!(text.contains("Without the failure detector 1 more"), "{text}");
        assert!(text.contains("start anew (m seed 1)"), "{text}");
        assert!(text.contains("missing in 1 that had no restart left (m seed 2)"), "{text}");
        assert!(!text.contains("seed 3"), "{text}");
    }
}
