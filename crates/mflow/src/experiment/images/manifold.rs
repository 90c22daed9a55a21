//! The manifold that images are on, where it is known.
use super::ImagesConfig;
use crate::{Error, Result};
use mflow_bijectors::{Stream, host};
use mflow_core::candle::{DType, Device, Tensor};
use mflow_core::{Error as CoreError, Generator, NearestConfig};
use mflow_data::io::read_table;
use mflow_data::{Error as DataError, Scenes};
use std::path::Path;

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
    /// A generator; and the inputs that the first test images were made of, `[n, N]`, if they are known.
    Generator { generator: Generator, latents: Option<Tensor> },
    /// Scenes with known factors.
    Scenes(Scenes),
}

impl Manifold {
    /// The generator of images of this shape `[H, W, C]`, if they have one, and the inputs of the first `test_rows` test images.
    pub(super) fn read(
        config: &ImagesConfig,
        shape: [usize; 3],
        test_rows: usize,
    ) -> Result<Option<Self>> {
        let Some(path) = &config.generator else {
            let reason = || "needs `generator` beside it, whose inputs they are".to_owned();
            return match config.latents {
                Some(_) => Err(Error::Config { field: "data.images.latents", reason: reason() }),
                None => Ok(None),
            };
        };
        let generator = Generator::load(path, DType::F32, &Device::Cpu)?;
        if !makes(&generator, shape) {
            let (images, found) = (config.train.display(), generator.shape());
            let reason = format!(
                "expected a generator of images of shape {shape:?}, as those of {images}, found one of shape {found:?}"
            );
            return Err(Error::Run { path: path.clone(), reason });
        }
        let read = |path| read_latents(path, generator.free_inputs(), test_rows);
        let latents = config.latents.as_deref().map(read).transpose()?;
        Ok(Some(Self::Generator { generator, latents }))
    }

    /// Distances of rows from it, in pixel values: upper bounds, as far as the searches found.
    #[expect(clippy::integer_division_remainder_used, reason = "an image has a pixel or more")]
    pub(super) fn distances(&self, x: &[f64], dim: usize) -> Result<Vec<f64>> {
        match self {
            Self::Scenes(scenes) => {
                Ok(scenes.nearest(x, &mut Stream::new(0, "starts of scenes"))?.distances)
            }
            Self::Generator { generator, .. } => {
                let config = NearestConfig::default().with_tolerance(TOLERANCE);
                let config = config.with_starts(STARTS, config.drawn);
                Ok(generator.nearest(&tensor(x, x.len() / dim, dim)?, &config)?.distances)
            }
        }
    }

    /// Distances of the first test images from what they were made of, if that is known.
    pub(super) fn known_distances(&self, test: &[f64], dim: usize) -> Result<Option<Vec<f64>>> {
        let Self::Generator { generator, latents: Some(latents) } = self else { return Ok(None) };
        let made = host::values_f64(&generator.forward(latents)?).map_err(CoreError::from)?;
        let distance = |(x, made): (&[f64], &[f64])| {
            x.iter().zip(made).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
        };
        Ok(Some(test.chunks(dim).zip(made.chunks(dim)).map(distance).collect()))
    }
}

/// Whether a generator makes images whose numbers come in this order: `[H, W, C]`, rows of them, or `[1, H, W]`.
fn makes(generator: &Generator, shape: [usize; 3]) -> bool {
    let [height, width, channels] = shape;
    match *generator.shape() {
        [numbers] => numbers == height * width * channels,
        [1, h, w] if channels == 1 => [h, w] == [height, width],
        ref other => other == shape,
    }
}

/// The inputs of the first test images, not more than [`KNOWN`]: `[n, inputs]`.
#[expect(clippy::indexing_slicing, reason = "not more than is there")]
fn read_latents(path: &Path, inputs: usize, test_rows: usize) -> Result<Tensor> {
    let table = read_table(path)?;
    if table.cols() != inputs {
        let (path, found) = (path.to_owned(), table.cols());
        return Err(DataError::Columns { path, expected: inputs, found }.into());
    }
    let rows = test_rows.min(KNOWN);
    if table.rows() < rows {
        let found = table.rows();
        let reason =
            format!("expected the inputs of each of the first {rows} test images, found {found}");
        return Err(Error::Run { path: path.to_owned(), reason });
    }
    tensor(&table.values()[..rows * inputs], rows, inputs)
}

fn tensor(values: &[f64], rows: usize, cols: usize) -> Result<Tensor> {
    let tensor = Tensor::from_slice(values, (rows, cols), &Device::Cpu);
    let placed = tensor.and_then(|tensor| host::place(&tensor, DType::F32, &Device::Cpu));
    Ok(placed.map_err(CoreError::from)?)
}
