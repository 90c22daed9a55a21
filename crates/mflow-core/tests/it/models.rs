//! What each kind of model can be asked, and which configs it refuses. Oracle: the documented table of kinds. What holds of
//! every model is in `laws.rs`.
use crate::kinds::{Kind, circle, kinds, small};
use crate::numbers::{close, device, normal, numbers, tensor};
use mflow_bijectors::{ParamStore, Stream};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{Density, Error, Model, ModelConfig, Result};

const ROWS: usize = 7;

#[test]
fn latents_are_all_that_the_map_has() {
    for kind in kinds() {
        let (x, context) = (kind.data(ROWS), kind.context(ROWS));
        let latents = kind.model.latents(&x, context.as_ref()).unwrap();
        let u = kind.model.coordinates(&x, context.as_ref()).unwrap();
        let (d, n) = kind.dims();
        let flows = ["af", "pie", "m-flow", "me-flow"].contains(&kind.name());
        assert_eq!(latents.dims(), [ROWS, if flows { d } else { n }], "{}: latents", kind.what);
        if kind.inverts() && kind.config.chart().is_none() {
            let first = latents.narrow(1, 0, n).unwrap();
            close(&format!("{}: u", kind.what), &numbers(&first), &numbers(&u), 1e-12);
        }
    }
}

/// Which `log_prob` a kind has, its `noise_dim`, and the columns of its noise off the manifold.
fn documented(config: &ModelConfig) -> (Option<Density>, usize, Option<usize>) {
    let (d, n) = (config.sizes.data_dim, config.sizes.manifold_dim);
    match config.name() {
        "af" => (Some(Density::Ambient), 0, None),
        "pie" => (Some(Density::Ambient), 0, Some(d - n)),
        "fom" | "m-flow" | "me-flow" | "free-form" => (Some(Density::Manifold), 0, None),
        "vae" => (None, n, Some(d)),
        _ => (None, 0, None),
    }
}

#[track_caller]
fn lacks(what: &str, op: &str, model: &str, result: Result<Tensor>) {
    let error = result.map(|t| t.dims().to_vec()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{what}: {error:?}");
    let message = error.to_string();
    let start = format!("{op}: {model} has none: ");
    assert!(message.starts_with(&start), "{what}: what and who: {message}");
    assert!(message.contains("ask for"), "{what}: what to ask for instead: {message}");
}

#[test]
fn every_kind_can_what_is_documented_and_no_more() {
    for kind in kinds() {
        let (what, model, name) = (&kind.what, &kind.model, kind.name());
        let (x, context) = (kind.data(ROWS), kind.context(ROWS));
        let context = context.as_ref();
        let signature = model.signature();
        let (density, noise_dim, off) = documented(&kind.config);
        let (d, n) = kind.dims();
        assert_eq!((signature.name, signature.density), (name, density), "{what}: density");
        assert_eq!(signature.noise_dim, noise_dim, "{what}: numbers of noise");
        assert_eq!((signature.data_dim, signature.manifold_dim), (d, n), "{what}: sizes");
        let c = kind.config.sizes.context_dim;
        assert_eq!(signature.context_dim, (c > 0).then_some(c), "{what}: context");
        match density {
            Some(of_kind) => {
                let found = numbers(&model.log_prob(&x, context).unwrap());
                assert_eq!(found, kind.log_density(of_kind, &x), "{what}: log_prob");
            }
            None => lacks(what, "log_prob", name, model.log_prob(&x, context)),
        }
        let has = |density: Density| match (name, density) {
            ("pae" | "vae" | "rif", _) => false,
            ("pie", _) | (_, Density::Manifold) | ("af", Density::Ambient) => true,
            _ => false,
        };
        for density in
            [Density::Manifold, Density::Ambient, Density::Slice, Density::Clipped { clip: 5. }]
        {
            let result = model.log_density(density, &x, context);
            if has(density) {
                assert_eq!(result.unwrap().dims(), [ROWS], "{what}: {density:?}");
            } else {
                let op = if kind.has_density() { "log_density" } else { "log_prob" };
                lacks(what, op, name, result);
            }
        }
        if let Some(context) = context {
            let result = model.score(&x, context);
            let fixed = !kind.config.sizes.conditional_manifold || ["af", "pie"].contains(&name);
            if kind.has_density() && fixed {
                assert_eq!(result.unwrap().dims(), [ROWS, c], "{what}: score");
            } else {
                lacks(what, "score", name, result);
            }
        }
        let noise = normal("noise", &[ROWS, noise_dim]);
        let surrogate = model.surrogate_log_prob(&x, context, &noise);
        if ["vae", "rif"].contains(&name) {
            assert_eq!(surrogate.unwrap().dims(), [ROWS], "{what}: surrogate");
        } else {
            lacks(what, "surrogate_log_prob", name, surrogate);
        }
        let drawn = model.sample_noise(ROWS, &mut Stream::new(1, "noise")).unwrap();
        let shape = drawn.map(|t| t.dims().to_vec());
        assert_eq!(shape, off.map(|k| vec![ROWS, k]), "{what}: noise off the manifold");
        let noise = normal("off", &[ROWS, off.unwrap_or(1)]);
        let noisy = model.decode_noisy(&kind.latent(ROWS), &noise, context);
        if off.is_some() {
            assert_eq!(noisy.unwrap().dims(), [ROWS, d], "{what}: noisy points");
        } else {
            lacks(what, "decode_noisy", name, noisy);
        }
        assert_eq!(
            model.coordinate_log_prob(&normal("u", &[ROWS, n]), context).unwrap().dims(),
            [ROWS],
            "{what}: density of coordinates"
        );
    }
}

/// A method by name, its columns of noise, and its call.
type OfNoise<'a> = (&'static str, usize, &'a dyn Fn(&Tensor) -> Result<Tensor>);

#[test]
fn noise_that_does_not_fit_is_refused() {
    for kind in kinds() {
        let (_, noise_dim, off) = documented(&kind.config);
        let context = kind.context(4);
        let surrogate =
            |noise: &Tensor| kind.model.surrogate_log_prob(&kind.data(4), context.as_ref(), noise);
        let noisy =
            |noise: &Tensor| kind.model.decode_noisy(&kind.latent(4), noise, context.as_ref());
        let calls: [OfNoise<'_>; 2] = [
            ("surrogate_log_prob", noise_dim, &surrogate),
            ("decode_noisy", off.unwrap_or(0), &noisy),
        ];
        for (op, columns, call) in calls {
            if columns == 0 {
                continue;
            }
            for shape in [[4, columns + 1], [3, columns]] {
                let message = call(&normal("noise", &shape)).unwrap_err().to_string();
                let expected =
                    format!("{op}: expected `noise` of shape [4, {columns}], found {shape:?}");
                assert_eq!(message, expected, "{}", kind.what);
            }
            let mut values = numbers(&normal("noise", &[4, columns]));
            values[columns] = f64::INFINITY;
            let message = call(&tensor(values, &[4, columns])).unwrap_err().to_string();
            let expected = format!("{op}: `noise` must be finite, found inf at row 1, column 0");
            assert_eq!(message, expected, "{}", kind.what);
        }
    }
}

/// Everything a model computes.
fn everything(model: &dyn Model, kind: &Kind) -> Vec<u64> {
    let (x, context) = (kind.data(ROWS), kind.context(ROWS));
    let context = context.as_ref();
    let mut stream = Stream::new(8, "bits");
    let noise = normal("noise", &[ROWS, model.signature().noise_dim]);
    let results = [
        Some(model.sample(ROWS, context, &mut stream).unwrap()),
        Some(model.encode(&x, context).unwrap()),
        Some(model.project(&x, context).unwrap()),
        model.log_prob(&x, context).ok(),
        model.surrogate_log_prob(&x, context, &noise).ok(),
    ];
    results.iter().flatten().flat_map(numbers).map(f64::to_bits).collect()
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    for kind in kinds() {
        let of = |seed: u64| {
            let mut store = ParamStore::new(seed, DType::F64, device());
            everything(kind.config.build(&mut store, |_| true).unwrap().as_ref(), &kind)
        };
        assert_eq!(of(3), of(3), "{}: one seed", kind.what);
        // Circular splines start as the identity.
        let fixed = kind.of_angles() && kind.name() == "fom";
        assert!(fixed || of(3) != of(4), "{}: another seed", kind.what);
    }
}

#[test]
fn short_tables_have_the_defaults() {
    let chart = r#"{"kind": "hypersphere", "dim": 1, "radius": 2.0, "center": [0.5, -1.0]}"#;
    let fom = ModelConfig::fom(circle(2.));
    let of_fom =
        format!(r#"{{"kind": "fom", "chart": {chart}, "data_dim": 2, "manifold_dim": 1}}"#);
    let on_chart = format!(r#"{{"kind": "m-flow", "chart": {chart}, "data_dim": 3}}"#);
    let table = |kind: &str| format!(r#"{{"kind": "{kind}", "data_dim": 3, "manifold_dim": 2}}"#);
    for (text, expected) in [
        (r#"{"kind": "af", "data_dim": 3}"#.to_owned(), ModelConfig::af(3)),
        (of_fom, fom),
        (on_chart, ModelConfig::m_flow_on(circle(2.), 3)),
        (table("pie"), ModelConfig::pie(3, 2)),
        (table("m-flow"), ModelConfig::m_flow(3, 2)),
        (table("atlas"), ModelConfig::atlas(3, 2, 4)),
        (table("me-flow"), ModelConfig::me_flow(3, 2)),
        (table("pae"), ModelConfig::pae(3, 2)),
        (table("free-form"), ModelConfig::free_form(3, 2)),
        (table("vae"), ModelConfig::vae(3, 2)),
        (table("rif"), ModelConfig::rif(3, 2)),
    ] {
        assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), expected, "{text}");
    }
    let message = |text: &str| serde_json::from_str::<ModelConfig>(text).unwrap_err().to_string();
    assert!(message(r#"{"kind": "flow"}"#).contains("unknown variant `flow`"), "an unknown kind");
    let missing = message(r#"{"kind": "pie", "data_dim": 3}"#);
    assert!(missing.contains("missing field `manifold_dim`"), "{missing}");
}

#[test]
fn configs_out_of_range_are_named() {
    let refused = |config: ModelConfig, expected: &str| {
        let mut store = ParamStore::new(1, DType::F64, device());
        let message = config.build(&mut store, |_| true).map(|_| ()).unwrap_err().to_string();
        assert_eq!(message, format!("invalid config: {expected}"));
    };
    let pie = crate::kinds::with_epsilon(ModelConfig::pie(3, 2), 0.);
    refused(pie, "`epsilon` must be positive and finite, found 0");
    let mut af = small(ModelConfig::af(3));
    af.sizes.manifold_dim = 2;
    let narrow = |part: &str| {
        let mut table = serde_json::to_value(ModelConfig::free_form(3, 2)).unwrap();
        table[part]["hidden"] = 1.into();
        serde_json::from_value::<ModelConfig>(table).unwrap()
    };
    for part in ["encoder", "decoder"] {
        let reason = "must be at least manifold_dim = 2, as no 2 coordinates pass through fewer units, found 1";
        refused(narrow(part), &format!("`{part}.hidden` {reason}"));
    }
    refused(af, "`manifold_dim` must be data_dim = 3 of `af`, found 2");
    let fom = ModelConfig::fom(circle(2.));
    refused(
        fom.clone().with_normalization(crate::kinds::units(2)),
        "`normalization` must be left out of `fom`, whose manifold is given in data units",
    );
    refused(
        fom.with_context(1),
        "`inner.net` must be there with a context, which splines element by element do not see; found \
         none",
    );
    for config in [
        ModelConfig::pae(3, 3),
        ModelConfig::free_form(3, 3),
        ModelConfig::vae(3, 3),
        ModelConfig::me_flow(3, 3),
    ] {
        let expected = "`manifold_dim` must be at least 1 and less than data_dim = 3, found 3";
        refused(config, expected);
    }
}

#[test]
fn a_manifold_without_a_choice_is_not_made_conditional() {
    for config in [ModelConfig::af(2), ModelConfig::vae(2, 1), ModelConfig::fom(circle(1.))] {
        let name = config.name();
        let config = config.with_context(1).with_conditional_manifold();
        let mut store = ParamStore::new(1, DType::F64, device());
        let message = config.build(&mut store, |_| true).unwrap_err().to_string();
        let part = format!("`conditional_manifold` must be left out of `{name}`");
        assert!(message.contains(&part), "{message}");
    }
}
