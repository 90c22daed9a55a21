//! Pictures of images: many in one, and one after the other.
use crate::{Error, Result};

/// Pixels between images.
const GAP: usize = 2;
/// What small images are enlarged to, at least, in pixels of a side.
const SIDE: usize = 48;
/// Hundredths of a second between two images of an animation.
const DELAY: u16 = 8;
/// How carefully colours of an animation are chosen, 1 to 30; 1 is the best and slowest.
const SPEED: i32 = 10;

/// Images as rows of numbers from 0, black, to 255, white, `[H, W, C]` each, of 1 or 3 channels.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    values: &'a [f64],
    shape: [usize; 3],
}

impl<'a> Images<'a> {
    /// Rows of this shape.
    ///
    /// # Errors
    /// [`Error::Features`] if the shape is none of grey or coloured images; [`Error::Rows`] if the numbers are no whole
    /// number of them.
    pub fn new(values: &'a [f64], shape: [usize; 3]) -> Result<Self> {
        let cols = shape.iter().try_fold(1_usize, |n, side| n.checked_mul(*side)).unwrap_or(0);
        if !matches!(shape[2], 1 | 3) || cols == 0 {
            let expected = "images of 1 or 3 channels, with pixels".to_owned();
            return Err(Error::Features { expected, found: format!("{shape:?}") });
        }
        if !values.len().is_multiple_of(cols) {
            return Err(Error::Rows { cols, found: values.len() });
        }
        Ok(Self { values, shape })
    }

    /// How often each pixel is repeated in both directions, so that one sees something.
    fn factor(self) -> usize {
        SIDE.div_ceil(self.shape[0].min(self.shape[1]))
    }

    /// Images as red, green and blue, enlarged: `[H, W, 3]` bytes each, with the sides.
    #[expect(
        clippy::indexing_slicing,
        clippy::integer_division_remainder_used,
        reason = "pixels of the shape that `new` has compared with the values, which has sides of 1 or more"
    )]
    fn enlarged(self) -> (Vec<Vec<u8>>, [usize; 2]) {
        let ([h, w, c], factor) = (self.shape, self.factor());
        let enlarge = |image: &[f64]| {
            let mut out = Vec::with_capacity(3 * h * w * factor * factor);
            for row in 0..h * factor {
                for column in 0..w * factor {
                    let pixel = ((row / factor) * w + column / factor) * c;
                    let channel = |k: usize| byte(image[pixel + if c == 3 { k } else { 0 }]);
                    out.extend([channel(0), channel(1), channel(2)]);
                }
            }
            out
        };
        let all = self.values.chunks_exact(h * w * c).map(enlarge).collect();
        (all, [h * factor, w * factor])
    }
}

/// Pixels of a picture, at most.
const MOST_PIXELS: usize = 1 << 28;

/// The nearest byte; it saturates.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn byte(value: f64) -> u8 {
    value.round() as u8
}

/// Images row after row, so many side by side, as the bytes of a PNG file. Small ones are enlarged.
///
/// # Errors
/// If there is no image, or the picture is too large for the format.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "a place for each image, in columns of which there is one or more"
)]
pub fn sheet_of_images(images: Images<'_>, columns: usize) -> Result<Vec<u8>> {
    let (all, [h, w]) = images.enlarged();
    if all.is_empty() || columns == 0 {
        return Err(Error::TooFew { expected: 1, found: 0 });
    }
    let sides = |count: usize, of: usize| count.saturating_mul(of + GAP).saturating_add(GAP);
    let (across, down) = (sides(columns, w), sides(all.len().div_ceil(columns), h));
    let (wide, high) = (side(across)?, side(down)?);
    let size = across.checked_mul(down).filter(|pixels| *pixels <= MOST_PIXELS);
    let Some(size) = size else {
        return Err(encoding(&format!("{across} x {down} pixels are more than {MOST_PIXELS}")));
    };
    let mut pixels = vec![255_u8; 3 * size];
    for (i, image) in all.iter().enumerate() {
        let (top, left) = (GAP + i / columns * (h + GAP), GAP + i % columns * (w + GAP));
        for (y, row) in image.chunks_exact(3 * w).enumerate() {
            let start = 3 * ((top + y) * across + left);
            pixels[start..start + 3 * w].copy_from_slice(row);
        }
    }
    let mut file = vec![];
    let mut encoder = png::Encoder::new(&mut file, wide, high);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut file| file.write_image_data(&pixels));
    written.map_err(|e| encoding(&e))?;
    Ok(file)
}

/// Images one after the other as the bytes of a GIF file that starts again at its end. Small ones are enlarged.
///
/// # Errors
/// If there is no image, or one is too large for the format.
pub fn animation_of_images(images: Images<'_>) -> Result<Vec<u8>> {
    let (all, [h, w]) = images.enlarged();
    if all.is_empty() {
        return Err(Error::TooFew { expected: 1, found: 0 });
    }
    let (w, h) = (side(w)?, side(h)?);
    let fail = |e: gif::EncodingError| encoding(&e);
    let mut file = vec![];
    {
        let mut encoder = gif::Encoder::new(&mut file, w, h, &[]).map_err(fail)?;
        encoder.set_repeat(gif::Repeat::Infinite).map_err(fail)?;
        for image in &all {
            let mut frame = gif::Frame::from_rgb_speed(w, h, image, SPEED);
            frame.delay = DELAY;
            encoder.write_frame(&frame).map_err(fail)?;
        }
    }
    Ok(file)
}

/// Pixels of a side, as a format counts them.
fn side<T: TryFrom<usize>>(pixels: usize) -> Result<T> {
    T::try_from(pixels)
        .map_err(|_| encoding(&format!("a side of {pixels} pixels is more than the format allows")))
}

fn encoding(reason: &dyn std::fmt::Display) -> Error {
    Error::Picture { reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    //! Oracles: decoders of the formats.
    use super::*;

    /// A grey image of two pixels of a side, three of them, dark to bright.
    fn three() -> Vec<f64> {
        [0., 50., 100., 150.].into_iter().cycle().take(12).collect()
    }

    #[test]
    fn a_sheet_has_each_pixel_at_its_place() {
        let values = three();
        let file = sheet_of_images(Images::new(&values, [2, 2, 1]).unwrap(), 2).unwrap();
        let decoder = png::Decoder::new(std::io::Cursor::new(file));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        // Two columns and two rows of images of 48 pixels, and gaps around them.
        assert_eq!((info.width, info.height), (2 * 50 + 2, 2 * 50 + 2));
        let at = |x: usize, y: usize| pixels[3 * (y * 102 + x)..][..3].to_vec();
        assert_eq!(at(0, 0), [255; 3], "a gap");
        for (x, y, expected) in [(2, 2, 0), (26, 2, 50), (2, 26, 100), (49, 49, 150), (52, 2, 0)] {
            assert_eq!(at(x, y), [expected; 3], "{x}, {y}");
        }
        assert_eq!(at(52, 52), [255; 3], "there is no fourth image");
    }

    #[test]
    fn an_animation_has_a_frame_for_each_image() {
        let values: Vec<f64> = (0..3).flat_map(|k| [f64::from(k) * 100.; 12]).collect();
        let file = animation_of_images(Images::new(&values, [2, 2, 3]).unwrap()).unwrap();
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(file.as_slice()).unwrap();
        let mut first = vec![];
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            assert_eq!((frame.width, frame.height), (48, 48));
            first.push(frame.buffer[0]);
        }
        assert_eq!(first, [0, 100, 200]);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let error = |values: &[f64], shape| Images::new(values, shape).unwrap_err().to_string();
        assert!(error(&[0.; 8], [2, 2, 2]).contains("1 or 3 channels"));
        assert!(error(&[0.; 7], [2, 2, 1]).contains("rows of 4 values, found 7"));
        let none = Images::new(&[], [2, 2, 1]).unwrap();
        assert!(sheet_of_images(none, 2).is_err() && animation_of_images(none).is_err());
        let long = vec![0.; 2 * 70_000];
        let error = animation_of_images(Images::new(&long, [70_000, 2, 1]).unwrap()).unwrap_err();
        assert!(error.to_string().contains("pixels is more than"), "{error}");
    }
}
