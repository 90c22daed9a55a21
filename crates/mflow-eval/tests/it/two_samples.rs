//! Samples of a model beside those of what it should be. Oracle: the model itself, and the laws of both statistics
//! where nothing differs.
use crate::metrics::Hand;
use mflow_bijectors::Stream;
use mflow_core::Model;
use mflow_core::candle::Tensor;
use mflow_eval::metrics::{Evaluated, two_samples};
use mflow_train::Pool;

#[test]
fn equal_samples_cannot_be_told_apart_and_others_can() {
    let pool = Pool::new(2).unwrap();
    let theta = 0.4;
    let model = Hand::new(true);
    let rows = 600;
    let context = Tensor::full(theta, (rows, 1), &mflow_core::candle::Device::Cpu).unwrap();
    let x = model.sample(rows, Some(&context), &mut Stream::new(1, "truth")).unwrap();
    let x = x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let compare = |model: &Hand, theta: f64| {
        let of = Evaluated { model, pool: &pool };
        two_samples(of, &x, &[theta], &mut Stream::new(1, "model")).unwrap()
    };
    let equal = compare(&model, theta);
    let error = equal.c2st.standard_error.unwrap();
    let independent = 0.5 / 1200_f64.sqrt();
    assert!(error > independent && error < 2. * independent, "{error}");
    assert_eq!((equal.c2st.count, equal.mmd.count), (2 * rows, rows));
    assert!((equal.c2st.value - 0.5).abs() < 4. * error, "{equal:?}");
    assert!(equal.mmd.value.abs() < 4. / rows as f64, "{equal:?}");
    for other in [
        compare(&Hand { stretch: 1.5, ..model.clone() }, theta),
        compare(&Hand { lift: 1., ..model.clone() }, theta),
        compare(&model, -0.4),
    ] {
        assert!(other.c2st.value > 0.5 + 4. * error, "{other:?}");
        assert!(other.mmd.value > 20. / rows as f64, "{other:?}");
    }
    let of = Evaluated { model: &model, pool: &pool };
    assert!(two_samples(of, &x[..15], &[theta], &mut Stream::new(1, "model")).is_err(), "5 rows");
}
