//! Figures of the report, as PNG or SVG by the ending of the file name.
//!
//! PNG text uses a font inside the plotting library, so the pictures are the same on a machine
//! without fonts. An SVG names its font and leaves it to the viewer.

mod axes;
mod camera;
mod clip;
mod color_bar;
mod color_scale;
mod corner;
mod curves;
mod images;
mod legend;
mod limits;
mod marks;
mod mesh;
mod output;
mod paint;
mod panels;
mod plane;
mod surfaces;
mod ticks;

pub use camera::Camera;
pub use corner::{CORNER_PARAMETERS, Corner, corner_svg, draw_corner};
pub use curves::{Boundary, CurveStyle, Series, draw_curves};
pub use images::{Images, animation_of_images, sheet_of_images};
pub use limits::Limits;
pub use panels::{Ink, Layer, Panel, PanelStyle, Shape, draw_panels};
pub use surfaces::{SurfacePanel, SurfaceStyle, draw_surfaces};
