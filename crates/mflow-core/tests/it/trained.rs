//! Trained models, and the encoder in the place of the inverse. Oracle: lengths and areas of decoded
//! grids, Jacobians by differences, counts of samples; and for an M_e-flow the M-flow of the same maps.
use crate::kinds::{Kind, small, small_net, units};
use crate::numbers::{close, device, normal, numbers, tensor};
use crate::subject::small_flow;
use crate::volume::{Integrand, bin_of, check_counts, check_total};
use mflow_bijectors::{LinearKind, ParamStore, Stream};
use mflow_core::ModelConfig;
use mflow_core::candle::{DType, Tensor};

/// A model fitted to rows by steps along the gradient of reconstruction error and coordinate density.
fn fitted(config: ModelConfig, x: &Tensor, steps: usize, rate: f64) -> Kind {
    let kind = Kind::new(config, 0.2);
    let losses = || {
        let u = kind.model.coordinates(x, None).unwrap();
        let error = (x - kind.model.embedding().unwrap().embed(&u, None).unwrap()).unwrap();
        let error = error.sqr().unwrap().sum(1).unwrap().mean_all().unwrap();
        let density = kind.model.coordinate_log_prob(&u.detach(), None).unwrap();
        (error, density.mean_all().unwrap())
    };
    let mut history = vec![];
    for _ in 0..steps {
        let (error, density) = losses();
        history.push([numbers(&error)[0], numbers(&density)[0]]);
        let gradients = (error - (density * 0.2).unwrap()).unwrap().backward().unwrap();
        for parameter in kind.store.parameters() {
            let Some(gradient) = gradients.get(&parameter.var) else { continue };
            // A steep place is not jumped over.
            let norm = numbers(gradient).iter().map(|g| g * g).sum::<f64>().sqrt();
            let step = (gradient * (rate / norm.max(1.))).unwrap();
            let moved = (parameter.var.as_detached_tensor() - step).unwrap();
            parameter.var.set(&moved).unwrap();
        }
    }
    let (first, last) = (history[0], history[steps - 1]);
    assert!(last[0] < 0.4 * first[0], "the manifold is learned: {} to {}", first[0], last[0]);
    assert!(last[1] > first[1], "the density is learned: {} to {}", first[1], last[1]);
    kind
}

/// `t, 0.3 t² - 0.3`, with a little noise.
fn parabola(rows: usize) -> Tensor {
    let t = numbers(&normal("parabola", &[rows]));
    let noise = numbers(&normal("off the parabola", &[rows]));
    let points = t.iter().zip(noise).flat_map(|(t, e)| [*t, 0.3 * t * t - 0.3 + 0.02 * e]);
    tensor(points.collect(), &[rows, 2])
}

/// `s, t, 0.3 s t`.
fn saddle(rows: usize) -> Tensor {
    let st = numbers(&normal("saddle", &[rows, 2]));
    let points = st.chunks(2).flat_map(|u| [u[0], u[1], 0.3 * u[0] * u[1]]);
    tensor(points.collect(), &[rows, 3])
}

fn of_density(kind: &Kind, half: f64, cells: usize) -> Vec<f64> {
    let density = Integrand {
        n: kind.dims().1,
        decode: &|u| kind.model.decode(u, None).unwrap(),
        log_prob: &|_, x| kind.model.log_prob(x, None).unwrap(),
    };
    match kind.dims().1 {
        1 => density.shares(half, cells),
        _ => vec![density.total(half, cells)],
    }
}

/// The exact density of a trained model, against differences of `decode`.
fn check_volume(kind: &Kind, x: &Tensor) {
    let x = x.narrow(0, 0, 20).unwrap().contiguous().unwrap();
    let latent = kind.model.encode(&x, None).unwrap();
    let found = numbers(&kind.model.log_prob(&x, None).unwrap());
    close(&format!("{}: trained", kind.what), &found, &kind.on_manifold(&latent, None), 1e-6);
}

#[test]
fn a_trained_curve() {
    let x = parabola(100);
    let kind = fitted(small(ModelConfig::m_flow(2, 1)), &x, 300, 0.05);
    check_volume(&kind, &x);
    let (bins, fine, half, rows) = (20, 200, 3., 20_000);
    check_total("trained curve", of_density(&kind, 7., 4000).iter().sum());
    let shares = of_density(&kind, half, bins * fine);
    let shares: Vec<f64> = shares.chunks(fine).map(|s| s.iter().sum()).collect();
    let drawn = kind.model.sample(rows, None, &mut Stream::new(5, "trained")).unwrap();
    let mut counts = vec![0.; bins];
    let latent = numbers(&kind.model.encode(&drawn, None).unwrap());
    latent.iter().filter_map(|u| bin_of(*u, half, bins)).for_each(|bin| counts[bin] += 1.);
    check_counts("trained curve", &counts, &shares, rows);
}

#[test]
fn a_trained_surface() {
    let x = saddle(100);
    let kind = fitted(small(ModelConfig::m_flow(3, 2)), &x, 300, 0.1);
    check_volume(&kind, &x);
    check_total("trained surface", of_density(&kind, 5.5, 150).iter().sum());
}

/// The M-flow with the maps of an M_e-flow.
fn without_encoder(kind: &Kind) -> Kind {
    let sizes = kind.config.sizes.clone();
    let mut config = ModelConfig::m_flow(sizes.data_dim, sizes.manifold_dim)
        .with_outer(small_flow(LinearKind::Lu))
        .with_inner(small_flow(LinearKind::Permutation));
    config.sizes = sizes;
    let named = kind.store.to_named().unwrap();
    let maps = named.into_iter().filter(|(name, _)| !name.starts_with("encoder."));
    let mut store = ParamStore::from_named(maps.collect(), DType::F64, device());
    let model = config.build(&mut store, |_| true).unwrap();
    Kind { what: format!("{}, exact", kind.what), config, store, model }
}

fn encoded(d: usize, n: usize) -> ModelConfig {
    small(ModelConfig::me_flow(d, n)).with_networks(small_net()).with_normalization(units(d))
}

#[test]
fn an_encoder_only_says_where() {
    let conditional = encoded(3, 2).with_context(2);
    for config in [encoded(3, 2), conditional.clone(), conditional.with_conditional_manifold()] {
        let kind = Kind::new(config, 0.6);
        let exact = without_encoder(&kind);
        let (x, context) = (kind.data(9), kind.context(9));
        let context = context.as_ref();
        let u = kind.model.coordinates(&x, context).unwrap();
        let point = exact.model.embedding().unwrap().embed(&u, context).unwrap();
        let of = |kind: &Kind, x: &Tensor| numbers(&kind.model.log_prob(x, context).unwrap());
        close(&format!("{}: density", kind.what), &of(&kind, &x), &of(&exact, &point), 1e-8);
        let project = numbers(&kind.model.project(&x, context).unwrap());
        close(&format!("{}: projection", kind.what), &project, &numbers(&point), 1e-12);
        let latent = kind.latent(9);
        let decode = |kind: &Kind| numbers(&kind.model.decode(&latent, context).unwrap());
        close(&format!("{}: decode", kind.what), &decode(&kind), &decode(&exact), 1e-12);
    }
}

#[test]
fn the_density_of_an_me_flow_integrates_to_one_at_known_coordinates() {
    for (config, gain, cells) in [(encoded(2, 1), 0.6, 4000), (encoded(3, 2), 0.25, 150)] {
        let kind = Kind::new(config, gain);
        let exact = without_encoder(&kind);
        // The coordinates of decoded points come from the exact inverse.
        let log_prob = |x: &Tensor| {
            let u = exact.model.coordinates(x, None).unwrap();
            let of_u = kind.model.coordinate_log_prob(&u, None).unwrap();
            (of_u - kind.model.embedding().unwrap().log_volume(&u, None).unwrap()).unwrap()
        };
        let density = Integrand {
            n: kind.dims().1,
            decode: &|u| kind.model.decode(u, None).unwrap(),
            log_prob: &|_, x| log_prob(x),
        };
        check_total(&kind.what, density.total(6., cells));
    }
}
