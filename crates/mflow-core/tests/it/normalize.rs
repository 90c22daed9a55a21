//! Standardisation. Oracle: closed forms.
use crate::numbers::close;
use mflow_core::{Error, standardize};

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
