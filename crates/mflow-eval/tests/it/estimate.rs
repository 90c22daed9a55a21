//! The mean and its standard error. Oracle: closed forms, worked by hand.

use mflow_eval::{Error, Estimate};

#[test]
fn the_mean_of_a_sequence_has_its_closed_form() {
    // 1..=n: mean (n + 1) / 2, s² = n (n + 1) / 12, so that the standard error is
    // sqrt((n + 1) / 12).
    for n in [2_u32, 5, 1000] {
        let samples: Vec<f64> = (1..=n).map(f64::from).collect();
        let estimate = Estimate::mean(&samples).unwrap();
        let n_plus_1 = f64::from(n + 1);
        let error = estimate.standard_error.unwrap();
        assert!((estimate.value - n_plus_1 / 2.0).abs() < 1e-12 * n_plus_1, "mean of 1..={n}");
        assert!((error - (n_plus_1 / 12.0).sqrt()).abs() < 1e-12 * error, "error of 1..={n}");
        assert_eq!(estimate.count, samples.len(), "count of 1..={n}");
    }
}

#[test]
fn a_common_offset_does_not_cost_digits() {
    // 1e9 + {0, 1, 2, 3}: s² = 5 / 3, standard error sqrt(5 / 12); the sum of squares less the
    // square of the sum has no correct digit here.
    let estimate = Estimate::mean(&[1e9, 1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0]).unwrap();
    let expected = (5.0_f64 / 12.0).sqrt();
    assert_eq!(estimate.value, 1e9 + 1.5, "mean");
    let error = estimate.standard_error.unwrap();
    assert!((error - expected).abs() < 1e-9, "standard error {error}, expected {expected}");
}

#[test]
fn one_sample_has_no_standard_error() {
    let estimate = Estimate::mean(&[0.25]).unwrap();
    assert_eq!(estimate, Estimate { value: 0.25, standard_error: None, count: 1 }, "one sample");
}

#[test]
fn samples_without_a_mean_are_errors() {
    assert!(matches!(Estimate::mean(&[]), Err(Error::NoSamples)), "no samples");
    for bad in [f64::NAN, f64::INFINITY] {
        let result = Estimate::mean(&[1.0, bad, bad]);
        let found = matches!(result, Err(Error::NonFiniteSample { index: 1, count: 3, .. }));
        assert!(found, "{bad} among the samples gave {result:?}");
    }
}

#[test]
fn an_estimate_is_printed_to_the_place_of_its_error() {
    let print = |value, standard_error, count| {
        Estimate { value, standard_error: Some(standard_error), count }.to_string()
    };
    assert_eq!(print(0.004_217, 0.000_31, 5), "0.0042 ± 0.0003", "one digit");
    assert_eq!(print(-0.0663, 0.0134, 5), "-0.066 ± 0.013", "two digits from 1");
    assert_eq!(print(1234.5, 56.0, 5), "1234 ± 56", "no places after the point");
    assert_eq!(print(4.217e-9, 3.1e-10, 5), "(4.2 ± 0.3)e-9", "a shared exponent");
    assert_eq!(print(2.5e7, 1.4e6, 5), "(2.50 ± 0.14)e7", "a large one");
    assert_eq!(print(0.001, 25.0, 5), "0 ± 25", "an error over the mean");
    assert_eq!(print(0.5, 0.0, 5), "0.5 ± 0", "no spread");
    let one = Estimate { value: 0.5, standard_error: None, count: 1 };
    assert_eq!(one.to_string(), "0.5 (n = 1)", "one sample");
}

#[test]
fn a_median_does_not_see_how_far_the_last_one_is() {
    let far = Estimate::median(&[4., 1., 1e9, 3., 2.]).unwrap();
    assert_eq!((far.value, far.count), (3., 5));
    // The quartiles are 2 and 4; of normal samples the range between them is 1.349 deviations, and the
    // median's error 1.2533 times that of the mean.
    let error = 1.2533 * 2. / 1.349 / 5_f64.sqrt();
    assert!((far.standard_error.unwrap() - error).abs() < 1e-12);
    assert_eq!(Estimate::interquartile_range(&[4., 1., 1e9, 3., 2.]).unwrap().value, 2.);
    assert_eq!(Estimate::median(&[1., 2.]).unwrap().value, 1.5);
    assert!(matches!(Estimate::median(&[]), Err(Error::NoSamples)));
}
