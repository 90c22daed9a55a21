//! The report on several runs: side by side, with medians over seeds.
use super::images::of_images;
use super::page::Page;
use super::run::config_text;
use super::table::Table;
use super::variants::{Variant, variants};
use super::{compare, curves, metrics, number};
use crate::{Finished, Result};
use mflow_eval::Estimate;
use mflow_train::Pool;
use std::collections::BTreeSet;

/// Views beside each other.
const PANES: usize = 2;

/// The page.
pub(super) fn page(runs: &[Finished], pool: &Pool) -> Result<Page> {
    let variants = variants(runs)?;
    let names: BTreeSet<String> = runs.iter().map(Finished::name).collect();
    let title = names.into_iter().collect::<Vec<_>>().join(", ");
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let subtitle =
        format!("{} of {}", count(runs.len(), "run"), count(variants.len(), "configuration"));
    let mut page = Page::new(&title, &subtitle);

    let firsts: Vec<&Finished> = variants.iter().map(|variant| variant.runs[0]).collect();
    let pictures = of_images(&firsts, pool)?;
    if pictures.is_empty() {
        let views = compare::views(&variants, pool)?;
        if !views.is_empty() {
            page.section("Manifolds and densities");
            page.panes(PANES.min(views.len()), &views.into());
        }
    } else {
        page.section("Images");
        let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
        page.note(&format!(
            "Each picture has the models one below the other: {}.",
            names.join("; ")
        ));
        pictures.iter().for_each(|picture| page.image(picture));
    }
    let metrics = metric_names(runs);
    if !metrics.is_empty() {
        page.section("Medians over seeds");
        page.table(&medians(&variants, &metrics)?);
    }
    page.section("All runs");
    page.table(&all_runs(&variants, &metrics));
    page.section("Training");
    page.legend(&curves::legend(&variants));
    page.figures(&curves::of_suite(&variants));
    if !metrics.is_empty() {
        page.section("Metrics");
        let mut meanings = Table::new("meanings", 2, ["Metric", "What it measures"]);
        for name in &metrics {
            meanings.row(vec![metrics::title(name), metrics::meaning(name).to_owned()]);
        }
        page.table(&meanings);
    }
    page.section("Configs");
    for Variant { name, runs } in &variants {
        page.details(&format!("{name}, seed {}", runs[0].seed()), &config_text(runs[0])?);
    }
    Ok(page)
}

/// The metrics that any of the runs has, by name.
fn metric_names(runs: &[Finished]) -> Vec<&str> {
    let reports = runs.iter().filter_map(Finished::experiment).map(|run| &run.report);
    let names: BTreeSet<&str> =
        reports.flat_map(|r| r.metrics.keys().map(String::as_str)).collect();
    names.into_iter().collect()
}

fn estimate<'a>(run: &'a Finished, metric: &str) -> Option<&'a Estimate> {
    run.experiment()?.report.metrics.get(metric)
}

/// What stands for a number that is not there.
const NONE: &str = "–";

fn medians(variants: &[Variant<'_>], metrics: &[&str]) -> Result<Table> {
    let titles = metrics.iter().map(|name| metrics::title(name));
    let head = ["Model and schedule".to_owned(), "Runs".to_owned()];
    let mut table = Table::new("medians", 1, head.into_iter().chain(titles));
    for variant in variants {
        let mut row = vec![variant.name.clone(), variant.runs.len().to_string()];
        for metric in metrics {
            let values = variant.runs.iter().filter_map(|run| Some(estimate(run, metric)?.value));
            let values: Vec<f64> = values.collect();
            row.push(match values.as_slice() {
                [] => NONE.to_owned(),
                values => number::short(Estimate::median(values)?.value),
            });
        }
        table.row(row);
    }
    Ok(table)
}

fn all_runs(variants: &[Variant<'_>], metrics: &[&str]) -> Table {
    let titles = metrics.iter().map(|name| metrics::title(name));
    let head = ["Model and schedule", "Folder", "Seed", "Seconds", "Failed attempts at its stages"];
    let head = head.map(str::to_owned).into_iter().chain(titles);
    let mut table = Table::new("runs", 2, head);
    for variant in variants {
        for run in &variant.runs {
            let seconds = run.experiment().map(|run| format!("{:.0}", run.report.seconds.total));
            let failed = run.attempts().iter().filter(|a| a.failed).count();
            let mut row = vec![
                variant.name.clone(),
                run.folder().display().to_string(),
                run.seed().to_string(),
                seconds.unwrap_or_else(|| NONE.to_owned()),
                format!("{failed} of {}", run.attempts().len()),
            ];
            let value = |metric: &&str| estimate(run, metric).map(metrics::value);
            row.extend(metrics.iter().map(|m| value(m).unwrap_or_else(|| NONE.to_owned())));
            table.row(row);
        }
    }
    table
}
