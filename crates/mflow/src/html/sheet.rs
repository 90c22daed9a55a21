//! Sets of points that figures show: sheets, lines and clouds, with a number for the colour of each.
use super::frame::Frame;
use super::number::{array, rounded};
use serde_json::{Map, Value, json};

/// How points hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A grid of so many rows and columns.
    Grid(usize, usize),
    /// One after the other.
    Line,
    /// Not at all.
    Cloud,
}

/// How a sheet is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Colour where there is no number for it.
    pub(super) color: &'static str,
    /// From 0 to 1.
    pub(super) opacity: f64,
    /// Diameter of points in pixels.
    pub(super) size: f64,
    /// Whether it is shown before anybody asks.
    pub(super) shown: bool,
}

/// Points in `R^D` with a name.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    /// For the legend.
    pub(super) name: String,
    /// How they hang together.
    pub(super) shape: Shape,
    /// `[n, D]`, row-major.
    pub(super) points: Vec<f64>,
    /// A log-density for each, NaN for none.
    pub(super) color: Option<Vec<f64>>,
}

impl Sheet {
    /// As a trace of plotly.js. Its colours are those of the axis that all sheets of a figure share.
    pub(super) fn trace(&self, frame: &Frame, style: Style) -> Value {
        let points = frame.coordinates(&self.points);
        let coordinate = |k: usize| points.iter().map(move |p| p[k]);
        let mut trace = json!({ "name": self.name, "opacity": style.opacity, "showlegend": true });
        if !style.shown {
            trace["visible"] = "legendonly".into();
        }
        let letters = ["x", "y", "z"];
        let flat = frame.dim() == 2;
        if let (Shape::Grid(rows, cols), false) = (self.shape, flat) {
            let matrix = |values: Vec<f64>| {
                let row = |r: usize| array(values[r * cols..(r + 1) * cols].iter().copied());
                Value::Array((0..rows).map(row).collect())
            };
            trace["type"] = "surface".into();
            for (k, letter) in letters.iter().enumerate() {
                trace[*letter] = matrix(coordinate(k).collect());
            }
            match &self.color {
                Some(color) => {
                    trace["surfacecolor"] = matrix(color.clone());
                    trace["coloraxis"] = "coloraxis".into();
                }
                None => {
                    trace["colorscale"] = json!([[0, style.color], [1, style.color]]);
                    trace["showscale"] = false.into();
                }
            }
            trace["lighting"] = json!({
                "ambient": 0.72, "diffuse": 0.55, "specular": 0.04, "roughness": 0.9, "fresnel": 0.05,
            });
            trace["hovertemplate"] = self.hover(frame, "surfacecolor").into();
            return trace;
        }
        trace["type"] = if flat { "scatter" } else { "scatter3d" }.into();
        for (k, letter) in letters.iter().enumerate().take(frame.dim()) {
            trace[*letter] = array(coordinate(k));
        }
        // A line has one colour in the plane, so that points must carry the numbers.
        let as_line = self.shape == Shape::Line && (self.color.is_none() || !flat);
        trace["mode"] = if as_line { "lines" } else { "markers" }.into();
        let mut mark = Map::new();
        let width = if as_line { "width" } else { "size" };
        mark.insert(width.into(), rounded(style.size));
        match &self.color {
            Some(color) => {
                mark.insert("color".into(), array(color.iter().copied()));
                mark.insert("coloraxis".into(), "coloraxis".into());
            }
            None => {
                mark.insert("color".into(), style.color.into());
            }
        }
        let part = if as_line { "line" } else { "marker" };
        trace[part] = Value::Object(mark);
        trace["hovertemplate"] = self.hover(frame, &format!("{part}.color")).into();
        trace
    }

    /// What the pointer says of a point; `color` is where the trace has the number of its colour.
    fn hover(&self, frame: &Frame, color: &str) -> String {
        let axis = |(name, letter): (&String, &str)| format!("{name} %{{{letter}:.4g}}<br>");
        let mut text: String = frame.names().iter().zip(["x", "y", "z"]).map(axis).collect();
        if self.color.is_some() {
            text += &format!("log p %{{{color}:.3f}} nats");
        }
        text + "<extra></extra>"
    }
}
