//! What all models share. Oracle: the laws between their methods, differences of `decode`, the base
//! density by its formula, and the documented table of what each kind can be asked.
use crate::kinds::{Kind, circle, configs, half_log_det, kinds, small};
use crate::numbers::{close, device, normal, numbers, tensor};
use crate::subject::differences;
use mflow_bijectors::{ParamStore, Stream, host};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{Density, Error, Model, ModelCard, ModelConfig, Result, load_model, save_model};
use std::collections::BTreeMap;

const ROWS: usize = 7;

#[test]
fn decoding_a_code_projects() {
    for kind in kinds() {
        let (what, model) = (&kind.what, &kind.model);
        let (x, context) = (kind.data(ROWS), kind.context(ROWS));
        let context = context.as_ref();
        let projected = model.project(&x, context).unwrap();
        let code = model.encode(&x, context).unwrap();
        assert_eq!(code.dims(), [ROWS, kind.dims().1], "{what}: one latent each");
        let decoded = model.decode(&code, context).unwrap();
        close(&format!("{what}: decode(encode)"), &numbers(&decoded), &numbers(&projected), 1e-7);
        let u = model.coordinates(&x, context).unwrap();
        let embedded = model.embedding().unwrap().embed(&u, context).unwrap();
        close(&format!("{what}: embed"), &numbers(&embedded), &numbers(&projected), 1e-12);
        let again = numbers(&model.project(&projected, context).unwrap());
        let latent = kind.latent(ROWS);
        let back = model.encode(&model.decode(&latent, context).unwrap(), context).unwrap();
        if kind.inverts() {
            close(&format!("{what}: idempotent"), &again, &numbers(&projected), 1e-7);
            close(&format!("{what}: encode(decode)"), &numbers(&back), &numbers(&latent), 1e-7);
        } else {
            let gap = crate::numbers::gap(&again, &numbers(&projected));
            assert!(gap > 1e-3, "{what}: a random encoder does not invert the decoder");
        }
        let missed = numbers(&(&x - &projected).unwrap());
        let expected: Vec<f64> = missed
            .chunks(kind.dims().0)
            .map(|m| m.iter().map(|v| v * v).sum::<f64>().sqrt())
            .collect();
        let found = numbers(&model.reconstruction_error(&x, context).unwrap());
        close(&format!("{what}: reconstruction error"), &found, &expected, 1e-12);
        let on_manifold = expected.iter().all(|e| *e < 1e-6);
        assert_eq!(on_manifold, kind.name() == "af", "{what}: data off the manifold");
    }
}

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

#[test]
fn the_jacobian_of_decode_is_its_differences() {
    for kind in kinds() {
        let (latent, context) = (kind.latent(ROWS), kind.context(ROWS));
        let found = kind.model.decode_jacobian(&latent, context.as_ref()).unwrap();
        let (d, n) = kind.dims();
        assert_eq!(found.dims(), [ROWS, n, d], "{}: rows of the Jacobian", kind.what);
        let expected = differences(&latent, &|u| kind.model.decode(u, context.as_ref()).unwrap());
        close(&format!("{}: J", kind.what), &numbers(&found), &numbers(&expected), 1e-6);
    }
}

/// `log p(ũ) - log|det J_h|`, with the determinant from the volumes of `decode` and of `embed`.
#[test]
fn the_density_of_coordinates_is_that_of_its_parts() {
    for kind in kinds() {
        let (x, context) = (kind.data(ROWS), kind.context(ROWS));
        let context = context.as_ref();
        let latent = kind.model.encode(&x, context).unwrap();
        let u = kind.model.coordinates(&x, context).unwrap();
        let embed = |u: &Tensor| kind.model.embedding().unwrap().embed(u, context).unwrap();
        let of_embedding = half_log_det(&differences(&u, &embed));
        let log_volume = numbers(&kind.model.embedding().unwrap().log_volume(&u, context).unwrap());
        close(&format!("{}: log-volume", kind.what), &log_volume, &of_embedding, 1e-6);
        let found = numbers(&kind.model.coordinate_log_prob(&u, context).unwrap());
        let on_manifold = kind.on_manifold(&latent, context);
        let expected: Vec<f64> =
            on_manifold.iter().zip(&of_embedding).map(|(p, v)| p + v).collect();
        close(&format!("{}: coordinates", kind.what), &found, &expected, 1e-5);
        if kind.has_density() {
            let found = kind.log_density(Density::Manifold, &x);
            close(&format!("{}: on the manifold", kind.what), &found, &on_manifold, 1e-5);
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

type Call = fn(&Kind, &Tensor, Option<&Tensor>) -> Result<Tensor>;

/// Every method, by name, argument and number of columns: `true` for data, else latents.
const METHODS: [(&str, bool, Call); 8] = [
    ("log_prob", true, |k, x, c| k.model.log_prob(x, c)),
    ("project", true, |k, x, c| k.model.project(x, c)),
    ("encode", true, |k, x, c| k.model.encode(x, c)),
    ("coordinates", true, |k, x, c| k.model.coordinates(x, c)),
    ("latents", true, |k, x, c| k.model.latents(x, c)),
    ("surrogate_log_prob", true, |k, x, c| {
        let noise = host::zeros((x.dims()[0], k.dims().1), DType::F64, device())?;
        k.model.surrogate_log_prob(x, c, &noise)
    }),
    ("decode", false, |k, u, c| k.model.decode(u, c)),
    ("decode_jacobian", false, |k, u, c| k.model.decode_jacobian(u, c)),
];

#[test]
fn every_kind_refuses_what_does_not_fit() {
    for kind in kinds() {
        let (what, (d, n)) = (&kind.what, kind.dims());
        let context = kind.context(4);
        let context = context.as_ref();
        for (op, of_data, call) in METHODS {
            if op == "log_prob" && !kind.has_density() {
                continue;
            }
            let (arg, columns) = if of_data { ("x", d) } else { ("latent", n) };
            let mut values = numbers(&normal("values", &[4, columns]));
            values[2 * columns + columns - 1] = f64::NAN;
            let message = |result: Result<Tensor>| result.map(|_| ()).unwrap_err().to_string();
            let expected =
                format!("{op}: `{arg}` must be finite, found NaN at row 2, column {}", columns - 1);
            let found = message(call(&kind, &tensor(values, &[4, columns]), context));
            assert_eq!(found, expected, "{what}: NaN");
            let wide = normal("wide", &[4, columns + 1]);
            let expected = format!(
                "{op}: expected `{arg}` of shape [B, {columns}], found [4, {}]",
                columns + 1
            );
            assert_eq!(message(call(&kind, &wide, context)), expected, "{what}: shape");
            let fits = normal("fits", &[4, columns]);
            let other = match context {
                Some(_) => call(&kind, &fits, None),
                None => call(&kind, &fits, Some(&normal("context", &[4, 2]))),
            };
            let expected = match context {
                Some(_) => format!("{op}: a context of shape [B, 2] is required, found none"),
                None => format!(
                    "{op}: expected `context` of shape none: the model is unconditional, found \
                     [4, 2]"
                ),
            };
            assert_eq!(message(other), expected, "{what}: context");
        }
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

#[test]
fn no_rows_give_no_results() {
    for kind in kinds() {
        let (d, n) = kind.dims();
        for (op, of_data, call) in METHODS {
            let columns = if of_data { d } else { n };
            let context = kind.context(0);
            match call(&kind, &tensor(vec![], &[0, columns]), context.as_ref()) {
                Ok(t) => assert_eq!(t.dims()[0], 0, "{}: {op} of no rows", kind.what),
                Err(Error::Unsupported { .. }) => {}
                Err(error) => panic!("{}: {op} of no rows: {error}", kind.what),
            }
        }
        let mut stream = Stream::new(1, "nothing");
        let drawn = kind.model.sample(0, kind.context(0).as_ref(), &mut stream).unwrap();
        assert_eq!(drawn.dims(), [0, d], "{}: no samples", kind.what);
        let Some(context) = kind.context(0) else { continue };
        let u = tensor(vec![], &[0, n]);
        let score = kind.model.coordinate_score(&u, &context).unwrap();
        assert_eq!(score.dims(), [0, 2], "{}: coordinate_score of no rows", kind.what);
        match kind.model.score(&tensor(vec![], &[0, d]), &context) {
            Ok(score) => assert_eq!(score.dims(), [0, 2], "{}: score of no rows", kind.what),
            Err(Error::Unsupported { .. }) => {}
            Err(error) => panic!("{}: score of no rows: {error}", kind.what),
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
fn every_kind_comes_back_from_its_file_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for mut kind in kinds() {
        // A loaded model is frozen.
        kind.model = kind.config.build(&mut kind.store, |_| false).unwrap();
        let config = kind.config.clone();
        let card = ModelCard {
            config,
            columns: None,
            layout: Default::default(),
            provenance: BTreeMap::new(),
        };
        save_model(&path, &card, &kind.store).unwrap();
        let loaded = load_model(&path, None, device()).unwrap();
        assert_eq!(loaded.card, card, "{}: the card", kind.what);
        let (old, new) =
            (everything(kind.model.as_ref(), &kind), everything(&*loaded.model, &kind));
        assert_eq!(old, new, "{}: what it computes", kind.what);
    }
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
fn configs_are_read_back_as_they_are_written() {
    for config in configs() {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), config, "{text}");
        let unknown = text.replacen('{', r#"{"epochs": 1,"#, 1);
        let message = serde_json::from_str::<ModelConfig>(&unknown).unwrap_err().to_string();
        assert!(message.contains("unknown field `epochs`"), "{unknown}: {message}");
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

#[test]
fn projection_and_density_together_are_those_one_by_one() {
    for kind in kinds() {
        let (x, context) = (kind.data(ROWS), kind.context(ROWS));
        let found = kind.model.project_with_log_prob(&x, context.as_ref());
        let Ok(expected) = kind.model.log_prob(&x, context.as_ref()) else {
            assert!(matches!(found, Err(Error::Unsupported { .. })), "{}: {found:?}", kind.what);
            continue;
        };
        let found = found.unwrap();
        close(&kind.what, &numbers(&found.log_prob), &numbers(&expected), 1e-10);
        let projection = kind.model.project(&x, context.as_ref()).unwrap();
        close(&kind.what, &numbers(&found.projection), &numbers(&projection), 1e-10);
    }
}
