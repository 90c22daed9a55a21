//! What is done to pixels. Oracles: arithmetic by hand; moments and bounds of the uniform distribution; a flip twice.

use mflow_bijectors::Stream;
use mflow_data::pixels::{dequantise, flip, flip_some, reduce_bits};

use crate::files::assert_error;

fn stream() -> Stream {
    Stream::new(5, "pixels")
}

#[test]
fn noise_is_uniform_below_the_next_byte_and_single_precision_holds_it() {
    let bytes: Vec<f64> = (0..40_000_u32).map(|i| f64::from(i % 256)).collect();
    let mut noisy = bytes.clone();
    dequantise(&mut noisy, &mut stream());
    let noise: Vec<f64> = noisy.iter().zip(&bytes).map(|(a, b)| a - b).collect();
    for (value, byte) in noisy.iter().zip(&bytes) {
        assert_eq!(value.floor(), *byte, "the byte is there");
        #[expect(clippy::cast_possible_truncation, reason = "which must change nothing")]
        let single = *value as f32;
        assert_eq!(f64::from(single), *value, "exact");
    }
    let n = noise.len() as f64;
    let mean = noise.iter().sum::<f64>() / n;
    let variance = noise.iter().map(|u| (u - mean).powi(2)).sum::<f64>() / n;
    assert!((mean - 0.5).abs() < 4. * (1. / 12_f64 / n).sqrt(), "{mean}");
    // The variance of a squared uniform number about its mean is 1/180.
    assert!((variance - 1. / 12.).abs() < 4. * (1. / 180_f64 / n).sqrt(), "{variance}");
    // In pieces as at once, and as the stream says.
    let (mut pieces, rng) = (bytes.clone(), &mut stream());
    pieces.chunks_mut(777).for_each(|piece| dequantise(piece, rng));
    assert_eq!(pieces, noisy);
    dequantise(&mut pieces, &mut Stream::new(6, "pixels"));
    assert_ne!(pieces, noisy);
}

#[test]
fn fewer_bits_are_whole_steps() {
    let all: Vec<f64> = (0..256).map(f64::from).collect();
    for bits in 1..=8 {
        let mut reduced = all.clone();
        reduce_bits(&mut reduced, 1, bits).unwrap();
        let step = 2_f64.powi(8 - i32::try_from(bits).unwrap());
        for (value, x) in reduced.iter().zip(&all) {
            assert_eq!(*value, (x / step).floor(), "{x} in {bits} bits");
        }
    }
    assert_error(reduce_bits(&mut [1.], 1, 0), &["bits", "1 to 8", "found 0"]);
    assert_error(reduce_bits(&mut [1.], 1, 9), &["bits", "found 9"]);
    for bad in [0.5, -1., 256., f64::NAN] {
        let mut values = [255., 1., 2., bad];
        assert_error(
            reduce_bits(&mut values, 2, 5),
            &["row 1", "value 1", &format!("found {bad}")],
        );
        assert_eq!(values[..3], [255., 1., 2.], "nothing is changed");
    }
}

#[test]
fn a_flip_exchanges_left_and_right_and_keeps_channels() {
    // Two images of 2 lines, 3 columns and 2 channels: number 100 i + 10 y + x, and half more in the second channel.
    let at = |i: u32, y: u32, x: u32| f64::from(100 * i + 10 * y + x);
    let image = |mirrored: bool| -> Vec<f64> {
        let mut all = Vec::new();
        for i in 0..2 {
            for y in 0..2 {
                for x in 0..3 {
                    let x = if mirrored { 2 - x } else { x };
                    all.extend([at(i, y, x), at(i, y, x) + 0.5]);
                }
            }
        }
        all
    };
    let mut x = image(false);
    flip(&mut x, [2, 3, 2]).unwrap();
    assert_eq!(x, image(true));
    flip(&mut x, [2, 3, 2]).unwrap();
    assert_eq!(x, image(false), "twice is nothing");
    assert_error(flip(&mut x, [2, 3, 5]), &["images", "rows of 30", "found 24"]);
    assert_error(flip(&mut x, [2, 0, 2]), &["images"]);
}

#[test]
fn half_of_the_images_are_flipped_by_chance() {
    const ROWS: usize = 10_000;
    let mut x = [1., 2.].repeat(ROWS);
    flip_some(&mut x, [1, 2, 1], &mut stream()).unwrap();
    let flipped = x.chunks(2).filter(|row| **row == [2., 1.]).count();
    let kept = x.chunks(2).filter(|row| **row == [1., 2.]).count();
    assert_eq!(flipped + kept, ROWS, "whole images");
    assert!(flipped.abs_diff(ROWS / 2) < 200, "four standard deviations: {flipped}");
    let mut again = [1., 2.].repeat(ROWS);
    flip_some(&mut again, [1, 2, 1], &mut stream()).unwrap();
    assert_eq!(x, again, "the stream decides");
}
