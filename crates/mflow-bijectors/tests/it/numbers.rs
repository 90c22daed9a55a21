//! Small helpers: numbers in and out of tensors, comparisons, a determinant.
use mflow_bijectors::candle::{DType, Device, Tensor};
use mflow_bijectors::{Stream, host};

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

/// Identity tangents, `[rows, n, n]`.
pub(crate) fn identity_rows(rows: usize, n: usize, dtype: DType) -> Tensor {
    let eye = Tensor::eye(n, dtype, device()).unwrap().unsqueeze(0).unwrap();
    eye.broadcast_as((rows, n, n)).unwrap().contiguous().unwrap()
}

/// Largest difference relative to `1 + |b|`; infinite where exactly one is NaN.
pub(crate) fn gap(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims(), "compared tensors have the same shape");
    gap_of(&numbers(a), &numbers(b))
}

/// The same for slices.
pub(crate) fn gap_of(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "compared slices have the same length");
    let one = |(a, b): (&f64, &f64)| match (a.is_nan(), b.is_nan()) {
        (true, true) => 0.,
        (false, false) if a == b => 0.,
        (false, false) => (a - b).abs() / (1. + b.abs()),
        _ => f64::INFINITY,
    };
    a.iter().zip(b).map(one).fold(0., f64::max)
}

/// Largest difference relative to `1 + max |b|`: for gradients, whose entries are sums.
pub(crate) fn gap_in_all(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "compared slices have the same length");
    let scale = 1. + b.iter().fold(0_f64, |m, v| m.max(v.abs()));
    let gap = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0., f64::max) / scale;
    let finite = a.iter().chain(b).all(|v| v.is_finite());
    if finite { gap } else { f64::INFINITY }
}

/// Fails with `what` unless `gap(a, b) <= tolerance`.
#[track_caller]
pub(crate) fn close(what: &str, a: &Tensor, b: &Tensor, tolerance: f64) {
    let gap = gap(a, b);
    assert!(gap <= tolerance, "{what}: gap {gap:.2e} exceeds {tolerance:.1e}");
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

#[test]
fn the_determinant_of_a_known_matrix() {
    let m = [vec![0., 2., 1.], vec![3., -1., 4.], vec![2., 5., -6.]];
    // 0 - 2 (-18 - 8) + 1 (15 + 2) = 69
    let gap = (log_abs_det(&m) - 69_f64.ln()).abs();
    assert!(gap < 1e-14, "ln 69 is off by {gap:.1e}");
}
