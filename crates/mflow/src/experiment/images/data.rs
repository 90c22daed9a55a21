//! The images of an experiment, read or drawn.
use super::manifold::Manifold;
use super::{ImagesConfig, ScenesConfig, WHITE};
use crate::experiment::data::Training;
use crate::experiment::{ExperimentConfig, Origin};
use crate::pictures::Originals;
use crate::{Error, Result};
use mflow_bijectors::Stream;
use mflow_data::io::{ImageOptions, Images, read_table};
use mflow_data::pixels::dequantise;
use mflow_data::{Error as DataError, Scenes};
use std::path::Path;

/// What an experiment on images works with; pixels from 0 to 255, rows `[H, W, C]`.
#[derive(Clone, Debug)]
pub(crate) struct ImageData {
    /// `[H, W, C]`.
    pub(crate) shape: [usize; 3],
    /// `[rows, D]`.
    pub(crate) train: Vec<f64>,
    /// `[rows, D]`.
    pub(crate) test: Vec<f64>,
    /// Of the same rows, if they depend on a parameter.
    pub(crate) context: Option<ContextData>,
    /// The manifold that they are on, if it is known.
    pub(super) manifold: Option<Manifold>,
    /// Whether training images get noise between the steps of their bytes.
    dequantize: bool,
}

/// Parameters of images.
#[derive(Clone, Debug)]
pub(crate) struct ContextData {
    /// Of the training images.
    pub(crate) train: Vec<f64>,
    /// Of the test images.
    pub(crate) test: Vec<f64>,
    /// Images that share one, `[count, D]`.
    pub(crate) observed: Vec<f64>,
    /// The parameter that these share.
    pub(super) truth: f64,
    /// The log-density at it of the exact posterior, if it is known.
    pub(super) exact: Option<f64>,
}

/// The first images of a file or folder, all if `rows` is none, and their shape.
#[expect(clippy::indexing_slicing, reason = "not more than is there; an image has a pixel or more")]
fn read_images(path: &Path, rows: Option<usize>) -> Result<(Vec<f64>, [usize; 3])> {
    let images = Images::open(path, &ImageOptions::default())?;
    let shape = images.shape();
    let wanted = rows.unwrap_or(images.rows()).min(images.rows()) * shape.iter().product::<usize>();
    let mut values = Vec::with_capacity(wanted);
    images.for_each_block(&mut |block| {
        values.extend_from_slice(&block[..block.len().min(wanted - values.len())]);
        Ok(())
    })?;
    Ok((values, shape))
}

/// The parameters of the first images, `[count, 1]`.
fn read_parameters(path: &Path, count: usize) -> Result<Vec<f64>> {
    let table = read_table(path)?;
    if table.cols() != 1 {
        let (path, found) = (path.to_owned(), table.cols());
        return Err(DataError::Columns { path, expected: 1, found }.into());
    }
    if table.rows() < count {
        let reason =
            format!("expected a parameter for each of {count} images, found {}", table.rows());
        return Err(Error::Run { path: path.to_owned(), reason });
    }
    let mut values = table.into_values();
    values.truncate(count);
    Ok(values)
}

impl ImageData {
    /// The images of an experiment, `test_rows` of those to test with; none if its data are no images.
    pub(crate) fn open(experiment: &ExperimentConfig, test_rows: usize) -> Result<Option<Self>> {
        Ok(match &experiment.data.origin {
            Origin::Images(config) => Some(Self::read(config, test_rows)?),
            Origin::Scenes(config) => Some(Self::draw(config, test_rows, experiment.seed)?),
            Origin::Simulator { .. } | Origin::File { .. } => None,
        })
    }

    /// Read all files; `test_rows` and what is observed from the first rows of theirs.
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "not more than is there; an image has a pixel or more"
    )]
    fn read(config: &ImagesConfig, test_rows: usize) -> Result<Self> {
        let (train, shape) = read_images(&config.train, config.rows)?;
        let alike = |path: &Path, rows: usize| -> Result<Vec<f64>> {
            let (values, other) = read_images(path, Some(rows))?;
            if other != shape {
                let of = config.train.display();
                let reason = format!(
                    "expected images of shape {shape:?}, as those of {of}, found {other:?}"
                );
                return Err(Error::Run { path: path.to_owned(), reason });
            }
            Ok(values)
        };
        let test = alike(&config.test, test_rows)?;
        let size: usize = shape.iter().product();
        let context = match &config.context {
            None => None,
            Some(context) => Some(ContextData {
                train: read_parameters(&context.train, train.len() / size)?,
                test: read_parameters(&context.test, test.len() / size)?,
                observed: alike(&context.observed, context.count)?,
                truth: context.truth,
                exact: context.exact,
            }),
        };
        let manifold = Manifold::read(config, shape, test.len() / size)?;
        let dequantize = config.dequantize;
        Ok(Self { shape, train, test, context, manifold, dequantize })
    }

    /// Draw scenes.
    fn draw(config: &ScenesConfig, test_rows: usize, seed: u64) -> Result<Self> {
        let scenes = Scenes::new(config.factors, config.size, config.channels)?;
        let images = |rows, purpose: &str| -> Result<Vec<f64>> {
            Ok(scenes.render(&scenes.draw_factors(rows, &mut Stream::new(seed, purpose)))?)
        };
        Ok(Self {
            shape: scenes.shape(),
            train: images(config.rows, "training data")?,
            test: images(test_rows, "test data")?,
            context: None,
            manifold: Some(Manifold::Scenes(scenes)),
            dequantize: false,
        })
    }

    /// Number of features `D`.
    pub(crate) fn dim(&self) -> usize {
        self.shape.iter().product()
    }

    /// The parameters of the test images; none if they depend on none.
    pub(crate) fn test_parameters(&self) -> &[f64] {
        self.context.as_ref().map_or(&[], |context| &context.test)
    }

    /// The test images, for pictures.
    pub(crate) fn originals(&self, seed: u64) -> Originals<'_> {
        let (shape, values, context) = (self.shape, &self.test, self.test_parameters());
        Originals { shape, values, context, white: WHITE, seed }
    }

    /// Rows to train on.
    pub(in crate::experiment) fn training(&self, seed: u64) -> Training {
        let mut x = self.train.clone();
        if self.dequantize {
            dequantise(&mut x, &mut Stream::new(seed, "noise of pixels"));
        }
        let context = self.context.as_ref().map(|context| (context.train.clone(), 1));
        Training { context, ..Training::of(x, self.dim()) }
    }
}
