//! What training changes: layers that learn from statistics, dropout.
use crate::cases::{Case, DIRECTIONS, net, random, small};
use crate::numbers::{close, device, gap, normal, numbers, tensor};
use mflow_bijectors::candle::{DType, Tensor};
use mflow_bijectors::{
    ActNormConfig, Activation, AutoregressiveConfig, BatchNormConfig, Bijector, BijectorConfig,
    CouplingConfig, Direction, FlowConfig, GaussianizeConfig, ImageCouplingConfig, LinearKind,
    Mask, NetConfig, Noise, ParamStore, SplineFlowConfig,
};
use std::sync::Arc;

fn create(config: &BijectorConfig) -> (ParamStore, Arc<dyn Bijector>) {
    let mut store = ParamStore::new(3, DType::F64, device());
    let map = store.create(config).unwrap();
    (store, map)
}

/// 500 rows with means and standard deviations far from 0 and 1.
fn data(dim: usize) -> Tensor {
    let scale: Vec<f64> = (0..dim).map(|i| 3. + 2. * i as f64).collect();
    let shift: Vec<f64> = (0..dim).map(|i| 10. * i as f64 - 4.).collect();
    let x = normal("data", &[500, dim]).broadcast_mul(&tensor(scale, &[dim])).unwrap();
    x.broadcast_add(&tensor(shift, &[dim])).unwrap()
}

/// Mean and variance of each column, by plain sums.
fn moments(x: &Tensor) -> Vec<(f64, f64)> {
    let (rows, d) = x.dims2().unwrap();
    let v = numbers(x);
    let column = |i: usize| (0..rows).map(|b| v[b * d + i]).collect::<Vec<_>>();
    let of = |c: Vec<f64>| {
        let mean = c.iter().sum::<f64>() / rows as f64;
        let squares = c.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        (mean, squares / (rows - 1) as f64)
    };
    (0..d).map(|i| of(column(i))).collect()
}

#[test]
fn act_norm_starts_from_its_first_batch_and_only_that() {
    for direction in DIRECTIONS {
        let (store, map) = create(&BijectorConfig::ActNorm(ActNormConfig::new(3)));
        let x = data(3);
        assert_eq!(
            gap(&map.map(direction, &x, None).unwrap().value, &x),
            0.,
            "the identity at first"
        );
        let seen = map.observe(direction, &x, None).unwrap();
        for (mean, variance) in moments(&seen.value) {
            assert!(mean.abs() < 1e-12 && (variance - 1.).abs() < 1e-12, "{mean}, {variance}");
        }
        let named = store.to_named().unwrap();
        assert_eq!(named["initialized"].to_vec1::<u8>().unwrap(), [1], "the flag is saved");
        let _ = map.observe(direction, &(&x * 5.).unwrap(), None).unwrap();
        let after = store.to_named().unwrap();
        assert_eq!(
            gap(&named["log_scale"], &after["log_scale"]),
            0.,
            "a second batch changes nothing"
        );
        // Reloaded, it does not initialise itself again.
        let mut loaded = ParamStore::from_named(after, DType::F64, device());
        let again = loaded.create(&BijectorConfig::ActNorm(ActNormConfig::new(3))).unwrap();
        let _ = again.observe(direction, &(&x * 7.).unwrap(), None).unwrap();
        let reloaded = loaded.to_named().unwrap();
        assert_eq!(gap(&named["shift"], &reloaded["shift"]), 0., "nor after a reload");
    }
}

#[test]
fn act_norm_waits_for_a_batch_with_a_spread() {
    let (store, map) = create(&BijectorConfig::ActNorm(ActNormConfig::new(2)));
    let _ = map.observe(Direction::Forward, &tensor(vec![3., 4.], &[1, 2]), None).unwrap();
    let flag =
        |store: &ParamStore| store.to_named().unwrap()["initialized"].to_vec1::<u8>().unwrap();
    assert_eq!(flag(&store), [0], "one row has no spread");
    let constant = tensor(vec![3., 1., 3., 2.], &[2, 2]);
    let seen = map.observe(Direction::Forward, &constant, None).unwrap();
    assert_eq!(flag(&store), [1], "two rows have");
    assert!(numbers(&seen.value).iter().all(|v| v.is_finite()), "a constant feature is survived");
}

#[test]
fn a_flow_initialises_every_act_norm_on_the_way() {
    let mut config = FlowConfig::maf();
    config.norm = mflow_bijectors::Norm::ActNorm;
    let (store, flow) = create(&config.bijector(3, 0).unwrap());
    let seen = flow.observe(Direction::Inverse, &data(3), None).unwrap();
    for (name, state) in store.to_named().unwrap() {
        if name.ends_with("initialized") {
            assert_eq!(state.to_vec1::<u8>().unwrap(), [1], "{name}");
        }
    }
    // The reversal behind the last normalisation keeps its moments.
    for (mean, variance) in moments(&seen.value) {
        assert!(mean.abs() < 1e-10 && (variance - 1.).abs() < 1e-10, "{mean}, {variance}");
    }
}

/// Columns that are uniform on `[3, 5]`, in two heaps, with an outlier, constant, and mostly one number.
fn far_from_normal(rows: usize) -> Tensor {
    let (u, z) = (numbers(&normal("u", &[rows])), numbers(&normal("z", &[rows])));
    let row = |i: usize| {
        // A normal number to a uniform one: its rank, as near as it matters here.
        let share = 1. / (1. + (-1.702 * u[i]).exp());
        let heap = if i.is_multiple_of(3) { -4. } else { 4. };
        let outlier = if i == 7 { 1e6 } else { z[i] };
        let mostly = if i.is_multiple_of(4) { z[i] } else { 0.5 };
        [3. + 2. * share, heap + 0.3 * z[i], outlier, 2.5, mostly]
    };
    tensor((0..rows).flat_map(row).collect(), &[rows, 5])
}

/// The largest distance between the distribution of some numbers and the normal one (Kolmogorov & Smirnov), with the
/// latter from a sorted sample of it.
fn from_normal(mut column: Vec<f64>) -> f64 {
    let mut expected = numbers(&normal("expected", &[20_000]));
    column.sort_by(f64::total_cmp);
    expected.sort_by(f64::total_cmp);
    let share = |of: &[f64], v: f64| of.partition_point(|w| *w <= v) as f64 / of.len() as f64;
    let points = (-30..=30).map(|i| f64::from(i) / 10.);
    points.map(|v| (share(&column, v) - share(&expected, v)).abs()).fold(0., f64::max)
}

#[test]
fn what_was_observed_becomes_normal() {
    let config = BijectorConfig::Gaussianize(GaussianizeConfig::new(5));
    let (store, map) = create(&config);
    let x = far_from_normal(4000);
    let is_identity = || gap(&map.forward(&x, None).unwrap().value, &x) < 1e-12;
    assert!(is_identity(), "at first");
    let _ = map.observe(Direction::Inverse, &x, None).unwrap();
    let one = x.narrow(0, 0, 1).unwrap();
    let _ = map.observe(Direction::Forward, &one, None).unwrap();
    let broken = (&x * f64::NAN).unwrap();
    let _ = map.observe(Direction::Forward, &broken, None).unwrap();
    assert!(is_identity(), "after nothing to learn from");
    let seen = map.observe(Direction::Forward, &x, None).unwrap();
    let column = |of: &Tensor, j: usize| -> Vec<f64> {
        numbers(of).into_iter().skip(j).step_by(5).collect()
    };
    for j in 0..3 {
        let off = from_normal(column(&seen.value, j));
        assert!(off < 0.03, "column {j} is off by {off}");
    }
    assert!(numbers(&seen.value).iter().all(|v| v.is_finite()), "ties and constants are survived");
    // Samples end where the rows end, at 3 and 5, but for one in 16,000, and lie in one of the heaps.
    let z = normal("latents", &[4000, 5]);
    let samples = map.inverse(&z, None).unwrap().value;
    let beyond = column(&samples, 0).into_iter().filter(|v| !(2.99..=5.01).contains(v)).count();
    assert!(beyond <= 2, "{beyond} beyond the ends");
    let between = column(&samples, 1).into_iter().filter(|v| v.abs() < 2.5).count();
    assert!(between <= 100, "{between} between the heaps");
    // The density of the first feature is 1/2, where the rows make up nearly all of it.
    let middle =
        tensor([3.5, 4., 4.5].iter().flat_map(|v| [*v, 4., 0., 2.5, 0.5]).collect(), &[3, 5]);
    let alone = |v: f64| {
        let ends =
            tensor([v, v + 1e-4].iter().flat_map(|v| [*v, 4., 0., 2.5, 0.5]).collect(), &[2, 5]);
        let y = column(&map.forward(&ends, None).unwrap().value, 0);
        let slope = (y[1] - y[0]) / 1e-4;
        slope * (-0.5 * y[0] * y[0]).exp() / (2. * std::f64::consts::PI).sqrt()
    };
    for v in column(&middle, 0) {
        assert!((alone(v) - 0.5).abs() < 0.05, "a density of {} at {v}", alone(v));
    }
    // Only once, nor after a reload.
    let named = store.to_named().unwrap();
    let _ = map.observe(Direction::Forward, &(&x * 5.).unwrap(), None).unwrap();
    let mut loaded = ParamStore::from_named(store.to_named().unwrap(), DType::F64, device());
    let again = loaded.create(&config).unwrap();
    let _ = again.observe(Direction::Forward, &(&x * 7.).unwrap(), None).unwrap();
    for (name, state) in loaded.to_named().unwrap() {
        if name != "initialized" {
            assert_eq!(gap(&named[&name], &state), 0., "{name}");
        }
    }
    assert_eq!(store.parameters().count(), 0, "nothing of it is trained");
}

#[test]
fn a_gaussianized_flow_sees_normal_features() {
    // Without couplings that do anything, latents are what the splines make of the data.
    let mut config = SplineFlowConfig::default();
    (config.layers, config.hidden, config.linear) = (1, 4, LinearKind::None);
    (config.starts_at_identity, config.gaussianize) = (true, true);
    let (_, flow) = create(&config.bijector(5, 0).unwrap());
    let seen = flow.observe(Direction::Inverse, &far_from_normal(4000), None).unwrap();
    for j in 0..3 {
        let column = numbers(&seen.value).into_iter().skip(j).step_by(5).collect();
        let off = from_normal(column);
        assert!(off < 0.03, "column {j} is off by {off}");
    }
}

#[test]
fn batch_norm_follows_batches_when_told_to() {
    let config = BijectorConfig::BatchNorm(BatchNormConfig::new(2));
    let (store, map) = create(&config);
    let x = data(2);
    let before = map.forward(&x, None).unwrap();
    assert!(
        gap(&map.forward(&x, None).unwrap().value, &before.value) == 0.,
        "a map changes nothing"
    );
    let _ = map.observe(Direction::Forward, &x, None).unwrap();
    let named = store.to_named().unwrap();
    for (i, (mean, variance)) in moments(&x).into_iter().enumerate() {
        let running = |name: &str| numbers(&named[name])[i];
        assert!((running("running_mean") - 0.1 * mean).abs() < 1e-12, "a tenth of the new mean");
        let expected = 0.9 + 0.1 * variance;
        assert!((running("running_var") - expected).abs() < 1e-10, "and of the new variance");
    }
    // While training, forward takes the statistics of the batch.
    let training = map.training(&Noise::new(1, 0, 0)).unwrap().expect("it differs");
    let mapped = training.forward(&x, None).unwrap();
    for (mean, variance) in moments(&mapped.value) {
        // Variance v/(v + 1e-5), of variances of 9 and more.
        assert!(mean.abs() < 1e-12 && (variance - 1.).abs() < 2e-6, "{mean}, {variance}");
    }
    let v: Vec<(f64, f64)> = moments(&x);
    let expected: f64 = v.iter().map(|(_, v)| -0.5 * (v + 1e-5).ln()).sum();
    let found = numbers(&mapped.log_abs_det)[7];
    assert!((found - expected).abs() < 1e-10, "log-det {found} of the batch, not {expected}");
    let back = training.inverse(&mapped.value, None).unwrap();
    let running = map.inverse(&mapped.value, None).unwrap();
    close("inverse takes the running averages", &back.value, &running.value, 0.);
}

fn dropping(p: f64) -> NetConfig {
    net(16, 2, Activation::Silu).with_dropout(p)
}

/// Maps that drop, and the same without.
fn pairs() -> Vec<[BijectorConfig; 2]> {
    let coupling =
        |p| BijectorConfig::Coupling(small(3, Mask::Even).with_context(2).with_net(dropping(p)));
    let mlp = |p| {
        let net = NetConfig::mlp(16, 2).with_activation(Activation::Tanh).with_dropout(p);
        BijectorConfig::Coupling(CouplingConfig::new(3, Mask::Odd).with_net(net))
    };
    let made =
        |p| BijectorConfig::Autoregressive(AutoregressiveConfig::new(3).with_net(dropping(p)));
    let image = |p| {
        let net = NetConfig::new(8, 2).with_dropout(p);
        BijectorConfig::ImageCoupling(
            ImageCouplingConfig::new(&[2, 2, 2], Mask::Even).with_net(net),
        )
    };
    let chain = |p| {
        let inverted = BijectorConfig::Inverted { of: Box::new(coupling(p)) };
        BijectorConfig::Chain { layers: vec![coupling(p), inverted] }
    };
    let all: [&dyn Fn(f64) -> BijectorConfig; 5] = [&coupling, &mlp, &made, &image, &chain];
    all.iter().map(|f| [f(0.4), f(0.)]).collect()
}

#[test]
fn dropout_acts_in_training_only() {
    for [dropping, plain] in pairs() {
        let (store, map) = create(&dropping);
        crate::cases::randomise(&store, "dropout", 1.);
        let named = store.to_named().unwrap();
        let mut same = ParamStore::from_named(named, DType::F64, device());
        let without = same.create(&plain).unwrap();
        assert!(without.training(&Noise::new(1, 0, 0)).unwrap().is_none(), "{plain:?}");
        let case = Case::new(dropping.clone());
        for direction in DIRECTIONS {
            let inputs = random(&case, direction, 9);
            let c = inputs.context.as_ref();
            let apply = |map: &dyn Bijector| map.map(direction, &inputs.x, c).unwrap().value;
            let expected = apply(without.as_ref());
            close("no dropout in evaluation", &apply(map.as_ref()), &expected, 1e-12);
            let view = |seed, step, row| {
                map.training(&Noise::new(seed, step, row)).unwrap().expect("training differs")
            };
            let found = apply(view(1, 0, 0).as_ref());
            assert!(gap(&found, &expected) > 1e-3, "{dropping:?}: units are dropped");
            assert_eq!(
                gap(&apply(view(1, 0, 0).as_ref()), &found),
                0.,
                "the same noise, the same bits"
            );
            for other in [view(2, 0, 0), view(1, 1, 0)] {
                assert!(gap(&apply(other.as_ref()), &found) > 1e-3, "other noise by seed and step");
            }
            // Rows 4 .. 9 as a shard of their own.
            let shard = view(1, 0, 4);
            let c = c.map(|c| c.narrow(0, 4, 5).unwrap());
            let part =
                shard.map(direction, &inputs.x.narrow(0, 4, 5).unwrap(), c.as_ref()).unwrap();
            close(
                "a shard has the noise of its rows",
                &part.value,
                &found.narrow(0, 4, 5).unwrap(),
                1e-11,
            );
            // Still a bijection, with that noise.
            let there = view(3, 0, 0).map(direction, &inputs.x, inputs.context.as_ref()).unwrap();
            let back = view(3, 0, 0);
            let back =
                back.map(direction.reversed(), &there.value, inputs.context.as_ref()).unwrap();
            if !matches!(dropping, BijectorConfig::Chain { .. }) {
                close("round trip with noise", &back.value, &inputs.x, 1e-9);
            }
        }
    }
}

#[test]
fn dropout_keeps_the_mean() {
    // One hidden layer that is linear in its dropped units: the mean over noise is the plain network.
    let net = NetConfig::mlp(8, 1).with_activation(Activation::Relu).with_dropout(0.5);
    let config = CouplingConfig::new(2, Mask::Even)
        .with_map(mflow_bijectors::UnivariateConfig::Additive)
        .with_net(net);
    let (store, map) = create(&BijectorConfig::Coupling(config));
    let mut named = store.to_named().unwrap();
    // Every unit positive, so that the rectifier behind the dropped layer is linear too.
    for (name, t) in &mut named {
        *t = if name.contains("final") { t.clone() } else { (t.abs().unwrap() + 0.1).unwrap() };
    }
    store.assign(&named).unwrap();
    let x = tensor([0.3, 0.7].repeat(4000), &[4000, 2]);
    let plain = numbers(&map.forward(&x, None).unwrap().value)[0];
    let noisy = map.training(&Noise::new(5, 2, 0)).unwrap().unwrap().forward(&x, None).unwrap();
    let v: Vec<f64> = numbers(&noisy.value).chunks_exact(2).map(|row| row[0]).collect();
    let mean = v.iter().sum::<f64>() / 4000.;
    let deviation = (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4000.).sqrt();
    assert!(deviation > 1e-4, "the rows differ: {deviation}");
    let error = (mean - plain).abs() / (deviation / 4000_f64.sqrt());
    assert!(error < 4., "the mean {mean} is {error:.1} standard errors from {plain}");
}
