//! Numerical inverses: what they promise, and that they say so when they cannot keep it.
use crate::cases::{DIRECTIONS, randomise};
use crate::numbers::{device, log_abs_det, normal, numbers, tensor};
use mflow_bijectors::candle::{DType, Tensor};
use mflow_bijectors::{
    Activation, Bijector, BijectorConfig, Dual, Error, ParamStore, ResidualBlockConfig,
    TanhMixtureConfig,
};
use std::sync::Arc;

fn create(config: &BijectorConfig) -> (ParamStore, Arc<dyn Bijector>) {
    let mut store = ParamStore::new(3, DType::F64, device());
    let map = store.create(config).unwrap();
    (store, map)
}

/// Overwrite one named tensor.
fn set(store: &ParamStore, name: &str, values: Vec<f64>) {
    let mut named = store.to_named().unwrap();
    let shape = named[name].dims().to_vec();
    named.insert(name.into(), tensor(values, &shape));
    store.assign(&named).unwrap();
}

#[test]
fn a_fixed_point_that_is_not_reached_is_an_error() {
    let config = ResidualBlockConfig::new(1)
        .with_layers(1, 1)
        .with_activation(Activation::Tanh)
        .with_lipschitz(0.999_999_9);
    let (store, map) = create(&BijectorConfig::ResidualBlock(config));
    // x + c tanh(c x) with c² next to 1: each step moves by as much as the one before.
    for (name, value) in [
        ("net.initial.weight", 9.),
        ("net.initial.bias", 0.),
        ("net.final.weight", 9.),
        ("net.final.bias", 0.),
    ] {
        set(&store, name, vec![value]);
    }
    let y = tensor(vec![1e-3, 0.], &[2, 1]);
    let refused = map.inverse(&y, None).map(|_| ()).unwrap_err();
    assert!(matches!(refused, Error::NotConverged { unfinished: 1., .. }), "{refused}");
    let expected = "fixed-point iteration: 1 elements have not converged after 1000 steps";
    assert_eq!(refused.to_string(), expected);
    let easy = map.inverse(&tensor(vec![3.], &[1, 1]), None).unwrap();
    let there = map.forward(&easy.value, None).unwrap();
    assert!((numbers(&there.value)[0] - 3.).abs() < 1e-14, "where the map bends it contracts");
}

#[test]
fn a_root_that_is_not_found_is_an_error() {
    let (store, map) = create(&BijectorConfig::TanhMixture(TanhMixtureConfig::new(&[1], 1)));
    // A step of height 1e100 at 5, on a line of slope 1e-3 that starts far below: no digit of the
    // bracket is of use.
    set(&store, "parameters", vec![-50., -1e90, 1e100, 1., 5.]);
    let refused = map.inverse(&tensor(vec![3.], &[1, 1]), None).map(|_| ()).unwrap_err();
    assert!(matches!(refused, Error::NotConverged { unfinished: 1., .. }), "{refused}");
}

/// Whatever the weights are, the residual contracts: the largest singular value of its Jacobian is
/// below the bound.
#[test]
fn residual_blocks_contract() {
    for activation in [Activation::Relu, Activation::Silu, Activation::Tanh, Activation::Gelu] {
        for layers in [1, 2, 3] {
            let config = ResidualBlockConfig::new(3)
                .with_layers(20, layers)
                .with_activation(activation)
                .with_lipschitz(0.8);
            let (store, map) = create(&BijectorConfig::ResidualBlock(config));
            randomise(&store, "steep", 30.);
            let n = 200;
            let x = normal("points", &[n, 3]);
            let eye = Tensor::eye(3, DType::F64, device()).unwrap().unsqueeze(0).unwrap();
            let eye = eye.broadcast_as((n, 3, 3)).unwrap().contiguous().unwrap();
            let pushed = map.push_forward(&Dual::new(x, eye).unwrap(), None).unwrap();
            let mut largest = 0_f64;
            for j in numbers(pushed.value.tangents().unwrap()).chunks_exact(9) {
                // Power iteration on the Gram matrix of J - I.
                let r = |a: usize, b: usize| j[3 * a + b] - f64::from(a == b);
                let mut v = [1., 0.7, -0.3];
                let mut norm = 0.;
                for _ in 0..60 {
                    let w: Vec<f64> =
                        (0..3).map(|a| (0..3).map(|b| r(a, b) * v[b]).sum()).collect();
                    let u: Vec<f64> =
                        (0..3).map(|b| (0..3).map(|a| r(a, b) * w[a]).sum()).collect();
                    norm = u.iter().map(|x| x * x).sum::<f64>().sqrt();
                    for (v, u) in v.iter_mut().zip(&u) {
                        *v = u / norm.max(1e-300);
                    }
                }
                largest = largest.max(norm.sqrt());
                let rows: Vec<Vec<f64>> = j.chunks_exact(3).map(<[f64]>::to_vec).collect();
                assert!(log_abs_det(&rows).is_finite(), "invertible");
            }
            assert!(largest <= 0.8, "{activation:?}, {layers} layers: {largest}");
            // The others saturate at such biases.
            let used = activation != Activation::Relu || largest > 0.01;
            assert!(used, "{layers} layers: the bound leaves room: {largest}");
        }
    }
}

/// Rounding is all that a numerical inverse loses.
#[test]
fn numerical_inverses_are_exact_to_rounding() {
    let residual = BijectorConfig::ResidualBlock(ResidualBlockConfig::new(4).with_layers(16, 2));
    let mixture = BijectorConfig::TanhMixture(TanhMixtureConfig::new(&[4], 5));
    for config in [residual, mixture] {
        let (store, map) = create(&config);
        randomise(&store, "numerical", 1.);
        let x = (normal("points", &[500, 4]) * 3.).unwrap();
        for direction in DIRECTIONS {
            let there = map.map(direction, &x, None).unwrap();
            let back = map.map(direction.reversed(), &there.value, None).unwrap();
            let gap = crate::numbers::gap(&back.value, &x);
            assert!(gap < 2e-13, "{config:?}, {direction:?}: {gap:.1e}");
        }
    }
}

/// Weights that are multiples of the identity leave nothing to chance: the Lipschitz constant is at
/// most the bound, and at least what the bound on the spectral norms may cost, `3^(1/16)` a layer.
#[test]
fn the_bound_on_spectral_norms_is_one_and_is_tight() {
    let config = ResidualBlockConfig::new(3)
        .with_layers(3, 1)
        .with_activation(Activation::Relu)
        .with_lipschitz(0.8);
    let (store, map) = create(&BijectorConfig::ResidualBlock(config));
    let identity: Vec<f64> = (0..9).map(|i| 30. * f64::from(i % 4 == 0)).collect();
    for layer in ["initial", "final"] {
        set(&store, &format!("net.{layer}.weight"), identity.clone());
        set(&store, &format!("net.{layer}.bias"), vec![0.; 3]);
    }
    let x = tensor(vec![1., 2., 3.], &[1, 3]);
    let y = numbers(&map.forward(&x, None).unwrap().value);
    let least = 0.8 / 3_f64.powf(2. / 16.);
    for (i, y) in y.iter().enumerate() {
        let slope = y / (i as f64 + 1.) - 1.;
        assert!((least - 1e-12..=0.8).contains(&slope), "{slope}, not in [{least}, 0.8]");
    }
}
