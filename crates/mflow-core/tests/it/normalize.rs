//! Standardisation. Oracle: closed forms.
use crate::numbers::close;
use mflow_core::{Error, standardize, standardize_weighted, standardize_weighted_blocks};

#[test]
fn columns_get_their_mean_and_deviation() {
    // 1..=5: mean 3, variance 2; 0, 10, 0, 10, 5: mean 5, variance 20.
    let values = [1., 0., 2., 10., 3., 0., 4., 10., 5., 5.];
    let affine = standardize(&values, 2).unwrap();
    close("means", &affine.shift, &[3., 5.], 1e-15);
    close("deviations", &affine.scale, &[2_f64.sqrt(), 20_f64.sqrt()], 1e-15);
}

#[test]
fn the_inverse_map_standardises() {
    let values = crate::numbers::numbers(&crate::numbers::normal("columns", &[200, 3]));
    let affine = standardize(&values, 3).unwrap();
    let standard: Vec<f64> = values
        .iter()
        .enumerate()
        .map(|(i, v)| (v - affine.shift[i % 3]) / affine.scale[i % 3])
        .collect();
    let again = standardize(&standard, 3).unwrap();
    close("means", &again.shift, &[0.; 3], 1e-13);
    close("deviations", &again.scale, &[1.; 3], 1e-13);
}

#[test]
fn a_constant_column_keeps_its_scale() {
    // 0.1 has no exact sum: a mean that is off by rounding must not pass for a spread.
    for constant in [0., 3., 0.1, 1e9 + 0.1, -1e-30] {
        for rows in [1, 2, 3, 10, 997] {
            let values: Vec<f64> = (0..rows).flat_map(|i| [constant, i as f64]).collect();
            let affine = standardize(&values, 2).unwrap();
            assert_eq!(affine.shift[0], constant, "mean of {constant} in {rows} rows");
            assert_eq!(affine.scale[0], 1., "scale of {constant} in {rows} rows");
        }
    }
}

#[test]
fn an_offset_does_not_cost_digits() {
    let values: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i % 2)).collect();
    let affine = standardize(&values, 1).unwrap();
    close("mean", &affine.shift, &[1e9 + 0.5], 1e-15);
    close("deviation", &affine.scale, &[0.5], 1e-12);
}

#[test]
fn partial_rows_are_errors() {
    for (values, cols, found) in [(&[1., 2., 3.][..], 2, 3), (&[], 2, 0), (&[1.], 0, 1)] {
        let error = standardize(values, cols).unwrap_err();
        let expected = format!(
            "standardize: expected `values` of shape [rows, {cols}] with at least one row, found \
             [{found}]"
        );
        assert_eq!(error.to_string(), expected, "{found} values in {cols} columns");
        assert!(matches!(error, Error::Shape { op: "standardize", .. }), "{error:?}");
    }
}

#[test]
fn integer_weights_are_repeated_rows() {
    let values: Vec<f64> = (0..24).map(|i| f64::from(i * i % 17) * 1e3 - 5e3).collect();
    let times = [0, 2, 1, 3, 0, 1, 5, 0_u8];
    let weights = times.map(f64::from);
    let rows = values.chunks(3).zip(times);
    let repeated: Vec<f64> = rows.flat_map(|(row, n)| row.repeat(n.into())).collect();
    let expected = standardize(&repeated, 3).unwrap();
    // Only ratios count, and signs do not.
    for unit in [1., 0.3, -1e-300, 1e307] {
        let weights = weights.map(|w| w * unit);
        let found = standardize_weighted(&values, 3, &weights).unwrap();
        let pairs = found.shift.iter().zip(&expected.shift);
        for (a, b) in pairs.chain(found.scale.iter().zip(&expected.scale)) {
            assert!((a - b).abs() < 1e-12 * b.abs(), "unit {unit}: {a}, repeated {b}");
        }
        let by_blocks = standardize_weighted_blocks(&weights, 3, |see| {
            values.chunks(9).for_each(see);
            Ok::<_, Error>(())
        });
        assert_eq!(by_blocks.unwrap(), found, "to the bit");
    }
    let equal = standardize_weighted(&values, 3, &[1.; 8]).unwrap();
    assert_eq!(equal, standardize(&values, 3).unwrap(), "to the bit");
    // Constant where rows count, whatever the first one is.
    let constant = standardize_weighted(&[9., 0.1, 0.1, 0.1], 1, &[0., 0.1, 0.7, 0.2]).unwrap();
    assert_eq!((constant.shift, constant.scale), (vec![0.1], vec![1.]), "a constant column");
}

#[test]
fn weights_that_say_nothing_are_refused() {
    let of = |weights: &[f64]| standardize_weighted(&[1., 2., 3.], 1, weights).unwrap_err();
    for (weights, expected) in [
        (vec![1.; 2], "expected `weights` of shape [3], found [2]"),
        (
            vec![0.; 3],
            "expected `weights` with one that is not 0, at least, found 0 in all of 3 rows",
        ),
        (vec![1., f64::NAN, 1.], "`weights` must be finite, found NaN at row 1, column 0"),
    ] {
        let message = of(&weights).to_string();
        assert_eq!(message, format!("standardize_weighted: {expected}"), "message");
    }
}
