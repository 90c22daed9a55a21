//! Surfaces in three dimensions side by side, coloured by one shared scale.

use std::path::Path;

use super::axes::Frame;
use super::camera::Camera;
use super::color_bar;
use super::color_scale::ColorScale;
use super::limits::Limits;
use super::mesh::Mesh;
use super::output::Format;
use super::paint::{self, Font, INK, TextSizes};
use crate::{Error, Result};

/// One surface: a grid of points, a number at each, and points to draw with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SurfacePanel {
    /// Stands over the panel.
    pub title: String,
    /// Points of the surface, row-major, `rows * cols` of them. A point with a coordinate that is
    /// not finite is not drawn.
    pub points: Vec<[f64; 3]>,
    /// Rows of the grid, at least 2.
    pub rows: usize,
    /// Columns of the grid, at least 2.
    pub cols: usize,
    /// The number that a point's colour shows, such as the log-density in nats, `rows * cols` of
    /// them. A point whose number is not finite is not drawn, nor is a face that touches it.
    pub value: Vec<f64>,
    /// Points to draw as small dots, such as the data; may be empty. Those that are not finite are
    /// left out.
    pub scatter: Vec<[f64; 3]>,
}

/// The look of [`draw_surfaces`].
#[derive(Clone, Debug, PartialEq)]
pub struct SurfaceStyle {
    /// From where all panels are seen.
    pub camera: Camera,
    /// The box of all panels; what leaves it is not drawn. `None` is the box around everything.
    pub limits: Option<Limits>,
    /// Names of the three axes.
    pub axis_names: [String; 3],
    /// Name and unit of the coloured number.
    pub value_label: String,
    /// Width and height of one panel, pixels: 400 to 10000. The colour bar below comes on top.
    pub panel_size: [u32; 2],
    /// Radius of a dot of the scatter, pixels.
    pub dot_radius: f64,
}

impl Default for SurfaceStyle {
    fn default() -> Self {
        Self {
            camera: Camera::default(),
            limits: None,
            axis_names: ["x₁", "x₂", "x₃"].map(str::to_owned),
            value_label: "log-density [nats]".to_owned(),
            panel_size: [800, 640],
            dot_radius: 2.0,
        }
    }
}

/// Draws `panels` side by side into the PNG or SVG file `path`.
///
/// All panels have the same camera, the same box with the same scale along its three axes, and the
/// same colours, so that they can be compared. The colours (viridis) run between the 2nd and the
/// 98th percentile of the numbers at the vertices drawn in all panels; a face has the colour of
/// the mean over its four corners. Faces are sorted by their middle, so faces that cut through each
/// other are not drawn exactly.
///
/// The picture is `panels.len() * panel_size[0]` pixels wide and about 1.2 times `panel_size[1]`
/// high.
///
/// # Errors
///
/// [`Error::EmptyFigure`] without a panel; [`Error::GridTooSmall`], [`Error::PanelLength`] and
/// [`Error::NothingToDraw`] for a panel that makes no surface; [`Error::Style`] for a number of
/// `style` out of its range; [`Error::Extension`], [`Error::Rasterise`] and [`Error::Write`] for
/// the file. Nothing is written then, unless the system stops half-way.
pub fn draw_surfaces(panels: &[SurfacePanel], style: &SurfaceStyle, path: &Path) -> Result<()> {
    let format = Format::of(path)?;
    let view = style.camera.view()?;
    style.check()?;
    if panels.is_empty() {
        return Err(Error::EmptyFigure { expected: "panel" });
    }
    let meshes = panels.iter().map(|panel| panel.mesh(style)).collect::<Result<Vec<_>>>()?;

    let colors = ColorScale::of(meshes.iter().flat_map(Mesh::values).collect());
    let limits =
        style.limits.unwrap_or_else(|| Limits::around(meshes.iter().flat_map(Mesh::points)));

    let [width, height] = style.panel_size.map(f64::from);
    let sizes = TextSizes::of(style.panel_size[1]);
    let full_width = width * panels.len() as f64;
    let mut scene = paint::canvas(full_width, (height + color_bar::height(sizes)).round());
    let title_height = 1.9 * f64::from(sizes.label);
    for (k, (panel, mesh)) in panels.iter().zip(meshes).enumerate() {
        let left = width * k as f64;
        let title_at = [left + 0.5 * width, 1.5 * f64::from(sizes.label)];
        paint::text(&mut scene, title_at, &panel.title, Font::centered(sizes.label), INK);
        let room = [width, height - title_height];
        let frame = Frame::fit(limits, view, [left, title_height], room, sizes);
        frame.draw_walls(&mut scene);
        mesh.draw(&mut scene, &frame, &colors, style.dot_radius);
        frame.draw_axes(&mut scene, &style.axis_names, sizes);
    }
    let length = 0.8 * width;
    color_bar::draw(
        &mut scene,
        &colors,
        &style.value_label,
        [0.5 * full_width, height],
        length,
        sizes,
    );
    format.write(&scene, path)
}

impl SurfacePanel {
    /// What is drawn of the panel, once its lengths are known to fit.
    fn mesh(&self, style: &SurfaceStyle) -> Result<Mesh> {
        let (rows, cols) = (self.rows, self.cols);
        let panel = || self.title.clone();
        if rows < 2 || cols < 2 {
            return Err(Error::GridTooSmall { panel: panel(), rows, cols });
        }
        // No arrays are as long as a product that overflows.
        let expected = rows.saturating_mul(cols);
        for (what, found) in [("points", self.points.len()), ("value", self.value.len())] {
            if found != expected {
                return Err(Error::PanelLength { panel: panel(), what, expected, found });
            }
        }
        Mesh::of(self, style.limits.as_ref())
            .ok_or_else(|| Error::NothingToDraw { panel: panel(), vertices: expected })
    }
}

impl SurfaceStyle {
    fn check(&self) -> Result<()> {
        paint::check_sides("panel_size", self.panel_size)?;
        if !(self.dot_radius.is_finite() && self.dot_radius > 0.0) {
            let (expected, found) = ("more than 0 pixels", self.dot_radius);
            return Err(Error::Style { what: "dot_radius", expected, found });
        }
        self.limits.as_ref().map_or(Ok(()), Limits::check)
    }
}
