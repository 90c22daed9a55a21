//! Statistics of samples against scipy, scikit-learn, arviz and scikit-dimension:
//! `xtask/fixtures/samples.py` made the fixture.

use mflow_bijectors::Stream;
use mflow_eval::mcmc::{effective_sample_size, r_hat};
use mflow_eval::statistics::{
    Calibration, Sample, auc, c2st, central_coverage, kde_log_prob, levina_bickel, linear_time_mmd,
    local_pca, median_distance, rank, roc_curve, scott, squared_mmd, two_nn,
};
use serde_json::Value;

fn fixture(part: &str) -> Value {
    let text = include_str!("../fixtures/statistics.json");
    serde_json::from_str::<Value>(text).unwrap()[part].clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn close(what: &str, found: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    let off = (found - expected).abs();
    assert!(off <= tolerance * expected.abs().max(1e-3), "{what}: {found}, expected {expected}");
}

#[test]
fn two_samples_are_compared_as_by_scikit_learn() {
    let of = fixture("two_samples");
    let (x, y) = (numbers(&of["x"]), numbers(&of["y"]));
    let (x, y) = (Sample::new(&x, 3).unwrap(), Sample::new(&y, 3).unwrap());
    let scale = median_distance(x).unwrap();
    close("median distance", scale, &of["median_distance"], 1e-12);
    close("squared MMD", squared_mmd(x, y, scale).unwrap(), &of["squared_mmd"], 1e-10);
    close("C2ST", c2st(x, y, 5).unwrap().accuracy, &of["c2st_5"], 1e-12);
}

#[test]
fn the_deviation_of_a_two_sample_test_is_that_of_many() {
    let (n, repeats) = (100, 300);
    let mut stream = Stream::new(5, "samples");
    let (mut square, mut deviation) = (0., 0.);
    for _ in 0..repeats {
        let (x, y) = (stream.normal(2 * n), stream.normal(2 * n));
        let test = c2st(Sample::new(&x, 2).unwrap(), Sample::new(&y, 2).unwrap(), 5).unwrap();
        square += (test.accuracy - 0.5).powi(2) / f64::from(repeats);
        deviation += test.deviation / f64::from(repeats);
    }
    let ratio = deviation / square.sqrt();
    // 300 repeats tell it to 4 %.
    assert!((ratio - 1.).abs() < 0.15, "{ratio} times the deviation that was found");
    let independent = 0.5 / (2. * n as f64).sqrt();
    assert!(deviation > 1.2 * independent, "neighbours are shared: {deviation}, {independent}");
}

#[test]
fn ranking_is_that_of_scikit_learn_and_ties_count_half() {
    let of = fixture("two_samples");
    let (positive, negative) = (numbers(&of["positive"]), numbers(&of["negative"]));
    close("AUC", auc(&positive, &negative).unwrap(), &of["auc"], 1e-12);
    assert_eq!(auc(&[1., 1.], &[1., 1., 1.]).unwrap(), 0.5);
    assert_eq!(auc(&[f64::INFINITY], &[0., f64::NEG_INFINITY]).unwrap(), 1.);
    let curve = roc_curve(&[3., 1.], &[2., 1.]).unwrap();
    assert_eq!(curve, [(0., 0.), (0., 0.5), (0.5, 0.5), (1., 1.)]);
    assert!(auc(&[], &[1.]).is_err() && auc(&[f64::NAN], &[1.]).is_err());
}

#[test]
fn kernel_densities_are_those_of_scipy() {
    let of = fixture("two_samples");
    let (x, y) = (numbers(&of["white"]), numbers(&of["y"]));
    let (x, y) = (Sample::new(&x, 3).unwrap(), Sample::new(&y, 3).unwrap());
    let found = kde_log_prob(x, y, 0.4).unwrap();
    for (found, expected) in found.iter().zip(of["kde_0.4_at_y"].as_array().unwrap()) {
        close("log density", *found, expected, 1e-9);
    }
    assert!(kde_log_prob(x, y, 0.).is_err(), "no width");
}

#[test]
fn bandwidths_are_those_of_scott() {
    // Deviations of sqrt(2) and 2 sqrt(2) by the divisor n - 1, and n^(-1/6).
    let values = [0., 0., 2., 4.];
    let found = scott(Sample::new(&values, 2).unwrap()).unwrap();
    let expected = 1.5 * 2_f64.sqrt() * 2_f64.powf(-1. / 6.);
    assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
    assert!(scott(Sample::new(&[1., 1.], 1).unwrap()).is_err(), "no spread");
    assert!(scott(Sample::new(&[1.], 1).unwrap()).is_err(), "one row");
}

#[test]
fn the_linear_time_estimate_is_unbiased() {
    // Of 2,000 pairs of the two samples, each rotated by one row, the mean is that of all pairs.
    let of = fixture("two_samples");
    let (x, y) = (numbers(&of["x"]), numbers(&of["y"]));
    let (x, y) = (&x[..44 * 3], &y[..44 * 3]);
    fn sample(values: &[f64]) -> Sample<'_> {
        Sample::new(values, 3).unwrap()
    }
    let expected = squared_mmd(sample(x), sample(y), 1.5).unwrap();
    let mut stream = Stream::new(1, "permutations");
    let mut shuffled = |values: &[f64]| -> Vec<f64> {
        use rand::seq::SliceRandom;
        let mut rows: Vec<&[f64]> = values.chunks(3).collect();
        rows.shuffle(&mut stream);
        rows.concat()
    };
    let n = 4000;
    let all: Vec<f64> = (0..n)
        .map(|_| linear_time_mmd(sample(&shuffled(x)), sample(&shuffled(y)), 1.5).unwrap())
        .collect();
    let mean = all.iter().sum::<f64>() / f64::from(n);
    let variance = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n);
    let error = (variance / f64::from(n)).sqrt();
    assert!((mean - expected).abs() < 4. * error, "{mean} +- {error}, expected {expected}");
    assert!(error < 0.1 * expected, "sharp enough to tell");
}

#[test]
fn chains_are_judged_as_by_arviz() {
    for (i, of) in fixture("chains").as_array().unwrap().iter().enumerate() {
        let chains: Vec<Vec<f64>> = of["draws"].as_array().unwrap().iter().map(numbers).collect();
        let chains: Vec<&[f64]> = chains.iter().map(Vec::as_slice).collect();
        close(&format!("R-hat {i}"), r_hat(&chains).unwrap(), &of["r_hat"], 1e-9);
        let size = effective_sample_size(&chains).unwrap();
        close(&format!("effective size {i}"), size, &of["effective_sample_size"], 1e-8);
    }
    let error = r_hat(&[&[0.; 4], &[0.; 5]]).unwrap_err().to_string();
    assert!(error.contains("2 of [4, 5]"), "{error}");
}

#[test]
fn dimensions_are_estimated_as_by_scikit_dimension() {
    let of = fixture("dimensions");
    let x = numbers(&of["x"]);
    let x = Sample::new(&x, 5).unwrap();
    let k = usize::try_from(of["k"].as_u64().unwrap()).unwrap();
    close("TwoNN", two_nn(x).unwrap(), &of["two_nn"], 1e-9);
    // That package counts ranks from 0, which is of no weight for many rows.
    close("TwoNN", two_nn(x).unwrap(), &of["two_nn_skdim"], 0.05);
    close("Levina and Bickel", levina_bickel(x, k).unwrap(), &of["levina_bickel"], 1e-9);
    close("local PCA", local_pca(x, k).unwrap(), &of["local_pca"], 1e-9);
    let equal = [[0.; 5], [0.; 5]].concat().repeat(10);
    let error = two_nn(Sample::new(&equal, 5).unwrap()).unwrap_err().to_string();
    assert!(error.contains("row 0"), "{error}");
    let close_by = local_pca(Sample::new(&equal, 5).unwrap(), 3).unwrap();
    assert_eq!(close_by, 0., "equal rows extend in no direction");
    let lattice: Vec<f64> = (0..16).flat_map(|i| [f64::from(i / 4), f64::from(i % 4)]).collect();
    let lattice = Sample::new(&lattice, 2).unwrap();
    for found in [two_nn(lattice), levina_bickel(lattice, 2)] {
        let error = found.unwrap_err().to_string();
        assert!(error.contains("equally far"), "{error}");
    }
}

#[test]
fn uniformity_is_judged_as_by_scipy() {
    let of = fixture("calibration");
    let ranks: Vec<usize> = serde_json::from_value(of["ranks"].clone()).unwrap();
    let found = Calibration::new(&ranks, 99, 10).unwrap();
    close("chi squared", found.chi_squared, &of["chi_squared"], 1e-12);
    close("p", found.p_value, &of["p_value"], 1e-9);
    assert_eq!(found.histogram.iter().sum::<usize>(), 300);
    assert!(Calibration::new(&ranks, 99, 7).is_err(), "bins of different sizes");
    assert!(Calibration::new(&[100], 99, 10).is_err(), "no rank");
    assert_eq!(rank(&[0.1, 0.7, 0.3], 0.5).unwrap(), 2);
    let uniform: Vec<usize> = (0..100).collect();
    assert_eq!(central_coverage(&uniform, 99, 0.9).unwrap(), 0.9);
    assert_eq!(central_coverage(&[0, 99], 99, 0.9).unwrap(), 0.);
}

#[test]
fn samples_of_other_shapes_are_refused() {
    let error = Sample::new(&[1., 2., 3.], 2).unwrap_err().to_string();
    assert!(error.contains("rows of 2 values") && error.contains('3'), "{error}");
    let error = Sample::new(&[1., f64::NAN], 1).unwrap_err().to_string();
    assert!(error.contains("sample 1") && error.contains("NaN"), "{error}");
    let (a, b) = (Sample::new(&[1., 2.], 1).unwrap(), Sample::new(&[1., 2.], 2).unwrap());
    assert!(squared_mmd(a, b, 1.).is_err(), "other columns");
    assert!(squared_mmd(a, a, -1.).is_err(), "no scale");
    assert!(c2st(a, a, 5).unwrap_err().to_string().contains("at least 6 rows"));
}
