//! Learning curves: a panel for each phase, all runs in it.
use super::Sheet;
use crate::Result;
use mflow_eval::figures::{Ink, Layer, Panel, PanelStyle, Shape, draw_panels};
use mflow_train::EpochMetrics;

/// `learning`: training and validation loss over the epochs of each phase, on a logarithmic axis where all
/// of them are positive.
pub(super) fn draw(sheet: &mut Sheet<'_>) -> Result<()> {
    let mut phases: Vec<&str> = vec![];
    for metrics in sheet.runs.iter().flat_map(|run| run.losses) {
        if !phases.contains(&metrics.phase.as_str()) {
            phases.push(&metrics.phase);
        }
    }
    let panels: Vec<Panel> = phases.iter().filter_map(|phase| panel(sheet, phase)).collect();
    if panels.is_empty() {
        return Ok(());
    }
    let columns = if panels.len() == 4 { 2 } else { 3 };
    let style = PanelStyle { columns, ..PanelStyle::default() };
    Ok(draw_panels(&panels, &style, &sheet.path("learning"))?)
}

fn panel(sheet: &Sheet<'_>, phase: &str) -> Option<Panel> {
    let mut layers = vec![];
    let single = sheet.runs.len() == 1;
    for (k, run) in sheet.runs.iter().enumerate() {
        let of_phase: Vec<&EpochMetrics> = run.losses.iter().filter(|m| m.phase == phase).collect();
        let training = line(&of_phase, |m| m.train_loss);
        let validation = line(&of_phase, |m| m.validation_loss);
        let names = if single { ["training", "validation"] } else { ["", &*run.title] };
        layers.push(Layer::new(names[0], Ink::Series(k), Shape::Dashes(training)));
        layers.push(Layer::new(names[1], Ink::Series(k), Shape::Line(validation)));
    }
    if !single {
        // In the legend only, once for all runs.
        layers.push(Layer::new("training", Ink::Truth, Shape::Dashes(vec![])));
        layers.push(Layer::new("validation", Ink::Truth, Shape::Line(vec![])));
    }
    let losses = layers.iter().flat_map(|layer| match &layer.shape {
        Shape::Line(points) | Shape::Dashes(points) => &points[..],
        _ => &[],
    });
    let losses: Vec<f64> = losses.map(|point| point.1).filter(|y| y.is_finite()).collect();
    let log_y = losses.iter().all(|&loss| loss > 0.);
    (!losses.is_empty()).then(|| Panel {
        title: format!("Phase: {phase}"),
        x_label: "epoch of the phase".to_owned(),
        y_label: "loss".to_owned(),
        log_y,
        layers,
        ..Panel::default()
    })
}

/// A loss over the epochs; attempts at a phase are lines of their own.
fn line(metrics: &[&EpochMetrics], loss: fn(&EpochMetrics) -> f64) -> Vec<(f64, f64)> {
    let attempts = metrics.chunk_by(|a, b| a.attempt == b.attempt);
    let line = |of: &[&EpochMetrics]| of.iter().map(|m| (m.epoch as f64, loss(m))).collect();
    let lines: Vec<Vec<(f64, f64)>> = attempts.map(line).collect();
    lines.join(&(f64::NAN, f64::NAN))
}
