//! Corner plots: every parameter alone on the diagonal, every pair below it.
#![expect(
    clippy::indexing_slicing,
    reason = "parameters below the number of names, as many as `check` has found of all that goes with them"
)]

use std::path::Path;

use kuva::render::render::{Scene, TextAnchor};

use super::legend::Legend;
use super::output::{self, Format};
use super::paint::{self, Font, HALF_CAPITAL, INK, TextSizes};
use super::panels::{Ink, Layer, Shape, entries};
use super::plane::Plane;
use crate::statistics::{Window, highest_density_level, percentiles, smoothed_plane};
use crate::{Error, Result, to_digits_of};

/// A sample of a few parameters, to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Corner<'a> {
    /// Draws, `[n, P]`, row by row.
    pub samples: &'a [f64],
    /// Name of each of the `P` parameters.
    pub names: &'a [String],
    /// The bounds of each, if it has any.
    pub bounds: &'a [Option<[f64; 2]>],
    /// The true parameters, if they are known.
    pub truth: Option<&'a [f64]>,
}

/// Parameters that a corner plot shows at most: of more the first ones.
pub const CORNER_PARAMETERS: usize = 10;

/// Bins of a histogram.
const BINS: u16 = 32;
/// Cells along each side of the plane of a pair.
const CELLS: usize = 64;
/// Draws that are points at most, of a pair.
const DOTS: usize = 600;
/// The space between panels, pixels.
const GAP: f64 = 20.0;

/// Draws a histogram of each parameter, with its median and its 5 % and 95 % quantiles, and of each pair draws
/// and the lines around the smallest regions with 68 % and 95 % of them, into the PNG or SVG file `path`.
///
/// # Errors
///
/// [`Error::Rows`] for draws that are not whole rows, [`Error::Columns`] where bounds or true parameters are not
/// as many as names, [`Error::NoSamples`] and [`Error::NonFiniteSample`] for what cannot be drawn;
/// [`Error::Extension`], [`Error::Rasterise`] and [`Error::Write`] for the file.
pub fn draw_corner(corner: &Corner<'_>, path: &Path) -> Result<()> {
    let format = Format::of(path)?;
    format.write(&corner.scene()?, path)
}

/// The same picture as the text of an SVG.
///
/// # Errors
///
/// As [`draw_corner`], but for the file.
pub fn corner_svg(corner: &Corner<'_>) -> Result<String> {
    Ok(output::svg(&corner.scene()?))
}

/// A panel of the picture: its layers, and its axes.
struct Cell {
    row: usize,
    column: usize,
    layers: Vec<Layer>,
    plane: Plane,
}

/// Where things are, pixels.
struct Grid {
    left: f64,
    top: f64,
    side: f64,
    sizes: TextSizes,
}

impl Corner<'_> {
    fn check(&self) -> Result<()> {
        let (expected, lengths) =
            (self.names.len(), [Some(self.bounds.len()), self.truth.map(<[f64]>::len)]);
        if let Some(found) = lengths.into_iter().flatten().find(|found| *found != expected) {
            return Err(Error::Columns { expected, found });
        }
        crate::statistics::Sample::new(self.samples, expected)?;
        Ok(())
    }

    /// The name of a parameter, its first letters if it is long.
    fn name(&self, k: usize) -> String {
        const LONGEST: usize = 20;
        let name = &self.names[k];
        if name.chars().count() <= LONGEST {
            return name.clone();
        }
        name.chars().take(LONGEST - 1).chain(['\u{2026}']).collect()
    }

    fn column(&self, k: usize) -> impl Iterator<Item = f64> {
        self.samples.iter().skip(k).step_by(self.names.len()).copied()
    }

    /// Around nearly all draws and the truth, within the bounds.
    fn limits(&self, k: usize) -> Result<[f64; 2]> {
        const MARGIN: f64 = 0.12;
        let ends = percentiles(self.column(k), [0.2, 99.8]).ok_or(Error::NoSamples)?;
        let truth = self.truth.map_or(f64::NAN, |truth| truth[k]);
        let [low, high] = [ends[0].min(truth), ends[1].max(truth)];
        let width = (high - low).max(1e-9 * low.abs().max(high.abs())).max(1e-300);
        let [low, high] = [low - MARGIN * width, high + MARGIN * width];
        let Some([least, most]) = self.bounds[k] else { return Ok([low, high]) };
        // The truth may lie beyond.
        Ok([low.max(least.min(truth)), high.min(most.max(truth))])
    }

    fn scene(&self) -> Result<Scene> {
        self.check()?;
        let count = self.names.len().min(CORNER_PARAMETERS);
        let limits = (0..count).map(|k| self.limits(k)).collect::<Result<Vec<_>>>()?;
        let mut cells = vec![];
        for row in 0..count {
            for column in 0..row {
                let window = [limits[column], limits[row]];
                cells.push(Cell::new(row, column, self.pair(row, column, window)?, window));
            }
            let (layers, top) = self.alone(row, limits[row])?;
            cells.push(Cell::new(row, row, layers, [limits[row], [0.0, 1.08 * top]]));
        }
        let titles = (0..count).map(|k| self.title(k)).collect::<Result<Vec<_>>>()?;
        Ok(self.paint(cells, &titles))
    }

    /// The histogram of a parameter, with the height of its highest bar.
    fn alone(&self, k: usize, [low, high]: [f64; 2]) -> Result<(Vec<Layer>, f64)> {
        let edge = |i: u16| low + (high - low) * f64::from(i) / f64::from(BINS);
        let edges: Vec<f64> = (0..=BINS).map(edge).collect();
        let mut heights = vec![0.0; usize::from(BINS)];
        for value in self.column(k).filter(|value| (low..=high).contains(value)) {
            let bin = edges.partition_point(|edge| *edge <= value).clamp(1, heights.len());
            heights[bin - 1] += 1.0;
        }
        let top = heights.iter().copied().fold(1.0, f64::max);
        let quantiles = percentiles(self.column(k), [5., 50., 95.]).ok_or(Error::NoSamples)?;
        let upright = |x: f64| vec![(x, 0.0), (x, 1.08 * top)];
        let [lower, median, upper] = quantiles.map(upright);
        let between = [lower, upper].join(&(f64::NAN, f64::NAN));
        let mut layers = vec![
            Layer::new("draws", Ink::Tint(0), Shape::Bars { edges, heights }),
            Layer::new("median", Ink::Series(0), Shape::Line(median)),
            Layer::new("5 % and 95 % quantiles", Ink::Series(0), Shape::Dashes(between)),
        ];
        if let Some(truth) = self.truth {
            let at = Shape::Line(upright(truth[k]));
            layers.push(Layer::new("true parameters", Ink::Series(1), at));
        }
        Ok((layers, top))
    }

    /// The draws of a pair, and the lines around most of them.
    fn pair(&self, row: usize, column: usize, limits: [[f64; 2]; 2]) -> Result<Vec<Layer>> {
        let pairs: Vec<(f64, f64)> = self.column(column).zip(self.column(row)).collect();
        let ends = [column, row].map(|k| self.bounds[k]);
        let ends = [0, 1]
            .map(|axis| [0, 1].map(|end| ends[axis].is_some_and(|b| b[end] == limits[axis][end])));
        let field = smoothed_plane(&pairs, &Window { limits, ends, cells: CELLS })?;
        let contour = |share: f64| -> Result<Vec<(f64, f64)>> {
            let level = highest_density_level(&field.values, share)?;
            Ok(field.contour(level)?.join(&(f64::NAN, f64::NAN)))
        };
        let some = pairs.iter().copied().step_by(pairs.len().div_ceil(DOTS).max(1)).collect();
        let mut layers = vec![
            Layer::new("", Ink::Tint(0), Shape::Dots(some)),
            Layer::new("68 % region", Ink::Series(0), Shape::Line(contour(0.68)?)),
            Layer::new("95 % region", Ink::Series(5), Shape::Line(contour(0.95)?)),
        ];
        if let Some(truth) = self.truth {
            let [[left, right], [low, high]] = limits;
            let (x, y) = (truth[column], truth[row]);
            let cross = [vec![(x, low), (x, high)], vec![(left, y), (right, y)]];
            let cross = Shape::Line(cross.join(&(f64::NAN, f64::NAN)));
            layers.push(Layer::new("true parameters", Ink::Series(1), cross));
        }
        Ok(layers)
    }

    /// A parameter in a line: its median, and the middle 90 %.
    fn title(&self, k: usize) -> Result<String> {
        let [lower, median, upper] =
            percentiles(self.column(k), [5., 50., 95.]).ok_or(Error::NoSamples)?;
        let half = 0.5 * (upper - lower);
        let number = |x: f64| to_digits_of(x, half, 2).replace('-', "\u{2212}");
        let [lower, median, upper] = [lower, median, upper].map(number);
        Ok(format!("{} = {median} ({lower} to {upper})", self.name(k)))
    }

    fn paint(&self, cells: Vec<Cell>, titles: &[String]) -> Scene {
        let count = titles.len();
        let side = (1120.0 / count as f64).clamp(230.0, 420.0);
        let sizes = TextSizes { tick: 15, label: 17 };
        let [tick, label] = [sizes.tick, sizes.label].map(f64::from);
        let widest = |width: &mut dyn FnMut(&Cell) -> f64| {
            cells.iter().filter(|cell| cell.is_left()).map(width).fold(0.0, f64::max)
        };
        let grid = Grid { left: 0.0, top: 2.0 * label, side, sizes };
        let numbers = widest(&mut |cell| grid.place(cell).y_numbers(sizes));
        let names = widest(&mut |cell| paint::text_width(&self.name(cell.row), sizes.label));
        let left = if count > 1 { names + numbers + 2.6 * tick } else { tick };
        let grid = Grid { left, ..grid };
        let ends = titles
            .iter()
            .enumerate()
            .map(|(k, title)| grid.corner(k) + paint::text_width(title, sizes.label));
        let right = left + (side + GAP) * count as f64 - GAP;
        let width = ends.fold(right, f64::max) + tick;
        let layers = cells.iter().flat_map(|cell| &cell.layers);
        let legend = Legend::lay_out(entries(layers), 0.97 * width, sizes);
        let bottom = grid.top + (side + GAP) * count as f64 - GAP + 2.2 * tick + 1.6 * label;
        let mut scene =
            paint::canvas(width.round(), (bottom + legend.height() + 0.5 * tick).round());
        for cell in &cells {
            cell.paint(&mut scene, &grid, self);
        }
        for (k, title) in titles.iter().enumerate() {
            let at = [grid.corner(k), grid.top + (side + GAP) * k as f64 - 0.5 * label];
            let font = Font { anchor: TextAnchor::Start, ..Font::centered(sizes.label) };
            paint::text(&mut scene, at, title, font, INK);
        }
        legend.draw(&mut scene, [0.5 * width, bottom]);
        scene
    }
}

impl Grid {
    /// The left end of a column.
    fn corner(&self, column: usize) -> f64 {
        self.left + (self.side + GAP) * column as f64
    }

    /// The plane of a cell at its place on the picture.
    fn place(&self, cell: &Cell) -> Plane {
        let left = self.corner(cell.column);
        let top = self.top + (self.side + GAP) * cell.row as f64;
        // Room for the title of the parameter.
        let head = if cell.row == cell.column { 0.4 * f64::from(self.sizes.label) } else { 0.0 };
        cell.plane.placed([left, top + head], [left + self.side, top + self.side])
    }
}

impl Cell {
    fn new(row: usize, column: usize, layers: Vec<Layer>, [x, y]: [[f64; 2]; 2]) -> Self {
        let plane = Plane::around(std::iter::empty(), std::iter::empty(), [false; 2]);
        Self { row, column, layers, plane: plane.between(Some(x), Some(y)) }
    }

    /// Whether its y axis has numbers: a histogram's has none.
    fn is_left(&self) -> bool {
        self.column == 0 && self.row > 0
    }

    fn paint(&self, scene: &mut Scene, grid: &Grid, of: &Corner<'_>) {
        let (plane, sizes) = (grid.place(self), grid.sizes);
        let [tick, label] = [sizes.tick, sizes.label].map(f64::from);
        plane.draw_x_lines(scene, sizes);
        if self.row != self.column {
            plane.draw_y_lines(scene, sizes);
        }
        paint::open_group(scene, "panel");
        for layer in &self.layers {
            layer.draw(scene, &plane, None, tick);
        }
        paint::close_group(scene);
        plane.draw_outline(scene);
        if self.is_left() {
            plane.draw_y_numbers(scene, sizes);
            let middle = 0.5 * (plane.top() + plane.bottom()) + HALF_CAPITAL * label;
            let at = [grid.left - plane.y_numbers(sizes) - 1.3 * tick, middle];
            let font = Font { anchor: TextAnchor::End, ..Font::centered(sizes.label) };
            paint::text(scene, at, &of.name(self.row), font, INK);
        }
        let is_last = self.row + 1 == of.names.len().min(CORNER_PARAMETERS);
        if is_last {
            plane.draw_x_numbers(scene, sizes, 0.5 * GAP - 1.0);
            let at = [plane.center(), plane.bottom() + 1.9 * tick + label];
            paint::text(scene, at, &of.name(self.column), Font::centered(sizes.label), INK);
        }
    }
}
