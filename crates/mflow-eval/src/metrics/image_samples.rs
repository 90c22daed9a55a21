//! Generated images beside test images, in features, with what two samples of the truth give.
use crate::features::Features;
use crate::statistics::{
    Coverage, FrechetDistance, Sample, coverage, frechet_with_error, kernel_distance,
};
use crate::{Error, Estimate, Result};

/// Parts of the samples for errors.
const BLOCKS: usize = 10;
/// The neighbour that balls reach to.
const NEIGHBOURS: usize = 5;

/// How far a sample of images is from the test images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageDistances {
    /// The squared Fréchet distance; an FID only of features of Inception-v3.
    pub frechet: FrechetDistance,
    /// The kernel distance; a KID only of the same.
    pub kernel: Estimate,
    /// Precision, recall, density and coverage, by 5 neighbours.
    pub coverage: Coverage,
}

/// A model's images in features, with the floor.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSamples {
    /// The name of the features, without which no number here means anything.
    pub features: String,
    /// Rows of each sample that were compared: distances of other numbers of rows are not comparable.
    pub rows: usize,
    /// Generated images against test images.
    pub generated: ImageDistances,
    /// Training images against test images: what a perfect model would have.
    pub floor: ImageDistances,
}

impl ImageSamples {
    /// Rows of each sample that are needed at least: two for each part that errors are made of.
    pub const LEAST_ROWS: usize = 2 * BLOCKS;
}

/// Compare `generated` images and `train`ing images with `test` images: the first `n` of each, for the size `n` of the
/// smallest sample, as the bias of the Fréchet distance depends on it.
///
/// Rows should be in no order, as the first of them stand for all.
///
/// # Errors
/// If there are less than 20 images in a sample, or they are none of the features.
pub fn image_samples(
    features: &dyn Features,
    generated: Sample<'_>,
    train: Sample<'_>,
    test: Sample<'_>,
) -> Result<ImageSamples> {
    let rows = generated.count().min(train.count()).min(test.count());
    if rows < ImageSamples::LEAST_ROWS {
        return Err(Error::TooFew { expected: ImageSamples::LEAST_ROWS, found: rows });
    }
    let of = |images: Sample<'_>| -> Result<Vec<f64>> {
        let values: Vec<f64> = images.rows().take(rows).flatten().copied().collect();
        features.of(Sample::new(&values, images.dim())?)
    };
    let (generated, train, test) = (of(generated)?, of(train)?, of(test)?);
    let real = Sample::new(&test, features.dim())?;
    let distances = |values: &[f64]| -> Result<ImageDistances> {
        let drawn = Sample::new(values, features.dim())?;
        Ok(ImageDistances {
            frechet: frechet_with_error(drawn, real, BLOCKS)?,
            kernel: kernel_distance(drawn, real, BLOCKS)?,
            coverage: coverage(real, drawn, NEIGHBOURS)?,
        })
    };
    Ok(ImageSamples {
        features: features.name().to_owned(),
        rows,
        generated: distances(&generated)?,
        floor: distances(&train)?,
    })
}
