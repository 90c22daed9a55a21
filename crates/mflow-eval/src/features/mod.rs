//! Images as rows of features, in which samples are compared.
//!
//! A distance of samples of images means nothing without the name of its features. That of features of Inception-v3 is
//! called FID; those here are not, and their distances cannot be compared with an FID.

mod depthwise;
mod efficientnet;
mod pca;
mod resize;
mod weights;

pub use efficientnet::EfficientNetLite0;
pub use pca::PcaFeatures;

use crate::statistics::Sample;
use crate::{Error, Result};

/// Numbers that stand for an image.
pub trait Features: Sync {
    /// What they are called wherever a distance is told.
    fn name(&self) -> &str;

    /// Features of an image.
    fn dim(&self) -> usize;

    /// The features of `images`, which are rows of pixels: `[n, dim]`, row-major.
    ///
    /// # Errors
    /// If the rows are no images of the expected size.
    fn of(&self, images: Sample<'_>) -> Result<Vec<f64>>;
}

/// The pixels themselves, in the units that they have: `raw`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawFeatures {
    /// Pixels of an image, in all channels.
    pub pixels: usize,
}

impl Features for RawFeatures {
    fn name(&self) -> &'static str {
        "raw"
    }
    fn dim(&self) -> usize {
        self.pixels
    }
    fn of(&self, images: Sample<'_>) -> Result<Vec<f64>> {
        check_columns(images, self.pixels)?;
        Ok(images.rows().flatten().copied().collect())
    }
}

/// How a row is an image: `[height, width, channels]`, row-major, as files have it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageShape {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// The numbers of black and of white, as 0 and 255.
    pub range: [f64; 2],
}

impl ImageShape {
    /// Numbers of an image.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.height * self.width * self.channels
    }
}

fn check_columns(images: Sample<'_>, expected: usize) -> Result<()> {
    match images.dim() {
        found if found == expected => Ok(()),
        found => Err(Error::Columns { expected, found }),
    }
}
