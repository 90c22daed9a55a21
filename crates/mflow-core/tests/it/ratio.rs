//! Estimators of likelihood ratios. Oracle: the documented capabilities. What holds of every model is in `laws.rs`.
use crate::kinds::{Kind, small_net, units};
use crate::numbers::{close, device, normal, numbers, tensor};
use mflow_bijectors::{Noise, Stream};
use mflow_core::candle::Tensor;
use mflow_core::{Density, Error, Model, ModelConfig, Result};

const ROWS: usize = 5;

fn config() -> ModelConfig {
    ModelConfig::ratio(3, 2).with_networks(small_net())
}

fn kind() -> Kind {
    Kind::new(config().with_normalization(units(3)), 0.9)
}

/// A network in the units of data is one of normalised data with other weights: here with the same ones.
#[test]
fn data_are_normalised_and_contexts_are_not() {
    let (plain, scaled) = (Kind::new(config(), 0.9), kind());
    let (x, context) = (plain.data(ROWS), plain.context(ROWS));
    let units = units(3);
    let to_data = |(i, v): (usize, &f64)| units.shift[i % 3] + units.scale[i % 3] * v;
    let values = numbers(&x).iter().enumerate().map(to_data).collect();
    let of_scaled = scaled.model.log_prob(&tensor(values, &[ROWS, 3]), context.as_ref()).unwrap();
    let of_plain = plain.model.log_prob(&x, context.as_ref()).unwrap();
    close("units", &numbers(&of_scaled), &numbers(&of_plain), 1e-12);
}

#[test]
fn it_has_a_ratio_and_nothing_else() {
    let kind = kind();
    let model: &dyn Model = kind.model.as_ref();
    let group = |name: &str| name.split('.').next() == Some("network");
    assert!(kind.store.parameters().all(|p| group(&p.name)), "one group of parameters");
    let signature = model.signature();
    assert_eq!((signature.name, signature.density), ("ratio", Some(Density::Ratio)));
    assert_eq!((signature.data_dim, signature.context_dim), (3, Some(2)));
    assert!(!signature.is_generative() && model.embedding().is_none(), "no samples, no manifold");
    assert!(Kind::new(ModelConfig::vae(3, 2), 0.6).model.signature().is_generative());
    let (x, context) = (kind.data(ROWS), kind.context(ROWS));
    let c = context.as_ref();
    let mut stream = Stream::new(1, "nothing");
    let noise = normal("noise", &[ROWS, 3]);
    let lacks = |op: &str, result: Result<Tensor>| {
        let error = result.map(|t| t.dims().to_vec()).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{op}: {error:?}");
        let message = error.to_string();
        assert!(message.starts_with(&format!("{op}: ratio has none: ")), "{message}");
        assert!(message.contains("ask for `log_prob`"), "what to ask for instead: {message}");
    };
    for density in [Density::Manifold, Density::Ambient, Density::Slice] {
        lacks("log_density", model.log_density(density, &x, c));
    }
    lacks("project", model.project(&x, c));
    lacks("project", model.project_with_log_prob(&x, c).map(|p| p.projection));
    lacks("project", model.reconstruction_error(&x, c));
    lacks("encode", model.encode(&x, c));
    lacks("decode", model.decode(&x, c));
    lacks("decode", model.cycle_error(&x, c).map(|e| e.data));
    lacks("decode_jacobian", model.decode_jacobian(&x, c));
    lacks("coordinates", model.coordinates(&x, c));
    lacks("coordinates", model.latents(&x, c));
    lacks("coordinate_log_prob", model.coordinate_log_prob(&x, c));
    lacks("latent_log_prob", model.latent_log_prob(&x));
    lacks("surrogate_log_prob", model.surrogate_log_prob(&x, c, &noise));
    lacks("sample_latent", model.sample_latent(2, &mut stream));
    lacks("sample", model.sample(2, c, &mut stream));
    let other = Kind::new(ModelConfig::pie(3, 2), 0.6);
    let error = other.model.log_density(Density::Ratio, &x, None).unwrap_err();
    assert!(matches!(error, Error::Unsupported { model: "pie", .. }), "{error}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let kind = kind();
    let (x, context) = (kind.data(4), kind.context(4));
    let of = |x: &Tensor, c: Option<&Tensor>| kind.model.log_prob(x, c).unwrap_err().to_string();
    assert!(of(&x, None).contains("a context of shape [B, 2] is required"), "{}", of(&x, None));
    let wide = normal("wide", &[4, 4]);
    let message = of(&wide, context.as_ref());
    assert_eq!(message, "log_prob: expected `x` of shape [B, 3], found [4, 4]");
    let short = kind.context(3);
    let message = of(&x, short.as_ref());
    assert_eq!(message, "log_prob: expected `context` of shape [4, 2], found [3, 2]");
    let mut values = numbers(&x);
    values[4] = f64::NAN;
    let message = of(&tensor(values, &[4, 3]), context.as_ref());
    assert_eq!(message, "log_prob: `x` must be finite, found NaN at row 1, column 1");
    let infinite = tensor(vec![f64::INFINITY; 8], &[4, 2]);
    let message = kind.model.score(&x, &infinite).unwrap_err().to_string();
    assert!(message.starts_with("score: `context` must be finite"), "{message}");
    let (none, c) = (tensor(vec![], &[0, 3]), tensor(vec![], &[0, 2]));
    assert_eq!(kind.model.log_prob(&none, Some(&c)).unwrap().dims(), [0], "no rows");
    assert_eq!(kind.model.score(&none, &c).unwrap().dims(), [0, 2], "no rows");
}

#[test]
fn configs_that_cannot_be_are_refused() {
    let build = |text: &str| {
        let config: ModelConfig = serde_json::from_str(text).unwrap();
        let mut store =
            mflow_bijectors::ParamStore::new(1, mflow_core::candle::DType::F64, device());
        config.build(&mut store, |_| true).map(|m| m.signature().data_dim)
    };
    assert_eq!(build(r#"{"kind": "ratio", "data_dim": 3, "context_dim": 1}"#).unwrap(), 3);
    for (fields, part) in [
        (r#""context_dim": 0"#, "`context_dim` must be at least 1 of `ratio`"),
        (
            r#""context_dim": 1, "manifold_dim": 2"#,
            "`manifold_dim` must be data_dim = 3 of `ratio`",
        ),
        (
            r#""context_dim": 1, "conditional_manifold": true"#,
            "`conditional_manifold` must be left out of `ratio`",
        ),
    ] {
        let text = format!(r#"{{"kind": "ratio", "data_dim": 3, {fields}}}"#);
        let message = build(&text).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn dropout_is_for_training_only() {
    let kind = kind();
    assert!(kind.model.training(&Noise::new(1, 0, 0)).unwrap().is_none(), "no difference");
    let kind = Kind::new(config().with_networks(small_net().with_dropout(0.5)), 0.9);
    let (x, context) = (kind.data(ROWS), kind.context(ROWS));
    let of = |model: &dyn Model| numbers(&model.log_prob(&x, context.as_ref()).unwrap());
    let training = kind.model.training(&Noise::new(1, 0, 0)).unwrap().unwrap();
    assert_ne!(of(kind.model.as_ref()), of(training.as_ref()));
}
