//! AdamW and learning rates. Oracle: the algorithm written out for single numbers, in the order and
//! form of PyTorch's documentation.
use crate::device::has_kernels;
use crate::toy::{device, numbers};
use mflow_bijectors::{ParamStore, Stream};
use mflow_core::ModelConfig;
use mflow_core::candle::{DType, Tensor};
use mflow_train::{AdamWConfig, LrSchedule, Optimizer, Pool};
use std::collections::BTreeMap;

fn config() -> AdamWConfig {
    let mut config = AdamWConfig::default();
    (config.weight_decay, config.beta1, config.beta2) = (0.3, 0.8, 0.95);
    config.epsilon = 1e-6;
    config
}

fn store(dtype: DType) -> ParamStore {
    let mut store = ParamStore::new(2, dtype, device());
    let flow = crate::toy::small_flow();
    ModelConfig::m_flow(2, 1)
        .with_outer(flow.clone())
        .with_inner(flow)
        .build(&mut store, |_| true)
        .unwrap();
    store
}

fn optimizer(store: &ParamStore) -> Box<dyn Optimizer> {
    mflow_train::optimizer(&config().into(), store.parameters().cloned().collect())
}

/// Gradients of all parameters at a step: some large, some tiny.
fn gradients(store: &ParamStore, step: usize) -> Vec<Option<Tensor>> {
    let mut stream = Stream::new(1, &format!("gradients {step}"));
    let one = |p: &mflow_bijectors::Parameter| {
        let n = p.var.elem_count();
        let values = stream.normal(n).into_iter().enumerate();
        let values: Vec<f64> = values.map(|(i, v)| v * [1., 1e-7, 30.][i % 3]).collect();
        let g = Tensor::from_vec(values, n, device()).unwrap();
        Some(g.to_dtype(store.dtype()).unwrap())
    };
    store.parameters().map(one).collect()
}

fn all(store: &ParamStore) -> Vec<f64> {
    store.parameters().flat_map(|p| numbers(p.var.as_tensor())).collect()
}

/// The textbook update of single numbers.
struct Scalar {
    m: f64,
    v: f64,
}

impl Scalar {
    fn step(&mut self, theta: f64, g: f64, rate: f64, t: i32) -> f64 {
        let c = config();
        let theta = theta - rate * c.weight_decay * theta;
        self.m = c.beta1 * self.m + (1. - c.beta1) * g;
        self.v = c.beta2 * self.v + (1. - c.beta2) * g * g;
        let m_hat = self.m / (1. - c.beta1.powi(t));
        let v_hat = self.v / (1. - c.beta2.powi(t));
        theta - rate * m_hat / (v_hat.sqrt() + c.epsilon)
    }
}

const RATES: [f64; 5] = [0.1, 0.1, 0.03, 0.2, 0.01];
const SCALES: [f64; 5] = [1., 0.25, 1., 1e-3, 1.];

/// On the CPU norms are computed in f64.
fn norm_tolerance(dtype: DType) -> f64 {
    if dtype == DType::F64 || has_kernels() { 1e-12 } else { 1e-6 }
}

#[test]
fn updates_are_those_of_the_paper() {
    let pool = Pool::new(2).unwrap();
    for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 2e-6)] {
        let store = store(dtype);
        let mut optimizer = optimizer(&store);
        let mut expected = all(&store);
        let mut state: Vec<Scalar> = expected.iter().map(|_| Scalar { m: 0., v: 0. }).collect();
        for (k, (rate, scale)) in RATES.into_iter().zip(SCALES).enumerate() {
            let gradients = gradients(&store, k);
            let flat: Vec<f64> = gradients.iter().flatten().flat_map(numbers).collect();
            let norm = optimizer.accumulate(&pool, &[gradients]).unwrap();
            let of_oracle = flat.iter().map(|g| g * g).sum::<f64>().sqrt();
            let exact = norm_tolerance(dtype);
            assert!((norm / of_oracle - 1.).abs() < exact, "{dtype:?}: norm {norm}, {of_oracle}");
            optimizer.step(&pool, rate, scale).unwrap();
            let t = i32::try_from(k).unwrap() + 1;
            for ((theta, s), g) in expected.iter_mut().zip(&mut state).zip(flat) {
                *theta = s.step(*theta, g * scale, rate, t);
            }
            for (i, (a, b)) in all(&store).iter().zip(&expected).enumerate() {
                let close = (a - b).abs() <= tolerance * (1. + b.abs());
                assert!(close, "{dtype:?}, step {t}, element {i}: {a}, expected {b}");
            }
            assert_eq!(optimizer.steps(), k as u64 + 1, "number of steps");
        }
    }
}

#[test]
fn weight_decay_does_not_pass_through_the_moments() {
    let (store, pool) = (store(DType::F64), Pool::new(1).unwrap());
    let before = all(&store);
    let mut optimizer = optimizer(&store);
    let none = vec![None; store.parameters().count()];
    assert_eq!(optimizer.accumulate(&pool, &[none]).unwrap(), 0., "norm of no gradient");
    optimizer.step(&pool, 0.1, 1.).unwrap();
    for (a, b) in all(&store).iter().zip(&before) {
        let expected = b * (1. - 0.1 * 0.3);
        assert!((a - expected).abs() <= 1e-15 * b.abs(), "{a}, expected {expected}");
    }
    let moments = optimizer.to_named().unwrap();
    let still = moments.values().flat_map(numbers).all(|v| v == 0.);
    assert!(still, "the moments of no gradient are zero");
}

#[test]
fn shards_are_summed_in_order() {
    // 1e16 + 1 - 1e16 is 0 in this order and 1 in another.
    let (store, pool) = (store(DType::F64), Pool::new(3).unwrap());
    let shard = |value: f64| -> Vec<Option<Tensor>> {
        let one = |p: &mflow_bijectors::Parameter| {
            let n = p.var.elem_count();
            Some(Tensor::from_vec(vec![value; n], n, device()).unwrap())
        };
        store.parameters().map(one).collect()
    };
    let mut optimizer = optimizer(&store);
    let mut norm = |values: &[f64]| {
        let shards: Vec<_> = values.iter().map(|&v| shard(v)).collect();
        optimizer.accumulate(&pool, &shards).unwrap()
    };
    let elements = (all(&store).len() as f64).sqrt();
    assert_eq!(norm(&[1e16, 1., -1e16]), 0., "from the first on");
    assert!((norm(&[1e16, -1e16, 1.]) / elements - 1.).abs() < 1e-12, "in another order");
    assert!((norm(&[1., 2., 3.]) / (6. * elements) - 1.).abs() < 1e-12, "a plain sum");
    assert!((norm(&[2.]) / (2. * elements) - 1.).abs() < 1e-12, "nothing is left from before");
    let mut partly = shard(1.);
    partly[1] = None;
    let rest = elements.powi(2) - store.parameters().nth(1).unwrap().var.elem_count() as f64;
    let found = optimizer.accumulate(&pool, &[partly]).unwrap();
    assert!((found / rest.sqrt() - 1.).abs() < 1e-12, "a parameter without a gradient: {found}");
}

#[test]
fn the_norm_of_f32_gradients_does_not_overflow() {
    let (store, pool) = (store(DType::F32), Pool::new(1).unwrap());
    let one = |p: &mflow_bijectors::Parameter| {
        let n = p.var.elem_count();
        Some(Tensor::from_vec(vec![1e30_f32; n], n, device()).unwrap())
    };
    let gradients = store.parameters().map(one).collect();
    let norm = optimizer(&store).accumulate(&pool, &[gradients]).unwrap();
    let expected = f64::from(1e30_f32) * (all(&store).len() as f64).sqrt();
    let exact = norm_tolerance(DType::F32);
    assert!((norm / expected - 1.).abs() < exact, "norm {norm:e}, expected {expected:e}");
}

#[test]
fn moments_survive_a_round_trip() {
    let pool = Pool::new(1).unwrap();
    for dtype in [DType::F32, DType::F64] {
        let store = store(dtype);
        let mut first = optimizer(&store);
        let advance = |optimizer: &mut Box<dyn Optimizer>, from: usize| {
            for k in from..from + 2 {
                optimizer.accumulate(&pool, &[gradients(&store, k)]).unwrap();
                optimizer.step(&pool, 0.05, 1.).unwrap();
            }
        };
        advance(&mut first, 0);
        let (weights, moments) = (store.to_named().unwrap(), first.to_named().unwrap());
        let names: Vec<String> = store.parameters().map(|p| p.name.clone()).collect();
        for prefix in ["moment1/", "moment2/"] {
            let named = |n: &String| moments.keys().any(|k| k.starts_with(&format!("{prefix}{n}")));
            assert!(names.iter().all(named), "every parameter has its {prefix}");
        }
        let copies: BTreeMap<_, _> =
            weights.iter().map(|(n, t)| (n.clone(), t.copy().unwrap())).collect();
        advance(&mut first, 2);
        let expected = all(&store);
        let mut second = optimizer(&store);
        second.restore(&moments, 2).unwrap();
        assert_eq!(second.steps(), 2, "number of steps");
        store.assign(&copies).unwrap();
        advance(&mut second, 2);
        assert_eq!(all(&store), expected, "{dtype:?}: the same weights to the bit");
        let mut broken = moments.clone();
        let name = broken.keys().next().unwrap().clone();
        broken.remove(&name);
        let error = second.restore(&broken, 2).unwrap_err().to_string();
        let bare = name.trim_start_matches("moment1/");
        assert!(error.contains("missing") && error.contains(bare), "names {name}: {error}");
    }
}

#[test]
fn the_cosine_falls_from_one_to_zero() {
    let quarter = (1. + 0.5_f64.sqrt()) / 2.;
    for (progress, expected) in
        [(0., 1.), (0.25, quarter), (1. / 3., 0.75), (0.5, 0.5), (0.75, 1. - quarter), (1., 0.)]
    {
        let found = LrSchedule::Cosine.factor(progress, &[]);
        assert!((found - expected).abs() < 1e-15, "factor {found} at {progress}");
        assert_eq!(LrSchedule::Constant.factor(progress, &[]), 1., "constant at {progress}");
    }
    assert_eq!(LrSchedule::default(), LrSchedule::Cosine, "the default");
}
