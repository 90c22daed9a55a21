//! What a model refuses, and in which words. Oracle: the documented contract.
use crate::numbers::{device, normal, tensor};
use crate::subject::Case;
use mflow_bijectors::{FeatureAffineConfig, ParamStore};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{Error, Model, ModelConfig, Result};

type Call = fn(&dyn Model, &Tensor, Option<&Tensor>) -> Result<Tensor>;

/// Every method that takes data, by name.
const OF_DATA: [(&str, Call); 4] = [
    ("log_prob", |m, x, c| m.log_prob(x, c)),
    ("project", |m, x, c| m.project(x, c)),
    ("encode", |m, x, c| m.encode(x, c)),
    ("coordinates", |m, x, c| m.coordinates(x, c)),
];

/// Every method that takes latents.
const OF_LATENTS: [(&str, Call); 2] =
    [("decode", |m, u, c| m.decode(u, c)), ("decode_jacobian", |m, u, c| m.decode_jacobian(u, c))];

fn message(result: Result<Tensor>) -> String {
    result.map(|t| t.dims().to_vec()).unwrap_err().to_string()
}

#[test]
fn values_that_are_not_finite_are_named_by_row_and_column() {
    let subject = Case::new(3, 2).with_context(2).build();
    let context = normal("context", &[4, 2]);
    for (bad, written) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
        let with = |shape: &[usize], at: usize| {
            let mut values = crate::numbers::numbers(&normal("values", shape));
            values[at] = bad;
            tensor(values, shape)
        };
        for (op, call) in OF_DATA {
            let result = call(subject.model.as_ref(), &with(&[4, 3], 7), Some(&context));
            let typed = matches!(result, Err(Error::NonFinite { row: 2, column: 1, .. }));
            assert!(typed, "{op} with {bad}: {result:?}");
            let expected = format!("{op}: `x` must be finite, found {written} at row 2, column 1");
            assert_eq!(message(result), expected, "{op} with {bad}");
            let result =
                call(subject.model.as_ref(), &normal("x", &[4, 3]), Some(&with(&[4, 2], 6)));
            let expected =
                format!("{op}: `context` must be finite, found {written} at row 3, column 0");
            assert_eq!(message(result), expected, "{op} with {bad} in the context");
        }
        for (op, call) in OF_LATENTS {
            let result = call(subject.model.as_ref(), &with(&[4, 2], 3), Some(&context));
            let expected =
                format!("{op}: `latent` must be finite, found {written} at row 1, column 1");
            assert_eq!(message(result), expected, "{op} with {bad}");
        }
        let result = subject.model.reconstruction_error(&with(&[4, 3], 0), Some(&context));
        assert!(matches!(result, Err(Error::NonFinite { row: 0, column: 0, .. })), "{result:?}");
    }
}

#[test]
fn large_finite_values_are_not_refused_as_infinite() {
    let subject = Case::new(3, 2).build();
    let x = tensor(vec![1e300, -1e300, 1e300, 1e300, 1e300, 1e300], &[2, 3]);
    let result = subject.model.project(&x, None);
    assert!(result.is_ok(), "finite values whose sum overflows: {result:?}");
}

#[test]
fn wrong_shapes_are_named() {
    let subject = Case::new(3, 2).with_context(2).build();
    let context = normal("context", &[4, 2]);
    for (shape, found) in [(&[4, 2][..], "[4, 2]"), (&[3], "[3]"), (&[2, 2, 3], "[2, 2, 3]")] {
        for (op, call) in OF_DATA {
            let result = call(subject.model.as_ref(), &normal("x", shape), Some(&context));
            assert!(matches!(result, Err(Error::Shape { arg: "x", .. })), "{op}: {result:?}");
            let expected = format!("{op}: expected `x` of shape [B, 3], found {found}");
            assert_eq!(message(result), expected, "{op} of {found}");
        }
    }
    for (op, call) in OF_LATENTS {
        let result = call(subject.model.as_ref(), &normal("latent", &[4, 3]), Some(&context));
        let expected = format!("{op}: expected `latent` of shape [B, 2], found [4, 3]");
        assert_eq!(message(result), expected, "{op}");
    }
}

#[test]
fn contexts_that_do_not_fit_are_named() {
    let conditional = Case::new(3, 2).with_context(2).build();
    let unconditional = Case::new(3, 2).build();
    for (inputs, calls) in [(3, &OF_DATA[..]), (2, &OF_LATENTS)] {
        let x = normal("x", &[4, inputs]);
        for (op, call) in calls {
            for shape in [[5, 2], [4, 3], [1, 2]] {
                let result = call(conditional.model.as_ref(), &x, Some(&normal("context", &shape)));
                assert!(matches!(result, Err(Error::Shape { .. })), "{op}: {result:?}");
                let expected = format!("{op}: expected `context` of shape [4, 2], found {shape:?}");
                assert_eq!(message(result), expected, "{op} with a context {shape:?}");
            }
            let result = call(conditional.model.as_ref(), &x, None);
            let typed = matches!(
                result,
                Err(Error::Bijector(mflow_bijectors::Error::MissingContext { expected: 2, .. }))
            );
            assert!(typed, "{op}: {result:?}");
            let expected = format!("{op}: a context of shape [B, 2] is required, found none");
            assert_eq!(message(result), expected, "{op} without a context");
            let result = call(unconditional.model.as_ref(), &x, Some(&normal("context", &[4, 2])));
            let expected = format!(
                "{op}: expected `context` of shape none: the model is unconditional, found [4, 2]"
            );
            assert_eq!(message(result), expected, "{op} with a context nobody asked for");
        }
    }
}

#[test]
fn coordinates_of_another_shape_or_context_are_refused() {
    let subject = Case::new(3, 2).with_context(2).build();
    let (u, context) = (normal("u", &[4, 2]), normal("context", &[4, 2]));
    let of = |u: &Tensor, c: Option<&Tensor>| subject.model.coordinate_log_prob(u, c);
    assert!(of(&u, Some(&context)).is_ok(), "what fits is taken");
    let expected = "coordinate_log_prob: expected `u` of shape [B, 2], found [4, 3]";
    assert_eq!(message(of(&normal("u", &[4, 3]), Some(&context))), expected, "columns");
    let expected = "coordinate_log_prob: a context of shape [B, 2] is required, found none";
    assert_eq!(message(of(&u, None)), expected, "context");
    let unconditional = Case::new(3, 2).build();
    let result = unconditional.model.coordinate_log_prob(&u, Some(&context));
    let expected = "coordinate_log_prob: expected `context` of shape none: the model is \
                    unconditional, found [4, 2]";
    assert_eq!(message(result), expected, "context nobody asked for");
}

#[test]
fn nothing_is_cast() {
    let subject = Case::new(3, 2).with_context(2).build();
    let (x, context) = (normal("x", &[4, 3]), normal("context", &[4, 2]));
    let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
    for (op, call) in OF_DATA {
        let result = call(subject.model.as_ref(), &single(&x), Some(&context));
        let typed = matches!(
            result,
            Err(Error::Bijector(mflow_bijectors::Error::DType {
                expected: DType::F64,
                found: DType::F32,
                ..
            }))
        );
        assert!(typed, "{op} of f32 data: {result:?}");
        if op == "log_prob" || op == "encode" {
            let result = call(subject.model.as_ref(), &x, Some(&single(&context)));
            let typed =
                matches!(result, Err(Error::Bijector(mflow_bijectors::Error::DType { .. })));
            assert!(typed, "{op} with an f32 context: {result:?}");
        }
    }
}

#[test]
fn configs_out_of_range_are_named() {
    let build = |config: ModelConfig| {
        let mut store = ParamStore::new(1, DType::F32, device());
        config.build(&mut store, |_| true).map(|_| ()).unwrap_err()
    };
    for n in [0, 3, 7] {
        let error = build(ModelConfig::m_flow(3, n));
        let expected = format!(
            "invalid config: `manifold_dim` must be at least 1 and less than data_dim = 3, found {n}"
        );
        assert_eq!(error.to_string(), expected, "manifold_dim {n}");
        let typed = matches!(error, Error::Bijector(mflow_bijectors::Error::Config { .. }));
        assert!(typed, "{error:?}");
    }
    let affine = FeatureAffineConfig::new(vec![0.; 2], vec![1.; 2]);
    let error = build(ModelConfig::m_flow(3, 2).with_normalization(affine));
    let expected = "invalid config: `normalization` must have data_dim = 3 columns, found 2";
    assert_eq!(error.to_string(), expected, "normalisation of two columns");
    let affine = FeatureAffineConfig::new(vec![0.; 2], vec![1.; 3]);
    let error = build(ModelConfig::m_flow(3, 2).with_normalization(affine));
    assert!(error.to_string().contains("feature_affine.scale"), "shift too short: {error}");
    let affine = FeatureAffineConfig::new(vec![0.; 3], vec![1., 0., 1.]);
    let error = build(ModelConfig::m_flow(3, 2).with_normalization(affine));
    assert!(error.to_string().contains("must be positive and finite, found 0 at 1"), "{error}");
}

#[test]
fn a_config_is_read_back_as_it_is_written() {
    let config = Case::new(3, 2).scaled().with_context(2).config();
    let text = serde_json::to_string(&config).unwrap();
    assert!(text.contains(r#""kind":"m-flow""#), "the kind is named: {text}");
    assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), config, "round trip");
    let short = r#"{"kind": "m-flow", "data_dim": 3, "manifold_dim": 2}"#;
    let short: ModelConfig = serde_json::from_str(short).unwrap();
    assert_eq!(short, ModelConfig::m_flow(3, 2), "the rest has defaults");
    for (text, what) in [
        (r#"{"kind": "m-flow", "data_dim": 3, "manifold_dim": 2, "epochs": 1}"#, "epochs"),
        (r#"{"kind": "m-flow", "data_dim": 3}"#, "manifold_dim"),
        (r#"{"kind": "flow", "data_dim": 3, "manifold_dim": 2}"#, "flow"),
    ] {
        let error = serde_json::from_str::<ModelConfig>(text).unwrap_err().to_string();
        assert!(error.contains(what), "the message names `{what}`: {error}");
    }
}
