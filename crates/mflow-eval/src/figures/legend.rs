//! The names of the curves, with their colours.

use kuva::render::color::Color;
use kuva::render::render::{Scene, TextAnchor};

use super::paint::{self, Font, HALF_CAPITAL, INK, TextSizes};

/// Colours of the series, in turn: those of Okabe and Ito that show on white.
pub(super) const COLORS: [Color; 7] = [
    Color::Rgb(0x00, 0x72, 0xb2),
    Color::Rgb(0xd5, 0x5e, 0x00),
    Color::Rgb(0x00, 0x9e, 0x73),
    Color::Rgb(0xcc, 0x79, 0xa7),
    Color::Rgb(0xe6, 0x9f, 0x00),
    Color::Rgb(0x56, 0xb4, 0xe9),
    Color::Rgb(0x00, 0x00, 0x00),
];
/// Width of a curve, pixels.
pub(super) const STROKE: f64 = 2.5;
/// Length of a curve's sample in the legend, pixels.
const SAMPLE: f64 = 34.0;
/// From it to its name, pixels.
const SAMPLE_GAP: f64 = 8.0;

/// A curve as the legend shows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) color: Color,
    pub(super) sample: Sample,
}

/// What stands before a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    Line,
    Dashes,
    Area,
    Dot,
}

/// The names of the curves, in rows.
#[derive(Debug)]
pub(super) struct Legend {
    /// The entries of each row, and the width in pixels.
    rows: Vec<Vec<(Entry, f64)>>,
    size: u32,
}

impl Legend {
    /// As many entries to a row as fit into `width`.
    pub(super) fn lay_out(
        entries: impl IntoIterator<Item = Entry>,
        width: f64,
        sizes: TextSizes,
    ) -> Self {
        let size = sizes.tick;
        let mut rows: Vec<Vec<(Entry, f64)>> = Vec::new();
        let mut left = 0.0;
        for entry in entries {
            let name = paint::text_width(&entry.name, size);
            let room = SAMPLE + SAMPLE_GAP + name + 1.5 * f64::from(size);
            match rows.last_mut() {
                Some(row) if left + room <= width => row.push((entry, room)),
                _ => {
                    rows.push(vec![(entry, room)]);
                    left = 0.0;
                }
            }
            left += room;
        }
        Self { rows, size }
    }

    /// Height of all rows, pixels; 0 without one.
    pub(super) fn height(&self) -> f64 {
        match self.rows.len() {
            0 => 0.0,
            rows => f64::from(self.size) * (1.5 * rows as f64 + 0.5),
        }
    }

    /// Draws the rows around `center`, from `top` downwards.
    pub(super) fn draw(self, scene: &mut Scene, [center, top]: [f64; 2]) {
        let size = f64::from(self.size);
        for (r, row) in self.rows.into_iter().enumerate() {
            let y = top + size * (1.5 * r as f64 + 0.5);
            let mut x = center - 0.5 * row.iter().map(|(_, room)| room).sum::<f64>();
            for (entry, room) in row {
                entry.draw_sample(scene, [x, y], size);
                let font = Font { anchor: TextAnchor::Start, ..Font::centered(self.size) };
                let at = [x + SAMPLE + SAMPLE_GAP, y + HALF_CAPITAL * size];
                paint::text(scene, at, &entry.name, font, INK);
                x += room;
            }
        }
    }
}

impl Entry {
    fn draw_sample(&self, scene: &mut Scene, [x, y]: [f64; 2], size: f64) {
        let color = self.color.clone();
        match self.sample {
            Sample::Line => paint::line(scene, [x, y], [x + SAMPLE, y], color, STROKE),
            Sample::Dashes => {
                paint::poly_line(scene, vec![(x, y), (x + SAMPLE, y)], color, STROKE, true);
            }
            Sample::Area => {
                let half = 0.4 * size;
                paint::rectangle(scene, [x, y - half], [x + SAMPLE, y + half], color);
            }
            Sample::Dot => paint::dot(scene, [x + 0.5 * SAMPLE, y], 0.2 * size, color),
        }
    }
}
