//! The density in other units. Oracle: areas of the same surface scale by `c^N`. What holds of every density is in `laws.rs`.
use crate::numbers::{close, numbers};
use crate::subject::Case;
use mflow_core::candle::DType;

#[test]
fn units_of_data_only_change_the_volume() {
    // With all features scaled by c, areas of the same surface scale by c^N.
    let plain = Case::new(3, 2).build();
    let c = 10_f64;
    let scaled = plain
        .config
        .clone()
        .with_normalization(mflow_bijectors::FeatureAffineConfig::new(vec![0.; 3], vec![c; 3]));
    let mut store = mflow_bijectors::ParamStore::from_named(
        plain.store.to_named().unwrap(),
        DType::F64,
        crate::numbers::device(),
    );
    let scaled = scaled.build(&mut store, |_| true).unwrap();
    let x = plain.data(20);
    let found = numbers(&scaled.log_prob(&(&x * c).unwrap(), None).unwrap());
    let of_plain = numbers(&plain.model.log_prob(&x, None).unwrap());
    let expected: Vec<f64> = of_plain.iter().map(|v| v - 2. * c.ln()).collect();
    close("log_prob in units ten times smaller", &found, &expected, 1e-10);
}
