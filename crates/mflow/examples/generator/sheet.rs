//! Many images in one picture.
use crate::Result;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Pixels between images.
const GAP: usize = 2;

/// Write images `[H, W, C]` of 1 or 3 channels, row after row, as a PNG file of so many columns.
pub(crate) fn write(
    path: &Path,
    images: &[f64],
    [side, wide, channels]: [usize; 3],
    columns: usize,
) -> Result<()> {
    let color = match channels {
        1 => png::ColorType::Grayscale,
        3 => png::ColorType::Rgb,
        _ => return Ok(()),
    };
    let size = side * wide * channels;
    let count = images.len() / size;
    let columns = columns.min(count).max(1);
    let across = columns * (wide + GAP) + GAP;
    let down = count.div_ceil(columns) * (side + GAP) + GAP;
    let mut pixels = vec![255_u8; across * down * channels];
    for (i, image) in images.chunks_exact(size).enumerate() {
        let (top, left) = (GAP + i / columns * (side + GAP), GAP + i % columns * (wide + GAP));
        for (y, row) in image.chunks_exact(wide * channels).enumerate() {
            let start = ((top + y) * across + left) * channels;
            for (to, value) in pixels[start..].iter_mut().zip(row) {
                *to = byte(*value);
            }
        }
    }
    let file = BufWriter::new(File::create(path)?);
    let mut encoder = png::Encoder::new(file, u32::try_from(across)?, u32::try_from(down)?);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn byte(value: f64) -> u8 {
    value.round() as u8
}
