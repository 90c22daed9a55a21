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

#[test]
fn a_weighted_mean_is_that_of_repeated_samples() {
    let (samples, times) = ([3.0, -1.0, 4.0, 1.5, 9.0], [2, 0, 1, 3, 1]);
    let weights = times.map(|n| 0.1 * f64::from(n));
    let found = Estimate::weighted_mean(&samples, &weights).unwrap();
    let repeated: Vec<f64> =
        samples.iter().zip(times).flat_map(|(x, n)| vec![*x; n as usize]).collect();
    let expected = Estimate::mean(&repeated).unwrap();
    assert!((found.value - expected.value).abs() < 1e-14, "{found:?}, repeated {expected:?}");
    assert_eq!(found.count, 5, "samples that there are");
    // Equal weights are none.
    let (equal, plain) =
        (Estimate::weighted_mean(&samples, &[0.3; 5]).unwrap(), Estimate::mean(&samples).unwrap());
    let errors = [equal, plain].map(|e| e.standard_error.unwrap());
    assert!((equal.value - plain.value).abs() < 1e-14, "{equal:?}");
    assert!((errors[0] - errors[1]).abs() < 1e-14, "{errors:?}");
    // With signs: (2 * 5 - 1 * 2)/(2 - 1).
    let signed = Estimate::weighted_mean(&[5.0, 2.0], &[2.0, -1.0]).unwrap();
    assert!((signed.value - 8.0).abs() < 1e-14, "{signed:?}");
    for (weights, expected) in [
        (vec![1.0; 4], "expected 5, one a sample, found 4"),
        (vec![1.0, 1.0, f64::NAN, 1.0, 1.0], "expected finite numbers, found NaN of sample 2"),
        (vec![0.0; 5], "expected a positive sum, found 0"),
        (vec![1.0, 0.0, 0.0, 0.0, -2.0], "expected a positive sum, found -1"),
    ] {
        let error = Estimate::weighted_mean(&samples, &weights).unwrap_err();
        assert!(matches!(error, Error::Weights { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("weights of samples: {expected}"), "message");
    }
}

/// By many draws of samples with weights: how far their means scatter.
#[test]
fn the_error_of_a_weighted_mean_is_its_scatter() {
    let mut stream = mflow_bijectors::Stream::new(1, "samples");
    let draws = 2000;
    let all: Vec<Estimate> = (0..draws)
        .map(|_| {
            // The weight of a sample depends on it.
            let samples = stream.normal(50);
            let weights: Vec<f64> = samples.iter().map(|x| (0.5 * x).exp()).collect();
            Estimate::weighted_mean(&samples, &weights).unwrap()
        })
        .collect();
    let values: Vec<f64> = all.iter().map(|e| e.value).collect();
    let mean = values.iter().sum::<f64>() / f64::from(draws);
    let scatter =
        (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(draws)).sqrt();
    let told = all.iter().map(|e| e.standard_error.unwrap()).sum::<f64>() / f64::from(draws);
    assert!((mean - 0.5).abs() < 0.02, "of the tilted density: {mean}");
    assert!((told / scatter - 1.0).abs() < 0.1, "{told}, scatter {scatter}");
}
