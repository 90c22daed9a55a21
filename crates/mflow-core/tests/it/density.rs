//! The exact density. Oracle: `log N(ũ) - ½ log det(J Jᵀ)` with `J` by central differences of `decode`
//! in the latent and a determinant by elimination: nothing of the model's own density.
use crate::numbers::{close, gram, log_abs_det, matrices, numbers};
use crate::subject::{Case, Subject};
use mflow_core::candle::{DType, Tensor};

/// `log N(ũ) - ½ log det(J Jᵀ)` for each row.
fn oracle(subject: &Subject, latent: &Tensor, context: Option<&Tensor>) -> Vec<f64> {
    let jacobian = matrices(&subject.differences(latent, context));
    let n = subject.case.n;
    let latent = numbers(latent);
    let one = |(u, rows): (&[f64], &Vec<Vec<f64>>)| {
        let square: f64 = u.iter().map(|v| v * v).sum();
        let normal = -0.5 * square - 0.5 * n as f64 * std::f64::consts::TAU.ln();
        normal - 0.5 * log_abs_det(&gram(rows))
    };
    latent.chunks(n).zip(&jacobian).map(one).collect()
}

#[test]
fn log_prob_is_the_change_of_variables_from_the_latent() {
    for case in Case::every() {
        let subject = case.build();
        let (x, context) = (subject.data(12), subject.context(12));
        let latent = subject.model.encode(&x, context.as_ref()).unwrap();
        let expected = oracle(&subject, &latent, context.as_ref());
        let found = subject.model.log_prob(&x, context.as_ref()).unwrap();
        assert_eq!(found.dims(), [12], "{case:?}: one density per row");
        close(&format!("{case:?}: log_prob"), &numbers(&found), &expected, 1e-6);
    }
}

#[test]
fn log_prob_in_f32_is_that_in_f64() {
    for case in [Case::new(3, 2).scaled().with_context(2), Case::new(6, 3)] {
        let (double, single) = (case.build(), case.build_as(DType::F32));
        let (x, context) = (single.data(50), single.context(50));
        let of = |subject: &Subject| {
            let context = context.clone().map(|c| subject.cast(c));
            numbers(&subject.model.log_prob(&subject.cast(x.clone()), context.as_ref()).unwrap())
        };
        close(&format!("{case:?}: f32"), &of(&single), &of(&double), 2e-4);
    }
}

#[test]
fn the_density_is_that_of_the_projection() {
    for case in [Case::new(3, 2).scaled(), Case::new(3, 1).with_context(2)] {
        let subject = case.build();
        let (x, context) = (subject.data(20), subject.context(20));
        let projected = subject.model.project(&x, context.as_ref()).unwrap();
        let of = |x: &Tensor| numbers(&subject.model.log_prob(x, context.as_ref()).unwrap());
        close(&format!("{case:?}: at the projection"), &of(&projected), &of(&x), 1e-8);
    }
}

#[test]
fn coordinate_density_and_volume_make_the_density() {
    // log p(x) = log p(u) - ½ log det(J Jᵀ) with the Jacobian of the chart, here by differences.
    let subject = Case::new(3, 2).scaled().with_context(2).with_conditional_manifold().build();
    let (x, context) = (subject.data(9), subject.context(9));
    let context = context.as_ref();
    let u = subject.model.coordinates(&x, context).unwrap();
    let of_u = numbers(&subject.model.coordinate_log_prob(&u, context).unwrap());
    let step = 1e-5;
    let at = |i: usize, by: f64| {
        let unit = (0..2).map(|k| if k == i { by } else { 0. }).collect();
        let u = u.broadcast_add(&crate::numbers::tensor(unit, &[1, 2])).unwrap();
        subject.model.embedding().unwrap().embed(&u, context).unwrap()
    };
    let column = |i| ((at(i, step) - at(i, -step)).unwrap() / (2. * step)).unwrap();
    let rows = matrices(&Tensor::stack(&[column(0), column(1)], 1).unwrap());
    let expected: Vec<f64> =
        of_u.iter().zip(&rows).map(|(u, rows)| u - 0.5 * log_abs_det(&gram(rows))).collect();
    let found = numbers(&subject.model.log_prob(&x, context).unwrap());
    close("log_prob from its parts", &found, &expected, 1e-6);
}

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
