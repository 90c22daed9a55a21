//! A map whose context is given in other units. Oracles: the laws, and the map itself at contexts that were divided by hand.
use crate::cases::small;
use crate::numbers::{close, device, normal, numbers, tensor};
use mflow_bijectors::candle::DType;
use mflow_bijectors::laws::{self, Options};
use mflow_bijectors::{
    Bijector, ContextUnits, FeatureAffineConfig, Mask, ParamStore, Params, Result,
};
use std::sync::Arc;

const SHIFT: [f64; 2] = [0.7, -1.];
const SCALE: [f64; 2] = [3., 0.5];

fn coupling(params: &mut Params<'_>) -> Result<Arc<dyn Bijector>> {
    small(3, Mask::Even).with_context(2).build(params)
}

fn in_units(params: &mut Params<'_>) -> Result<Arc<dyn Bijector>> {
    let units = FeatureAffineConfig::new(SHIFT.to_vec(), SCALE.to_vec()).build(params)?;
    Ok(Arc::new(ContextUnits::new(coupling(params)?, Arc::new(units))?))
}

#[test]
fn the_laws_hold() {
    let options = Options::default().cases(1).on(device());
    if let Err(broken) = laws::check("coupling in units", &in_units, &options) {
        panic!("{broken}");
    }
}

#[test]
fn it_is_the_map_at_divided_contexts() {
    let mut store = ParamStore::new(3, DType::F64, device());
    let plain = store.build(|_| true, coupling).unwrap();
    crate::cases::randomise(&store, "units", 1.);
    let map = store.build(|_| true, in_units).unwrap();
    let (x, given) = (normal("x", &[5, 3]), normal("context", &[5, 2]));
    let divided = numbers(&given).into_iter().enumerate();
    let divided = divided.map(|(i, v)| (v - SHIFT[i % 2]) / SCALE[i % 2]).collect();
    let expected = plain.forward(&x, Some(&tensor(divided, &[5, 2]))).unwrap();
    let found = map.forward(&x, Some(&given)).unwrap();
    close("value", &found.value, &expected.value, 1e-13);
    close("log-det", &found.log_abs_det, &expected.log_abs_det, 1e-13);
}

#[test]
fn units_of_another_context_are_refused() {
    let mut store = ParamStore::new(3, DType::F64, device());
    let built = store.build(
        |_| true,
        |params| {
            let units = FeatureAffineConfig::new(vec![0.; 3], vec![1.; 3]).build(params)?;
            ContextUnits::new(coupling(params)?, Arc::new(units))
        },
    );
    let error = built.unwrap_err().to_string();
    assert!(error.contains("must fit a map with 2 features, found units of shape [3]"), "{error}");
}
