//! The ends of domains, in particular: poles, and what is outside. That results are numbers inside is a law.
use crate::numbers::{device, numbers, tensor};
use mflow_bijectors::candle::DType;
use mflow_bijectors::{
    BijectorConfig, Direction, Function, FunctionConfig, InversionConfig, ParamStore,
    SpecialConformalConfig,
};
use std::collections::BTreeMap;

/// At the poles of conformal maps: no panic, nothing finite and wrong; beside them the laws.
#[test]
fn poles_are_infinite_and_their_neighbours_are_not() {
    let mut store = ParamStore::new(1, DType::F64, device());
    let config = BijectorConfig::SpecialConformal(SpecialConformalConfig::new(2));
    let map = store.create(&config).unwrap();
    let b = [0.5, -0.25];
    store.assign(&BTreeMap::from([("b".to_owned(), tensor(b.to_vec(), &[2]))])).unwrap();
    let square: f64 = b.iter().map(|b| b * b).sum();
    for (direction, sign) in [(Direction::Forward, 1.), (Direction::Inverse, -1.)] {
        let pole: Vec<f64> = b.iter().map(|b| sign * b / square).collect();
        let at = map.map(direction, &tensor(pole.clone(), &[1, 2]), None).unwrap();
        let value = numbers(&at.value);
        // To rounding: a denominator of 1e-16 at most, or none at all.
        let far = value.iter().any(|v| !v.is_finite() || v.abs() > 1e7);
        assert!(far, "{direction:?}, at the pole: {value:?}");
        let near = tensor(vec![pole[0] + 1e-4, pole[1]], &[1, 2]);
        let there = map.map(direction, &near, None).unwrap();
        let back = map.map(direction.reversed(), &there.value, None).unwrap();
        let error = crate::numbers::gap(&back.value, &near);
        assert!(error < 1e-9, "{direction:?}, beside the pole: {error:.1e}");
    }
    let config = BijectorConfig::Inversion(InversionConfig::new(2));
    let inversion = ParamStore::new(1, DType::F64, device()).create(&config).unwrap();
    let origin = inversion.forward(&tensor(vec![0., 0.], &[1, 2]), None).unwrap();
    assert!(numbers(&origin.value).iter().all(|v| v.is_nan()), "of the origin");
    assert_eq!(numbers(&origin.log_abs_det), [f64::INFINITY], "which is stretched without bound");
}

/// Outside of its domain a map gives NaN or infinity, in the value or in the log-det.
#[test]
fn outside_of_domains_nothing_is_finite() {
    let of = |function| BijectorConfig::Function(FunctionConfig::new(&[1], function));
    for (function, outside) in [
        (Function::Tanh, [1.5, -1., 1.]),
        (Function::Sigmoid, [-0.1, 0., 1.]),
        (Function::Softplus, [-1., 0., -1e6]),
    ] {
        let map = ParamStore::new(1, DType::F64, device()).create(&of(function)).unwrap();
        for y in outside {
            let mapped = map.inverse(&tensor(vec![y], &[1, 1]), None).unwrap();
            let (x, l) = (numbers(&mapped.value)[0], numbers(&mapped.log_abs_det)[0]);
            assert!(!x.is_finite() || !l.is_finite(), "{function:?}, at {y}: {x}, {l}");
        }
    }
}
