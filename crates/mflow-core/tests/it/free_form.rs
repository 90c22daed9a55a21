//! Free-form flows, and how exactly a model inverts. Oracle: networks set by hand that invert each other,
//! Jacobians by differences, lengths and areas of decoded grids, distances in plain loops.
use crate::kinds::{Kind, circle, kinds, small, small_net, units, with_steps};
use crate::numbers::{close, device, numbers, tensor};
use crate::subject::small_flow;
use crate::volume::{Integrand, bin_of, check_counts, check_total};
use mflow_bijectors::{Activation, LinearKind, NetConfig, ParamStore, Stream};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{CycleError, Density, ModelConfig, ModelParts, NetworkConfig};
use std::f64::consts::{PI, TAU};

/// With the codes that the encoder says, as they are.
fn free_form(d: usize, n: usize) -> ModelConfig {
    with_steps(small(ModelConfig::free_form(d, n)).with_normalization(units(d)), 0)
}

/// A free-form flow whose encoder inverts its decoder: the decoder passes the code on in its first features and
/// bends the others, the encoder reads the first features off.
pub(crate) fn inverting(config: ModelConfig, gain: f64) -> Kind {
    let kind = Kind::new(config, gain);
    let (_, n) = kind.dims();
    let mut named = kind.store.to_named().unwrap();
    let mut set = |name: &str, value: &dyn Fn(usize, usize, f64) -> f64| {
        let old = named.get_mut(name).unwrap();
        let columns = old.dims().get(1).copied().unwrap_or(1);
        let values = numbers(old).into_iter().enumerate();
        let values = values.map(|(k, v)| value(k / columns, k % columns, v)).collect();
        *old = tensor(values, old.dims());
    };
    let unit = |i: usize, j: usize| if i == j { 1. } else { 0. };
    for net in ["encoder", "decoder"] {
        // The first N inputs go through hidden units that the block leaves alone, to the first outputs.
        for layer in ["initial", "blocks.0.linear.1", "final"] {
            let block = layer.starts_with("blocks");
            let weight = |i: usize, j: usize, old: f64| match i < n {
                true if block => 0.,
                true => unit(i, j),
                false => old,
            };
            set(&format!("{net}.net.{layer}.weight"), &weight);
            let bent = |i: usize, _: usize, old: f64| if i < n { 0. } else { old };
            set(&format!("{net}.net.{layer}.bias"), &bent);
        }
    }
    kind.store.assign(&named).unwrap();
    kind
}

fn config_of_every_size() -> Vec<ModelConfig> {
    let conditional = |c: ModelConfig| c.with_context(2);
    vec![
        free_form(3, 1),
        free_form(3, 2),
        conditional(free_form(3, 2)),
        conditional(free_form(4, 2)).with_conditional_manifold(),
    ]
}

#[test]
fn the_density_is_the_volume_of_the_decoder_at_the_code_of_the_encoder() {
    for config in config_of_every_size() {
        // Whether the two networks invert each other or not.
        for kind in [Kind::new(config.clone(), 0.6), inverting(config, 0.6)] {
            let (x, context) = (kind.data(9), kind.context(9));
            let latent = kind.model.encode(&x, context.as_ref()).unwrap();
            let expected = kind.on_manifold(&latent, context.as_ref());
            let found = kind.log_density(Density::Manifold, &x);
            close(&kind.what, &found, &expected, 1e-6);
            let together = kind.model.project_with_log_prob(&x, context.as_ref()).unwrap();
            close(
                &format!("{}: in one pass", kind.what),
                &numbers(&together.log_prob),
                &expected,
                1e-6,
            );
        }
    }
}

#[test]
fn where_the_encoder_inverts_the_decoder_samples_have_their_own_density() {
    for config in config_of_every_size() {
        let kind = inverting(config, 0.6);
        let (latent, context) = (kind.latent(9), kind.context(9));
        let x = kind.model.decode(&latent, context.as_ref()).unwrap();
        let found = kind.log_density(Density::Manifold, &x);
        close(&kind.what, &found, &kind.on_manifold(&latent, context.as_ref()), 1e-6);
    }
}

fn total(kind: &Kind, half: f64, cells: usize) -> f64 {
    let of_rows = |t: &Tensor| {
        let (rows, c) = (t.dims()[0], kind.config.sizes.context_dim);
        (c > 0).then(|| tensor([0.7, -1.1].repeat(rows), &[rows, c]))
    };
    let density = Integrand {
        n: kind.dims().1,
        decode: &|u| kind.model.decode(u, of_rows(u).as_ref()).unwrap(),
        log_prob: &|_, x| kind.model.log_prob(x, of_rows(x).as_ref()).unwrap(),
    };
    density.total(half, cells)
}

#[test]
fn the_density_integrates_to_one_over_the_image_of_the_decoder() {
    for config in [
        free_form(3, 1),
        free_form(3, 1).with_context(2),
        free_form(3, 1).with_context(2).with_conditional_manifold(),
    ] {
        let kind = inverting(config, 0.7);
        check_total(&kind.what, total(&kind, 9., 8000));
    }
    for config in [free_form(3, 2), free_form(4, 2).with_context(2).with_conditional_manifold()] {
        let kind = inverting(config, 0.25);
        check_total(&kind.what, total(&kind, 5.5, 180));
    }
}

#[test]
fn samples_fall_where_the_density_says() {
    let kind = inverting(free_form(3, 1), 0.7);
    let density = Integrand {
        n: 1,
        decode: &|u| kind.model.decode(u, None).unwrap(),
        log_prob: &|_, x| kind.model.log_prob(x, None).unwrap(),
    };
    let (bins, fine, half, rows) = (20, 400, 2.5, 20_000);
    let shares = density.shares(half, bins * fine);
    let shares: Vec<f64> = shares.chunks(fine).map(|s| s.iter().sum()).collect();
    let drawn = kind.model.sample(rows, None, &mut Stream::new(3, "samples")).unwrap();
    let latent = numbers(&kind.model.encode(&drawn, None).unwrap());
    let mut counts = vec![0.; bins];
    latent.iter().filter_map(|u| bin_of(*u, half, bins)).for_each(|bin| counts[bin] += 1.);
    check_counts("samples on a curve", &counts, &shares, rows);
}

/// What the cycle error is there to tell: the density then is none.
#[test]
fn with_another_encoder_the_density_does_not_integrate_to_one() {
    let kind = Kind::new(free_form(3, 1), 0.7);
    let total = total(&kind, 9., 8000);
    assert!((total - 1.).abs() > 0.05, "a random encoder: {total}");
    let CycleError { data, latent, .. } = kind.model.cycle_error(&kind.latent(50), None).unwrap();
    let smallest = |t: &Tensor| numbers(t).into_iter().fold(f64::INFINITY, f64::min);
    let latent = latent.unwrap();
    assert!(smallest(&data) > 1e-3 && smallest(&latent) > 1e-3, "and the cycle error tells");
}

/// Euclidean lengths of rows.
fn lengths(rows: &[f64], columns: usize) -> Vec<f64> {
    rows.chunks(columns).map(|r| r.iter().map(|v| v * v).sum::<f64>().sqrt()).collect()
}

#[test]
fn the_cycle_error_is_the_distance_to_where_a_sample_comes_back() {
    for kind in kinds() {
        let (what, model, (d, n)) = (&kind.what, &kind.model, kind.dims());
        let (start, context) = (kind.latent(7), kind.context(7));
        let context = context.as_ref();
        let CycleError { data, latent, .. } = model.cycle_error(&start, context).unwrap();
        let latent = latent.unwrap_or_else(|| panic!("{what}: one chart"));
        assert_eq!((data.dims(), latent.dims()), (&[7][..], &[7][..]), "{what}: one each");
        let x = model.decode(&start, context).unwrap();
        let code = model.encode(&x, context).unwrap();
        let again = model.decode(&code, context).unwrap();
        let missed: Vec<f64> =
            numbers(&x).iter().zip(numbers(&again)).map(|(a, b)| a - b).collect();
        close(&format!("{what}: data"), &numbers(&data), &lengths(&missed, d), 1e-7);
        let around = |v: f64| if kind.of_angles() { (v + PI).rem_euclid(TAU) - PI } else { v };
        let moved: Vec<f64> =
            numbers(&start).iter().zip(numbers(&code)).map(|(a, b)| around(a - b)).collect();
        close(&format!("{what}: latents"), &numbers(&latent), &lengths(&moved, n), 1e-12);
        assert_eq!(model.inverts(), kind.inverts(), "{what}: by construction");
        let largest = |t: &Tensor| numbers(t).into_iter().fold(0., f64::max);
        let (of_data, of_latents) = (largest(&data), largest(&latent));
        if kind.inverts() {
            assert!(of_data < 1e-6 && of_latents < 1e-6, "{what}: {of_data:e}, {of_latents:e}");
        } else {
            assert!(of_data > 1e-3 && of_latents > 1e-3, "{what}: {of_data:e}, {of_latents:e}");
        }
    }
    for config in config_of_every_size() {
        let kind = inverting(config, 0.6);
        let context = kind.context(7);
        let found = kind.model.cycle_error(&kind.latent(7), context.as_ref()).unwrap();
        close("inverting networks: data", &numbers(&found.data), &[0.; 7], 1e-9);
        close("and latents", &numbers(&found.latent.unwrap()), &[0.; 7], 1e-9);
        assert!(!kind.model.inverts(), "networks invert each other by luck, not by construction");
    }
}

#[test]
fn angles_come_back_the_shorter_way_round() {
    let kind = Kind::new(ModelConfig::fom(circle(2.)), 0.);
    // A whole turn further on is the same point, whose angle is in [-π, π).
    let start = tensor(vec![0.5, 0.5 + TAU, -3.1 - TAU], &[3, 1]);
    let found = kind.model.cycle_error(&start, None).unwrap();
    close("latents", &numbers(&found.latent.unwrap()), &[0.; 3], 1e-9);
}

/// `x = (u, g(u))` with an encoder that says `2 u`, in data units.
#[test]
fn the_cycle_error_of_a_stretching_encoder_is_known() {
    let kind = inverting(with_steps(small(ModelConfig::free_form(3, 1)), 0), 0.5);
    let mut named = kind.store.to_named().unwrap();
    let name = "encoder.net.final.weight";
    named.insert(name.to_owned(), (&named[name] * 2.).unwrap());
    kind.store.assign(&named).unwrap();
    let start = kind.latent(6);
    let x = kind.model.decode(&start, None).unwrap();
    let u = x.narrow(1, 0, 1).unwrap().contiguous().unwrap();
    let embed = |u: &Tensor| kind.model.embedding().unwrap().embed(u, None).unwrap();
    close("the first feature is the code", &numbers(&embed(&u)), &numbers(&x), 1e-12);
    let missed = numbers(&(embed(&(&u * 2.).unwrap()) - x).unwrap());
    let found = kind.model.cycle_error(&start, None).unwrap();
    close("data", &numbers(&found.data), &lengths(&missed, 3), 1e-12);
}

#[test]
fn networks_are_smooth_unless_asked_otherwise() {
    let config = ModelConfig::free_form(3, 2);
    let ModelParts::FreeForm { encoder, decoder, .. } = &config.parts else {
        panic!("a free-form flow");
    };
    let activation = |config: &NetworkConfig| match config {
        NetworkConfig::Vector(config) => config.activation,
        other => panic!("a network of vectors, found {other:?}"),
    };
    assert_eq!([encoder, decoder].map(activation), [Activation::Silu; 2]);
    let kinked = config.with_networks(NetConfig::new(4, 1)).with_inner(small_flow(LinearKind::Lu));
    let ModelParts::FreeForm { decoder, .. } = &kinked.parts else { panic!("still one") };
    assert_eq!(activation(decoder), Activation::Relu);
    let mut store = ParamStore::new(1, DType::F64, device());
    let built = kinked.with_networks(small_net()).build(&mut store, |_| true);
    assert_eq!(built.unwrap().signature().name, "free-form");
    let groups: Vec<String> =
        store.parameters().map(|p| p.name.split('.').next().unwrap().to_owned()).collect();
    for group in ["encoder", "decoder", "inner"] {
        assert!(groups.iter().any(|g| g == group), "{group} is trained");
    }
}
