//! The report on one run.
use super::images::of_images;
use super::page::Page;
use super::table::Table;
use super::view::{Detail, view};
use super::{curves, metrics, number, schedule};
use crate::cycle::{self, Cycle};
use crate::fit::HeldOut;
use crate::report::Seconds;
use crate::{Error, Finished, FinishedRun, Result};
use mflow_bijectors::host;
use mflow_core::Error as CoreError;
use mflow_core::candle::{Device, Tensor};
use mflow_eval::Estimate;
use mflow_train::{Attempt, CONFIG_FILE, Pool, TRIAL, kept_epochs};

const DETAIL: Detail = Detail { side: 61, points: 3000, markers: 1000 };

/// The page.
pub(super) fn page(run: &Finished, pool: &Pool) -> Result<Page> {
    let mut page = Page::new(&run.name(), &format!("{}, seed {}", run.title(), run.seed()));
    page.facts(&facts(run));
    let pictures = of_images(&[run], pool)?;
    if !pictures.is_empty() {
        page.section("Images");
        pictures.iter().for_each(|picture| page.image(picture));
    } else if run.model().signature().is_generative() {
        let view = view(run, pool, DETAIL)?;
        page.section("Manifold and density");
        page.figure(&view.plot);
        page.note(&view.caption);
    }
    if cycle::depends_on_encoder(run.model()) {
        page.note(&exactness(run, pool));
    }
    if let Some(run) = run.experiment() {
        page.section("Metrics");
        page.table(&metric_table(run));
    }
    if let Some(found) = run.held_out() {
        page.section("On held-out rows");
        page.table(&held_out_table(found));
        page.note(&held_out_note(found));
    }
    page.section("Training");
    page.figures(&curves::of_run(run.metrics()));
    page.table(&phase_table(run));
    if !run.attempts().is_empty() {
        page.section("Attempts at the manifold");
        page.table(&attempt_table(run.attempts()));
        page.note(
            "An attempt has failed if its error on held-out rows is above the limit, or far above that of the \
             best attempt. A trial is a short attempt, before the run, that tells which model and start to train; \
             the first of those whose errors are within a factor of three is taken. Errors are root mean square distances in units of the normalised data.",
        );
    }
    page.section("Config");
    page.details(CONFIG_FILE, &config_text(run)?);
    Ok(page)
}

/// How far a density that hangs on an encoder can be trusted, at the context of the view.
fn exactness(run: &Finished, pool: &Pool) -> String {
    let model = run.model();
    let signature = model.signature();
    let value = run.experiment().map_or(0., |run| run.config.evaluation.parameter);
    let context = signature.context_dim.map(|dim| {
        let values = Tensor::full(value, (cycle::SAMPLES, dim), &Device::Cpu)?;
        host::place(&values, signature.dtype, &signature.device)
    });
    let context = context.transpose().map_err(CoreError::from);
    let cycle = context
        .map_err(Error::from)
        .and_then(|context| Cycle::measure(model, context.as_ref(), cycle::SAMPLES, pool));
    match cycle {
        Ok(cycle) if signature.context_dim.is_some() => {
            format!("{} They have the context {value}.", cycle.verdict())
        }
        Ok(cycle) => cycle.verdict(),
        // Samples that are not finite take nothing from the rest of the report.
        Err(error) => {
            format!("How exactly the encoder inverts the decoder cannot be told: {error}")
        }
    }
}

/// The config as its file has it.
pub(super) fn config_text(run: &Finished) -> Result<String> {
    let path = run.folder().join(CONFIG_FILE);
    Ok(std::fs::read_to_string(&path).map_err(CoreError::io(&path))?)
}

fn facts(run: &Finished) -> Vec<(&'static str, String)> {
    let signature = run.model().signature();
    let (n, d) = (signature.manifold_dim, signature.data_dim);
    let mut facts = vec![
        ("Model", signature.name.to_owned()),
        ("Schedule", schedule::schedule(run.train())),
        ("Epochs", schedule::epochs(run.train())),
        ("Dimensions", if n < d { format!("{n} in {d}") } else { d.to_string() }),
    ];
    if let Some(context) = signature.context_dim {
        let for_what = match signature.conditional_manifold {
            true => "manifold and density",
            false if signature.is_generative() => "density",
            false => "ratio",
        };
        let features = if context == 1 { "feature" } else { "features" };
        facts.push(("Context", format!("{context} {features}, for the {for_what}")));
    }
    if let Some(FinishedRun { config, report, .. }) = run.experiment() {
        let Seconds { train, total } = report.seconds;
        facts.push(("Data", config.data.describe()));
        facts.push(("Time", format!("{train:.0} s of {total:.0} s to train")));
        if let Some(mib) = report.peak_memory_mib {
            facts.push(("Memory", format!("{mib:.0} MiB")));
        }
    }
    facts
}

fn metric_table(run: &FinishedRun) -> Table {
    let mut table = Table::new("metrics", 2, ["Metric", "What it measures", "Value", "Samples"]);
    for (name, estimate) in &run.report.metrics {
        table.row(vec![
            metrics::title(name),
            metrics::meaning(name).to_owned(),
            metrics::value(estimate),
            estimate.count.to_string(),
        ]);
    }
    if let Some(error) = run.report.round_trip_error {
        let name = "round_trip_error";
        table.row(vec![
            metrics::title(name),
            metrics::meaning(name).to_owned(),
            format!("{error:.1e}"),
            run.config.evaluation.test_rows.to_string(),
        ]);
    }
    table
}

fn held_out_table(found: &HeldOut) -> Table {
    let mut table = Table::new("held-out", 2, ["Quantity", "What it is", "Value", "Rows"]);
    let mut row = |title: &str, meaning: &str, estimate: &Option<Estimate>| {
        let Some(estimate) = estimate else { return };
        let (value, count) = (metrics::value(estimate), estimate.count.to_string());
        table.row(vec![title.to_owned(), meaning.to_owned(), value, count]);
    };
    let error = "mean distance from the manifold, in units of the data";
    row("Reconstruction error", error, &found.reconstruction_error);
    let plane = "the same for the plane of as many principal components";
    row("Principal components", plane, &found.principal_error);
    row("log_prob", "mean log-density, in nats", &found.log_prob);
    if let Some(outliers) = found.outliers {
        let meaning = "far beyond the quartiles of the others, in distance or density".to_owned();
        let (value, rows) = (outliers.to_string(), found.rows.to_string());
        table.row(vec!["Outliers".to_owned(), meaning, value, rows]);
    }
    table
}

/// Which rows they are, and what to do next.
fn held_out_note(found: &HeldOut) -> String {
    let rows = match found.chose_weights {
        true => {
            "The rows were not trained on, but the epochs were chosen by them, which flatters the numbers a little; \
             --holdout keeps rows apart from all of the fit."
        }
        false => "The rows had no part in the fit.",
    };
    let sentence = |next: &String| {
        let mut letters = next.chars();
        let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
        format!(" {first}{}.", letters.as_str())
    };
    rows.to_owned() + &found.next.iter().map(sentence).collect::<String>()
}

fn phase_table(run: &Finished) -> Table {
    let head = ["Phase", "Epochs", "Kept epoch", "Its validation loss"];
    let mut table = Table::new("phases", 1, head);
    for kept in kept_epochs(run.train(), run.metrics(), run.attempts()) {
        let loss = number::short(kept.metrics.validation_loss);
        let epochs = kept.epochs.to_string();
        table.row(vec![kept.metrics.phase.clone(), epochs, kept.place(), loss]);
    }
    table
}

fn attempt_table(attempts: &[Attempt]) -> Table {
    let head = ["Stage", "Start", "Outcome", "Attempt", "Error", "Limit", "Updates", "Seconds"];
    let mut table = Table::new("attempts", 3, head);
    let outcome = |attempt: &Attempt| match (attempt.stage == TRIAL, attempt.failed) {
        (true, false) => "chosen",
        (true, true) => "left",
        (false, false) => "found",
        (false, true) => "failed",
    };
    for attempt in attempts {
        table.row(vec![
            attempt.stage.clone(),
            attempt.start.clone().unwrap_or_default(),
            outcome(attempt).to_owned(),
            (attempt.attempt + 1).to_string(),
            number::short(attempt.error),
            attempt.limit.map_or_else(|| "unknown".to_owned(), number::short),
            attempt.updates.to_string(),
            format!("{:.0}", attempt.seconds),
        ]);
    }
    table
}
