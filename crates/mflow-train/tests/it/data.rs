//! Data in memory, and data that do not fit a model. Oracle: the rows themselves.
use crate::toy::{Toy, density, device, manifold, numbers};
use mflow_core::candle::DType;
use mflow_train::{Error, Outcome, Result, RowSource, Rows, Silent};
use std::sync::atomic::AtomicBool;

fn rows(x: Vec<f64>, d: usize, context: Option<(Vec<f64>, usize)>) -> Result<Rows> {
    Rows::new(x, d, context, DType::F64, device())
}

#[test]
fn rows_come_in_the_order_asked_for() {
    let x: Vec<f64> = (0..12).map(f64::from).collect();
    let data = rows(x, 3, Some((vec![10., 11., 12., 13.], 1))).unwrap();
    assert_eq!((data.rows(), data.data_dim(), data.context_dim()), (4, 3, 1), "sizes");
    let batch = data.gather(&[2, 0, 2]).unwrap();
    assert_eq!(numbers(&batch.x), [6., 7., 8., 0., 1., 2., 6., 7., 8.], "data");
    assert_eq!(numbers(&batch.context.clone().unwrap()), [12., 10., 12.], "context");
    let part = batch.narrow(1, 2).unwrap();
    assert_eq!(part.rows(), 2, "rows of a part");
    assert_eq!(numbers(&part.x), [0., 1., 2., 6., 7., 8.], "data of a part");
    assert_eq!(numbers(&part.context.unwrap()), [10., 12.], "context of a part");
    assert!(data.gather(&[4]).is_err(), "a row out of range");
}

#[test]
fn ratios_and_labels_go_with_their_rows() {
    let plain = || rows((0..8).map(f64::from).collect(), 2, Some((vec![0.; 4], 1))).unwrap();
    let (log_ratios, labels) = ([0.5, -1., 80., -3.], [1., 0., 1., 0.]);
    let data = plain().with_ratios(&log_ratios, &labels).unwrap();
    let batch = data.gather(&[2, 3, 0]).unwrap().narrow(1, 2).unwrap();
    assert_eq!(numbers(&batch.log_ratio().unwrap().unwrap()), [-3., 0.5], "log-ratios");
    assert_eq!(numbers(&batch.label().unwrap().unwrap()), [0., 1.], "labels");
    assert!(plain().all().label().unwrap().is_none(), "no labels where there are none");
    let others = [
        plain(),
        plain().with_ratios(&[0.5, -1., 80., -2.], &labels).unwrap(),
        plain().with_ratios(&log_ratios, &[1., 0., 1., 1.]).unwrap(),
    ];
    for other in others {
        assert_ne!(data.fingerprint(), other.fingerprint(), "they are part of the data");
    }
    let without = rows(vec![0.; 8], 2, None).unwrap().with_ratios(&log_ratios, &labels);
    let bad = |log_ratios: &[f64], labels: &[f64]| plain().with_ratios(log_ratios, labels);
    for (result, expected) in [
        (without, "ratios: expected a context to go with them, found none"),
        (bad(&log_ratios[..3], &labels), "log-ratios: expected 4 values, found 3"),
        (bad(&log_ratios, &[1.; 5]), "labels: expected 4 values, found 5"),
        (
            bad(&[0., f64::NAN, 0., 0.], &labels),
            "log-ratios: expected finite numbers, found NaN in row 1",
        ),
        (
            bad(&[0., 0., f64::INFINITY, 0.], &labels),
            "log-ratios: expected finite numbers, found inf in row 2",
        ),
        (bad(&log_ratios, &[1., 0., 0.5, 0.]), "labels: expected 0 or 1, found 0.5 in row 2"),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Data { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("data do not fit the model: {expected}"));
    }
}

#[test]
fn lengths_that_do_not_fit_are_named() {
    for (result, expected) in [
        (rows(vec![0.; 7], 3, None), "data: expected a multiple of 3 values, found 7"),
        (rows(vec![0.; 6], 0, None), "data: expected a multiple of 0 values, found 6"),
        (
            rows(vec![0.; 6], 3, Some((vec![0.; 3], 2))),
            "context: expected a multiple of 2 values, found 3",
        ),
        (rows(vec![0.; 6], 3, Some((vec![0.; 3], 1))), "context: expected 2 rows, found 3 rows"),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Data { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("data do not fit the model: {expected}"), "message");
    }
}

#[test]
fn the_fingerprint_is_that_of_the_values() {
    let of = |x: &[f64], d, context| rows(x.to_vec(), d, context).unwrap().fingerprint();
    let x = [1., 2., 3., 4.];
    let original = of(&x, 2, None);
    assert_eq!(original, of(&x, 2, None), "the same data");
    for (what, other) in [
        ("a value", of(&[1., 2., 3., 4.000_000_000_000_001], 2, None)),
        ("the order", of(&[2., 1., 3., 4.], 2, None)),
        ("the sign of zero", of(&[1., 2., 3., -4.], 2, None)),
        ("the shape", of(&x, 1, None)),
        ("one row less", of(&[1., 2.], 2, None)),
        ("a context", of(&x, 2, Some((vec![0., 0.], 1)))),
    ] {
        assert_ne!(original, other, "{what} changes it");
    }
    let single = Rows::new(x.to_vec(), 2, None, DType::F32, device()).unwrap().fingerprint();
    assert_eq!(original, single, "it is taken before rounding");
}

#[test]
fn data_that_do_not_fit_the_model_are_refused() {
    let fit = |data: Rows| {
        let toy = Toy { data, ..Toy::parabola(20, vec![manifold(1), density(1)]) };
        toy.train(&mut toy.store(), None, &mut Silent, &AtomicBool::new(false))
    };
    for (data, expected) in [
        (rows(vec![0.; 30], 3, None), "number of features: expected 2, found 3"),
        (
            rows(vec![0.; 30], 2, Some((vec![0.; 15], 1))),
            "number of context features: expected 0, found 1",
        ),
        (rows(vec![0.; 2], 2, None), "number of rows: expected at least 2, found 1"),
        (rows(vec![], 2, None), "number of rows: expected at least 2, found 0"),
    ] {
        let error = fit(data.unwrap()).unwrap_err();
        assert!(matches!(error, Error::Data { .. }), "{expected}: {error:?}");
        let expected = format!("data do not fit the model: {expected}");
        assert_eq!(error.to_string(), expected, "message");
    }
    // A row that is not finite is found before it does harm.
    let mut values = vec![0.5; 40];
    values[13] = f64::NAN;
    let error = fit(rows(values, 2, None).unwrap()).unwrap_err();
    assert!(matches!(error, Error::Model(mflow_core::Error::NonFinite { .. })), "{error:?}");
}

#[test]
fn two_rows_are_enough() {
    let toy = Toy::parabola(2, vec![manifold(1), density(1)]);
    let outcome = toy.train(&mut toy.store(), None, &mut Silent, &AtomicBool::new(false));
    assert_eq!(outcome.unwrap(), Outcome::Finished, "one row to train, one to validate");
}
