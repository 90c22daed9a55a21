//! The density integrates to one over the manifold. Oracle: lengths of a polyline and areas of
//! triangles between decoded points; the model's Gram matrix takes no part in them.
use crate::numbers::{device, numbers, tensor};
use crate::subject::{Case, Subject};
use crate::volume::{Integrand, bin_of, check_counts, check_total};
use mflow_bijectors::Stream;
use mflow_core::candle::Tensor;

/// One row of context, for all `rows`.
fn context(subject: &Subject, rows: usize) -> Option<Tensor> {
    let c = subject.case.context;
    (c > 0).then(|| tensor([0.7, -1.1].repeat(rows), &[rows, c]))
}

/// Call `f` with the density of the model.
fn with_integrand<R>(subject: &Subject, f: impl FnOnce(Integrand<'_>) -> R) -> R {
    let of_rows = |t: &Tensor| context(subject, t.dims()[0]);
    f(Integrand {
        n: subject.case.n,
        decode: &|u| subject.model.decode(u, of_rows(u).as_ref()).unwrap(),
        log_prob: &|_, x| subject.model.log_prob(x, of_rows(x).as_ref()).unwrap(),
    })
}

#[test]
fn the_density_on_a_curve_integrates_to_one() {
    let cases = [
        Case::new(3, 1),
        Case::new(3, 1).scaled(),
        Case::new(3, 1).scaled().with_context(2),
        Case::new(3, 1).scaled().with_context(2).with_conditional_manifold(),
        Case::new(6, 1).scaled(),
    ];
    for case in cases {
        let total = with_integrand(&case.build(), |density| density.total(9., 8000));
        check_total(&format!("{case:?}"), total);
    }
}

#[test]
fn the_density_on_a_surface_integrates_to_one() {
    let cases = [
        Case::new(3, 2),
        Case::new(3, 2).scaled(),
        Case::new(4, 2).scaled().with_context(2).with_conditional_manifold(),
    ];
    // Gentler than elsewhere: the grid has to resolve every bin of every spline.
    for case in cases.map(|c| c.with_gain(0.25)) {
        let total = with_integrand(&case.build(), |density| density.total(5.5, 180));
        check_total(&format!("{case:?}"), total);
    }
}

#[test]
fn samples_fall_where_the_density_says() {
    // Counts over pieces of a curve against the density times lengths on them.
    let subject = Case::new(3, 1).scaled().with_context(2).build();
    let (bins, fine, half) = (20, 400, 2.5);
    let shares = with_integrand(&subject, |density| density.shares(half, bins * fine));
    let shares: Vec<f64> = shares.chunks(fine).map(|s| s.iter().sum()).collect();
    let rows = 20_000;
    let context = context(&subject, rows);
    let mut stream = Stream::new(3, "samples");
    let drawn = subject.model.sample(rows, context.as_ref(), &mut stream).unwrap();
    let log_prob = numbers(&subject.model.log_prob(&drawn, context.as_ref()).unwrap());
    assert!(log_prob.iter().all(|v| v.is_finite()), "densities of samples are finite");
    // Where along the curve a sample lies, by its own position: the latent is monotone along it.
    let latent = numbers(&subject.model.encode(&drawn, context.as_ref()).unwrap());
    let mut counts = vec![0.; bins];
    latent.iter().filter_map(|u| bin_of(*u, half, bins)).for_each(|bin| counts[bin] += 1.);
    check_counts("samples on a curve", &counts, &shares, rows);
}

#[test]
fn samples_are_normal_in_the_latent() {
    let subject = Case::new(3, 2).scaled().build();
    let rows = 10_000;
    let x = subject.model.sample(rows, None, &mut Stream::new(4, "moments")).unwrap();
    let u = numbers(&subject.model.encode(&x, None).unwrap());
    let mean = |f: &dyn Fn(&[f64]) -> f64| u.chunks(2).map(f).sum::<f64>() / rows as f64;
    let bound = 5. / (rows as f64).sqrt();
    for k in 0..2 {
        let (first, second) = (mean(&|u| u[k]), mean(&|u| u[k] * u[k]));
        assert!(first.abs() < bound, "mean of latent {k} is {first}");
        assert!((second - 1.).abs() < bound * 2_f64.sqrt(), "variance of latent {k} is {second}");
    }
    let product = mean(&|u| u[0] * u[1]);
    assert!(product.abs() < bound, "covariance of the latents is {product}");
    assert_eq!(x.device().location(), device().location(), "samples are on the model's device");
}
