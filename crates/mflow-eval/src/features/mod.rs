//! Images as rows of features, in which samples are compared.
//!
//! A distance of samples of images means nothing without the name of its features. That of features of Inception-v3 is
//! called FID ([`InceptionV3`]); that of others is not, and cannot be compared with an FID.

mod conv;
mod depthwise;
mod efficientnet;
mod inception;
mod pca;
mod pooling;
mod resize;
mod weights;

pub use efficientnet::EfficientNetLite0;
pub use inception::InceptionV3;
pub use pca::PcaFeatures;

use crate::statistics::Sample;
use crate::{Error, Result};
use resize::Filter;

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
        self.height.saturating_mul(self.width).saturating_mul(self.channels)
    }

    /// Refuse what no network sees.
    fn check(&self) -> Result<()> {
        let [black, white] = self.range;
        let is_range = (white - black).is_finite() && white > black;
        if matches!(self.channels, 1 | 3) && self.pixels() > 0 && is_range {
            return Ok(());
        }
        let expected = "images of 1 or 3 channels, with pixels, black below white".to_owned();
        Err(Error::Features { expected, found: format!("{self:?}") })
    }

    /// What a network sees of an image, `[3, side, side]`; `scaled` is of 0, black, to 1, white.
    #[expect(clippy::integer_division_remainder_used, reason = "1 or 3 channels, as `check` asks")]
    fn seen(
        &self,
        row: &[f64],
        side: usize,
        filter: Filter,
        scaled: impl Fn(f64) -> f64,
    ) -> Vec<f32> {
        let Self { height, width, channels, range: [black, white] } = *self;
        let plane = |channel: usize| {
            let pixels = row.iter().skip(channel).step_by(channels);
            let scaled = pixels.map(|v| scaled((v - black) / (white - black)));
            #[expect(clippy::cast_possible_truncation, reason = "networks compute in f32")]
            let pixels: Vec<f32> = scaled.map(|v| v as f32).collect();
            filter.resize(&pixels, height, width, side)
        };
        let planes: Vec<f32> = (0..channels).flat_map(plane).collect();
        planes.repeat(3 / channels)
    }
}

fn check_columns(images: Sample<'_>, expected: usize) -> Result<()> {
    match images.dim() {
        found if found == expected => Ok(()),
        found => Err(Error::Columns { expected, found }),
    }
}
