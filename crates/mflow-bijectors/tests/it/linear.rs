//! Linear maps against matrices put together by hand from their named tensors.
use crate::cases::{DIRECTIONS, randomise};
use crate::numbers::{close, device, log_abs_det, normal, numbers, tensor};
use mflow_bijectors::candle::{DType, Var};
use mflow_bijectors::{
    Bijector, Direction, FeatureAffineConfig, LuLinearConfig, ParamStore, PermutationConfig,
};
use std::collections::BTreeMap;

/// `L`, `U` and `b` from named tensors in the order of nflows: triangles row by row.
fn factors(store: &ParamStore, d: usize) -> (Vec<Vec<f64>>, Vec<Vec<f64>>, Vec<f64>) {
    let named = store.to_named().unwrap();
    let get = |name: &str| numbers(&named[name]).into_iter();
    let (mut lower, mut upper) = (get("lower_entries"), get("upper_entries"));
    let mut diagonal = get("unconstrained_upper_diag");
    let (mut l, mut u) = (vec![vec![0.; d]; d], vec![vec![0.; d]; d]);
    for i in 0..d {
        for j in 0..i {
            l[i][j] = lower.next().unwrap();
        }
        l[i][i] = 1.;
        u[i][i] = 1e-3 + diagonal.next().unwrap().exp().ln_1p();
        for j in i + 1..d {
            u[i][j] = upper.next().unwrap();
        }
    }
    let rest = lower.count() + upper.count() + diagonal.count();
    assert_eq!(rest, 0, "all entries of the triangles are used");
    (l, u, get("bias").collect())
}

#[test]
fn lu_is_the_product_of_its_named_factors() {
    for d in [1, 2, 3, 6] {
        let mut store = ParamStore::new(1, DType::F64, device());
        let map = store.build(|_| true, |p| LuLinearConfig::new(d).build(p)).unwrap();
        randomise(&store, "lu", 1.5);
        let (l, u, bias) = factors(&store, d);
        let product = |i: usize, j: usize| (0..d).map(|k| l[i][k] * u[k][j]).sum::<f64>();
        let a: Vec<Vec<f64>> = (0..d).map(|i| (0..d).map(|j| product(i, j)).collect()).collect();
        let x = normal("x", &[5, d]);
        let row = |x: &[f64]| -> Vec<f64> {
            (0..d).map(|i| bias[i] + (0..d).map(|j| a[i][j] * x[j]).sum::<f64>()).collect()
        };
        let y: Vec<f64> = numbers(&x).chunks_exact(d).flat_map(row).collect();
        let y = tensor(y, &[5, d]);
        let log_det = tensor(vec![log_abs_det(&a); 5], &[5]);
        let mapped = map.forward(&x, None).unwrap();
        close(&format!("dim {d}: L U x + b"), &mapped.value, &y, 1e-13);
        close(&format!("dim {d}: ln det L U"), &mapped.log_abs_det, &log_det, 1e-13);
        let back = map.inverse(&y, None).unwrap();
        close(&format!("dim {d}: its inverse"), &back.value, &x, 1e-11);
    }
}

/// Few rows of many features are divided by the factors, many are multiplied by their inverses. Oracle: the same rows among many.
#[test]
fn few_rows_of_many_features_are_inverted_as_among_many() {
    const D: usize = 260;
    let mut store = ParamStore::new(1, DType::F64, device());
    let map = store.build(|_| true, |p| LuLinearConfig::new(D).build(p)).unwrap();
    randomise(&store, "large lu", 0.03);
    let y = normal("y", &[100, D]);
    let weights = normal("weights", &[3, D]);
    let of = |rows: usize| {
        let y = Var::from_tensor(&y.narrow(0, 0, rows).unwrap()).unwrap();
        let mapped = map.inverse(&y, None).unwrap();
        let x = mapped.value.narrow(0, 0, 3).unwrap();
        let log_det = mapped.log_abs_det.narrow(0, 0, 3).unwrap();
        let loss =
            ((&x * &weights).unwrap().sum_all().unwrap() + log_det.sum_all().unwrap()).unwrap();
        let gradients = loss.backward().unwrap();
        let of_y = gradients.get(&y).unwrap().narrow(0, 0, 3).unwrap();
        let of_theta: Vec<_> =
            store.parameters().map(|p| gradients.get(&p.var).unwrap().clone()).collect();
        (x, log_det, of_y, of_theta)
    };
    let (few, many) = (of(3), of(100));
    close("values", &few.0, &many.0, 1e-10);
    close("log-dets", &few.1, &many.1, 1e-12);
    close("gradients of points", &few.2, &many.2, 1e-10);
    for (few, many) in few.3.iter().zip(&many.3) {
        close("gradients of parameters", few, many, 1e-9);
    }
    let back = map.forward(&few.0, None).unwrap();
    close("the round trip", &back.value, &y.narrow(0, 0, 3).unwrap(), 1e-10);
}

#[test]
fn lu_starts_as_the_identity() {
    let mut store = ParamStore::new(1, DType::F64, device());
    let map = store.build(|_| true, |p| LuLinearConfig::new(4).build(p)).unwrap();
    let x = normal("x", &[3, 4]);
    for direction in DIRECTIONS {
        let mapped = map.map(direction, &x, None).unwrap();
        close(&format!("{direction:?}: value"), &mapped.value, &x, 1e-14);
        let zero = mapped.log_abs_det.zeros_like().unwrap();
        close(&format!("{direction:?}: log-det"), &mapped.log_abs_det, &zero, 1e-14);
    }
}

/// The diagonal has a floor, so that a trained map stays invertible, and no overflow above.
#[test]
fn the_diagonal_of_u_is_bounded_below_and_overflows_nowhere() {
    let mut store = ParamStore::new(1, DType::F64, device());
    let map = store.build(|_| true, |p| LuLinearConfig::new(3).build(p)).unwrap();
    let raw = [-800., 50., 800.];
    let named = BTreeMap::from([
        ("lower_entries".to_owned(), tensor(vec![0.; 3], &[3])),
        ("upper_entries".to_owned(), tensor(vec![0.; 3], &[3])),
        ("unconstrained_upper_diag".to_owned(), tensor(raw.to_vec(), &[3])),
        ("bias".to_owned(), tensor(vec![0.; 3], &[3])),
    ]);
    store.assign(&named).unwrap();
    let x = tensor(vec![1., 1., 1.], &[1, 3]);
    let mapped = map.forward(&x, None).unwrap();
    let diagonal = [1e-3, 50.001, 800.001];
    close("diagonal", &mapped.value, &tensor(diagonal.to_vec(), &[1, 3]), 1e-14);
    let expected = diagonal.iter().map(|d: &f64| d.ln()).sum::<f64>();
    close("its log-det", &mapped.log_abs_det, &tensor(vec![expected], &[1]), 1e-13);
    let back = map.inverse(&mapped.value, None).unwrap();
    close("its inverse", &back.value, &x, 1e-13);
    let gradient = mapped.log_abs_det.sum_all().unwrap().backward().unwrap();
    let parameter = store.parameters().next().unwrap();
    let gradient = numbers(gradient.get(&parameter.var).unwrap());
    assert!(gradient.iter().all(|g| g.is_finite()), "its gradient is finite: {gradient:?}");
    let wanted = [0., 1. / 50.001, 1. / 800.001];
    let found = [gradient[6], gradient[7], gradient[8]];
    close("its gradient", &tensor(found.to_vec(), &[3]), &tensor(wanted.to_vec(), &[3]), 1e-12);
}

#[test]
fn a_permutation_takes_feature_p_of_i() {
    let index = [2_u32, 0, 3, 1];
    let buffer = mflow_bijectors::candle::Tensor::from_vec(index.to_vec(), 4, device()).unwrap();
    let named = BTreeMap::from([("permutation".to_owned(), buffer)]);
    let mut store = ParamStore::from_named(named, DType::F64, device());
    let map = store.build(|_| true, |p| PermutationConfig::new(4).build(p)).unwrap();
    let x = tensor(vec![10., 11., 12., 13.], &[1, 4]);
    let y = numbers(&map.forward(&x, None).unwrap().value);
    assert_eq!(y, [12., 10., 13., 11.], "y_i = x_p(i)");
    let back = numbers(&map.inverse(&x, None).unwrap().value);
    assert_eq!(back, [11., 13., 10., 12.], "x_p(i) = y_i");
}

#[test]
fn permutations_are_drawn_from_the_seed() {
    let drawn = |seed: u64| {
        let mut store = ParamStore::new(seed, DType::F64, device());
        store.build(|_| true, |p| PermutationConfig::new(9).build(p)).unwrap();
        numbers(&store.to_named().unwrap()["permutation"])
    };
    assert_eq!(drawn(4), drawn(4), "the same seed gives the same permutation");
    assert_ne!(drawn(4), drawn(5), "another seed another one");
    let mut sorted = drawn(4);
    sorted.sort_by(f64::total_cmp);
    assert_eq!(sorted, (0..9).map(f64::from).collect::<Vec<_>>(), "each feature occurs once");
}

#[test]
fn a_feature_affine_map_scales_then_shifts() {
    let config = FeatureAffineConfig::new(vec![1., -2.], vec![3., 0.5]);
    let mut store = ParamStore::new(0, DType::F64, device());
    let map = store.build(|_| true, |p| config.build(p)).unwrap();
    let x = tensor(vec![10., 10.], &[1, 2]);
    let y = map.map(Direction::Forward, &x, None).unwrap();
    assert_eq!(numbers(&y.value), [31., 3.], "y = a + s x");
    let gap = (numbers(&y.log_abs_det)[0] - 1.5_f64.ln()).abs();
    assert!(gap < 1e-15, "log-det is the sum of the logs, off by {gap:.1e}");
    assert!(store.to_named().unwrap().is_empty(), "its numbers live in the config");
}
