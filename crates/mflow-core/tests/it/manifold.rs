//! Projection, latents, samples and tangents. Oracle: the laws between them, and differences.
use crate::numbers::{close, numbers};
use crate::subject::Case;
use mflow_bijectors::Stream;

#[test]
fn decoding_a_code_projects() {
    for case in Case::every() {
        let subject = case.build();
        let (x, context) = (subject.data(15), subject.context(15));
        let (model, context) = (&subject.model, context.as_ref());
        let projected = model.project(&x, context).unwrap();
        let code = model.encode(&x, context).unwrap();
        assert_eq!(code.dims(), [15, case.n], "{case:?}: one latent row each");
        let decoded = model.decode(&code, context).unwrap();
        close(&format!("{case:?}: decode(encode)"), &numbers(&decoded), &numbers(&projected), 1e-8);
        let again = model.project(&projected, context).unwrap();
        close(&format!("{case:?}: idempotent"), &numbers(&again), &numbers(&projected), 1e-8);
        let latent = subject.latent(15);
        let there = model.decode(&latent, context).unwrap();
        let back = model.encode(&there, context).unwrap();
        close(&format!("{case:?}: encode(decode)"), &numbers(&back), &numbers(&latent), 1e-8);
        let error = numbers(&model.reconstruction_error(&x, context).unwrap());
        let pairs = numbers(&x).into_iter().zip(numbers(&projected));
        let squares: Vec<f64> = pairs.map(|(a, b)| (a - b) * (a - b)).collect();
        let expected: Vec<f64> =
            squares.chunks(case.d).map(|s| s.iter().sum::<f64>().sqrt()).collect();
        close(&format!("{case:?}: reconstruction error"), &error, &expected, 1e-12);
        assert!(expected.iter().all(|e| *e > 1e-3), "{case:?}: the data are off the manifold");
        let on = numbers(&model.reconstruction_error(&projected, context).unwrap());
        assert!(on.iter().all(|e| *e < 1e-7), "{case:?}: projections are on the manifold");
    }
}

#[test]
fn coordinates_are_those_of_the_chart() {
    let subject = Case::new(6, 3).with_context(2).with_conditional_manifold().scaled().build();
    let (x, context) = (subject.data(10), subject.context(10));
    let context = context.as_ref();
    let u = subject.model.coordinates(&x, context).unwrap();
    let embedded = subject.model.embedding().unwrap().embed(&u, context).unwrap();
    let projected = subject.model.project(&x, context).unwrap();
    close("embed(coordinates)", &numbers(&embedded), &numbers(&projected), 1e-12);
}

#[test]
fn the_jacobian_of_decode_is_its_differences() {
    for case in Case::every() {
        let subject = case.build();
        let (latent, context) = (subject.latent(8), subject.context(8));
        let found = subject.model.decode_jacobian(&latent, context.as_ref()).unwrap();
        assert_eq!(found.dims(), [8, case.n, case.d], "{case:?}: rows of the Jacobian");
        let expected = subject.differences(&latent, context.as_ref());
        close(&format!("{case:?}: Jacobian"), &numbers(&found), &numbers(&expected), 1e-6);
    }
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
    let latent = crate::numbers::tensor(normals, &[30, 2]);
    let expected = numbers(&subject.model.decode(&latent, context.as_ref()).unwrap());
    assert_eq!(draw("a"), expected, "samples are decode of normals");
    assert_eq!(draw("a"), draw("a"), "the same stream gives the same samples");
    assert_ne!(draw("a"), draw("b"), "another stream gives others");
}

#[test]
fn a_manifold_is_conditional_only_when_asked() {
    for conditional in [false, true] {
        let case = Case::new(3, 2).with_context(2);
        let case = if conditional { case.with_conditional_manifold() } else { case };
        let subject = case.build();
        let x = subject.data(10);
        let contexts = [subject.context(10), Some((subject.context(10).unwrap() + 1.).unwrap())];
        let [a, b] = contexts.map(|c| {
            let projected = subject.model.project(&x, c.as_ref()).unwrap();
            (numbers(&projected), numbers(&subject.model.encode(&x, c.as_ref()).unwrap()))
        });
        assert_eq!(a.0 != b.0, conditional, "conditional {conditional}: projections differ");
        assert_ne!(a.1, b.1, "conditional {conditional}: the density depends on the context");
    }
}

#[test]
fn no_rows_give_no_results() {
    let subject = Case::new(3, 2).build();
    let none = crate::numbers::tensor(vec![], &[0, 3]);
    let log_prob = subject.model.log_prob(&none, None).map(|t| t.dims().to_vec());
    assert_eq!(log_prob.unwrap(), [0], "densities of no rows");
}
