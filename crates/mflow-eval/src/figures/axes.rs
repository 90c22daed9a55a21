//! The box around a surface: back walls with a grid, ticks and names along three outer edges.
#![expect(clippy::indexing_slicing, reason = "axes of three dimensions, 0 to 2")]

use kuva::render::color::Color;
use kuva::render::render::{Scene, TextAnchor};

use super::camera::View;
use super::limits::Limits;
use super::paint::{self, Font, HALF_CAPITAL, INK, TextSizes};
use super::ticks::{Tick, ticks};

/// Walls, and the grid on them.
const WALL: Color = Color::Rgb(0xf4, 0xf4, 0xf6);
const GRID: Color = Color::Rgb(0xd8, 0xd8, 0xdc);
const WALL_EDGE: Color = Color::Rgb(0xb0, 0xb0, 0xb4);
/// Ticks that the longest side of the box should have at most.
const TICKS: f64 = 5.0;
/// Room on the picture for a tick of each axis, in sizes of the numbers: the third one runs upwards.
const ROOM: [f64; 3] = [3.2, 3.2, 1.8];
/// Length of a tick, pixels.
const TICK: f64 = 7.0;
/// From an axis to its name, without the numbers between them, pixels.
const TO_NAME: f64 = TICK + 13.0;
/// As wide as the numbers of an axis are supposed to be.
const WIDE_NUMBER: &str = "−0.00";

/// Where the box of a panel lies on the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) limits: Limits,
    pub(super) view: View,
    /// Pixels for a unit of the coordinates, the same along all axes.
    scale: f64,
    /// The pixel of the coordinates' projected origin.
    origin: [f64; 2],
    /// Size of the numbers, pixels.
    number: f64,
}

impl Frame {
    /// As large as fits into the rectangle from `top_left` with `size`, and in its middle, less a
    /// margin for the texts: on the left stands `upright`, the name of the third axis.
    pub(super) fn fit(
        limits: Limits,
        view: View,
        top_left: [f64; 2],
        size: [f64; 2],
        sizes: TextSizes,
        upright: &str,
    ) -> Self {
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for corner in limits.corners().map(|corner| view.project(corner)) {
            for k in 0..2 {
                low[k] = low[k].min(corner[k]);
                high[k] = high[k].max(corner[k]);
            }
        }
        let text = f64::from(sizes.tick) * 2.3 + f64::from(sizes.label) * 1.2;
        let numbers = paint::text_width(WIDE_NUMBER, sizes.tick);
        let left = TO_NAME + numbers + paint::text_width(upright, sizes.label);
        // A long name is cut off rather than that nothing of the box is left.
        let [left, right] = [left.min(0.3 * size[0]), text * 0.55];
        let [top, bottom] = [f64::from(sizes.tick) * 0.7, text];
        let room = [size[0] - left - right, size[1] - top - bottom];
        let scale = (room[0] / (high[0] - low[0])).min(room[1] / (high[1] - low[1]));
        let middle = [top_left[0] + left + 0.5 * room[0], top_left[1] + top + 0.5 * room[1]];
        let origin = [
            middle[0] - scale * 0.5 * (low[0] + high[0]),
            middle[1] + scale * 0.5 * (low[1] + high[1]),
        ];
        Self { limits, view, scale, origin, number: f64::from(sizes.tick) }
    }

    /// The pixel of `point`.
    pub(super) fn place(&self, point: [f64; 3]) -> [f64; 2] {
        let [right, up] = self.view.project(point);
        [self.origin[0] + self.scale * right, self.origin[1] - self.scale * up]
    }

    /// Which end of each axis is near to the camera.
    fn near(&self) -> [bool; 3] {
        self.view.toward.map(|direction| direction > 0.0)
    }

    /// Draws the three walls behind the surface, with grid lines at the ticks.
    pub(super) fn draw_walls(&self, scene: &mut Scene) {
        let far = self.near().map(|near| !near);
        for across in 0..3 {
            let (u, v) = ((across + 1) % 3, (across + 2) % 3);
            let corner = |high_u: bool, high_v: bool| {
                let mut high = far;
                (high[u], high[v]) = (high_u, high_v);
                self.limits.corner(high)
            };
            let wall = [
                corner(false, false),
                corner(true, false),
                corner(true, true),
                corner(false, true),
            ];
            paint::polygon(scene, &wall.map(|c| self.place(c)), WALL, WALL_EDGE);
            for (along, other) in [(u, v), (v, u)] {
                for tick in self.ticks(along) {
                    let mut ends = [self.limits.corner(far); 2];
                    for (end, limit) in ends.iter_mut().zip([self.limits.low, self.limits.high]) {
                        end[along] = tick.value;
                        end[other] = limit[other];
                    }
                    let [from, to] = ends.map(|end| self.place(end));
                    paint::line(scene, from, to, GRID, 1.0);
                }
            }
        }
    }

    /// Draws the three axes: edges of the box with ticks, numbers and the names `names`.
    ///
    /// The edges are part of the box's outline, so no surface inside the box can cover them.
    pub(super) fn draw_axes(&self, scene: &mut Scene, names: &[String; 3], sizes: TextSizes) {
        for (axis, name) in names.iter().enumerate() {
            self.draw_axis(scene, axis, name, sizes);
        }
    }

    fn draw_axis(&self, scene: &mut Scene, axis: usize, name: &str, sizes: TextSizes) {
        let [from, to] = self.axis_edge(axis);
        let [a, b] = [from, to].map(|end| self.place(end));
        paint::line(scene, a, b, INK, 1.6);

        // Outwards: across the edge, away from the middle of the box.
        let length = (b[0] - a[0]).hypot(b[1] - a[1]).max(1e-9);
        let mut outward = [(b[1] - a[1]) / length, (a[0] - b[0]) / length];
        let center = self.place(self.limits.center());
        let middle = [0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])];
        if (middle[0] - center[0]) * outward[0] + (middle[1] - center[1]) * outward[1] < 0.0 {
            outward = outward.map(|x| -x);
        }
        let off = |[x, y]: [f64; 2], distance: f64| {
            [x + distance * outward[0], y + distance * outward[1]]
        };

        let anchor = match outward[0] {
            x if x < -0.3 => TextAnchor::End,
            x if x > 0.3 => TextAnchor::Start,
            _ => TextAnchor::Middle,
        };
        // The point is the text's edge or middle across, and has to become the middle upwards or,
        // for an edge that runs across, its upper edge.
        let baseline = |size: u32, y: f64| {
            let drop = HALF_CAPITAL + 0.55 * outward[1].max(0.0);
            y + f64::from(size) * drop
        };
        let mut width: f64 = 0.0;
        for tick in self.ticks(axis) {
            let mut point = from;
            point[axis] = tick.value;
            let at = self.place(point);
            paint::line(scene, at, off(at, TICK), INK, 1.3);
            let [x, y] = off(at, TICK + 5.0);
            let font = Font { anchor, ..Font::centered(sizes.tick) };
            paint::text(scene, [x, baseline(sizes.tick, y)], &tick.label, font, INK);
            width = width.max(paint::text_width(&tick.label, sizes.tick));
        }
        // Clear of the numbers: their width counts as far as the axis runs upwards.
        let clear = width * outward[0].abs() + 1.3 * f64::from(sizes.tick) * outward[1].abs();
        let [x, y] = off(middle, TO_NAME + clear);
        let font = Font { anchor, ..Font::centered(sizes.label) };
        paint::text(scene, [x, baseline(sizes.label, y)], name, font, INK);
    }

    /// The ends of the edge along which `axis` is labelled, low to high.
    fn axis_edge(&self, axis: usize) -> [[f64; 3]; 2] {
        let near = self.near();
        let fixed = if axis < 2 {
            // On the floor, at the near end of the other axis.
            [near[0], near[1], false]
        } else {
            // Of the two upright edges of the outline, the left one.
            let candidates = [[near[0], !near[1], false], [!near[0], near[1], false]];
            let right = candidates.map(|high| self.place(self.limits.corner(high))[0]);
            if right[0] <= right[1] { candidates[0] } else { candidates[1] }
        };
        let mut ends = [fixed; 2];
        (ends[0][axis], ends[1][axis]) = (false, true);
        ends.map(|high| self.limits.corner(high))
    }

    /// The ticks of `axis`, as dense as those of the others, but no more than have room.
    #[expect(clippy::cast_possible_truncation, reason = "between 1 and the constant")]
    fn ticks(&self, axis: usize) -> Vec<Tick> {
        let [low, high] = [self.limits.low[axis], self.limits.high[axis]];
        let alike = (TICKS * (high - low) / self.limits.longest()).round().max(3.0);
        let [from, to] = self.axis_edge(axis).map(|end| self.place(end));
        let room = (to[0] - from[0]).hypot(to[1] - from[1]) / (ROOM[axis] * self.number);
        ticks(low, high, alike.min(room).max(1.0) as usize)
    }
}
