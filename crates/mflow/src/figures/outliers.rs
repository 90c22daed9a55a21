//! Receiver operating characteristics: how well scores tell outliers from data.
use super::Sheet;
use crate::Result;
use crate::experiment::outlier_data;
use mflow_data::Simulator;
use mflow_eval::figures::{Ink, Layer, Panel, PanelStyle, Shape, draw_panels};
use mflow_eval::metrics::outlier_scores;
use mflow_eval::statistics::{auc, roc_curve};

/// Points nearer to the last one than this, along both axes, are left out of a curve.
const STEP: f64 = 0.002;

/// `outliers`: the curves of all models by log-density and by reconstruction error, with the areas under
/// them. Of simulators that know their density, as the metrics.
pub(super) fn draw(sheet: &mut Sheet<'_>, simulator: &dyn Simulator) -> Result<()> {
    if !simulator.is_tractable() {
        return Ok(());
    }
    let (data, outliers) = outlier_data(sheet.experiment, simulator)?;
    let chance = || vec![Layer::new("", Ink::Faint, Shape::Dashes(vec![(0., 0.), (1., 1.)]))];
    let (mut by_density, mut by_error) = (chance(), chance());
    for (k, run) in sheet.runs.iter().enumerate() {
        let scores = outlier_scores(run.of, &data, &outliers, &sheet.theta(simulator))?;
        // What is higher for outliers is lower for data, so that both are curves of finding outliers.
        let [of_data, of_outliers] = &scores.reconstruction_error;
        let area = auc(of_outliers, of_data)?;
        let error = curve(roc_curve(of_outliers, of_data)?);
        let layer = |name: &str, curve| Layer::new(name, Ink::Series(k), Shape::Line(curve));
        let name = match scores.log_prob.map(|scores| scores.map(negated)) {
            None => format!("{} (AUC \u{2212}, {area:.3})", run.title),
            Some([of_data, of_outliers]) => {
                let by_density_too = auc(&of_outliers, &of_data)?;
                let name = format!("{} (AUC {by_density_too:.3}, {area:.3})", run.title);
                by_density.push(layer(&name, curve(roc_curve(&of_outliers, &of_data)?)));
                name
            }
        };
        by_error.push(layer(&name, error));
    }
    let panel = |title: &str, layers: Vec<Layer>| Panel {
        title: title.to_owned(),
        x_label: "false positive rate (data)".to_owned(),
        y_label: "true positive rate (outliers)".to_owned(),
        x_limits: Some([0., 1.]),
        y_limits: Some([0., 1.]),
        layers,
        ..Panel::default()
    };
    let mut panels = vec![panel("By reconstruction error", by_error)];
    if by_density.len() > 1 {
        panels.insert(0, panel("By log-density", by_density));
    }
    let style = PanelStyle { panel_size: [560, 580], ..PanelStyle::default() };
    Ok(draw_panels(&panels, &style, &sheet.path("outliers"))?)
}

fn negated(scores: Vec<f64>) -> Vec<f64> {
    scores.into_iter().map(|score| -score).collect()
}

/// Without the points that cannot be seen.
fn curve(all: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let count = all.len();
    let mut curve: Vec<(f64, f64)> = vec![];
    for (k, point) in all.into_iter().enumerate() {
        let near =
            |last: &(f64, f64)| (point.0 - last.0).abs() < STEP && (point.1 - last.1).abs() < STEP;
        if k + 1 == count || !curve.last().is_some_and(near) {
            curve.push(point);
        }
    }
    curve
}
