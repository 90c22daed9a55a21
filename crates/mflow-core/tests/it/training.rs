//! Models as they are while training. Oracle: the same laws in the view with dropout; means over masks
//! where outputs are linear in them; moments of a batch behind `ActNorm` layers.
use crate::ambient::change_of_variables;
use crate::kinds::{Kind, kinds, small, small_net, units, with_epsilon, with_steps};
use crate::numbers::{close, device, gap, normal, numbers, tensor};
use mflow_bijectors::{FlowConfig, LinearKind, Noise, Norm, ParamStore};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{Model, ModelConfig, Part};

/// Affine couplings with dropout.
fn dropping(p: f64) -> FlowConfig {
    let mut flow = FlowConfig::real_nvp();
    (flow.layers, flow.linear) = (4, LinearKind::Reverse);
    flow.net = small_net().with_dropout(p);
    flow
}

fn with_dropout(config: ModelConfig, p: f64) -> ModelConfig {
    config
        .with_outer(dropping(p))
        .with_inner(dropping(p))
        .with_networks(small_net().with_dropout(p))
        .with_normalization(units(3))
}

fn all(p: f64) -> Vec<ModelConfig> {
    let all = [
        ModelConfig::af(3),
        with_epsilon(ModelConfig::pie(3, 2), 0.3),
        ModelConfig::m_flow(3, 2),
        ModelConfig::me_flow(3, 2),
        ModelConfig::pae(3, 2),
        with_steps(ModelConfig::free_form(3, 2), 0),
        ModelConfig::vae(3, 2),
        ModelConfig::rif(3, 2),
    ];
    all.map(|config| with_dropout(config, p).with_context(2)).into()
}

#[test]
fn without_dropout_training_makes_no_difference() {
    for kind in kinds() {
        let view = kind.model.training(&Noise::new(1, 2, 0)).unwrap();
        assert!(view.is_none(), "{}: nothing to drop", kind.what);
    }
    for config in all(0.) {
        let kind = Kind::new(config, 0.6);
        let view = kind.model.training(&Noise::new(1, 2, 0)).unwrap();
        assert!(view.is_none(), "{}: a probability of 0", kind.what);
    }
}

/// What a model tells of data, whichever of them it has.
fn told(model: &dyn Model, kind: &Kind) -> [Vec<f64>; 3] {
    let (x, context) = (kind.data(6), kind.context(6));
    let context = context.as_ref();
    let noise = normal("noise", &[6, model.signature().noise_dim]);
    let trained_on = match kind.name() {
        "vae" | "rif" => model.surrogate_log_prob(&x, context, &noise),
        _ => {
            let u = model.coordinates(&x, context).unwrap();
            model.coordinate_log_prob(&u, context)
        }
    };
    let projected = model.project(&x, context).unwrap();
    let decoded = model.decode(&kind.latent(6), context).unwrap();
    [numbers(&trained_on.unwrap()), numbers(&projected), numbers(&decoded)]
}

#[test]
fn dropout_is_seen_in_the_training_view_alone() {
    for config in all(0.3) {
        let kind = Kind::new(config, 0.8);
        let plain = told(kind.model.as_ref(), &kind);
        let view = |step: u64| {
            let view = kind.model.training(&Noise::new(1, step, 0)).unwrap().unwrap();
            told(&*view, &kind)
        };
        let (first, again, other) = (view(1), view(1), view(2));
        assert_eq!(first, again, "{}: the same step has the same masks", kind.what);
        assert_eq!(
            plain,
            told(kind.model.as_ref(), &kind),
            "{}: the model itself is as before",
            kind.what
        );
        for (i, what) in ["loss", "projection", "decoded"].into_iter().enumerate() {
            // The projection of an ambient flow is the point itself, whatever its maps are.
            let differs = !(i == 1 && kind.name() == "af");
            for masked in [&first[i], &other[i]] {
                let found = gap(masked, &plain[i]) > 1e-4;
                assert_eq!(found, differs, "{}: {what} with dropout", kind.what);
            }
            let found = gap(&first[i], &other[i]) > 1e-4;
            assert_eq!(found, differs, "{}: {what} in another step", kind.what);
        }
    }
}

#[test]
fn a_training_view_obeys_the_laws_of_a_model() {
    for config in all(0.3) {
        let kind = Kind::new(config, 0.8);
        let view = kind.model.training(&Noise::new(1, 5, 0)).unwrap().unwrap();
        let (x, context) = (kind.data(6), kind.context(6));
        let context = context.as_ref();
        // Inner maps inverted by the same masks, in the embedding and in the density.
        let code = view.encode(&x, context).unwrap();
        let decoded = numbers(&view.decode(&code, context).unwrap());
        let projected = numbers(&view.project(&x, context).unwrap());
        close(&format!("{}: decode(encode)", kind.what), &decoded, &projected, 1e-7);
        if kind.name() == "pie" {
            let latents = normal("all latents", &[6, 3]);
            let (x, expected) = change_of_variables(&*view, &latents, context);
            let found = numbers(&view.log_prob(&x, context).unwrap());
            close("pie: the density of its own map", &found, &expected, 1e-6);
            let score = view.score(&x, context.unwrap()).unwrap();
            assert!(numbers(&score).iter().all(|v| v.is_finite()), "pie: score in training");
        }
    }
}

/// The decoder of one residual block is linear in its mask, whose mean is 1.
#[test]
fn the_mean_over_masks_is_the_model_itself() {
    let config = ModelConfig::pae(3, 2).with_networks(small_net().with_dropout(0.4));
    let flow = crate::subject::small_flow(LinearKind::Permutation);
    let kind = Kind::new(config.with_inner(flow), 0.8);
    let rows = 20_000;
    let latent = tensor([0.4, -1.1].repeat(rows), &[rows, 2]);
    let view = kind.model.training(&Noise::new(1, 5, 0)).unwrap().unwrap();
    let drawn = numbers(&view.decode(&latent, None).unwrap());
    let plain = numbers(&kind.model.decode(&latent.narrow(0, 0, 1).unwrap(), None).unwrap());
    for j in 0..3 {
        let of = |f: &dyn Fn(f64) -> f64| {
            drawn.iter().skip(j).step_by(3).map(|v| f(*v)).sum::<f64>() / rows as f64
        };
        let mean = of(&|v| v);
        let deviation = of(&|v| (v - mean).powi(2)).sqrt();
        let error = deviation / f64::sqrt(rows as f64);
        assert!(deviation > 0.01, "feature {j} varies: {deviation}");
        assert!((mean - plain[j]).abs() < 5. * error, "feature {j}: {mean}, plain {}", plain[j]);
    }
}

/// Rows of unequal units.
fn batch(rows: usize) -> Tensor {
    let values = numbers(&normal("batch", &[rows, 3]));
    let place = |(i, v): (usize, &f64)| [5., -2., 30.][i % 3] + [3., 0.1, 12.][i % 3] * v;
    tensor(values.iter().enumerate().map(place).collect(), &[rows, 3])
}

/// Means 0 and unbiased variances 1, in each column.
fn standard(what: &str, t: &Tensor) {
    let mean = t.mean(0).unwrap();
    let square = t.var(0).unwrap();
    close(&format!("{what}: mean"), &numbers(&mean), &vec![0.; t.dims()[1]], 1e-6);
    close(&format!("{what}: variance"), &numbers(&square), &vec![1.; t.dims()[1]], 1e-6);
}

#[test]
fn observing_a_batch_initialises_act_norms() {
    let mut flow = dropping(0.);
    (flow.norm, flow.linear) = (Norm::ActNorm, LinearKind::None);
    for config in [
        ModelConfig::af(3),
        ModelConfig::pie(3, 2),
        ModelConfig::m_flow(3, 2),
        ModelConfig::me_flow(3, 2).with_networks(small_net()),
        ModelConfig::pae(3, 2).with_networks(small_net()),
        with_steps(ModelConfig::free_form(3, 2), 0).with_networks(small_net()),
    ] {
        let config = config.with_outer(flow.clone()).with_inner(flow.clone());
        let mut store = ParamStore::new(2, DType::F64, device());
        let model = config.build(&mut store, |_| true).unwrap();
        let (what, x) = (config.name(), batch(300));
        let before = numbers(&model.encode(&x, None).unwrap());
        model.observe(&x, None, Part::Manifold).unwrap();
        for (name, flag) in store.to_named().unwrap() {
            if name.starts_with("inner") && name.ends_with("initialized") {
                assert_eq!(numbers(&flag), [0.], "{what}: {name} waits for the density");
            }
        }
        model.observe(&x, None, Part::Density).unwrap();
        if ["pie", "m-flow", "me-flow"].contains(&what) {
            standard(&format!("{what}: (u, v)"), &model.latents(&x, None).unwrap());
        }
        standard(&format!("{what}: ũ"), &model.encode(&x, None).unwrap());
        let after = numbers(&model.encode(&x, None).unwrap());
        assert!(gap(&before, &after) > 0.1, "{what}: statistics are learned");
        for part in [Part::Manifold, Part::Density] {
            model.observe(&(&x * 7.).unwrap(), None, part).unwrap();
        }
        assert_eq!(numbers(&model.encode(&x, None).unwrap()), after, "{what}: only once");
    }
}

#[test]
fn observing_takes_what_other_methods_take() {
    for kind in kinds() {
        let (x, context) = (kind.data(5), kind.context(5));
        let before = numbers(&kind.model.project(&x, context.as_ref()).unwrap());
        for part in [Part::Manifold, Part::Density] {
            kind.model.observe(&x, context.as_ref(), part).unwrap();
        }
        let after = numbers(&kind.model.project(&x, context.as_ref()).unwrap());
        assert_eq!(before, after, "{}: nothing to learn", kind.what);
        let wide = normal("wide", &[5, kind.dims().0 + 1]);
        let message =
            kind.model.observe(&wide, context.as_ref(), Part::Density).unwrap_err().to_string();
        assert!(message.starts_with("observe: expected `x` of shape"), "{message}");
    }
}

#[test]
fn batch_statistics_are_refused() {
    let mut flow = dropping(0.);
    flow.norm = Norm::BatchNorm;
    let config = small(ModelConfig::m_flow(3, 2)).with_outer(flow);
    let mut store = ParamStore::new(2, DType::F64, device());
    let message = config.build(&mut store, |_| true).map(|_| ()).unwrap_err().to_string();
    let expected = "invalid config: `outer.norm` must be `none` or `act_norm` in a model";
    assert!(message.starts_with(expected), "{message}");
}
