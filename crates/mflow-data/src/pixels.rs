//! What is done to images before a density is fitted to them: noise between the steps of bytes, fewer bits, mirror images.
//!
//! An image is a row of numbers from 0 to 255 in the order height, width, channel (`[H, W, C]`), and images are rows one after the
//! other.

use rand::{Rng, RngExt};

use crate::{Error, Place, Result};

/// The steps of the noise between two bytes. So a sum of both has 24 bits, and single precision holds it exactly.
const STEPS: f64 = 65536.0;

/// Adds noise that is uniform in `[0, 1)` to each value: of bytes come numbers that have a density, which bounds the
/// probability of the bytes from below (Theis, van den Oord & Bethge 2016, arXiv:1511.01844).
///
/// The noise is a multiple of 2^-16, so that of a byte the sum is exact in single precision, and its floor is the byte.
/// Each value takes one draw, in order: rows in pieces get the same noise as all at once.
pub fn dequantise(values: &mut [f64], rng: &mut dyn Rng) {
    for value in values {
        *value += f64::from(rng.random::<u16>()) / STEPS;
    }
}

/// Reduces bytes to `bits` bits: `floor(x / 2^(8 - bits))`, from 0 to `2^bits - 1` (Kingma & Dhariwal 2018,
/// arXiv:1807.03039).
///
/// # Errors
///
/// [`Error::ImageSetting`] for a number of bits that is not from 1 to 8. [`Error::Pixel`] for the first value that is no whole number from 0 to
/// 255, with `D` values in a row; nothing is changed then.
#[expect(clippy::integer_division_remainder_used, reason = "`d` is 1 or more")]
pub fn reduce_bits(values: &mut [f64], d: usize, bits: u32) -> Result<()> {
    if !(1..=8).contains(&bits) {
        let expected = "1 to 8".to_owned();
        return Err(Error::ImageSetting {
            what: "bits of a pixel",
            expected,
            found: bits as usize,
        });
    }
    let d = d.max(1);
    let bytes = bytes(values).map_err(|(at, found)| {
        let (row, value) = (at / d, at % d);
        Error::Pixel { place: Place::Memory, row, value, found }
    })?;
    for (value, byte) in values.iter_mut().zip(bytes) {
        *value = f64::from(byte >> (8 - bits));
    }
    Ok(())
}

/// Replaces each image of the shape `[H, W, C]` by its mirror image, left for right.
///
/// # Errors
///
/// [`Error::PartialRow`] where there are no whole images.
pub fn flip(values: &mut [f64], shape: [usize; 3]) -> Result<()> {
    flip_where(values, shape, || true)
}

/// As [`flip`], but each image is mirrored with probability 1/2: one draw for each.
///
/// # Errors
///
/// As [`flip`].
pub fn flip_some(values: &mut [f64], shape: [usize; 3], rng: &mut dyn Rng) -> Result<()> {
    flip_where(values, shape, || rng.random())
}

fn flip_where(values: &mut [f64], shape: [usize; 3], mut draw: impl FnMut() -> bool) -> Result<()> {
    let [_, width, channels] = shape;
    let cols = shape.iter().fold(1, |all: usize, side| all.saturating_mul(*side));
    if cols == 0 || !values.len().is_multiple_of(cols) {
        return Err(Error::PartialRow { what: "images", cols, found: values.len() });
    }
    for image in values.chunks_exact_mut(cols) {
        if draw() {
            for line in image.chunks_exact_mut(width * channels) {
                // Backwards, which also turns the channels of each pixel round, and those back.
                line.reverse();
                line.chunks_exact_mut(channels).for_each(<[f64]>::reverse);
            }
        }
    }
    Ok(())
}

/// The values as bytes, or the position of the first that is none, with its value.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a byte, as looked at")]
pub(crate) fn bytes(values: &[f64]) -> Result<Vec<u8>, (usize, f64)> {
    let byte = |(at, &value): (usize, &f64)| match value.fract() == 0.0
        && (0.0..=255.0).contains(&value)
    {
        true => Ok(value as u8),
        false => Err((at, value)),
    };
    values.iter().enumerate().map(byte).collect()
}
