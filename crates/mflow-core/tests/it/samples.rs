//! Samples of an M-flow: where they fall, and what they are drawn by. Oracle: counts in cells against lengths of a polyline times
//! the density; normal numbers of the same stream.
use crate::numbers::{numbers, tensor};
use crate::subject::{Case, Subject};
use crate::volume::{Integrand, bin_of, check_counts};
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
fn samples_are_decoded_normals_of_the_stream_alone() {
    let subject = Case::new(3, 2).scaled().with_context(2).build();
    let context = subject.context(30);
    let draw = |name: &str| {
        let mut stream = Stream::new(9, name);
        numbers(&subject.model.sample(30, context.as_ref(), &mut stream).unwrap())
    };
    let normals = Stream::new(9, "a").normal(60);
    let latent = tensor(normals, &[30, 2]);
    let expected = numbers(&subject.model.decode(&latent, context.as_ref()).unwrap());
    assert_eq!(draw("a"), expected, "samples are decode of normals");
    assert_eq!(draw("a"), draw("a"), "the same stream gives the same samples");
    assert_ne!(draw("a"), draw("b"), "another stream gives others");
}
