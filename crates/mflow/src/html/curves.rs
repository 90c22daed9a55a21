//! Learning curves.
use super::number::array;
use super::plot::{COLORS, Plot};
use super::variants::Variant;
use mflow_train::EpochMetrics;
use serde_json::{Value, json};

/// Of training, which is not what weights are chosen by.
const MUTED: &str = "#9aa5b1";

/// The phases of a run by name, in the order in which they began.
pub(super) fn phases(metrics: &[EpochMetrics]) -> Vec<&str> {
    let mut names = vec![];
    for epoch in metrics {
        if !names.contains(&epoch.phase.as_str()) {
            names.push(epoch.phase.as_str());
        }
    }
    names
}

/// A figure of each phase: training and validation loss of each attempt.
pub(super) fn of_run(metrics: &[EpochMetrics]) -> Vec<(String, Plot)> {
    let figure = |phase: &str| {
        let of_phase = || metrics.iter().filter(|m| m.phase == phase);
        let last = of_phase().map(|m| m.attempt).max().unwrap_or(0);
        let attempts = (0..=last).filter(|a| of_phase().any(|m| m.attempt == *a));
        let attempts: Vec<usize> = attempts.collect();
        let mut traces = vec![];
        for &attempt in &attempts {
            let name = |loss: &str| match attempts.len() {
                1 => loss.to_owned(),
                _ => format!("{loss}, attempt {}", attempt + 1),
            };
            let line = |color: &str| {
                let dash = if attempt == last { "solid" } else { "dot" };
                json!({ "color": color, "width": 2, "dash": dash })
            };
            let of_attempt = || of_phase().filter(|m| m.attempt == attempt);
            let training = trace(of_attempt(), |m| m.train_loss);
            traces.push(with(training, &name("training"), line(MUTED)));
            let validation = trace(of_attempt(), |m| m.validation_loss);
            traces.push(with(validation, &name("validation"), line(COLORS[0])));
        }
        let losses = of_phase().flat_map(|m| [m.train_loss, m.validation_loss]);
        (format!("Phase: {phase}"), Plot { traces, layout: layout("loss", losses) })
    };
    phases(metrics).into_iter().map(figure).collect()
}

/// A figure of each phase: validation losses of all runs, one colour for each variant.
pub(super) fn of_suite(variants: &[Variant<'_>]) -> Vec<(String, Plot)> {
    let mut names: Vec<&str> = vec![];
    let runs = || variants.iter().flat_map(|variant| &variant.runs);
    for phase in runs().flat_map(|run| phases(run.metrics())) {
        if !names.contains(&phase) {
            names.push(phase);
        }
    }
    let figure = |phase: &str| {
        let mut traces = vec![];
        let mut losses = vec![];
        for (variant, color) in colored(variants) {
            for run in &variant.runs {
                let of_phase = || run.metrics().iter().filter(|m| m.phase == phase);
                let Some(last) = of_phase().map(|m| m.attempt).max() else { continue };
                let of_last = || of_phase().filter(move |m| m.attempt == last);
                losses.extend(of_last().map(|m| m.validation_loss));
                let line = json!({ "color": color, "width": 1.5 });
                let mut curve = with(trace(of_last(), |m| m.validation_loss), &variant.name, line);
                let text = format!("{}, seed {}", variant.name, run.seed());
                curve["text"] = text.into();
                curve["hovertemplate"] = "%{text}<br>epoch %{x}, %{y:.4~g}<extra></extra>".into();
                traces.push(curve);
            }
        }
        let mut layout = layout("validation loss", losses.into_iter());
        layout["showlegend"] = false.into();
        (format!("Phase: {phase}"), Plot { traces, layout })
    };
    names.into_iter().map(figure).collect()
}

/// The names in those figures, with their colours.
pub(super) fn legend<'a>(variants: &'a [Variant<'_>]) -> Vec<(&'a str, &'static str)> {
    colored(variants).map(|(variant, color)| (variant.name.as_str(), color)).collect()
}

fn colored<'a, 'b>(
    variants: &'a [Variant<'b>],
) -> impl Iterator<Item = (&'a Variant<'b>, &'static str)> {
    variants.iter().zip(COLORS.iter().copied().cycle())
}

fn trace<'a>(
    epochs: impl Iterator<Item = &'a EpochMetrics> + Clone,
    loss: impl Fn(&EpochMetrics) -> f64,
) -> Value {
    let x: Vec<usize> = epochs.clone().map(|m| m.epoch).collect();
    // A single epoch makes no line.
    let mode = if x.len() > 1 { "lines" } else { "markers" };
    json!({ "type": "scatter", "mode": mode, "x": x, "y": array(epochs.map(loss)) })
}

fn with(mut trace: Value, name: &str, line: Value) -> Value {
    trace["name"] = name.into();
    trace["marker"] = json!({ "color": line["color"] });
    trace["line"] = line;
    trace
}

/// The axes; the loss has a logarithmic one where all of it is positive.
fn layout(loss: &str, losses: impl Iterator<Item = f64>) -> Value {
    let mut y = json!({ "title": { "text": loss } });
    if losses.into_iter().all(|v| v > 0.) {
        y["type"] = "log".into();
        y["tickformat"] = "~g".into();
    }
    json!({ "xaxis": { "title": { "text": "epoch" } }, "yaxis": y, "hovermode": "closest" })
}
