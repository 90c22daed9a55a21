//! Writing a picture in the format that the file name asks for.

use std::path::Path;

use kuva::RasterBackend;
use kuva::backend::svg::SvgBackend;
use kuva::render::render::Scene;
use mflow_core::write_atomically;

use crate::{Error, Result};

/// A format of a figure.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    Png,
    Svg,
}

impl Format {
    /// The format that the ending of `path` names, in whichever case.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("png") => Ok(Self::Png),
            Some("svg") => Ok(Self::Svg),
            _ => Err(Error::Extension { path: path.to_owned() }),
        }
    }

    /// Renders `scene`, one pixel for each of its units, and writes it to `path`.
    pub(super) fn write(self, scene: &Scene, path: &Path) -> Result<()> {
        let bytes = match self {
            Self::Png => RasterBackend::new()
                .with_scale(1.0)
                .render_scene(scene)
                .map_err(|reason| Error::Rasterise { path: path.to_owned(), reason })?,
            Self::Svg => svg(scene).into_bytes(),
        };
        write_atomically(path, |file| file.write_all(&bytes)).map_err(|error| match error {
            mflow_core::Error::Io { path, source } => Error::Write { path, source },
            error => error.into(),
        })
    }
}

/// The text of an SVG with `scene`.
pub(super) fn svg(scene: &Scene) -> String {
    SvgBackend::new().with_pretty(true).render_scene(scene)
}
