//! Distances of samples. Oracles: scipy's root of a matrix and scikit-learn's kernels and neighbours
//! (`xtask/fixtures/images.py` made the fixture), closed forms of normal distributions, rotations and shifts, repeats.

use mflow_bijectors::Stream;
use mflow_eval::features::RawFeatures;
use mflow_eval::metrics::{ImageDistances, image_samples};
use mflow_eval::statistics::{
    Coverage, Sample, coverage, frechet_distance, frechet_with_error, kernel_distance,
};
use serde_json::Value;
use std::time::Instant;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../image_fixtures/distances.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[track_caller]
fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    let off = (found - expected).abs();
    assert!(off <= tolerance * expected.abs().max(1e-3), "{what}: {found}, expected {expected}");
}

fn sample(values: &[f64], columns: usize) -> Sample<'_> {
    Sample::new(values, columns).unwrap()
}

/// Normal numbers with these deviations of columns around a mean.
fn normal(rows: usize, deviations: &[f64], mean: f64, stream: &mut Stream) -> Vec<f64> {
    let drawn = stream.normal(rows * deviations.len());
    drawn.iter().zip(deviations.iter().cycle()).map(|(v, s)| mean + s * v).collect()
}

#[test]
fn distances_are_those_of_scipy_and_scikit_learn() {
    for (name, of) in fixture().as_object().unwrap() {
        let columns = usize::try_from(of["columns"].as_u64().unwrap()).unwrap();
        let (x, y) = (numbers(&of["x"]), numbers(&of["y"]));
        let (x, y) = (sample(&x, columns), sample(&y, columns));
        // The root of a singular matrix costs scipy half of the digits.
        let tolerance = if name == "fewer_rows" { 1e-6 } else { 1e-9 };
        let expected = of["frechet"].as_f64().unwrap();
        close(name, frechet_distance(x, y).unwrap(), expected, tolerance);
        let found = kernel_distance(x, y, 1).unwrap();
        // Far away, kernels are 1e6 times their difference.
        close(name, found.value, of["kid"].as_f64().unwrap(), 1e-9);
        assert_eq!((found.standard_error, found.count), (None, 1));
        let Coverage { precision, recall, density, coverage } = coverage(x, y, 3).unwrap();
        let of = &of["neighbours_3"];
        for (what, found) in [
            ("precision", precision),
            ("recall", recall),
            ("density", density),
            ("coverage", coverage),
        ] {
            close(&format!("{name}, {what}"), found.value, of[what].as_f64().unwrap(), 1e-12);
        }
    }
}

#[test]
fn one_column_and_hand_made_rows_have_the_closed_form() {
    // Means 1 and 4, deviations 1 and 3 by the divisor n - 1.
    let found = frechet_distance(sample(&[0., 1., 2.], 1), sample(&[1., 4., 7.], 1)).unwrap();
    close("one column", found, 9. + 4., 1e-14);
    // Spread along one axis each: the roots do not meet.
    let found = frechet_distance(sample(&[-1., 0., 1., 0.], 2), sample(&[0., -1., 0., 1.], 2));
    close("crossed", found.unwrap(), 4., 1e-14);
    let points = [0., 0., 0., 1., 1., 0., 5., 5.];
    let half = coverage(sample(&points, 2), sample(&points[..4], 2), 1).unwrap();
    assert_eq!((half.precision.value, half.recall.value), (1., 0.75), "the row at 5, 5 is missed");
    // 0, 0 is in the balls of 0, 0 and 0, 1 and 1, 0, and so on; that at 5, 5 reaches to 1, 0 and 0, 1.
    assert_eq!((half.density.value, half.coverage.value), (3., 1.));
}

#[test]
fn columns_that_commute_have_the_closed_form() {
    let (a, b) = ([1., 2., 0.5], [1.5, 1., 0.]);
    let mut stream = Stream::new(1, "commuting");
    let (x, y) = (normal(40_000, &a, 0., &mut stream), normal(40_000, &b, 0.5, &mut stream));
    let found = frechet_with_error(sample(&x, 3), sample(&y, 3), 20).unwrap();
    let expected = 3. * 0.25 + 0.25 + 1. + 0.25;
    let error = found.distance.standard_error.unwrap();
    assert!(error < 0.02 * expected, "{found:?}");
    assert!((found.distance.value - expected).abs() < 4. * error, "{found:?}, {expected}");
}

#[test]
fn a_sample_is_at_no_distance_from_itself_nor_from_its_double() {
    for (rows, columns) in [(50, 3), (20, 60)] {
        let x = Stream::new(2, "self").normal(rows * columns);
        let itself = frechet_distance(sample(&x, columns), sample(&x, columns)).unwrap();
        assert!((0. ..1e-12).contains(&itself), "{rows} x {columns}: {itself}");
    }
    // A deviation that is constant leaves a singular covariance.
    let x: Vec<f64> = Stream::new(2, "flat").normal(40).iter().flat_map(|v| [*v, 7.]).collect();
    let found = frechet_distance(sample(&x, 2), sample(&x, 2)).unwrap();
    assert!(found < 1e-12, "{found}");
}

#[test]
fn rotations_and_shifts_of_both_change_nothing() {
    for (rows, columns) in [(40, 5), (12, 30)] {
        let mut stream = Stream::new(3, "turned");
        let (x, y) = (stream.normal(rows * columns), stream.normal(rows * columns));
        let (axis, shift) = (stream.normal(columns), stream.normal(columns));
        let square: f64 = axis.iter().map(|v| v * v).sum();
        let turned = |values: &[f64]| -> Vec<f64> {
            let reflected = values.chunks(columns).flat_map(|row| {
                let along = row.iter().zip(&axis).map(|(a, b)| a * b).sum::<f64>() / square;
                row.iter().zip(&axis).map(move |(v, a)| v - 2. * along * a).collect::<Vec<_>>()
            });
            reflected.zip(shift.iter().cycle()).map(|(v, s)| v + 100. * s).collect()
        };
        let distance = |x: &[f64], y: &[f64]| {
            frechet_distance(sample(x, columns), sample(y, columns)).unwrap()
        };
        let found = distance(&turned(&x), &turned(&y));
        close("turned", found, distance(&x, &y), 1e-10);
        close("exchanged", distance(&y, &x), distance(&x, &y), 1e-12);
        let scaled = |values: &[f64]| values.iter().map(|v| 1e-3 * v).collect::<Vec<f64>>();
        close("scaled", distance(&scaled(&x), &scaled(&y)) * 1e6, distance(&x, &y), 1e-11);
    }
}

#[test]
fn errors_are_the_spread_of_repeats_and_extrapolation_takes_the_bias() {
    let mut stream = Stream::new(4, "repeats");
    let (a, b) = ([1., 1., 1., 0.5], [1., 1.3, 0.7, 0.5]);
    let expected = 4. * 0.01 + 2. * 0.09;
    let repeats = 200;
    let all: Vec<_> = (0..repeats)
        .map(|_| {
            let (x, y) = (normal(100, &a, 0., &mut stream), normal(100, &b, 0.1, &mut stream));
            frechet_with_error(sample(&x, 4), sample(&y, 4), 10).unwrap()
        })
        .collect();
    let mean = |of: &dyn Fn(usize) -> f64| (0..repeats).map(of).sum::<f64>() / repeats as f64;
    let value = mean(&|i| all[i].distance.value);
    let spread = mean(&|i| (all[i].distance.value - value).powi(2)).sqrt();
    let error = mean(&|i| all[i].distance.standard_error.unwrap());
    assert!((0.8..1.5).contains(&(error / spread)), "{error} of {spread}");
    let extrapolated = mean(&|i| all[i].extrapolated.value);
    let bias = value - expected;
    assert!(bias > 0.02, "{value} of {expected}");
    assert!((extrapolated - expected).abs() < 0.4 * bias, "{extrapolated}, {value} of {expected}");
}

#[test]
fn equal_distributions_have_no_kernel_distance_and_others_do() {
    let mut stream = Stream::new(5, "kernel");
    let ones = [1.; 8];
    let (x, y) = (normal(2000, &ones, 0., &mut stream), normal(1600, &ones, 0., &mut stream));
    let equal = kernel_distance(sample(&x, 8), sample(&y, 8), 20).unwrap();
    let error = equal.standard_error.unwrap();
    assert_eq!(equal.count, 20);
    assert!(equal.value.abs() < 3. * error, "{equal}");
    let y = normal(1600, &ones, 0.3, &mut stream);
    let other = kernel_distance(sample(&x, 8), sample(&y, 8), 20).unwrap();
    assert!(other.value > 10. * error, "{other}");
    // E of (x·y/D + 1)³ over normal numbers around m and n: by s = m·n, and the moments of x·y/D.
    let closed = |product: f64, squares: f64| {
        // Mean, variance and third cumulant of x·y: D m n, D (1 + m² + n²), 6 D m n.
        let (mean, variance) = (product + 1., (1. + squares) / 8.);
        mean.powi(3) + 3. * mean * variance + 6. * product / 64.
    };
    let expected = closed(0., 0.) + closed(0.09, 0.18) - 2. * closed(0., 0.09);
    assert!((other.value - expected).abs() < 4. * other.standard_error.unwrap(), "{other}");
}

#[test]
fn samples_of_one_distribution_lie_within_each_other() {
    let mut stream = Stream::new(6, "balls");
    let (x, y) = (stream.normal(2 * 800), stream.normal(2 * 800));
    let found = coverage(sample(&x, 2), sample(&y, 2), 5).unwrap();
    assert!(found.precision.value > 0.9 && found.recall.value > 0.9, "{found:?}");
    let off = (found.density.value - 1.).abs();
    assert!(off < 5. * found.density.standard_error.unwrap(), "{found:?}");
    let off = (found.coverage.value - (1. - 0.5_f64.powi(5))).abs();
    assert!(off < 4. * found.coverage.standard_error.unwrap(), "{found:?}");
    // A narrow sample is like the data and does not cover them; a wide one the other way round.
    let narrow: Vec<f64> = y.iter().map(|v| 0.3 * v).collect();
    let found = coverage(sample(&x, 2), sample(&narrow, 2), 5).unwrap();
    assert!(found.precision.value > 0.95 && found.recall.value < 0.6, "{found:?}");
    let found = coverage(sample(&narrow, 2), sample(&x, 2), 5).unwrap();
    assert!(found.precision.value < 0.6 && found.recall.value > 0.95, "{found:?}");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let (x, y) = ([0., 1., 2., 3.], [0., 1., 2., 3., 4., 5.]);
    let message = |found: mflow_eval::Result<f64>| found.unwrap_err().to_string();
    let error = message(frechet_distance(sample(&x, 2), sample(&y, 3)));
    assert!(error.contains("2, found 3"), "{error}");
    let error = message(frechet_distance(sample(&x, 4), sample(&x, 4)));
    assert!(error.contains("at least 2 rows, found 1"), "{error}");
    let error = message(frechet_distance(sample(&x, 1), sample(&[1e200, 0.], 1)));
    assert!(error.contains("1e150"), "{error}");
    let value = |found: mflow_eval::Result<mflow_eval::statistics::FrechetDistance>| {
        found.map(|found| found.distance.value)
    };
    let error = message(value(frechet_with_error(sample(&x, 1), sample(&x, 1), 1)));
    assert!(error.contains("at least 2, found 1"), "{error}");
    let error = message(value(frechet_with_error(sample(&x, 1), sample(&x, 1), 3)));
    assert!(error.contains("at least 6 rows, found 4"), "{error}");
    let kernel = |x, y, blocks| kernel_distance(x, y, blocks).map(|found| found.value);
    assert!(message(kernel(sample(&x, 1), sample(&x, 1), 0)).contains("at least 1"), "no blocks");
    let error = message(kernel(sample(&x, 1), sample(&[1e300, 1e300], 1), 1));
    assert!(error.contains("1e40"), "{error}");
    let error = coverage(sample(&x, 1), sample(&x, 1), 4).unwrap_err().to_string();
    assert!(error.contains("at least 5 rows, found 4"), "{error}");
    assert!(coverage(sample(&x, 1), sample(&x, 1), 0).is_err(), "no neighbours");
}

#[test]
fn a_sample_of_the_truth_is_at_the_floor_and_another_is_above() {
    let mut stream = Stream::new(8, "floor");
    let ones = [1.; 6];
    let mut draw = |rows, mean| normal(rows, &ones, mean, &mut stream);
    let (train, test, good, bad) = (draw(500, 0.), draw(300, 0.), draw(400, 0.), draw(400, 0.5));
    let features = RawFeatures { pixels: 6 };
    let compare = |drawn: &[f64]| {
        image_samples(&features, sample(drawn, 6), sample(&train, 6), sample(&test, 6)).unwrap()
    };
    let (good, bad) = (compare(&good), compare(&bad));
    assert_eq!((good.features.as_str(), good.rows), ("raw", 300));
    assert_eq!(good.floor, bad.floor, "the floor does not depend on the model");
    let ImageDistances { frechet, kernel, .. } = good.floor;
    let error = frechet.distance.standard_error.unwrap();
    let off = good.generated.frechet.distance.value - frechet.distance.value;
    assert!(off.abs() < 4. * error, "{good:?}");
    assert!(bad.generated.frechet.distance.value > frechet.distance.value + 10. * error, "{bad:?}");
    let error = kernel.standard_error.unwrap();
    assert!(bad.generated.kernel.value > kernel.value + 10. * error, "{bad:?}");
    assert!(bad.generated.coverage.coverage.value < good.floor.coverage.coverage.value, "{bad:?}");
    // Whatever is compared, the rows of the truth are as many.
    let few = sample(&test[..6 * 19], 6);
    let error = image_samples(&features, few, few, few).unwrap_err().to_string();
    assert!(error.contains("at least 20 rows, found 19"), "{error}");
}

/// Seconds for numbers of rows and columns that images have; to look at, with `--ignored --no-capture`.
#[test]
#[ignore = "a minute; prints times"]
fn times() {
    for (rows, columns) in [(1000, 1280), (2000, 1280), (1000, 12288), (5000, 1280)] {
        let mut stream = Stream::new(7, "times");
        let (x, y) = (stream.normal(rows * columns), stream.normal(rows * columns));
        let (x, y) = (sample(&x, columns), sample(&y, columns));
        let time = |what: &str, run: &dyn Fn() -> f64| {
            let start = Instant::now();
            let found = run();
            println!("{what} {rows} x {columns}: {found:.4}, {:.2?}", start.elapsed());
        };
        time("Fréchet", &|| frechet_distance(x, y).unwrap());
        if rows == 1000 {
            time("Fréchet, 10 blocks", &|| frechet_with_error(x, y, 10).unwrap().distance.value);
        }
        time("kernel, 10 blocks", &|| kernel_distance(x, y, 10).unwrap().value);
        time("coverage", &|| coverage(x, y, 5).unwrap().precision.value);
    }
}
