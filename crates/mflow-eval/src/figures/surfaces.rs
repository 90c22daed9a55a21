//! Surfaces in three dimensions side by side, coloured by one shared scale.

use std::path::Path;

use kuva::render::render::TextAnchor;

use super::axes::Frame;
use super::camera::Camera;
use super::color_bar;
use super::color_scale::ColorScale;
use super::limits::Limits;
use super::mesh::Mesh;
use super::output::Format;
use super::paint::{self, Font, INK, TextSizes};
use crate::{Error, Result};

/// One surface: a grid of points, a number at each, and points to draw with it; or such points alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SurfacePanel {
    /// Stands over the panel.
    pub title: String,
    /// Points of the surface, row-major, `rows * cols` of them. A point with a coordinate that is
    /// not finite is not drawn.
    pub points: Vec<[f64; 3]>,
    /// Rows of the grid, at least 2; 0 where there is a scatter and no surface.
    pub rows: usize,
    /// Columns of the grid, as its rows.
    pub cols: usize,
    /// The number that a point's colour shows, such as the log-density in nats, `rows * cols` of
    /// them. A point whose number is not finite is not drawn, nor is a face that touches it.
    pub value: Vec<f64>,
    /// Points to draw as small dots, such as the data; may be empty. Those that are not finite are
    /// left out.
    pub scatter: Vec<[f64; 3]>,
    /// From where the panel is seen, if not from where the others are.
    pub camera: Option<Camera>,
    /// Stands in the upper left corner, such as what the panels of a row have in common.
    pub note: String,
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
    /// Width and height of one panel, pixels: 400 to 10000. Rows without titles are lower, by the room of
    /// these; the colour bar below comes on top.
    pub panel_size: [u32; 2],
    /// Radius of a dot of the scatter, pixels.
    pub dot_radius: f64,
    /// Panels in a row; all of them where there are fewer.
    pub columns: usize,
    /// How much larger texts are than those of a figure of one or two panels: 1 to 3.
    pub text_scale: f64,
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
            columns: usize::MAX,
            text_scale: 1.0,
        }
    }
}

/// Draws `panels` side by side, in rows, into the PNG or SVG file `path`.
///
/// All panels have the same box with the same scale along its three axes and the same colours, so that
/// they can be compared. The colours (viridis) run between the 2nd and the
/// 98th percentile of the numbers at the vertices drawn in all panels; a face has the colour of
/// the mean over its four corners. Faces are sorted by their middle, so faces that cut through each
/// other are not drawn exactly.
///
/// The picture is as many times `panel_size[0]` pixels wide as there are panels in a row; the colour bar
/// below the rows has about 0.2 times `panel_size[1]`. Panels of points alone have none.
///
/// # Errors
///
/// [`Error::EmptyFigure`] without a panel; [`Error::GridTooSmall`], [`Error::PanelLength`] and
/// [`Error::NothingToDraw`] for a panel that makes no surface; [`Error::Style`] for a number of
/// `style` out of its range; [`Error::Extension`], [`Error::Rasterise`] and [`Error::Write`] for
/// the file. Nothing is written then, unless the system stops half-way.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "a head for each row of panels, and one column or more"
)]
pub fn draw_surfaces(panels: &[SurfacePanel], style: &SurfaceStyle, path: &Path) -> Result<()> {
    let format = Format::of(path)?;
    let views = panels.iter().map(|panel| panel.camera.unwrap_or(style.camera).view());
    let views = views.collect::<Result<Vec<_>>>()?;
    style.check()?;
    if panels.is_empty() {
        return Err(Error::EmptyFigure { expected: "panel" });
    }
    let meshes = panels.iter().map(|panel| panel.mesh(style)).collect::<Result<Vec<_>>>()?;

    let values: Vec<f64> = meshes.iter().flat_map(Mesh::values).collect();
    let colors = ColorScale::of(&values);
    // Points alone have no colours to explain.
    let sizes = TextSizes::of(style.panel_size[1]).scaled(style.text_scale);
    let bar_height = if values.is_empty() { 0.0 } else { color_bar::height(sizes) };
    let limits =
        style.limits.unwrap_or_else(|| Limits::around(meshes.iter().flat_map(Mesh::points)));

    let [width, height] = style.panel_size.map(f64::from);
    let columns = style.columns.clamp(1, panels.len());
    let label = f64::from(sizes.label);
    let heads: Vec<f64> = panels
        .chunks(columns)
        .map(|row| row.iter().any(|panel| !panel.title.is_empty()))
        .map(|has_title| if has_title { 1.9 * label } else { 0.4 * label })
        .collect();
    let body = height - 1.9 * label;
    let full_width = width * columns as f64;
    let full_height = heads.iter().map(|head| head + body).sum::<f64>();
    let mut scene = paint::canvas(full_width, (full_height + bar_height).round());
    for (k, ((panel, mesh), view)) in panels.iter().zip(meshes).zip(views).enumerate() {
        let (left, row) = (width * (k % columns) as f64, k / columns);
        let (title_height, above) = (heads[row], &heads[..row]);
        let top = above.iter().map(|head| head + body).sum::<f64>();
        let title_at = [left + 0.5 * width, top + 1.5 * label];
        paint::text(&mut scene, title_at, &panel.title, Font::centered(sizes.label), INK);
        let room = [width, body];
        let corner = [left, top + title_height];
        let frame = Frame::fit(limits, view, corner, room, sizes, &style.axis_names[2]);
        frame.draw_walls(&mut scene);
        mesh.draw(&mut scene, &frame, &colors, style.dot_radius);
        frame.draw_axes(&mut scene, &style.axis_names, sizes);
        let note_at = [left + 0.6 * label, top + title_height + label];
        let font = Font { anchor: TextAnchor::Start, ..Font::centered(sizes.label) };
        paint::text(&mut scene, note_at, &panel.note, font, INK);
    }
    if !values.is_empty() {
        let length = (0.8 * width).max(0.4 * full_width);
        let top = [0.5 * full_width, full_height];
        color_bar::draw(&mut scene, &colors, &style.value_label, top, length, sizes);
    }
    format.write(&scene, path)
}

impl SurfacePanel {
    /// What is drawn of the panel, once its lengths are known to fit.
    fn mesh(&self, style: &SurfaceStyle) -> Result<Mesh> {
        let (rows, cols) = (self.rows, self.cols);
        let panel = || self.title.clone();
        let only_points = rows == 0 && cols == 0 && !self.scatter.is_empty();
        if (rows < 2 || cols < 2) && !only_points {
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
        if !(1.0..=3.0).contains(&self.text_scale) {
            let (expected, found) = ("1 to 3", self.text_scale);
            return Err(Error::Style { what: "text_scale", expected, found });
        }
        self.limits.as_ref().map_or(Ok(()), Limits::check)
    }
}
