//! The manifold that images are on, where it is known.
use crate::Result;
use mflow_bijectors::{Stream, host};
use mflow_core::candle::{DType, Device, Tensor};
use mflow_core::{Error as CoreError, Generator, NearestConfig};
use mflow_data::Scenes;
use std::path::PathBuf;

/// Latents that the search for the nearest image of a generator starts from.
const STARTS: usize = 2;
/// A search ends when a step makes the squared distance smaller by less than this part of it: closer than the distances of
/// two samples are to each other.
const TOLERANCE: f64 = 1e-3;

/// What images are of.
#[derive(Clone, Debug)]
pub(in crate::experiment) enum Manifold {
    /// A generator, by its TOML file.
    Generator(PathBuf),
    /// Scenes with known factors.
    Scenes(Scenes),
}

impl Manifold {
    /// Distances of rows from it, in pixel values: upper bounds, as far as the searches found.
    #[expect(clippy::integer_division_remainder_used, reason = "an image has a pixel or more")]
    pub(super) fn distances(&self, x: &[f64], dim: usize) -> Result<Vec<f64>> {
        match self {
            Self::Scenes(scenes) => {
                Ok(scenes.nearest(x, &mut Stream::new(0, "starts of scenes"))?.distances)
            }
            Self::Generator(path) => {
                let generator = Generator::load(path, DType::F32, &Device::Cpu)?;
                let x = Tensor::from_slice(x, (x.len() / dim, dim), &Device::Cpu);
                let x = x.and_then(|x| host::place(&x, DType::F32, &Device::Cpu));
                let config = NearestConfig::default().with_tolerance(TOLERANCE);
                let config = config.with_starts(STARTS, config.drawn);
                Ok(generator.nearest(&x.map_err(CoreError::from)?, &config)?.distances)
            }
        }
    }
}
