//! The names of the curves, with their colours.

use kuva::render::color::Color;
use kuva::render::render::{Scene, TextAnchor};

use super::curves::Series;
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

/// The names of the curves, in rows.
#[derive(Debug)]
pub(super) struct Legend {
    /// The entries of each row: the position of the series, and the width in pixels.
    rows: Vec<Vec<(usize, f64)>>,
    size: u32,
}

impl Legend {
    /// As many entries to a row as fit into `width`.
    pub(super) fn lay_out(series: &[Series], width: f64, sizes: TextSizes) -> Self {
        let size = sizes.tick;
        let mut rows: Vec<Vec<(usize, f64)>> = Vec::new();
        let mut left = 0.0;
        for (k, curve) in series.iter().enumerate() {
            let name = paint::text_width(&curve.name, size);
            let entry = SAMPLE + SAMPLE_GAP + name + 1.5 * f64::from(size);
            match rows.last_mut() {
                Some(row) if left + entry <= width => row.push((k, entry)),
                _ => {
                    rows.push(vec![(k, entry)]);
                    left = 0.0;
                }
            }
            left += entry;
        }
        Self { rows, size }
    }

    /// Height of all rows, pixels.
    pub(super) fn height(&self) -> f64 {
        f64::from(self.size) * (1.5 * self.rows.len() as f64 + 0.5)
    }

    /// Draws the rows around `center`, from `top` downwards.
    pub(super) fn draw(&self, scene: &mut Scene, series: &[Series], [center, top]: [f64; 2]) {
        let size = f64::from(self.size);
        for (r, row) in self.rows.iter().enumerate() {
            let y = top + size * (1.5 * r as f64 + 0.5);
            let mut x = center - 0.5 * row.iter().map(|(_, entry)| entry).sum::<f64>();
            for &(k, entry) in row {
                let color = COLORS[k % COLORS.len()].clone();
                paint::line(scene, [x, y], [x + SAMPLE, y], color, STROKE);
                let font = Font { anchor: TextAnchor::Start, ..Font::centered(self.size) };
                let at = [x + SAMPLE + SAMPLE_GAP, y + HALF_CAPITAL * size];
                paint::text(scene, at, &series[k].name, font, INK);
                x += entry;
            }
        }
    }
}
