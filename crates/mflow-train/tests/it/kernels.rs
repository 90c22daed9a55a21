//! The CUDA kernels of the optimizers, compiled as C++ and run on the CPU, and where tests compute on a device, there.
//! Oracle: the optimizers of the CPU, and sums written out.
use crate::cuda_on_cpu::{build, call};
use crate::toy::{device, numbers};
use mflow_bijectors::candle::{DType, Device, Tensor};
use mflow_bijectors::{Init, ParamStore, Piece, Stream};
use mflow_train::{AdamConfig, AdamWConfig, OptimizerConfig, Pool, SgdConfig, optimizer};
use std::fmt::Write as _;
use std::path::Path;

const CPU: &Device = &Device::Cpu;

/// Name and constants of the kernel for update `t` of a rule.
fn kernel(config: &OptimizerConfig, rate: f64, scale: f64, t: i32) -> (&'static str, Vec<f64>) {
    let adam = |keep, decay, beta1: f64, beta2: f64, epsilon| {
        let (first, second) = (1. - beta1.powi(t), 1. - beta2.powi(t));
        ("adam", vec![scale, rate / first, keep, decay, 1. / second, beta1, beta2, epsilon])
    };
    match config {
        OptimizerConfig::AdamW(c) => {
            adam(1. - rate * c.weight_decay, 0., c.beta1, c.beta2, c.epsilon)
        }
        OptimizerConfig::Adam(c) => adam(1., c.weight_decay, c.beta1, c.beta2, c.epsilon),
        OptimizerConfig::Sgd(c) => {
            let nesterov = f64::from(u8::from(c.nesterov));
            ("sgd", vec![scale, rate, c.weight_decay, c.momentum, nesterov])
        }
        other => panic!("no kernel for {other:?}"),
    }
}

/// All rules, with constants that matter, and how many buffers each has.
fn rules() -> Vec<(OptimizerConfig, usize)> {
    let (mut adamw, mut adam) = (AdamWConfig::default(), AdamConfig::default());
    (adamw.weight_decay, adamw.beta1, adamw.beta2, adamw.epsilon) = (0.3, 0.8, 0.95, 1e-6);
    (adam.weight_decay, adam.beta1, adam.beta2, adam.epsilon) = (0.2, 0.7, 0.9, 1e-6);
    let sgd = |momentum, nesterov| {
        let mut sgd = SgdConfig::default();
        (sgd.weight_decay, sgd.momentum, sgd.nesterov) = (0.1, momentum, nesterov);
        sgd.into()
    };
    vec![
        (adamw.into(), 2),
        (adam.into(), 2),
        (sgd(0., false), 0),
        (sgd(0.9, false), 1),
        (sgd(0.9, true), 1),
    ]
}

/// Parameters of some lengths.
fn store(lens: &[usize], dtype: DType, device: &Device) -> ParamStore {
    let mut store = ParamStore::new(1, dtype, device);
    let build = |params: &mut mflow_bijectors::Params<'_>| {
        for (k, &len) in lens.iter().enumerate() {
            let start = Init::Values(Stream::new(2, &format!("start {k}")).normal(len));
            params.scope(&format!("p{k:03}")).flat(vec![Piece::vector("theta", len, start)])?;
        }
        Ok(())
    };
    store.build(|_| true, build).unwrap();
    store
}

fn all(store: &ParamStore) -> Vec<f64> {
    store.parameters().flat_map(|p| numbers(p.var.as_tensor())).collect()
}

/// Gradients of about `size` for an update; those of some parameters are missing.
fn gradients(
    lens: &[usize],
    dtype: DType,
    device: &Device,
    update: i32,
    size: f64,
) -> Vec<Option<Tensor>> {
    let one = |(k, &len): (usize, &usize)| {
        let values = Stream::new(3, &format!("gradient {update} {k}")).normal(len);
        let values: Vec<f64> = values.into_iter().map(|v| size * v).collect();
        let gradient = Tensor::from_vec(values, len, CPU).unwrap().to_dtype(dtype).unwrap();
        (k % 7 != 1).then(|| gradient.to_device(device).unwrap())
    };
    lens.iter().enumerate().map(one).collect()
}

#[track_caller]
fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: how many numbers");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let near = a == b || (a - b).abs() <= tolerance * (1. + b.abs());
        assert!(near, "{what}, {i}: {a:e}, expected {b:e}");
    }
}

/// Three updates with gradients of about `size`.
fn check(program: &Path, rule: &(OptimizerConfig, usize), lens: &[usize], dtype: DType, size: f64) {
    let (config, buffers) = rule;
    let (store, pool) = (store(lens, dtype, CPU), Pool::new(1).unwrap());
    let mut oracle = optimizer(config, store.parameters().cloned().collect());
    let mut theta = all(&store);
    let mut state = vec![0.; buffers * theta.len()];
    let tolerance = if dtype == DType::F64 { 1e-14 } else { 1e-6 };
    for (t, (rate, scale)) in (1..).zip([(0.1, 1.), (0.03, 0.25), (0.2, 1e-3)]) {
        let what = format!("{config:?}, {} parameters, {dtype:?}, update {t}", lens.len());
        let gradients = gradients(lens, dtype, CPU, t, size);
        let mut sizes = format!("{} {buffers}", lens.len());
        for (len, gradient) in lens.iter().zip(&gradients) {
            write!(sizes, " {len} {}", u8::from(gradient.is_some())).unwrap();
        }
        let (name, constants) = kernel(config, rate, scale, t);
        // What is not given must not be read.
        let flat = |(g, &len): (&Option<Tensor>, &usize)| match g {
            Some(g) => numbers(g),
            None => vec![f64::NAN; len],
        };
        let flat: Vec<f64> = gradients.iter().zip(lens).flat_map(flat).collect();
        let found = call(program, name, dtype, &sizes, &[&constants, &theta, &state, &flat]);

        oracle.accumulate(&pool, &[gradients]).unwrap();
        oracle.step(&pool, rate, scale).unwrap();
        let squares = flat.iter().filter(|g| !g.is_nan()).map(|g| g * g);
        let norm = squares.sum::<f64>().sqrt();
        assert!(norm.is_finite(), "{what}: the norm {norm}");
        close(&format!("{what}, norm"), &[found[0] / norm], &[1.], 1e-13);
        close(&format!("{what}, parameters"), &found[1..=theta.len()], &all(&store), tolerance);
        let kept: Vec<f64> = oracle.to_named().unwrap().values().flat_map(numbers).collect();
        close(&format!("{what}, buffers"), &found[1 + theta.len()..], &kept, tolerance);
        state = found[1 + theta.len()..].to_vec();
        theta = found[1..=theta.len()].to_vec();
    }
}

#[test]
fn updates_are_those_of_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = build("optimizer", folder.path()) else { return };
    for rule in &rules() {
        for dtype in [DType::F64, DType::F32] {
            check(&program, rule, &[1, 3, 40, 13, 5, 12, 29, 2, 4], dtype, 1.);
        }
        // Squares of these are beyond f32.
        check(&program, rule, &[7, 2, 31], DType::F32, 1e30);
    }
    // More of them than one launch takes.
    let many: Vec<usize> = (0..301).map(|k| 1 + k % 6).collect();
    for rule in [&rules()[0], &rules()[4]] {
        check(&program, rule, &many, DType::F64, 1.);
    }
}

/// Trivial where tests compute on the CPU.
#[test]
fn updates_of_the_device_are_those_of_the_cpu_and_go_on_there() {
    let (pool, lens) = (Pool::new(1).unwrap(), (0..130).map(|k| 1 + k % 6).collect::<Vec<_>>());
    for (config, _) in rules() {
        let stores = [device(), CPU].map(|device| store(&lens, DType::F32, device));
        let make = |store: &ParamStore| optimizer(&config, store.parameters().cloned().collect());
        let mut both = [make(&stores[0]), make(&stores[1])];
        for t in 1..=4 {
            let norms = [0, 1].map(|k| {
                let gradients = gradients(&lens, DType::F32, stores[k].device(), t, 1.);
                let norm = both[k].accumulate(&pool, &[gradients]).unwrap();
                both[k].step(&pool, 0.05, 0.5).unwrap();
                norm
            });
            close(&format!("{config:?}, update {t}, norm"), &norms[..1], &norms[1..], 1e-6);
            let [found, expected] = [0, 1].map(|k| all(&stores[k]));
            close(&format!("{config:?}, update {t}"), &found, &expected, 1e-5);
            // What one keeps, the other goes on with.
            let kept = [0, 1].map(|k| both[k].to_named().unwrap());
            for k in [0, 1] {
                both[k] = make(&stores[k]);
                both[k].restore(&kept[1 - k], u64::from(t.unsigned_abs())).unwrap();
            }
        }
    }
}
