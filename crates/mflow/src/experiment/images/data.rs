//! The images of an experiment, read.
use super::ImagesConfig;
use crate::experiment::data::Training;
use crate::{Error, Result};
use mflow_bijectors::Stream;
use mflow_data::io::NpyFile;
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
}

/// The first rows of a file, all if `rows` is none, and the shape of an image.
fn read(path: &Path, rows: Option<usize>) -> Result<(Vec<f64>, Vec<usize>)> {
    let file = NpyFile::open(path)?;
    let rows: Vec<usize> = (0..rows.unwrap_or(file.rows()).min(file.rows())).collect();
    let values = mflow_train::RowReader::read(&file, &rows)
        .map_err(|e| Error::Run { path: path.to_owned(), reason: e.to_string() })?;
    let shape = file.row_shape().map_or_else(|| vec![file.cols()], <[usize]>::to_vec);
    Ok((values, shape))
}

impl ImageData {
    /// Read all files; `test_rows` and what is observed from the first rows of theirs.
    pub(crate) fn read(config: &ImagesConfig, test_rows: usize) -> Result<Self> {
        let (train, found) = read(&config.train, config.rows)?;
        let shape = match found[..] {
            [h, w] => [h, w, 1],
            [h, w, c] => [h, w, c],
            _ => {
                return Err(Error::Run {
                    path: config.train.clone(),
                    reason: format!(
                        "expected images [n, height, width, channels], found rows of shape {found:?}"
                    ),
                });
            }
        };
        let alike = |path: &Path, rows: usize| -> Result<Vec<f64>> {
            let (values, other) = read(path, Some(rows))?;
            match other == found {
                true => Ok(values),
                false => Err(Error::Run {
                    path: path.to_owned(),
                    reason: format!(
                        "expected images of shape {found:?} as of {}, found {other:?}",
                        config.train.display()
                    ),
                }),
            }
        };
        let test = alike(&config.test, test_rows)?;
        let size: usize = shape.iter().product();
        let parameters = |path: &Path, images: &[f64]| -> Result<Vec<f64>> {
            let expected = images.len() / size;
            let (values, shape) = read(path, Some(expected))?;
            if shape != [1] || values.len() != expected {
                let reason = format!(
                    "expected a parameter for each of {expected} images, found {} of shape {shape:?}",
                    values.len()
                );
                return Err(Error::Run { path: path.to_owned(), reason });
            }
            Ok(values)
        };
        let context = match &config.context {
            None => None,
            Some(context) => Some(ContextData {
                train: parameters(&context.train, &train)?,
                test: parameters(&context.test, &test)?,
                observed: alike(&context.observed, context.count)?,
            }),
        };
        Ok(Self { shape, train, test, context })
    }

    /// Number of features `D`.
    pub(crate) fn dim(&self) -> usize {
        self.shape.iter().product()
    }

    /// The parameters of the test images; none if they depend on none.
    pub(crate) fn test_parameters(&self) -> &[f64] {
        self.context.as_ref().map_or(&[], |context| &context.test)
    }

    /// Rows to train on.
    pub(in crate::experiment) fn training(&self, config: &ImagesConfig, seed: u64) -> Training {
        let mut x = self.train.clone();
        if config.dequantize {
            let noise = Stream::new(seed, "dequantization").uniform(x.len(), 0., 1.);
            x.iter_mut().zip(noise).for_each(|(x, u)| *x += u);
        }
        let context = self.context.as_ref().map(|context| (context.train.clone(), 1));
        Training { context, ..Training::of(x, self.dim()) }
    }
}
