//! Draws a figure of `cargo xtask bench --scaling`: JSON on the standard input, the file as argument.

use mflow_eval::figures::{CurveStyle, Series, draw_curves};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Figure {
    title: String,
    x_label: String,
    y_label: String,
    series: Vec<Curve>,
}

#[derive(Deserialize)]
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: curves FILE.png")?;
    let Figure { title, x_label, y_label, series } = serde_json::from_reader(std::io::stdin())?;
    let series: Vec<Series> =
        series.into_iter().map(|Curve { name, points }| Series { name, points }).collect();
    let style =
        CurveStyle { title, x_label, y_label, log_x: true, log_y: true, ..CurveStyle::default() };
    Ok(draw_curves(&series, &[], &style, &path)?)
}
