//! Determinants and inverses of small square matrices, in f64 on the host.
use super::lanes::Element;
use super::tensor::slice;
use crate::host;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};
use std::marker::PhantomData;

/// `ln |det A|` of each matrix of `a: [B, D, D]`, differentiable; `-inf` of a singular one.
pub(crate) fn log_abs_det(a: &Tensor) -> Result<Tensor> {
    let host = host::tensor(a)?.contiguous()?;
    let log_det = match a.dtype() {
        DType::F64 => host.apply_op1(LogAbsDet::<f64>(PhantomData))?,
        _ => host.apply_op1(LogAbsDet::<f32>(PhantomData))?,
    };
    log_det.to_device(a.device())
}

/// The inverse of each matrix of `a: [B, D, D]`, differentiable; NaN or infinite of a singular one.
pub(crate) fn inverse(a: &Tensor) -> Result<Tensor> {
    let host = host::tensor(a)?.contiguous()?;
    let inverse = match a.dtype() {
        DType::F64 => host.apply_op1(Inverse::<f64>(PhantomData))?,
        _ => host.apply_op1(Inverse::<f32>(PhantomData))?,
    };
    inverse.to_device(a.device())
}

/// Gauss-Jordan elimination with partial pivoting of `a: [n, n]`, in place; applies the same steps to
/// `b: [n, n]` and returns `ln |det a|`.
fn eliminate(n: usize, a: &mut [f64], b: &mut [f64]) -> f64 {
    let mut log_det = 0.;
    for i in 0..n {
        let best = (i..n).max_by(|&r, &s| a[r * n + i].abs().total_cmp(&a[s * n + i].abs()));
        let best = best.unwrap_or(i);
        for k in 0..n {
            a.swap(i * n + k, best * n + k);
            b.swap(i * n + k, best * n + k);
        }
        let pivot = a[i * n + i];
        log_det += pivot.abs().ln();
        for k in 0..n {
            a[i * n + k] /= pivot;
            b[i * n + k] /= pivot;
        }
        for r in (0..n).filter(|&r| r != i) {
            let factor = a[r * n + i];
            for k in 0..n {
                a[r * n + k] -= factor * a[i * n + k];
                b[r * n + k] -= factor * b[i * n + k];
            }
        }
    }
    log_det
}

/// Log-determinant and inverse of each of the matrices in `a`.
fn solve_all<T: Element>(
    storage: &CpuStorage,
    layout: &Layout,
    mut each: impl FnMut(f64, &[f64]),
) -> Result<()> {
    let n = layout.dims()[layout.dims().len() - 1];
    for matrix in slice::<T>(storage, layout)?.chunks_exact((n * n).max(1)) {
        let mut a: Vec<f64> = matrix.iter().map(|v| v.to_f64()).collect();
        let mut b = vec![0.; n * n];
        (0..n).for_each(|i| b[i * n + i] = 1.);
        let log_det = eliminate(n, &mut a, &mut b);
        each(log_det, &b);
    }
    Ok(())
}

struct LogAbsDet<T>(PhantomData<T>);

impl<T: Element> CustomOp1 for LogAbsDet<T> {
    fn name(&self) -> &'static str {
        "log-abs-det"
    }
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = vec![];
        solve_all::<T>(storage, layout, |log_det, _| out.push(T::from_f64(log_det)))?;
        let shape = out.len().into();
        Ok((T::to_cpu_storage_owned(out), shape))
    }
    /// `d ln |det A| = tr(A⁻¹ dA)`.
    fn bwd(&self, a: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let inverse = inverse(a)?.t()?;
        Ok(Some(inverse.broadcast_mul(&g.reshape((g.elem_count(), 1, 1))?)?))
    }
}

struct Inverse<T>(PhantomData<T>);

impl<T: Element> CustomOp1 for Inverse<T> {
    fn name(&self) -> &'static str {
        "inverse"
    }
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = vec![];
        solve_all::<T>(storage, layout, |_, b| out.extend(b.iter().map(|v| T::from_f64(*v))))?;
        Ok((T::to_cpu_storage_owned(out), layout.shape().clone()))
    }
    /// `d(A⁻¹) = -A⁻¹ dA A⁻¹`, so the cotangent is `-A⁻ᵀ g A⁻ᵀ`.
    fn bwd(&self, _: &Tensor, inverse: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let t = inverse.t()?.contiguous()?;
        Ok(Some(t.matmul(&g.contiguous()?)?.matmul(&t)?.neg()?))
    }
}
