//! A plane with linear or logarithmic axes.

use kuva::render::color::Color;
use kuva::render::render::{Scene, TextAnchor};

use super::paint::{self, Font, HALF_CAPITAL, INK, TextSizes};
use super::ticks::{Tick, fine_log_ticks, log_minor, log_ticks, ticks};

const GRID: Color = Color::Rgb(0xe2, 0xe2, 0xe6);
/// Ticks that an axis should have at most.
const TICKS: f64 = 6.0;
/// Room for a tick of each axis, in sizes of its text.
const ROOM: [f64; 2] = [5.0, 2.4];

/// Where numbers lie on the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane {
    /// Least and largest x; their decimal logarithms on a logarithmic axis.
    x: [f64; 2],
    /// The same of y.
    y: [f64; 2],
    /// Whether x and y are logarithmic.
    log: [bool; 2],
    /// Pixels.
    top_left: [f64; 2],
    bottom_right: [f64; 2],
}

impl Plane {
    /// The plane around finite `points` and the x of `marks`, all positive on an axis that is to be
    /// logarithmic (`log`, of x and y), with a margin above and below. It has no place on the
    /// picture yet.
    pub(super) fn around(
        points: impl Iterator<Item = (f64, f64)>,
        marks: impl Iterator<Item = f64>,
        log: [bool; 2],
    ) -> Self {
        let (mut x, mut y) = (EMPTY, EMPTY);
        for (px, py) in points {
            x = including(x, scaled(px, log[0]));
            y = including(y, scaled(py, log[1]));
        }
        let [low, high] = widened(y);
        let margin = 0.05 * (high - low);
        Self {
            x: widened(marks.map(|x| scaled(x, log[0])).fold(x, including)),
            y: [low - margin, high + margin],
            log,
            top_left: [0.0; 2],
            bottom_right: [1.0; 2],
        }
    }

    /// The same plane between two corners of the picture, pixels.
    pub(super) fn placed(self, top_left: [f64; 2], bottom_right: [f64; 2]) -> Self {
        Self { top_left, bottom_right, ..self }
    }

    /// The same plane with other ends of its axes, where there are any: finite ones, on a logarithmic axis
    /// above 0, and the lower first.
    pub(super) fn between(mut self, x: Option<[f64; 2]>, y: Option<[f64; 2]>) -> Self {
        let ends = |limits: [f64; 2], log: bool| limits.map(|limit| scaled(limit, log));
        self.x = x.map_or(self.x, |x| ends(x, self.log[0]));
        self.y = y.map_or(self.y, |y| ends(y, self.log[1]));
        self
    }

    /// The same plane, one of its axes longer so that a unit is as long on both.
    pub(super) fn with_equal_units(mut self) -> Self {
        let width = self.bottom_right[0] - self.top_left[0];
        let height = self.bottom() - self.top();
        let unit = ((self.x[1] - self.x[0]) / width).max((self.y[1] - self.y[0]) / height);
        let around = |[low, high]: [f64; 2], pixels: f64| {
            let middle = 0.5 * (low + high);
            [middle - 0.5 * unit * pixels, middle + 0.5 * unit * pixels]
        };
        (self.x, self.y) = (around(self.x, width), around(self.y, height));
        self
    }

    /// The corners on the picture: the upper left one, and the lower right one.
    pub(super) fn corners(&self) -> [[f64; 2]; 2] {
        [self.top_left, self.bottom_right]
    }

    /// The width of the longest number of the y axis, pixels.
    pub(super) fn y_numbers(&self, sizes: TextSizes) -> f64 {
        let width = |tick: Tick| paint::text_width(&tick.label, sizes.tick);
        self.y_ticks(sizes).into_iter().map(width).fold(0.0, f64::max)
    }

    /// How many ticks each axis should have: fewer where there is little room.
    #[expect(clippy::cast_possible_truncation, reason = "between 2 and the constant")]
    #[expect(clippy::indexing_slicing, reason = "axes 0 and 1")]
    fn targets(&self, sizes: TextSizes) -> [usize; 2] {
        [0, 1].map(|k| {
            let room = (self.bottom_right[k] - self.top_left[k]) / f64::from(sizes.tick);
            (room / ROOM[k]).clamp(2.0, TICKS) as usize
        })
    }

    /// The pixel of a point.
    pub(super) fn place(&self, (x, y): (f64, f64)) -> [f64; 2] {
        [self.x(x), self.height_of(scaled(y, self.log[1]))]
    }

    /// The pixel of an x.
    pub(super) fn x(&self, x: f64) -> f64 {
        let [left, right] = [self.top_left[0], self.bottom_right[0]];
        left + (scaled(x, self.log[0]) - self.x[0]) / (self.x[1] - self.x[0]) * (right - left)
    }

    /// The pixel of a y, or of its logarithm on a logarithmic axis.
    fn height_of(&self, y: f64) -> f64 {
        let [top, bottom] = [self.top(), self.bottom()];
        bottom - (y - self.y[0]) / (self.y[1] - self.y[0]) * (bottom - top)
    }

    /// The pixel of the upper end.
    pub(super) fn top(&self) -> f64 {
        self.top_left[1]
    }

    /// The pixel of the lower end.
    pub(super) fn bottom(&self) -> f64 {
        self.bottom_right[1]
    }

    /// The pixel half-way from left to right.
    pub(super) fn center(&self) -> f64 {
        0.5 * (self.top_left[0] + self.bottom_right[0])
    }

    /// Draws the grid and its numbers.
    pub(super) fn draw_grid(&self, scene: &mut Scene, sizes: TextSizes) {
        self.draw_x_lines(scene, sizes);
        self.draw_y_lines(scene, sizes);
        self.draw_x_numbers(scene, sizes, f64::INFINITY);
        self.draw_y_numbers(scene, sizes);
    }

    /// Draws the lines of the grid at the ticks of the x axis.
    pub(super) fn draw_x_lines(&self, scene: &mut Scene, sizes: TextSizes) {
        for Tick { value, .. } in self.x_ticks(sizes) {
            let x = self.x(value);
            paint::line(scene, [x, self.top()], [x, self.bottom()], GRID, 1.0);
        }
    }

    /// Draws the lines of the grid at the ticks of the y axis.
    pub(super) fn draw_y_lines(&self, scene: &mut Scene, sizes: TextSizes) {
        let [left, right] = [self.top_left[0], self.bottom_right[0]];
        for Tick { value, .. } in self.y_ticks(sizes) {
            let y = self.height_of(scaled(value, self.log[1]));
            paint::line(scene, [left, y], [right, y], GRID, 1.0);
        }
    }

    /// Draws the ticks of the x axis with their numbers, but those that would reach more than `beyond` pixels
    /// over its ends.
    pub(super) fn draw_x_numbers(&self, scene: &mut Scene, sizes: TextSizes, beyond: f64) {
        let size = f64::from(sizes.tick);
        let [left, right] = [self.top_left[0] - beyond, self.bottom_right[0] + beyond];
        for Tick { value, label } in self.x_ticks(sizes) {
            let x = self.x(value);
            paint::line(scene, [x, self.bottom()], [x, self.bottom() + 6.0], INK, 1.3);
            let half = 0.5 * paint::text_width(&label, sizes.tick);
            if left <= x - half && x + half <= right {
                let at = [x, self.bottom() + 10.0 + size];
                paint::text(scene, at, &label, Font::centered(sizes.tick), INK);
            }
        }
    }

    /// Draws the ticks of the y axis with their numbers.
    pub(super) fn draw_y_numbers(&self, scene: &mut Scene, sizes: TextSizes) {
        let (size, left) = (f64::from(sizes.tick), self.top_left[0]);
        for value in self.minor_y_ticks(sizes) {
            let y = self.height_of(scaled(value, self.log[1]));
            paint::line(scene, [left - 4.0, y], [left, y], INK, 1.0);
        }
        for Tick { value, label } in self.y_ticks(sizes) {
            let y = self.height_of(scaled(value, self.log[1]));
            paint::line(scene, [left - 6.0, y], [left, y], INK, 1.3);
            let font = Font { anchor: TextAnchor::End, ..Font::centered(sizes.tick) };
            paint::text(scene, [left - 11.0, y + HALF_CAPITAL * size], &label, font, INK);
        }
    }

    fn x_ticks(&self, sizes: TextSizes) -> Vec<Tick> {
        if self.log[0] {
            let [low, high] = self.x.map(|x| 10f64.powf(x));
            fine_log_ticks(low, high, self.targets(sizes)[0])
        } else {
            ticks(self.x[0], self.x[1], self.targets(sizes)[0])
        }
    }

    fn y_ticks(&self, sizes: TextSizes) -> Vec<Tick> {
        if self.log[1] {
            let [low, high] = self.y.map(|y| 10f64.powf(y));
            log_ticks(low, high, self.targets(sizes)[1])
        } else {
            ticks(self.y[0], self.y[1], self.targets(sizes)[1])
        }
    }

    /// The ticks without a number.
    fn minor_y_ticks(&self, sizes: TextSizes) -> Vec<f64> {
        if self.log[1] {
            let [low, high] = self.y.map(|y| 10f64.powf(y));
            log_minor(low, high, self.targets(sizes)[1])
        } else {
            Vec::new()
        }
    }

    /// Draws the left and the lower edge.
    pub(super) fn draw_outline(&self, scene: &mut Scene) {
        let corner = [self.top_left[0], self.bottom()];
        paint::line(scene, self.top_left, corner, INK, 1.6);
        paint::line(scene, corner, self.bottom_right, INK, 1.6);
    }
}

/// A range that holds nothing.
const EMPTY: [f64; 2] = [f64::INFINITY, f64::NEG_INFINITY];

/// Where a number lies on an axis.
fn scaled(x: f64, log: bool) -> f64 {
    if log { x.log10() } else { x }
}

fn including([low, high]: [f64; 2], x: f64) -> [f64; 2] {
    [low.min(x), high.max(x)]
}

/// A range of some width around one that may be a point.
fn widened([low, high]: [f64; 2]) -> [f64; 2] {
    let least = 1e-9 * low.abs().max(high.abs()).max(1e-9);
    if high - low > least { [low, high] } else { [low - 0.5, high + 0.5] }
}
