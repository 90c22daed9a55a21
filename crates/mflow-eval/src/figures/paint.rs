//! Short forms for the primitives of a picture, in pixels from the top left corner.

use std::fmt::Write as _;

use kuva::render::color::Color;
use kuva::render::render::{PathData, Primitive, Scene, TextAnchor};

use crate::{Error, Result};

/// Text and axis lines.
pub(super) const INK: Color = Color::Rgb(0x22, 0x22, 0x22);
/// Text that explains.
pub(super) const GREY_INK: Color = Color::Rgb(0x66, 0x66, 0x66);
/// How far under the middle of a capital letter its baseline lies, as a part of the font size.
pub(super) const HALF_CAPITAL: f64 = 0.36;

/// Dashes and gaps of a line, pixels.
pub(super) const DASHES: &str = "7 5";

/// A light shade of a colour: it mixed with twice as much white.
pub(super) fn tint(color: &Color) -> Color {
    match *color {
        Color::Rgb(r, g, b) => {
            let [r, g, b] = [r, g, b].map(|part| 170 + part / 3);
            Color::Rgb(r, g, b)
        }
        ref other => other.clone(),
    }
}

/// How a text is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Font {
    /// Size, pixels.
    pub(super) size: u32,
    pub(super) anchor: TextAnchor,
}

/// Sizes of the texts of a figure, pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextSizes {
    /// Numbers and notes.
    pub(super) tick: u32,
    /// Names and titles.
    pub(super) label: u32,
}

impl TextSizes {
    /// In proportion to a height in pixels, so that a larger picture is the same picture.
    pub(super) fn of(height: u32) -> Self {
        Self { tick: height / 34, label: height / 27 }
    }

    /// The same of one of several panels, in proportion to its width: larger, for the whole figure is
    /// shrunk to the width of a page.
    pub(super) fn of_panel(width: u32) -> Self {
        Self { tick: width / 25, label: width / 21 }
    }

    /// `factor` times as large.
    #[expect(clippy::cast_possible_truncation, reason = "a float cast to u32 saturates")]
    pub(super) fn scaled(self, factor: f64) -> Self {
        let [tick, label] = [self.tick, self.label].map(|size| (f64::from(size) * factor) as u32);
        Self { tick, label }
    }
}

impl Font {
    /// Text of the given size, its middle at its point.
    pub(super) fn centered(size: u32) -> Self {
        Self { size, anchor: TextAnchor::Middle }
    }
}

/// An empty white picture of `width` x `height` pixels.
pub(super) fn canvas(width: f64, height: f64) -> Scene {
    let mut scene = Scene::new(width, height);
    scene.font_family = Some("DejaVu Sans, Verdana, Arial, sans-serif".to_owned());
    scene
}

/// About the width of `text`, pixels: the plotting library keeps its measures to itself.
pub(super) fn text_width(text: &str, size: u32) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | ' ' | ',' | '.' | ':' => 0.32,
        'f' | 'r' | 't' | '(' | ')' | '-' | '/' => 0.4,
        '\u{2212}' | 'w' => 0.84,
        'm' | 'M' | 'W' => 0.97,
        'A'..='Z' => 0.7,
        _ => 0.63,
    };
    f64::from(size) * text.chars().map(em).sum::<f64>()
}

/// Refuses sides of a picture, in pixels, whose texts or bytes would have no room.
pub(super) fn check_sides(what: &'static str, sides: [u32; 2]) -> Result<()> {
    match sides.into_iter().find(|side| !(400..=10_000).contains(side)) {
        Some(side) => {
            let expected = "400 to 10000 pixels";
            Err(Error::Style { what, expected, found: f64::from(side) })
        }
        None => Ok(()),
    }
}

/// Text whose baseline is at `y`. Never turned: the rasteriser blurs and displaces turned text.
pub(super) fn text(scene: &mut Scene, [x, y]: [f64; 2], content: &str, font: Font, color: Color) {
    scene.add(Primitive::Text {
        x,
        y,
        content: content.to_owned(),
        size: font.size,
        anchor: font.anchor,
        rotate: None,
        // The rasteriser has it in one weight only; an SVG should look alike.
        bold: false,
        color: Some(color),
    });
}

/// A straight line.
pub(super) fn line(scene: &mut Scene, from: [f64; 2], to: [f64; 2], stroke: Color, width: f64) {
    let ([x1, y1], [x2, y2]) = (from, to);
    let stroke_dasharray = None;
    scene.add(Primitive::Line { x1, y1, x2, y2, stroke, stroke_width: width, stroke_dasharray });
}

/// Lines from each point to the next one, dashed or not.
pub(super) fn poly_line(
    scene: &mut Scene,
    points: Vec<(f64, f64)>,
    stroke: Color,
    stroke_width: f64,
    dashed: bool,
) {
    let stroke_dasharray = dashed.then(|| DASHES.to_owned());
    scene.add(Primitive::PolyLine { points, stroke, stroke_width, stroke_dasharray });
}

/// A filled rectangle between two corners.
pub(super) fn rectangle(scene: &mut Scene, from: [f64; 2], to: [f64; 2], fill: Color) {
    scene.add(Primitive::Rect {
        x: from[0].min(to[0]),
        y: from[1].min(to[1]),
        width: (to[0] - from[0]).abs(),
        height: (to[1] - from[1]).abs(),
        fill,
        stroke: None,
        stroke_width: None,
        opacity: None,
    });
}

/// A filled circle.
pub(super) fn dot(scene: &mut Scene, [cx, cy]: [f64; 2], r: f64, fill: Color) {
    let (fill_opacity, stroke, stroke_width) = (None, None, None);
    scene.add(Primitive::Circle { cx, cy, r, fill, fill_opacity, stroke, stroke_width });
}

/// A filled polygon with an outline one pixel wide.
pub(super) fn polygon(scene: &mut Scene, points: &[[f64; 2]], fill: Color, stroke: Color) {
    let mut d = String::with_capacity(16 * points.len() + 2);
    for (k, [x, y]) in points.iter().enumerate() {
        let command = if k == 0 { 'M' } else { 'L' };
        // Writing to a string cannot fail.
        let _ = write!(d, "{command} {x:.2} {y:.2} ");
    }
    d.push('Z');
    scene.add(Primitive::Path(Box::new(PathData {
        d,
        fill: Some(fill),
        stroke,
        stroke_width: 1.0,
        opacity: None,
        stroke_dasharray: None,
    })));
}

/// Opens a group that an SVG gives the class `class`.
pub(super) fn open_group(scene: &mut Scene, class: &str) {
    let extra_attrs = Some(format!("class=\"{class}\""));
    scene.add(Primitive::GroupStart { transform: None, title: None, extra_attrs });
}

/// Closes the group opened last.
pub(super) fn close_group(scene: &mut Scene) {
    scene.add(Primitive::GroupEnd);
}
