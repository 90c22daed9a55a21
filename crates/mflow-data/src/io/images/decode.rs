//! A PNG or JPEG file as a picture.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::picture::{Picture, Unfit};
use crate::{Error, Place, Result};

/// Bytes of an image as it is in the file, unpacked: photographs of 170 million pixels.
const MOST: u64 = 1 << 29;

/// Reads a file by its first bytes, whatever its name says, in 8 bits for each channel.
///
/// # Errors
///
/// [`Error::ImageFile`] for one that is damaged, [`Error::Image`] for one that is none, for 16 bits unless they are to
/// become 8, and for pixels that are not opaque; [`Error::Io`].
#[expect(clippy::integer_division_remainder_used, reason = "there is a pixel, so there is a line")]
pub(super) fn decode(path: &Path, to_8_bits: bool) -> Result<Picture> {
    let place = Place::file(path);
    let file = File::open(path).map_err(Error::io("open", &place))?;
    let reader = ImageReader::new(BufReader::new(file));
    let reader = reader.with_guessed_format().map_err(Error::io("read", &place))?;
    let image = |expected: String, found: String| Unfit { expected, found }.of(path);
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        let found = "other bytes at its start".to_owned();
        return Err(image("a PNG or JPEG image".to_owned(), found));
    }
    let broken = |source| Error::ImageFile { path: path.to_path_buf(), source: Box::new(source) };
    let mut decoder = reader.into_decoder().map_err(broken)?;
    // Before anything is allocated: a damaged header may claim any size.
    if decoder.total_bytes() > MOST {
        let (width, height) = decoder.dimensions();
        let expected = format!("an image of at most {MOST} bytes, unpacked");
        return Err(image(expected, format!("{height} x {width} pixels")));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut decoded = DynamicImage::from_decoder(decoder).map_err(broken)?;
    decoded.apply_orientation(orientation);
    if decoded.color().bytes_per_pixel() > decoded.color().channel_count() {
        if !to_8_bits {
            let expected = "8 bits for each channel (or ask for 16 bits to become 8)".to_owned();
            return Err(image(expected, "16 bits".to_owned()));
        }
        decoded = match decoded {
            DynamicImage::ImageLuma16(image) => DynamicImage::ImageLuma16(image).to_luma8().into(),
            DynamicImage::ImageLumaA16(image) => {
                DynamicImage::ImageLumaA16(image).to_luma_alpha8().into()
            }
            DynamicImage::ImageRgb16(image) => DynamicImage::ImageRgb16(image).to_rgb8().into(),
            other => other.to_rgba8().into(),
        };
    }
    let [height, width] = [decoded.height(), decoded.width()].map(|n| n as usize);
    let opaque = |pixels: Vec<u8>, channels: usize| {
        let all = pixels.chunks_exact(channels + 1);
        match all.clone().position(|pixel| pixel.last() != Some(&u8::MAX)) {
            None => Ok(all.flat_map(|pixel| pixel.iter().take(channels)).copied().collect()),
            Some(at) => Err(image(
                "opaque pixels (put a transparent image on a background first)".to_owned(),
                format!("a transparent one in line {}, column {}", at / width, at % width),
            )),
        }
    };
    let (channels, pixels) = match decoded {
        DynamicImage::ImageLuma8(image) => (1, image.into_raw()),
        DynamicImage::ImageRgb8(image) => (3, image.into_raw()),
        DynamicImage::ImageLumaA8(image) => (1, opaque(image.into_raw(), 1)?),
        DynamicImage::ImageRgba8(image) => (3, opaque(image.into_raw(), 3)?),
        other => {
            let expected = "grey, or red, green and blue, in 8 bits".to_owned();
            return Err(image(expected, format!("{:?}", other.color())));
        }
    };
    Ok(Picture { shape: [height, width, channels], pixels })
}
