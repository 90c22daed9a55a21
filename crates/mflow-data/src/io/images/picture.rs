//! One image: bytes in the order height, width, channel.

use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma, Pixel, Rgb};

use super::super::{Colours, ImageOptions};

/// An image of 1 or 3 channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    /// `[H, W, C]`.
    pub(super) shape: [usize; 3],
    pub(super) pixels: Vec<u8>,
}

/// Numbers of an image, cut out and resampled, and of all images in memory at a time if they are several.
pub(super) const MOST: usize = 1 << 27;

/// Why an image cannot be used.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) expected: String,
    pub(super) found: String,
}

/// The side of the square to cut out, if one is to be.
fn square([height, width, _]: [usize; 3], options: &ImageOptions) -> Result<Option<usize>, Unfit> {
    let largest = height.min(width);
    match options.crop.or(options.size.map(|_| largest)) {
        Some(side) if side > largest => {
            let expected = format!("an image of {side} x {side} pixels or more to crop");
            Err(Unfit { expected, found: format!("{height} x {width}") })
        }
        side => Ok(side),
    }
}

/// The shape of [`Picture::prepared`] of an image of this shape.
pub(super) fn prepared_shape(
    shape: [usize; 3],
    options: &ImageOptions,
) -> Result<[usize; 3], Unfit> {
    let square = square(shape, options)?;
    let [height, width, channels] = shape;
    let [height, width] = match options.size.or(square) {
        Some(side) => [side; 2],
        None => [height, width],
    };
    let channels = match options.colours {
        Colours::Keep => channels,
        Colours::Grey => 1,
        Colours::Rgb => 3,
    };
    let numbers = [height, width, channels].iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
    match numbers {
        Some(0..=MOST) => Ok([height, width, channels]),
        _ => Err(Unfit {
            expected: format!("an image of at most {MOST} numbers"),
            found: format!("{height} x {width} pixels"),
        }),
    }
}

impl Picture {
    /// In the colours, of the part and of the size that are asked for.
    pub(super) fn prepared(self, options: &ImageOptions) -> Result<Self, Unfit> {
        prepared_shape(self.shape, options)?;
        let picture = match square(self.shape, options)? {
            Some(side) => self.cropped(side),
            None => self,
        };
        let picture = picture.coloured(options.colours);
        Ok(match options.size {
            Some(side) => picture.resampled(side),
            None => picture,
        })
    }

    /// The square of this side in the centre; one of an odd rest of pixels is cut off at the end.
    #[expect(
        clippy::indexing_slicing,
        reason = "the square is not larger than the picture, as `square` checks"
    )]
    fn cropped(self, side: usize) -> Self {
        let [height, width, channels] = self.shape;
        let (top, left) = ((height - side) / 2, (width - side) / 2);
        let rows = self.pixels.chunks_exact(width * channels).skip(top).take(side);
        let columns = left * channels..(left + side) * channels;
        let pixels = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
        Self { shape: [side, side, channels], pixels }
    }

    fn coloured(self, colours: Colours) -> Self {
        let [height, width, channels] = self.shape;
        match (colours, channels) {
            (Colours::Grey, 3) => {
                let (pixels, _) = self.pixels.as_chunks::<3>();
                let pixels = pixels.iter().map(|&rgb| grey(rgb)).collect();
                Self { shape: [height, width, 1], pixels }
            }
            (Colours::Rgb, 1) => {
                let pixels = self.pixels.iter().flat_map(|&grey| [grey; 3]).collect();
                Self { shape: [height, width, 3], pixels }
            }
            _ => self,
        }
    }

    /// The square with this side; to the byte as it is if it has that already.
    fn resampled(self, side: usize) -> Self {
        match self.shape {
            [height, width, _] if [height, width] == [side, side] => self,
            [_, _, 1] => self.resampled_as::<Luma<u8>>(side),
            _ => self.resampled_as::<Rgb<u8>>(side),
        }
    }

    fn resampled_as<P: Pixel<Subpixel = u8> + 'static>(self, side: usize) -> Self {
        let [height, width, channels] = self.shape;
        let small = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let buffer = ImageBuffer::<P, Vec<u8>>::from_raw(small(width), small(height), self.pixels);
        // The buffer is as long as its shape says, so that there is an image.
        let buffer = buffer.unwrap_or_default();
        let pixels = resize(&buffer, small(side), small(side), FilterType::Lanczos3).into_raw();
        Self { shape: [side, side, channels], pixels }
    }
}

/// The luma of ITU-R BT.601, rounded to the nearest byte.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the weights sum to 1000, so it is at most 255"
)]
fn grey([r, g, b]: [u8; 3]) -> u8 {
    ((299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500) / 1000) as u8
}
