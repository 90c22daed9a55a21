//! The picture of a case: true rows and learned samples side by side, in the same axes.
use crate::Result;
use mflow::core::PrincipalAxes;
use mflow::data::io::Table;
use mflow::eval::figures::{
    Ink, Layer, Limits, Panel, PanelStyle, Shape, SurfacePanel, SurfaceStyle, draw_panels,
    draw_surfaces,
};
use std::path::Path;

/// Points of a panel, at most: more only make the file larger.
const POINTS: usize = 1000;
/// How far the axes reach beyond the true rows, as a share of their longest side.
const MARGIN: f64 = 0.1;
/// Width and height of a panel, pixels.
const PANEL: [u32; 2] = [400, 400];

/// Draws `truth` and `learned`, two tables of the same columns, into `path`. Rows of more than three columns are
/// seen along the first three principal axes of the truth.
pub(crate) fn draw(truth: &Table, learned: &Table, path: &Path) -> Result<()> {
    let axes = (truth.cols() > 3).then(|| PrincipalAxes::of(truth.values(), truth.cols()));
    let [first, second] = [truth, learned].map(|table| places(table, axes.as_ref()));
    let limits = around(&first);
    // What leaves the box is not drawn, and the title says how much that is.
    let outside = second.iter().filter(|point| !limits.contains(**point)).count();
    let title = match outside {
        0 => "Learned samples".to_owned(),
        n => format!("Learned samples ({n} of {} outside)", second.len()),
    };
    let panels = [("True rows".to_owned(), first), (title, second)];
    match truth.cols() {
        2 => draw_plane(panels, &limits, path),
        _ => draw_space(panels, limits, axes.is_some(), path),
    }
}

/// The first rows as points in space; a plane has 0 as its third coordinate.
fn places(table: &Table, axes: Option<&PrincipalAxes>) -> Vec<[f64; 3]> {
    let along = |row: &[f64], k: usize| match axes {
        None => row.get(k).copied().unwrap_or(0.),
        Some(PrincipalAxes { mean, axes, .. }) => {
            row.iter().zip(mean).zip(&axes[k]).map(|((x, mean), axis)| (x - mean) * axis).sum()
        }
    };
    let rows = table.values().chunks_exact(table.cols()).take(POINTS);
    rows.map(|row| [0, 1, 2].map(|k| along(row, k))).collect()
}

/// The box around points, with a margin.
fn around(points: &[[f64; 3]]) -> Limits {
    let end = |k: usize, pick: fn(f64, f64) -> f64| {
        points.iter().map(|point| point[k]).fold(f64::NAN, pick)
    };
    let low = [0, 1, 2].map(|k| end(k, f64::min));
    let high = [0, 1, 2].map(|k| end(k, f64::max));
    let margin = MARGIN * (0..3).map(|k| high[k] - low[k]).fold(0., f64::max);
    Limits { low: low.map(|x| x - margin), high: high.map(|x| x + margin) }
}

fn draw_plane(panels: [(String, Vec<[f64; 3]>); 2], limits: &Limits, path: &Path) -> Result<()> {
    let panel = |(k, (title, points)): (usize, (String, Vec<[f64; 3]>))| {
        let dots = Shape::Dots(points.iter().map(|point| (point[0], point[1])).collect());
        let ink = if k == 0 { Ink::Truth } else { Ink::Series(0) };
        Panel {
            title,
            x_label: "x₁".to_owned(),
            y_label: "x₂".to_owned(),
            x_limits: Some([limits.low[0], limits.high[0]]),
            y_limits: Some([limits.low[1], limits.high[1]]),
            equal_units: true,
            layers: vec![Layer::new("", ink, dots)],
            ..Panel::default()
        }
    };
    let panels: Vec<Panel> = panels.into_iter().enumerate().map(panel).collect();
    let style = PanelStyle { panel_size: PANEL, ..PanelStyle::default() };
    Ok(draw_panels(&panels, &style, path)?)
}

fn draw_space(
    panels: [(String, Vec<[f64; 3]>); 2],
    limits: Limits,
    principal: bool,
    path: &Path,
) -> Result<()> {
    let panel = |(title, scatter)| SurfacePanel { title, scatter, ..SurfacePanel::default() };
    let panels = panels.map(panel);
    let mut style = SurfaceStyle {
        panel_size: PANEL,
        limits: Some(limits),
        dot_radius: 1.2,
        ..SurfaceStyle::default()
    };
    if principal {
        style.axis_names = ["p₁", "p₂", "p₃"].map(str::to_owned);
    }
    Ok(draw_surfaces(&panels, &style, path)?)
}
