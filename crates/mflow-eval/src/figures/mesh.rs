//! A surface as quadrilaterals and points, sorted from far to near.
#![expect(
    clippy::indexing_slicing,
    reason = "points of a grid, whose number is checked before; axes 0 to 2"
)]

use kuva::render::color::Color;
use kuva::render::render::{Primitive, Scene};

use super::axes::Frame;
use super::camera::dot;
use super::color_scale::{ColorScale, shade};
use super::limits::Limits;
use super::paint;
use super::surfaces::SurfacePanel;

/// Brightness of a face seen edge-on by the light; one that faces it has 1. Little, for colours
/// mean numbers here.
const DARKEST: f64 = 0.84;
/// Brightness of an edge, relative to its face.
const EDGE: f64 = 0.86;
/// How far the light stands over the camera, relative to the camera's distance.
const LIGHT_UP: f64 = 0.6;

/// A thing to draw.
#[derive(Clone, Copy, Debug)]
enum Item {
    /// Its corners in order around it, and the mean of their values.
    Quad([[f64; 3]; 4], f64),
    Dot([f64; 3]),
}

/// What is drawn of one panel.
#[derive(Debug)]
pub(super) struct Mesh {
    items: Vec<Item>,
    /// The numbers at the vertices that can be drawn.
    values: Vec<f64>,
}

impl Mesh {
    /// The quadrilaterals of `panel` whose four vertices can be drawn, and its points; both inside
    /// `limits`, if given. The lengths have been checked. `None` for a grid without a quadrilateral.
    pub(super) fn of(panel: &SurfacePanel, limits: Option<&Limits>) -> Option<Self> {
        let inside = |point: [f64; 3]| match limits {
            Some(limits) => limits.contains(point),
            None => point.iter().all(|x| x.is_finite()),
        };
        let vertices = panel.points.iter().zip(&panel.value);
        let drawn: Vec<bool> =
            vertices.map(|(&point, value)| value.is_finite() && inside(point)).collect();
        let cols = panel.cols;
        let mut items = Vec::new();
        for row in 1..panel.rows {
            for col in 1..cols {
                let at = row * cols + col;
                let around = [at - cols - 1, at - cols, at, at - 1];
                if around.iter().all(|&k| drawn[k]) {
                    let value = around.iter().map(|&k| 0.25 * panel.value[k]).sum();
                    items.push(Item::Quad(around.map(|k| panel.points[k]), value));
                }
            }
        }
        if items.is_empty() && panel.rows > 0 {
            return None;
        }
        items.extend(panel.scatter.iter().filter(|&&point| inside(point)).map(|&p| Item::Dot(p)));
        let values = panel.value.iter().zip(drawn);
        let values = values.filter_map(|(&value, drawn)| drawn.then_some(value)).collect();
        Some(Self { items, values })
    }

    /// The numbers at the vertices that can be drawn.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.values.iter().copied()
    }

    /// All points drawn, some of them more than once.
    pub(super) fn points(&self) -> impl Iterator<Item = [f64; 3]> {
        let points = self.items.iter().flat_map(|item| match item {
            Item::Quad(corners, _) => &corners[..],
            Item::Dot(point) => std::slice::from_ref(point),
        });
        points.copied()
    }

    /// Draws everything from far to near.
    pub(super) fn draw(
        mut self,
        scene: &mut Scene,
        frame: &Frame,
        colors: &ColorScale,
        dot_radius: f64,
    ) {
        // A dot on the surface would sink into the face around it where that face's middle is
        // nearer to the camera than the dot.
        let lift = 0.02 * frame.limits.diagonal();
        let nearness = |item: &Item| match item {
            Item::Quad(corners, _) => {
                corners.iter().map(|&c| frame.view.nearness(c)).sum::<f64>() / 4.0
            }
            Item::Dot(point) => frame.view.nearness(*point) + lift,
        };
        self.items.sort_by(|a, b| nearness(a).total_cmp(&nearness(b)));
        paint::open_group(scene, "surface");
        for item in &self.items {
            match *item {
                Item::Quad(corners, value) => {
                    let rgb = colors.rgb(value);
                    let lit = DARKEST + (1.0 - DARKEST) * lambert(corners, frame);
                    let outline = corners.map(|corner| frame.place(corner));
                    paint::polygon(scene, &outline, shade(rgb, lit), shade(rgb, lit * EDGE));
                }
                Item::Dot(point) => {
                    let [cx, cy] = frame.place(point);
                    scene.add(Primitive::Circle {
                        cx,
                        cy,
                        r: dot_radius,
                        fill: Color::Rgb(0x10, 0x10, 0x10),
                        fill_opacity: Some(0.75),
                        stroke: None,
                        stroke_width: None,
                    });
                }
            }
        }
        paint::close_group(scene);
    }
}

/// `|cos|` of the angle between the light and the face's normal: both sides are lit alike.
fn lambert(corners: [[f64; 3]; 4], frame: &Frame) -> f64 {
    let between = |a: usize, b: usize| [0, 1, 2].map(|k| corners[b][k] - corners[a][k]);
    let (u, v) = (between(0, 2), between(1, 3));
    let normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    let mut light = frame.view.toward;
    light[2] += LIGHT_UP;
    let length = (dot(normal, normal) * dot(light, light)).sqrt();
    // A face without an area has no normal.
    if length > 0.0 { (dot(normal, light) / length).abs() } else { 1.0 }
}
