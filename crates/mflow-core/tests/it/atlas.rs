//! Manifolds of several charts. Oracle: mixtures of normal densities in closed form on flat charts; lengths and
//! areas of decoded grids; counts of samples and of draws; central differences.
use crate::kinds::{Kind, small, units, with_steps};
use crate::numbers::{close, device, normal, numbers, tensor};
use crate::volume::{Integrand, bin_of, check_counts, check_total};
use mflow_bijectors::{FeatureAffineConfig, Noise, ParamStore, Stream};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{ChartFrame, Charts, Density, Error, Model, ModelConfig, ModelParts};
use std::f64::consts::TAU;

/// An atlas of these places.
fn placed(frames: Vec<ChartFrame>, manifold_dim: usize) -> ModelConfig {
    let mut config = ModelConfig::atlas(frames[0].center.len(), manifold_dim, frames.len());
    if let Some(charts) = config.parts.charts_mut() {
        *charts = Charts::Placed(frames);
    }
    config
}

fn with_tolerance(mut config: ModelConfig, value: f64) -> ModelConfig {
    if let ModelParts::Atlas { tolerance, .. } | ModelParts::FreeFormAtlas { tolerance, .. } =
        &mut config.parts
    {
        *tolerance = value;
    }
    config
}

/// In the plane, turned by an angle.
fn frame(center: [f64; 2], angle: f64, scale: f64) -> ChartFrame {
    let (s, c) = angle.sin_cos();
    ChartFrame::new(center.to_vec(), vec![vec![c, s], vec![-s, c]], scale)
}

/// With `f` and `h` that do nothing: charts are straight, coordinates standard normal.
fn flat(frames: Vec<ChartFrame>) -> ModelConfig {
    let identity = |dim| {
        mflow_bijectors::BijectorConfig::FeatureAffine(FeatureAffineConfig::new(
            vec![0.; dim],
            vec![1.; dim],
        ))
    };
    placed(frames, 1).with_outer(identity(2)).with_inner(identity(1))
}

fn build(config: &ModelConfig, logits: &[f64]) -> (ParamStore, Box<dyn Model>) {
    let mut store = ParamStore::new(5, DType::F64, device());
    let model = config.build(&mut store, |_| true).unwrap();
    set_logits(&store, logits);
    (store, model)
}

fn set_logits(store: &ParamStore, logits: &[f64]) {
    let weights = store.parameters().find(|p| p.name == "inner.weights").unwrap();
    weights.var.set(&tensor(logits.to_vec(), &[logits.len()])).unwrap();
}

fn weights(logits: &[f64]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|l| l.exp()).sum();
    logits.iter().map(|l| l.exp() / sum).collect()
}

fn normal_density(x: f64, mean: f64, deviation: f64) -> f64 {
    (-0.5 * ((x - mean) / deviation).powi(2)).exp() / (deviation * TAU.sqrt())
}

/// Three charts of one line: a mixture of normal densities along it, whatever the nearest chart is.
#[test]
fn where_charts_agree_the_density_is_their_mixture() {
    let (s, c) = 0.4_f64.sin_cos();
    let (places, scales, logits) = ([-1., 0.5, 2.], [0.7, 0.4, 1.1], [0.3, -0.5, 0.9]);
    let at = |t: f64| [1. + t * c, -2. + t * s];
    let frames = (0..3).map(|k| frame(at(places[k]), 0.4, scales[k])).collect();
    // In data units the line is stretched: its length is, and the density falls.
    let units = FeatureAffineConfig::new(vec![3., -1.], vec![2., 0.5]);
    let stretch = (2. * c).hypot(0.5 * s);
    let (_store, model) = build(&flat(frames).with_normalization(units), &logits);
    let w = weights(&logits);
    let t: Vec<f64> = (0..41).map(|i| -4. + 0.2 * f64::from(i)).collect();
    let density = |t: &f64| -> f64 {
        let parts = (0..3).map(|k| w[k] * normal_density(*t, places[k], scales[k]));
        (parts.sum::<f64>() / stretch).ln()
    };
    let expected: Vec<f64> = t.iter().map(density).collect();
    // On the line, and beside it, where the projection counts.
    for off in [0., 0.3] {
        let point = |t: &f64| {
            let [x, y] = at(*t);
            [3. + 2. * (x - off * s), -1. + 0.5 * (y + off * c)]
        };
        let x = tensor(t.iter().flat_map(point).collect(), &[t.len(), 2]);
        let found = numbers(&model.log_prob(&x, None).unwrap());
        close(&format!("{off} off the line"), &found, &expected, 1e-9);
        let both = model.project_with_log_prob(&x, None).unwrap();
        close("with the projection", &numbers(&both.log_prob), &expected, 1e-9);
    }
    assert!(model.log_density(Density::Ambient, &tensor(vec![0.; 2], &[1, 2]), None).is_err());
}

/// Two parallel lines: each point counts on its own, and on both once they are within the tolerance.
#[test]
fn charts_that_lie_apart_do_not_mix() {
    let frames = || vec![frame([0., 0.], 0., 1.), frame([0., 0.5], 0., 1.)];
    let logits = [1., -1.];
    let w = weights(&logits);
    let x = tensor(vec![0.3, 0.1, 0.3, 0.4], &[2, 2]);
    let normal = normal_density(0.3, 0., 1.);
    let apart = [w[0] * normal, w[1] * normal];
    for (tolerance, expected) in [(0.4, apart), (0.6, [normal; 2])] {
        let (_store, model) = build(&with_tolerance(flat(frames()), tolerance), &logits);
        let found = numbers(&model.log_prob(&x, None).unwrap());
        let expected = expected.map(f64::ln);
        close(&format!("tolerance {tolerance}"), &found, &expected, 1e-12);
        let error = numbers(&model.reconstruction_error(&x, None).unwrap());
        close("the nearest line", &error, &[0.1, 0.1], 1e-12);
        let chart = numbers(&model.encode(&x, None).unwrap());
        close("latents with charts", &chart, &[0.3, 0., 0.3, 1.], 1e-12);
    }
}

/// Charts that are bent at random, and seldom agree: `N`, and in data units or not.
fn bent() -> Vec<Kind> {
    let of = |n: usize, centers: &[[f64; 3]]| {
        let place = |center: &[f64; 3]| {
            let (s, c) = (center[0] + 0.3).sin_cos();
            let axes = [[c, s, 0.], [-s, c, 0.], [0., 0., 1.]].map(|a| a.to_vec());
            ChartFrame::new(center.to_vec(), axes.to_vec(), 0.8 + 0.1 * center[1].abs())
        };
        placed(centers.iter().map(place).collect(), n)
    };
    let curves = of(1, &[[-1., 0., 0.], [1., 0.5, 0.], [0., -1., 1.]]);
    let surfaces = of(2, &[[-1., 0., 0.], [1., 0.5, 0.5]]);
    let all = [curves.clone(), curves.with_normalization(units(3)), surfaces];
    all.map(|config| Kind::new(with_tolerance(small(config), 1e-7), 0.3)).into()
}

/// The same with networks on the charts, whose codes are improved until they invert the decoders.
fn bent_networks() -> Vec<Kind> {
    let networks = |kind: Kind| {
        let (d, n) = kind.dims();
        let mut config = ModelConfig::free_form_atlas(d, n, 2);
        config.sizes = kind.config.sizes.clone();
        if let (Some(to), Some(from)) = (config.parts.charts_mut(), kind.config.parts.charts()) {
            *to = from.clone();
        }
        Kind::new(with_steps(with_tolerance(small(config), 1e-7), 8), 0.2)
    };
    bent().into_iter().map(networks).collect()
}

/// Latents of one chart.
fn of_chart(latent: &Tensor, chart: usize) -> Tensor {
    let column = tensor(vec![chart as f64; latent.dims()[0]], &[latent.dims()[0], 1]);
    Tensor::cat(&[latent, &column], 1).unwrap()
}

fn with_integrand<R>(kind: &Kind, chart: usize, f: impl FnOnce(Integrand<'_>) -> R) -> R {
    f(Integrand {
        n: kind.dims().1,
        decode: &|u| kind.model.decode(&of_chart(u, chart), None).unwrap(),
        log_prob: &|_, x| kind.model.log_prob(x, None).unwrap(),
    })
}

#[test]
fn the_density_integrates_to_one_over_all_charts() {
    for kind in bent().into_iter().chain(bent_networks()) {
        let (half, cells) = if kind.dims().1 == 1 { (8., 3000) } else { (5.5, 120) };
        let charts = kind.model.signature().charts;
        let of = |chart| with_integrand(&kind, chart, |density| density.total(half, cells));
        check_total(&kind.what, (0..charts).map(of).sum());
    }
}

#[test]
fn latents_and_points_go_both_ways() {
    for kind in bent().into_iter().chain(bent_networks()) {
        let (what, model) = (&kind.what, &kind.model);
        let latent = model.sample_latent(40, &mut Stream::new(3, "latents")).unwrap();
        assert_eq!(latent.dims(), [40, model.signature().latent_dim()], "{what}");
        let x = model.decode(&latent, None).unwrap();
        let found = numbers(&model.encode(&x, None).unwrap());
        close(&format!("{what}: latents"), &found, &numbers(&latent), 1e-7);
        close(what, &numbers(&model.project(&x, None).unwrap()), &numbers(&x), 1e-8);
        // Charts that do not agree: the mixture is the one of them.
        let jacobian = model.decode_jacobian(&latent, None).unwrap();
        let volume = mflow_core::gram_log_det(&jacobian).unwrap();
        let expected = (model.latent_log_prob(&latent).unwrap() - (volume * 0.5).unwrap()).unwrap();
        let found = numbers(&model.log_prob(&x, None).unwrap());
        close(&format!("{what}: density"), &found, &numbers(&expected), 1e-7);
        // And of coordinates, whose density lacks the volume of f alone.
        let u = model.coordinates(&x, None).unwrap();
        let total = numbers(&model.coordinate_log_prob(&u, None).unwrap());
        let own = model.latent_log_prob(&latent).unwrap();
        assert!(total.iter().zip(numbers(&own)).any(|(a, b)| (a - b).abs() > 1e-3), "h acts");
        if kind.name() == "free-form-atlas" {
            assert!(!model.inverts(), "{what}: by its steps, not by construction");
            continue;
        }
        assert!(model.inverts(), "{what}: by construction");
        let all = numbers(&model.latents(&x, None).unwrap());
        let (d, n) = kind.dims();
        for (all, u) in all.chunks(d).zip(numbers(&u).chunks(n + 1)) {
            close(what, &all[..n], &u[..n], 1e-12);
            assert!(all[n..].iter().all(|v| v.abs() < 1e-7), "{what}: on the manifold {all:?}");
        }
    }
}

#[test]
fn jacobians_are_those_of_decoding() {
    for kind in bent().into_iter().chain(bent_networks()) {
        let (n, step) = (kind.dims().1, 1e-5);
        let latent = normal("latent", &[6, n]);
        let found = kind.model.decode_jacobian(&of_chart(&latent, 1), None).unwrap();
        for k in 0..n {
            let moved = |by: f64| {
                let by = (0..n).map(|i| if i == k { by } else { 0. }).collect();
                let latent = latent.broadcast_add(&tensor(by, &[1, n])).unwrap();
                kind.model.decode(&of_chart(&latent, 1), None).unwrap()
            };
            let slope = ((moved(step) - moved(-step)).unwrap() / (2. * step)).unwrap();
            let row = found.narrow(1, k, 1).unwrap().squeeze(1).unwrap();
            close(&kind.what, &numbers(&row), &numbers(&slope), 1e-7);
        }
    }
}

#[test]
fn samples_fall_on_the_charts_and_where_the_density_says() {
    let kind = bent().remove(0);
    let logits = [0.5, -0.2, 0.1];
    set_logits(&kind.store, &logits);
    let rows = 20_000;
    let latent = numbers(&kind.model.sample_latent(rows, &mut Stream::new(7, "draws")).unwrap());
    for (chart, weight) in weights(&logits).into_iter().enumerate() {
        let of: Vec<f64> =
            latent.chunks(2).filter(|u| u[1] == chart as f64).map(|u| u[0]).collect();
        let share = of.len() as f64 / rows as f64;
        let deviation = (weight * (1. - weight) / rows as f64).sqrt();
        assert!((share - weight).abs() < 4. * deviation, "{share} of chart {chart}: {weight}");
        // Counts along the curve against the density times lengths on it.
        let (bins, fine, half) = (20, 200, 2.5);
        let shares = with_integrand(&kind, chart, |density| density.shares(half, bins * fine));
        let shares: Vec<f64> =
            shares.chunks(fine).map(|part| part.iter().sum::<f64>() / weight).collect();
        let mut counts = vec![0.; bins];
        for u in &of {
            if let Some(bin) = bin_of(*u, half, bins) {
                counts[bin] += 1.;
            }
        }
        check_counts(&format!("chart {chart}"), &counts, &shares, of.len());
    }
}

/// A weighted sum over rows, so that no row's gradient hides behind another's.
fn weighted(log_prob: &Tensor) -> f64 {
    numbers(log_prob).iter().enumerate().map(|(i, v)| (1. - 0.3 * i as f64) * v).sum()
}

#[test]
fn gradients_are_those_of_differences() {
    // Three flat charts that agree, so that all terms of the mixture count, turned by a trained f.
    let (s, c) = 0.4_f64.sin_cos();
    let frames = [-0.5, 0., 0.8].map(|t| frame([t * c, t * s], 0.4, 1.)).to_vec();
    let config = with_tolerance(small(placed(frames, 1)), 10.);
    let kind = Kind::new(config, 0.2);
    let x = tensor(vec![0.3, 0.2, -0.4, 0.1, 0.9, -0.3], &[3, 2]);
    let total = |x: &Tensor| kind.model.log_prob(x, None).unwrap();
    let row_weights = tensor(vec![1., 0.7, 0.4], &[3]);
    let gradients = (total(&x) * &row_weights).unwrap().sum_all().unwrap().backward().unwrap();
    let step = 1e-5;
    for parameter in kind.store.parameters() {
        let start = numbers(parameter.var.as_tensor());
        let gradient = numbers(gradients.get(&parameter.var).unwrap());
        let places: Vec<usize> = (0..6).map(|k| (k * start.len() / 6 + k) % start.len()).collect();
        let slope = |&i: &usize| {
            let moved = |by: f64| {
                let mut values = start.clone();
                values[i] += by;
                parameter.var.set(&tensor(values, &[start.len()])).unwrap();
                weighted(&total(&x))
            };
            (moved(step) - moved(-step)) / (2. * step)
        };
        let expected: Vec<f64> = places.iter().map(slope).collect();
        parameter.var.set(&tensor(start.clone(), &[start.len()])).unwrap();
        let found: Vec<f64> = places.iter().map(|&i| gradient[i]).collect();
        close(&parameter.name, &found, &expected, 1e-5);
    }
    let of_x = kind.model.log_prob_gradient(&x, None).unwrap();
    let values = numbers(&x);
    let slope = |i: usize| {
        let moved = |by: f64| {
            let mut values = values.clone();
            values[i] += by;
            numbers(&total(&tensor(values, &[3, 2]))).iter().sum::<f64>()
        };
        (moved(step) - moved(-step)) / (2. * step)
    };
    let expected: Vec<f64> = (0..6).map(slope).collect();
    close("x", &numbers(&of_x.x), &expected, 1e-5);
}

/// While training charts are drawn by their shares, whatever part of a batch a row is in.
#[test]
fn charts_are_drawn_by_their_shares() {
    let frames = vec![frame([-1., 0.], 0., 1.), frame([1., 0.], 0., 1.), frame([9., 0.], 0., 1.)];
    let (_store, model) = build(&flat(frames), &[0.; 3]);
    let rows = 4000;
    let x = tensor([0.2, 0.].repeat(rows), &[rows, 2]);
    let drawn = |first: usize, rows: usize| {
        let training = model.training(&Noise::new(3, 8, first)).unwrap().unwrap();
        let x = x.narrow(0, 0, rows).unwrap();
        let u = numbers(&training.coordinates(&x, None).unwrap());
        let again = numbers(&training.coordinates(&x, None).unwrap());
        assert_eq!(u, again, "a step has one draw");
        u.chunks(2).map(|u| u[1]).collect::<Vec<f64>>()
    };
    let all = drawn(0, rows);
    assert_eq!(all[100..300], drawn(100, 200)[..], "a shard has the draws of its rows");
    // exp(-1.44) and exp(-0.64): the third is too far away.
    let share = 1. / (1. + (-1.44_f64 + 0.64).exp());
    let of = |chart: f64| all.iter().filter(|c| **c == chart).count() as f64 / rows as f64;
    let deviation = (share * (1. - share) / rows as f64).sqrt();
    assert!((of(1.) - share).abs() < 4. * deviation, "{}, expected {share}", of(1.));
    assert_eq!(of(2.), 0., "far away");
    // The density of coordinates is that of the chart that was drawn.
    let u = tensor(vec![0.5, 0., 0.5, 1.], &[2, 2]);
    let found = numbers(&model.coordinate_log_prob(&u, None).unwrap());
    close("weights", &found, &[(normal_density(0.5, 0., 1.) / 3.).ln(); 2], 1e-12);
    // At rest the nearest chart is taken.
    assert!(numbers(&model.coordinates(&x, None).unwrap()).chunks(2).all(|u| u[1] == 0.));
}

/// Validation draws charts, yet has no dropout; training has both.
#[test]
fn drawing_is_training_without_dropout() {
    let mut flow = mflow_bijectors::FlowConfig::real_nvp();
    flow.layers = 2;
    flow.net = crate::kinds::small_net().with_dropout(0.5);
    let frames = vec![frame([-1., 0.], 0.2, 1.), frame([1., 0.], 0.2, 1.)];
    let kind = Kind::new(placed(frames, 1).with_outer(flow), 0.6);
    let x = kind.data(200);
    let noise = Noise::new(3, 8, 0);
    let drawing = kind.model.drawing(&noise).unwrap().unwrap();
    let training = kind.model.training(&noise).unwrap().unwrap();
    let of = |model: &dyn Model| numbers(&model.coordinates(&x, None).unwrap());
    let (nearest, drawn, dropped) =
        (of(kind.model.as_ref()), of(drawing.as_ref()), of(training.as_ref()));
    let mut counts = [0; 3];
    for (a, (b, c)) in nearest.chunks(2).zip(drawn.chunks(2).zip(dropped.chunks(2))) {
        counts[0] += usize::from(a[1] == b[1]);
        counts[1] += usize::from(a[1] == b[1] && a[0] == b[0]);
        counts[2] += usize::from(b[0] == c[0]);
    }
    assert!(counts[0] > 50 && counts[0] < 200, "some rows are given to the other chart");
    assert_eq!(counts[0], counts[1], "on their own chart they have their coordinates");
    assert_eq!(counts[2], 0, "dropout moves every row");
}

#[test]
fn a_map_that_overflows_loses_its_rows_only() {
    let (_store, model) =
        build(&flat(vec![frame([0., 0.], 0., 1.), frame([3., 0.], 0., 1.)]), &[0.; 2]);
    // Squares of distances overflow, and those of latents in the density.
    let x = tensor(vec![0.1, 0., 1e200, 1e200], &[2, 2]);
    let found = numbers(&model.log_prob(&x, None).unwrap());
    let expected = ((normal_density(0.1, 0., 1.) + normal_density(0.1, 3., 1.)) / 2.).ln();
    close("the other row", &found[..1], &[expected], 1e-12);
    assert!(!found[1].is_finite(), "{found:?}");
}

#[test]
fn an_atlas_survives_its_file() {
    let mut kind = bent().remove(1);
    kind.model = kind.config.build(&mut kind.store, |_| false).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (config, columns) = (kind.config.clone(), None);
    let card = mflow_core::ModelCard {
        config,
        columns,
        layout: Default::default(),
        provenance: [].into(),
    };
    mflow_core::save_model(&path, &card, &kind.store).unwrap();
    let loaded = mflow_core::load_model(&path, None, device()).unwrap();
    assert_eq!(loaded.card, card);
    let x = kind.data(20);
    let of = |model: &dyn Model| numbers(&model.log_prob(&x, None).unwrap());
    assert_eq!(of(loaded.model.as_ref()), of(kind.model.as_ref()));
}

#[test]
fn charts_are_placed_in_units_of_the_normalisation() {
    let x: Vec<f64> = (0..200)
        .flat_map(|i| {
            let (s, c) = (TAU * f64::from(i) / 200.).sin_cos();
            [100. + 5. * c, -3. + 0.1 * s]
        })
        .collect();
    let config = ModelConfig::atlas(2, 1, 3);
    let normalized = config.clone().with_normalization(mflow_core::standardize(&x, 2).unwrap());
    let placed = normalized.place_charts(&x).unwrap();
    let frames = placed.frames().unwrap();
    assert_eq!(frames.len(), 3);
    // The circle has a radius of √2 in these units.
    for frame in frames {
        let radius = frame.center[0].hypot(frame.center[1]);
        assert!((radius - 2_f64.sqrt() * 0.827).abs() < 0.02, "{radius}");
    }
    assert_eq!(placed.clone().place_charts(&x).unwrap(), placed, "places stay");
    let text = serde_json::to_string(&placed).unwrap();
    assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), placed);
    let other = ModelConfig::m_flow(2, 1);
    assert_eq!(other.clone().place_charts(&x).unwrap(), other);
}

#[test]
fn what_does_not_fit_is_refused() {
    let good = || vec![frame([0., 0.], 0., 1.), frame([1., 0.], 0., 1.)];
    let with = |change: fn(&mut ChartFrame)| {
        let mut frames = good();
        change(&mut frames[1]);
        placed(frames, 1)
    };
    let cases = [
        (ModelConfig::atlas(2, 1, 3), "`charts` must have places"),
        (ModelConfig::atlas(2, 1, 1), "`charts` must be at least 2, found 1"),
        (flat(good()).with_context(2), "`context_dim` must be 0 of `atlas`"),
        (with_tolerance(flat(good()), 0.), "`tolerance` must be positive and finite, found 0"),
        (with(|f| f.scale = -1.), "`charts[1].scale` must be positive and finite, found -1"),
        (with(|f| f.center = vec![0.]), "`charts[1].center` must be 2 finite numbers"),
        (with(|f| f.axes[0][0] = 2.), "`charts[1].axes` must be orthogonal"),
        (with(|f| f.axes[0][0] = f64::NAN), "`charts[1].axes` must be orthogonal"),
        (with(|f| f.axes.truncate(1)), "`charts[1].axes` must be 2 axes of 2 numbers"),
    ];
    for (config, expected) in cases {
        let mut store = ParamStore::new(1, DType::F64, device());
        let error = config.build(&mut store, |_| true).unwrap_err().to_string();
        assert!(error.contains(expected), "expected `{expected}`, found `{error}`");
    }
    let (_store, model) = build(&flat(good()), &[0.; 2]);
    for bad in [2., -1., 0.5] {
        let u = tensor(vec![0.1, 0., 0.3, bad], &[2, 2]);
        for result in [model.decode(&u, None), model.latent_log_prob(&u)] {
            let typed = matches!(result, Err(Error::NoChart { row: 1, charts: 2, .. }));
            assert!(typed, "{bad}: {result:?}");
        }
        let message = model.coordinate_log_prob(&u, None).unwrap_err().to_string();
        let expected = "expected the number of a chart, 0 to 1, as the last column, found";
        assert!(message.contains(expected), "{message}");
    }
    let x = tensor(vec![0.; 4], &[2, 2]);
    let message = model.log_prob(&x, Some(&x)).unwrap_err().to_string();
    assert!(message.starts_with("log_prob: expected `context`"), "nobody asked for one: {message}");
    assert!(model.score(&x, &x).is_err());
    let nothing = tensor(vec![], &[0, 2]);
    for result in [
        model.log_prob(&nothing, None),
        model.project(&nothing, None),
        model.encode(&nothing, None),
        model.decode(&nothing, None),
        model.latent_log_prob(&nothing),
        model.coordinate_log_prob(&nothing, None),
        model.project_with_log_prob(&nothing, None).map(|both| both.log_prob),
        model.coordinates(&nothing, None),
        model.latents(&nothing, None),
        model.decode_jacobian(&nothing, None),
        model.sample(0, None, &mut Stream::new(1, "none")),
    ] {
        assert_eq!(result.unwrap().dims()[0], 0);
    }
}
