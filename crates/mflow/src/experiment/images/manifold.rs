//! The manifold that images are on, where it is known.
use crate::Result;
use mflow_bijectors::{Stream, host};
use mflow_core::candle::{DType, Device, Tensor};
use mflow_core::{Error as CoreError, Generator, NearestConfig};
use mflow_data::Scenes;
use mflow_data::io::read_table;
use std::path::PathBuf;

/// Latents that the search for the nearest image of a generator starts from.
const STARTS: usize = 2;
/// A search ends when a step makes the squared distance smaller by less than this part of it: closer than the distances of
/// two samples are to each other.
const TOLERANCE: f64 = 1e-3;
/// Test images whose distances are known without a search.
const KNOWN: usize = 200;

/// What images are of.
#[derive(Clone, Debug)]
pub(in crate::experiment) enum Manifold {
    /// A generator, by its TOML file; and the file of the inputs that made the test images, if there is one.
    Generator { path: PathBuf, latents: Option<PathBuf> },
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
            Self::Generator { path, .. } => {
                let generator = Generator::load(path, DType::F32, &Device::Cpu)?;
                let x = Tensor::from_slice(x, (x.len() / dim, dim), &Device::Cpu);
                let x = x.and_then(|x| host::place(&x, DType::F32, &Device::Cpu));
                let config = NearestConfig::default().with_tolerance(TOLERANCE);
                let config = config.with_starts(STARTS, config.drawn);
                Ok(generator.nearest(&x.map_err(CoreError::from)?, &config)?.distances)
            }
        }
    }

    /// Distances of the first test images from what they were made of, if that is known.
    #[expect(clippy::indexing_slicing, reason = "not more than is there")]
    pub(super) fn known_distances(&self, test: &[f64], dim: usize) -> Result<Option<Vec<f64>>> {
        let Self::Generator { path, latents: Some(latents) } = self else { return Ok(None) };
        let generator = Generator::load(path, DType::F32, &Device::Cpu)?;
        let table = read_table(latents)?;
        let (rows, inputs) = (table.rows().min(KNOWN), table.cols());
        let u = Tensor::from_slice(&table.values()[..rows * inputs], (rows, inputs), &Device::Cpu);
        let u =
            u.and_then(|u| host::place(&u, DType::F32, &Device::Cpu)).map_err(CoreError::from)?;
        let made = generator.forward(&u)?;
        let made = host::values_f64(&made).map_err(CoreError::from)?;
        let distance = |(x, made): (&[f64], &[f64])| {
            x.iter().zip(made).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
        };
        Ok(Some(test.chunks(dim).zip(made.chunks(dim)).map(distance).collect()))
    }
}
