//! Noise in proportion to the data. Oracle: moments of the difference to the rows without it.

use mflow_bijectors::Stream;
use mflow_data::{Simulator, add_noise, simulator_by_name};

use crate::files::assert_error;

fn rows(name: &str, n: usize) -> (usize, Vec<f64>) {
    let simulator: Box<dyn Simulator> = simulator_by_name(name).unwrap();
    (simulator.data_dim(), simulator.sample(n, &[], &mut Stream::new(1, "data")).unwrap())
}

/// The root of the summed variances, by sums of squares.
fn spread(x: &[f64], d: usize) -> f64 {
    let n = (x.len() / d) as f64;
    let variance = |j: usize| {
        let column = || x.iter().skip(j).step_by(d);
        column().map(|v| v * v).sum::<f64>() / n - (column().sum::<f64>() / n).powi(2)
    };
    (0..d).map(variance).sum::<f64>().sqrt()
}

#[test]
fn all_of_it_is_in_proportion_to_the_spread() {
    let n = 20_000;
    for (name, relative) in [("s-curve", 0.05), ("arcs", 1.5), ("linear-subspace", 0.2)] {
        let (d, x) = rows(name, n);
        let mut noisy = x.clone();
        let stream = &mut Stream::new(1, "noise");
        let deviation = add_noise(&mut noisy, d, relative, stream).unwrap();
        let expected = relative * spread(&x, d);
        let said = (d as f64).sqrt() * deviation;
        assert!((said / expected - 1.0).abs() < 1e-9, "{name}: {said}, expected {expected}");
        let noise: Vec<f64> = noisy.iter().zip(&x).map(|(a, b)| a - b).collect();
        let found = spread(&noise, d);
        // The relative deviation of a root of a sum of n D squares.
        let error = (0.5 / (n * d) as f64).sqrt();
        assert!((found / expected - 1.0).abs() < 4.0 * error, "{name}: {found}, not {expected}");
        for j in 0..d {
            let column: Vec<f64> = noise.iter().skip(j).step_by(d).copied().collect();
            let ratio = spread(&column, 1) / deviation;
            let error = (0.5 / n as f64).sqrt();
            assert!((ratio - 1.0).abs() < 4.5 * error, "{name}, feature {j}: {ratio}");
            let mean = column.iter().sum::<f64>() / n as f64;
            assert!(mean.abs() < 4.5 * deviation / (n as f64).sqrt(), "{name}: mean {mean}");
        }
    }
}

#[test]
fn none_changes_nothing_and_the_stream_decides() {
    let (d, x) = rows("helix", 50);
    let noisy = |relative: f64, seed: u64| {
        let mut x = x.clone();
        add_noise(&mut x, d, relative, &mut Stream::new(seed, "noise")).unwrap();
        x.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
    };
    let bits: Vec<u64> = x.iter().map(|x| x.to_bits()).collect();
    assert_eq!(noisy(0.0, 1), bits, "no noise");
    assert_eq!(noisy(0.1, 1), noisy(0.1, 1), "the same seed");
    assert_ne!(noisy(0.1, 1), noisy(0.1, 2), "another seed");
}

#[test]
fn what_is_no_noise_is_refused() {
    let noise = |x: &[f64], d: usize, relative: f64| {
        add_noise(&mut x.to_vec(), d, relative, &mut Stream::new(1, "noise"))
    };
    let x = [0.0, 1.0, 2.0, 3.0];
    assert_error(noise(&x, 2, -0.1), &["noise", "0 or more", "found -0.1"]);
    assert_error(noise(&x, 2, f64::NAN), &["noise", "found NaN"]);
    assert_error(noise(&x, 2, f64::INFINITY), &["noise", "found inf"]);
    assert_error(noise(&x, 3, 0.1), &["rows of 3", "found 4"]);
    assert_error(noise(&x, 0, 0.1), &["rows of 0"]);
    assert_error(noise(&[0.0, f64::NAN], 1, 0.1), &["row 1", "NaN"]);
    assert_error(noise(&[0.1; 3], 1, 0.1), &["rows that differ", "found 3"]);
    assert_error(noise(&[], 2, 0.1), &["rows that differ", "found 0"]);
    assert_eq!(noise(&[0.1; 3], 1, 0.0).unwrap(), 0.0, "no noise needs no spread");
}
