//! Training against other implementations. Oracle: what the packages geomloss and torch compute; see
//! xtask/fixtures/README.md.
use crate::toy::{device, numbers};
use mflow_bijectors::{Init, ParamStore, Piece};
use mflow_core::candle::{DType, Tensor};
use mflow_train::{
    AdamConfig, AdamWConfig, CosineRestarts, LrSchedule, OneCycle, OptimizerConfig, Plateau, Pool,
    SgdConfig, SinkhornConfig, optimizer, sinkhorn,
};
use serde_json::Value;

fn numbers_of(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().flat_map(numbers_of).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn matrix(value: &Value) -> Tensor {
    let rows = value.as_array().unwrap().len();
    let values = numbers_of(value);
    let columns = values.len() / rows;
    Tensor::from_vec(values, (rows, columns), device()).unwrap()
}

#[track_caller]
fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * (1. + b.abs()), "{what}, {i}: {a}, expected {b}");
    }
}

#[test]
fn divergences_are_those_of_geomloss() {
    let file: Value = serde_json::from_str(include_str!("../fixtures/sinkhorn.json")).unwrap();
    let cases = file["sinkhorn"].as_array().unwrap();
    assert_eq!(cases.len(), 5, "all cases");
    for case in cases {
        let (blur, scaling) = (case["blur"].as_f64().unwrap(), case["scaling"].as_f64().unwrap());
        let config = SinkhornConfig::new(blur, scaling);
        let (x, y, pool) = (matrix(&case["x"]), matrix(&case["y"]), Pool::new(2).unwrap());
        let what = format!("{:?} from {:?}, blur {blur}", x.dims(), y.dims());
        let found = sinkhorn(&config, &x, &y, &pool).unwrap();
        close(&what, &[found.value], &numbers_of(&case["value"]), 1e-12);
        let expected = numbers_of(&case["gradient"]);
        close(&format!("{what}, gradient"), &numbers(&found.gradient), &expected, 1e-12);
        let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
        let single = sinkhorn(&config, &single(&x), &single(&y), &pool).unwrap();
        close(&format!("{what} in f32"), &[single.value], &[found.value], 2e-5);
        let tolerance = 2e-6 / (blur * blur).min(1.);
        close(&format!("{what}, f32 gradient"), &numbers(&single.gradient), &expected, tolerance);
    }
}

/// One parameter with the values that the fixtures start from.
fn store(start: &[f64]) -> ParamStore {
    let mut store = ParamStore::new(1, DType::F64, device());
    let piece = Piece::vector("theta", start.len(), Init::Values(start.to_vec()));
    store.build(|_| true, |params| params.scope("outer").flat(vec![piece])).unwrap();
    store
}

#[test]
fn optimizers_are_those_of_torch() {
    let file: Value = serde_json::from_str(include_str!("../fixtures/optimizers.json")).unwrap();
    let mut adamw = AdamWConfig::default();
    (adamw.weight_decay, adamw.beta1, adamw.beta2) = (0.1, 0.8, 0.95);
    let mut adam = AdamConfig::default();
    (adam.weight_decay, adam.beta1, adam.beta2) = (0.1, 0.8, 0.95);
    let sgd = |momentum, nesterov| {
        let mut sgd = SgdConfig::default();
        (sgd.weight_decay, sgd.momentum, sgd.nesterov) = (0.1, momentum, nesterov);
        OptimizerConfig::from(sgd)
    };
    let cases: [(&str, OptimizerConfig); 5] = [
        ("adamw", adamw.into()),
        ("adam", adam.into()),
        ("sgd", sgd(0., false)),
        ("sgd_momentum", sgd(0.9, false)),
        ("sgd_nesterov", sgd(0.9, true)),
    ];
    let pool = Pool::new(1).unwrap();
    for (name, config) in cases {
        let case = &file["optimizers"][name];
        let steps = case["gradients"].as_array().unwrap();
        assert_eq!(steps.len(), 20, "{name}: steps");
        let store = store(&[1., -0.5, 0., 3.]);
        let make = || optimizer(&config, store.parameters().cloned().collect());
        let mut running = make();
        for (k, gradient) in steps.iter().enumerate() {
            let gradient = Tensor::from_vec(numbers_of(gradient), 4, device()).unwrap();
            running.accumulate(&pool, &[vec![Some(gradient)]]).unwrap();
            running.step(&pool, 0.01, 1.).unwrap();
            let found: Vec<f64> =
                store.parameters().flat_map(|p| numbers(p.var.as_tensor())).collect();
            close(&format!("{name}, step {k}"), &found, &numbers_of(&case["path"][k]), 1e-13);
            // What it keeps by name is all there is to keep.
            let kept = running.to_named().unwrap();
            running = make();
            running.restore(&kept, k as u64 + 1).unwrap();
        }
    }
}

#[test]
fn learning_rates_are_those_of_torch() {
    let file: Value = serde_json::from_str(include_str!("../fixtures/rates.json")).unwrap();
    let of = |name: &str| numbers_of(&file["rates"][name]);
    let along = |schedule: &LrSchedule, steps: usize, last: f64| -> Vec<f64> {
        (0..steps).map(|i| schedule.factor(i as f64 / last, &[])).collect()
    };
    let mut equal = CosineRestarts::default();
    (equal.cycles, equal.growth) = (4, 1.);
    close(
        "equal",
        &along(&LrSchedule::CosineRestarts(equal), 40, 40.),
        &of("restarts_equal"),
        1e-12,
    );
    let mut growing = CosineRestarts::default();
    (growing.cycles, growing.growth) = (3, 2.);
    let growing = along(&LrSchedule::CosineRestarts(growing), 70, 70.);
    close("growing", &growing, &of("restarts_growing"), 1e-12);
    // torch goes up until step 0.3 n - 1 and down until step n - 1: of 41 steps the last is at 40.
    let mut cycle = OneCycle::default();
    cycle.warm_up = (0.3 * 41. - 1.) / 40.;
    let cycle = along(&LrSchedule::OneCycle(cycle), 41, 40.);
    close("one cycle", &cycle, &of("one_cycle"), 1e-12);
    let mut plateau = Plateau::default();
    (plateau.factor, plateau.patience, plateau.threshold, plateau.least) = (0.5, 2, 1e-3, 0.1);
    let losses = numbers_of(&file["rates"]["plateau"]["losses"]);
    let schedule = LrSchedule::Plateau(plateau);
    let found: Vec<f64> = (1..=losses.len()).map(|n| schedule.factor(0.5, &losses[..n])).collect();
    let expected = numbers_of(&file["rates"]["plateau"]["factors"]);
    close("plateau", &found, &expected, 1e-12);
    assert!(expected.last().is_some_and(|f| *f < 0.3), "it was reduced more than once");
}
