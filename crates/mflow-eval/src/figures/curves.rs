//! Training curves: numbers over the epochs, with the training's phases.

use std::path::Path;

use kuva::render::render::TextAnchor;

use super::legend::{COLORS, Entry, Legend, STROKE, Sample};
use super::marks::Marks;
use super::output::Format;
use super::paint::{self, Font, INK, TextSizes};
use super::plane::Plane;
use crate::{Error, Result};

/// A named curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// `(x, y)`, such as the epoch and the loss, in the order of the line. A point that is not
    /// finite breaks the line.
    pub points: Vec<(f64, f64)>,
}

/// Where a phase of the training begins: a vertical line with a label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Boundary {
    /// Its x.
    pub at: f64,
    /// Its label, over the upper end of the line.
    pub label: String,
}

/// The look of [`draw_curves`].
#[derive(Clone, Debug, PartialEq)]
pub struct CurveStyle {
    /// Stands over the figure; may be empty.
    pub title: String,
    /// Name of the x axis.
    pub x_label: String,
    /// Name and unit of the y axis.
    pub y_label: String,
    /// Whether the x axis is logarithmic.
    pub log_x: bool,
    /// Whether the y axis is logarithmic.
    pub log_y: bool,
    /// Width and height of the figure, pixels: 400 to 10000.
    pub size: [u32; 2],
}

impl Default for CurveStyle {
    fn default() -> Self {
        Self {
            title: String::new(),
            x_label: "epoch".to_owned(),
            y_label: "loss".to_owned(),
            log_x: false,
            log_y: false,
            size: [1200, 720],
        }
    }
}

/// Draws `series` over one another into the PNG or SVG file `path`, with a vertical line at each of
/// `boundaries` and a legend below.
///
/// # Errors
///
/// [`Error::EmptyFigure`] without a series; [`Error::EmptySeries`] for one without a finite point;
/// [`Error::NotPositive`] for an x or y that a logarithmic axis cannot show;
/// [`Error::NonFiniteBoundary`]; [`Error::Style`] for a size out of range; [`Error::Extension`],
/// [`Error::Rasterise`] and [`Error::Write`] for the file. Nothing is written then, unless the
/// system stops half-way.
pub fn draw_curves(
    series: &[Series],
    boundaries: &[Boundary],
    style: &CurveStyle,
    path: &Path,
) -> Result<()> {
    let format = Format::of(path)?;
    if series.is_empty() {
        return Err(Error::EmptyFigure { expected: "series" });
    }
    paint::check_sides("size", style.size)?;
    for Boundary { at, label } in boundaries {
        if !at.is_finite() || style.log_x && *at <= 0.0 {
            return Err(Error::NonFiniteBoundary { label: label.clone(), found: *at });
        }
    }
    let runs = series.iter().map(|curve| curve.runs(style)).collect::<Result<Vec<_>>>()?;

    let [width, height] = style.size.map(f64::from);
    let sizes = TextSizes::of(style.size[1]);
    let [tick, label] = [f64::from(sizes.tick), f64::from(sizes.label)];
    let entries = series.iter().zip(COLORS.iter().cycle()).map(|(curve, color)| Entry {
        name: curve.name.clone(),
        color: color.clone(),
        sample: Sample::Line,
    });
    let legend = Legend::lay_out(entries, width - 4.0 * tick, sizes);
    let marks = Marks::of(boundaries, sizes);

    let title_height = if style.title.is_empty() { 0.0 } else { 1.9 * label };
    // The plane's room, without a guess how the labels of the boundaries stack above it.
    let top = |rows: usize| title_height + 1.7 * label + 1.35 * tick * rows as f64;
    let bottom = height - legend.height() - 2.0 * label - 2.2 * tick;
    let xs = boundaries.iter().map(|boundary| boundary.at);
    let points = runs.iter().flatten().copied().flatten().copied();
    let plane = Plane::around(points, xs, [style.log_x, style.log_y]);
    let plane = plane.placed([5.0 * tick, top(0)], [width - 2.0 * tick, bottom]);
    let rows = marks.rows(&plane, width);
    let plane = plane.placed(
        [5.0 * tick, top(rows.iter().map(|row| row + 1).max().unwrap_or(0))],
        [width - 2.0 * tick, bottom],
    );

    let mut scene = paint::canvas(width, height);
    let font = Font::centered(sizes.label);
    if !style.title.is_empty() {
        paint::text(&mut scene, [0.5 * width, 1.5 * label], &style.title, font, INK);
    }
    plane.draw_grid(&mut scene, sizes);
    marks.draw(&mut scene, &plane, &rows);
    for (runs, color) in runs.iter().zip(COLORS.iter().cycle()) {
        paint::open_group(&mut scene, "series");
        for run in runs {
            let points: Vec<_> = run.iter().map(|&point| plane.place(point)).collect();
            match points[..] {
                // A single point makes no line.
                [at] => paint::dot(&mut scene, at, 1.6 * STROKE, color.clone()),
                _ => {
                    let points = points.into_iter().map(|[x, y]| (x, y)).collect();
                    paint::poly_line(&mut scene, points, color.clone(), STROKE, false);
                }
            }
        }
        paint::close_group(&mut scene);
    }
    plane.draw_outline(&mut scene);
    let x_label_at = [plane.center(), bottom + 2.0 * tick + label];
    paint::text(&mut scene, x_label_at, &style.x_label, font, INK);
    let y_label_at = [0.8 * tick, title_height + 1.1 * label];
    let font = Font { anchor: TextAnchor::Start, ..font };
    paint::text(&mut scene, y_label_at, &style.y_label, font, INK);
    let legend_top = height - legend.height();
    legend.draw(&mut scene, [0.5 * width, legend_top]);
    format.write(&scene, path)
}

impl Series {
    /// The longest runs of finite points, at least one.
    fn runs(&self, style: &CurveStyle) -> Result<Vec<&[(f64, f64)]>> {
        let finite = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
        for (index, point) in self.points.iter().enumerate().filter(|(_, point)| finite(point)) {
            for (axis, log, found) in [('x', style.log_x, point.0), ('y', style.log_y, point.1)] {
                if log && found <= 0.0 {
                    let series = self.name.clone();
                    return Err(Error::NotPositive { series, index, axis, found });
                }
            }
        }
        let runs: Vec<_> =
            self.points.split(|point| !finite(point)).filter(|run| !run.is_empty()).collect();
        if runs.is_empty() {
            let points = self.points.len();
            return Err(Error::EmptySeries { series: self.name.clone(), points });
        }
        Ok(runs)
    }
}
