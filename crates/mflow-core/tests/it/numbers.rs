//! Small helpers: numbers in and out of tensors, comparisons, a determinant.
use mflow_bijectors::{Stream, host};
use mflow_core::candle::{DType, Device, Tensor};

pub(crate) use crate::device::device;

/// All elements as f64.
pub(crate) fn numbers(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// An f64 tensor.
pub(crate) fn tensor(values: Vec<f64>, shape: &[usize]) -> Tensor {
    let values = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
    host::place(&values, DType::F64, device()).unwrap()
}

/// Standard normal numbers; `purpose` is their seed.
pub(crate) fn normal(purpose: &str, shape: &[usize]) -> Tensor {
    Stream::new(11, purpose).normal_tensor(shape, DType::F64, device()).unwrap()
}

/// Largest difference relative to `1 + |b|`; infinite where either is NaN.
pub(crate) fn gap(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "compared slices have the same length");
    let one = |(a, b): (&f64, &f64)| {
        if a == b { 0. } else { (a - b).abs() / (1. + b.abs()) }
    };
    let worst = a.iter().zip(b).map(one).fold(0., f64::max);
    if a.iter().chain(b).any(|v| v.is_nan()) { f64::INFINITY } else { worst }
}

/// Fails with `what` unless `gap(a, b) <= tolerance`.
#[track_caller]
pub(crate) fn close(what: &str, a: &[f64], b: &[f64], tolerance: f64) {
    let gap = gap(a, b);
    assert!(gap <= tolerance, "{what}: gap {gap:.2e} exceeds {tolerance:.1e}");
}

/// `T Tᵀ` of rows.
pub(crate) fn gram(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect()
}

/// `ln |det|` by elimination with partial pivoting.
pub(crate) fn log_abs_det(m: &[Vec<f64>]) -> f64 {
    let (n, mut m, mut total) = (m.len(), m.to_vec(), 0.);
    for i in 0..n {
        let best = (i..n).max_by(|&a, &b| m[a][i].abs().total_cmp(&m[b][i].abs()));
        m.swap(i, best.unwrap_or(i));
        total += m[i][i].abs().ln();
        for r in i + 1..n {
            let factor = m[r][i] / m[i][i];
            for c in i..n {
                m[r][c] -= factor * m[i][c];
            }
        }
    }
    total
}

/// Row-major `[b, n, d]` as `b` lists of `n` rows.
pub(crate) fn matrices(t: &Tensor) -> Vec<Vec<Vec<f64>>> {
    let (_, n, d) = t.dims3().unwrap();
    let rows: Vec<Vec<f64>> = numbers(t).chunks(d).map(<[f64]>::to_vec).collect();
    rows.chunks(n).map(<[Vec<f64>]>::to_vec).collect()
}

#[test]
fn the_determinant_of_a_known_matrix() {
    let m = [vec![0., 2., 1.], vec![3., -1., 4.], vec![2., 5., -6.]];
    // 0 - 2 (-18 - 8) + 1 (15 + 2) = 69
    let gap = (log_abs_det(&m) - 69_f64.ln()).abs();
    assert!(gap < 1e-14, "ln 69 is off by {gap:.1e}");
}
