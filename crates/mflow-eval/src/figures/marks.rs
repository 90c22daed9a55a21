//! Vertical lines with labels where the phases of a training begin.

use kuva::render::render::{Primitive, Scene, TextAnchor};

use super::curves::Boundary;
use super::paint::{self, Font, GREY_INK, TextSizes};
use super::plane::Plane;

/// The labels of the boundaries, above the plane and clear of one another.
#[derive(Debug)]
pub(super) struct Marks<'a> {
    boundaries: &'a [Boundary],
    size: u32,
}

impl<'a> Marks<'a> {
    /// The marks of `boundaries`.
    pub(super) fn of(boundaries: &'a [Boundary], sizes: TextSizes) -> Self {
        Self { boundaries, size: sizes.tick }
    }

    /// The left end of each label, pulled in where it would leave a picture `width` wide.
    fn left(&self, boundary: &Boundary, plane: &Plane, width: f64) -> f64 {
        let room = width - paint::text_width(&boundary.label, self.size) - 4.0;
        plane.x(boundary.at).min(room).max(4.0)
    }

    /// The row of each label above the plane, 0 the lowest: the first in which it is free.
    #[expect(clippy::indexing_slicing, reason = "a row that was found or added")]
    pub(super) fn rows(&self, plane: &Plane, width: f64) -> Vec<usize> {
        let mut taken: Vec<Vec<[f64; 2]>> = Vec::new();
        let gap = 0.5 * f64::from(self.size);
        self.boundaries
            .iter()
            .map(|boundary| {
                let left = self.left(boundary, plane, width);
                let right = left + paint::text_width(&boundary.label, self.size) + gap;
                let free = |row: &Vec<[f64; 2]>| row.iter().all(|[a, b]| right <= *a || *b <= left);
                let row = taken.iter().position(free).unwrap_or(taken.len());
                if row == taken.len() {
                    taken.push(Vec::new());
                }
                taken[row].push([left, right]);
                row
            })
            .collect()
    }

    /// Draws the lines and the labels in their `rows`.
    pub(super) fn draw(&self, scene: &mut Scene, plane: &Plane, rows: &[usize]) {
        for (boundary, row) in self.boundaries.iter().zip(rows) {
            let x = plane.x(boundary.at);
            let rise = 1.35 * f64::from(self.size) * *row as f64;
            scene.add(Primitive::Line {
                x1: x,
                y1: plane.top() - rise - 4.0,
                x2: x,
                y2: plane.bottom(),
                stroke: GREY_INK,
                stroke_width: 1.4,
                stroke_dasharray: Some(paint::DASHES.to_owned()),
            });
            let left = self.left(boundary, plane, scene.width);
            let font = Font { anchor: TextAnchor::Start, ..Font::centered(self.size) };
            paint::text(scene, [left, plane.top() - rise - 7.0], &boundary.label, font, GREY_INK);
        }
    }
}
