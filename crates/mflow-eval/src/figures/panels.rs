//! Planes in a grid of panels: lines, points, histograms, and lines coloured by a number.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "axes 0 and 1, windows of two, and columns of one or more"
)]

use std::path::Path;

use kuva::render::color::Color;
use kuva::render::render::{Scene, TextAnchor};

use super::clip::clip;
use super::color_bar;
use super::color_scale::{ColorScale, shade};
use super::legend::{COLORS, Entry, Legend, STROKE, Sample};
use super::output::Format;
use super::paint::{self, Font, GREY_INK, INK, TextSizes};
use super::plane::Plane;
use crate::{Error, Result};

/// What a layer is drawn in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ink {
    /// Black: the truth, or what there is only one of.
    #[default]
    Truth,
    /// One of six colours that can be told apart, in turn: those of Okabe and Ito.
    Series(usize),
    /// A light shade of the colour with this number.
    Tint(usize),
    /// Light grey: the background.
    Faint,
}

/// What is drawn. A point that is not finite is left out, and breaks a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A line through points `(x, y)`.
    Line(Vec<(f64, f64)>),
    /// The same, dashed.
    Dashes(Vec<(f64, f64)>),
    /// A line whose colour shows a number at each point, on the scale that all panels share.
    Colored {
        /// Its points.
        points: Vec<(f64, f64)>,
        /// The number at each, such as a log-density in nats; where it is not finite there is no line.
        value: Vec<f64>,
    },
    /// Points as small dots.
    Dots(Vec<(f64, f64)>),
    /// Bars between neighbouring edges, from 0 to their heights.
    Bars {
        /// From left to right, one more than heights.
        edges: Vec<f64>,
        /// The height between each edge and the next one.
        heights: Vec<f64>,
    },
    /// A vertical line, dashed, at x.
    Mark(f64),
}

/// One thing in a panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name in the legend; without one it is not there. Layers that look alike and have the same name
    /// have one entry, also where they have no points.
    pub name: String,
    /// Its colour.
    pub ink: Ink,
    /// What it is.
    pub shape: Shape,
}

impl Layer {
    /// A layer with a name.
    pub fn new(name: impl Into<String>, ink: Ink, shape: Shape) -> Self {
        Self { name: name.into(), ink, shape }
    }
}

/// A plane with what is on it, from the back to the front.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// Stands over it; may be empty.
    pub title: String,
    /// Name and unit of the x axis.
    pub x_label: String,
    /// Name and unit of the y axis.
    pub y_label: String,
    /// Lowest and highest x, if not those of what is drawn.
    pub x_limits: Option<[f64; 2]>,
    /// Lowest and highest y; the same.
    pub y_limits: Option<[f64; 2]>,
    /// Whether the y axis is logarithmic.
    pub log_y: bool,
    /// Whether a unit is as long on both axes: for a plane of points in space.
    pub equal_units: bool,
    /// What is drawn.
    pub layers: Vec<Layer>,
}

/// The look of [`draw_panels`].
#[derive(Clone, Debug, PartialEq)]
pub struct PanelStyle {
    /// Panels in a row; all of them where there are fewer.
    pub columns: usize,
    /// Width and height of one panel, pixels: 400 to 10000. Legend and colour bar come on top.
    pub panel_size: [u32; 2],
    /// Name and unit of the number of [`Shape::Colored`].
    pub value_label: String,
}

impl Default for PanelStyle {
    fn default() -> Self {
        let value_label = "log-density [nats]".to_owned();
        Self { columns: 3, panel_size: [560, 480], value_label }
    }
}

/// Draws `panels` in rows into the PNG or SVG file `path`, with one legend for all, and a colour bar where
/// there are coloured lines. The colours (viridis) run between the 2nd and the 98th percentile of all
/// numbers.
///
/// # Errors
///
/// [`Error::EmptyFigure`] without a panel, [`Error::EmptySeries`] for one without a finite point;
/// [`Error::PanelLength`] for arrays of a layer that do not fit; [`Error::NotPositive`] for a y that a
/// logarithmic axis cannot show; [`Error::Style`] for a size or for limits out of range;
/// [`Error::Extension`], [`Error::Rasterise`] and [`Error::Write`] for the file. Nothing is written then,
/// unless the system stops half-way.
pub fn draw_panels(panels: &[Panel], style: &PanelStyle, path: &Path) -> Result<()> {
    let format = Format::of(path)?;
    if panels.is_empty() {
        return Err(Error::EmptyFigure { expected: "panel" });
    }
    paint::check_sides("panel_size", style.panel_size)?;
    panels.iter().try_for_each(Panel::check)?;

    let [width, height] = style.panel_size.map(f64::from);
    let sizes = TextSizes::of_panel(style.panel_size[0]);
    let columns = style.columns.clamp(1, panels.len());
    let (full_width, rows) = (width * columns as f64, panels.len().div_ceil(columns));
    let values: Vec<f64> = panels.iter().flat_map(Panel::values).collect();
    let colors = (!values.is_empty()).then(|| ColorScale::of(&values));
    let layers = panels.iter().flat_map(|panel| &panel.layers);
    let legend = Legend::lay_out(entries(layers), 0.97 * full_width, sizes);
    let grid_height = height * rows as f64;
    let bar_height = if colors.is_some() { color_bar::height(sizes) } else { 0.0 };
    let space = if legend.height() > 0.0 { 0.4 * f64::from(sizes.tick) } else { 0.0 };
    let full_height = (grid_height + space + legend.height() + bar_height).round();

    let mut scene = paint::canvas(full_width, full_height);
    for (k, panel) in panels.iter().enumerate() {
        let at = [width * (k % columns) as f64, height * (k / columns) as f64];
        panel.draw(&mut scene, at, [width, height], colors.as_ref(), sizes);
    }
    let bar_top = grid_height + space + legend.height();
    legend.draw(&mut scene, [0.5 * full_width, grid_height + space]);
    if let Some(colors) = colors {
        let length = (0.8 * width).max(0.4 * full_width);
        let top = [0.5 * full_width, bar_top];
        color_bar::draw(&mut scene, &colors, &style.value_label, top, length, sizes);
    }
    format.write(&scene, path)
}

/// The entries of the legend: those of all layers, each once.
pub(super) fn entries<'a>(layers: impl Iterator<Item = &'a Layer>) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for layer in layers {
        let sample = match layer.shape {
            Shape::Line(_) => Sample::Line,
            Shape::Dashes(_) | Shape::Mark(_) => Sample::Dashes,
            Shape::Dots(_) => Sample::Dot,
            Shape::Bars { .. } => Sample::Area,
            // The colour bar explains it.
            Shape::Colored { .. } => continue,
        };
        let entry = Entry { name: layer.name.clone(), color: layer.color(), sample };
        if !entry.name.is_empty() && !all.contains(&entry) {
            all.push(entry);
        }
    }
    all
}

/// The colour of the series with this number.
fn series(k: usize) -> Color {
    COLORS[k % (COLORS.len() - 1)].clone()
}

impl Ink {
    fn color(self) -> Color {
        match self {
            Self::Truth => INK,
            Self::Series(k) => series(k),
            Self::Tint(k) => paint::tint(&series(k)),
            Self::Faint => Color::Rgb(0xc4, 0xc6, 0xcc),
        }
    }
}

impl Shape {
    /// The points that must have room, finite or not.
    fn points(&self) -> Vec<(f64, f64)> {
        match self {
            Self::Line(points)
            | Self::Dashes(points)
            | Self::Dots(points)
            | Self::Colored { points, .. } => points.clone(),
            Self::Bars { edges, heights } => {
                let tops = |(ends, &height): (&[f64], &f64)| [(ends[0], height), (ends[1], height)];
                let tops = edges.windows(2).zip(heights).flat_map(tops);
                edges.iter().map(|&x| (x, 0.0)).chain(tops).collect()
            }
            Self::Mark(_) => Vec::new(),
        }
    }
}

impl Panel {
    fn values(&self) -> impl Iterator<Item = f64> {
        let all = self.layers.iter().filter_map(|layer| match &layer.shape {
            Shape::Colored { value, .. } => Some(value),
            _ => None,
        });
        all.flatten().copied().filter(|value| value.is_finite())
    }

    /// The finite points of all layers.
    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let all = self.layers.iter().flat_map(|layer| layer.shape.points());
        all.filter(|(x, y)| x.is_finite() && y.is_finite())
    }

    fn check(&self) -> Result<()> {
        for layer in &self.layers {
            let (what, expected, found) = match &layer.shape {
                Shape::Colored { points, value } => ("value", points.len(), value.len()),
                Shape::Bars { edges, heights } => ("edges", heights.len() + 1, edges.len()),
                _ => continue,
            };
            if found != expected {
                let panel = self.title.clone();
                return Err(Error::PanelLength { panel, what, expected, found });
            }
        }
        if self.points().next().is_none() {
            let points = self.layers.iter().map(|layer| layer.shape.points().len()).sum();
            return Err(Error::EmptySeries { series: self.title.clone(), points });
        }
        if self.log_y
            && let Some((index, (_, found))) = self.points().enumerate().find(|(_, p)| p.1 <= 0.0)
        {
            return Err(Error::NotPositive { series: self.title.clone(), index, axis: 'y', found });
        }
        for (what, limits, log) in
            [("x_limits", self.x_limits, false), ("y_limits", self.y_limits, self.log_y)]
        {
            let Some([low, high]) = limits else { continue };
            if !(low < high && low.is_finite() && high.is_finite() && !(log && low <= 0.0)) {
                let expected = "finite limits, the lower first, on a log axis above 0";
                return Err(Error::Style { what, expected, found: low });
            }
        }
        Ok(())
    }

    fn draw(
        &self,
        scene: &mut Scene,
        [left, top]: [f64; 2],
        [width, height]: [f64; 2],
        colors: Option<&ColorScale>,
        sizes: TextSizes,
    ) {
        let [tick, label] = [f64::from(sizes.tick), f64::from(sizes.label)];
        let marks = self.layers.iter().filter_map(|layer| match layer.shape {
            Shape::Mark(x) if x.is_finite() => Some(x),
            _ => None,
        });
        let plane = Plane::around(self.points(), marks, [false, self.log_y]);
        let plane = plane.between(self.x_limits, self.y_limits);
        let head = if self.title.is_empty() { 0.5 * label } else { 1.9 * label };
        let lower = [left + width - 1.2 * tick, top + height - 2.2 * label - 1.6 * tick];
        let upper = |margin: f64| [left + margin, top + head + 1.8 * label];
        // The numbers of the y axis want room, and how much depends on how many they are.
        let margin = plane.placed(upper(4.0 * tick), lower).y_numbers(sizes) + 1.6 * tick;
        let mut plane = plane.placed(upper(margin), lower);
        if self.equal_units {
            plane = plane.with_equal_units();
        }

        let [upper, _] = plane.corners();
        let font = Font::centered(sizes.label);
        let title_at = [plane.center(), top + 1.3 * label];
        paint::text(scene, title_at, &self.title, font, INK);
        plane.draw_grid(scene, sizes);
        paint::open_group(scene, "panel");
        for layer in &self.layers {
            layer.draw(scene, &plane, colors, tick);
        }
        paint::close_group(scene);
        plane.draw_outline(scene);
        let x_label_at = [plane.center(), plane.bottom() + 2.0 * tick + label];
        paint::text(scene, x_label_at, &self.x_label, font, INK);
        let font = Font { anchor: TextAnchor::Start, ..font };
        let y_label_at = [left + 0.6 * tick, upper[1] - 0.8 * label];
        paint::text(scene, y_label_at, &self.y_label, font, INK);
    }
}

impl Layer {
    /// A mark on top of the others may be faint, but not as faint as the background.
    fn color(&self) -> Color {
        match (&self.shape, self.ink) {
            (Shape::Mark(_), Ink::Faint) => GREY_INK,
            _ => self.ink.color(),
        }
    }

    pub(super) fn draw(
        &self,
        scene: &mut Scene,
        plane: &Plane,
        colors: Option<&ColorScale>,
        tick: f64,
    ) {
        let [low, high] = plane.corners();
        let inside = |at: &[f64; 2]| (0..2).all(|k| low[k] <= at[k] && at[k] <= high[k]);
        let color = self.color();
        match &self.shape {
            Shape::Line(points) | Shape::Dashes(points) => {
                let dashed = matches!(self.shape, Shape::Dashes(_));
                for piece in clip(points.iter().map(|&point| plane.place(point)), low, high) {
                    match piece[..] {
                        [(x, y)] => paint::dot(scene, [x, y], 1.6 * STROKE, color.clone()),
                        _ => paint::poly_line(scene, piece, color.clone(), STROKE, dashed),
                    }
                }
            }
            Shape::Colored { points, value } => {
                let Some(colors) = colors else { return };
                for (ends, values) in points.windows(2).zip(value.windows(2)) {
                    let mean = 0.5 * (values[0] + values[1]);
                    if !mean.is_finite() {
                        continue;
                    }
                    let color = shade(colors.rgb(mean), 1.0);
                    for piece in clip(ends.iter().map(|&point| plane.place(point)), low, high) {
                        paint::poly_line(scene, piece, color.clone(), 0.45 * tick, false);
                    }
                }
            }
            Shape::Dots(points) => {
                let all = points.iter().map(|&point| plane.place(point));
                // A few are to be seen one by one, many as a cloud.
                let radius = if points.len() < 10 { 0.25 * tick } else { 0.1 * tick };
                for at in all.filter(inside) {
                    paint::dot(scene, at, radius, color.clone());
                }
            }
            Shape::Bars { edges, heights } => {
                for (ends, &height) in edges.windows(2).zip(heights) {
                    let corners = [plane.place((ends[0], 0.0)), plane.place((ends[1], height))];
                    if corners.iter().flatten().all(|x| x.is_finite()) {
                        let inside = |at: [f64; 2]| [0, 1].map(|k| at[k].clamp(low[k], high[k]));
                        let [from, to] = corners.map(inside);
                        paint::rectangle(scene, from, to, color.clone());
                    }
                }
            }
            Shape::Mark(x) => {
                let x = plane.x(*x);
                if (low[0]..=high[0]).contains(&x) {
                    paint::poly_line(scene, vec![(x, low[1]), (x, high[1])], color, 1.8, true);
                }
            }
        }
    }
}
