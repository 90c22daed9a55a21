//! The inverse of a triangular matrix, by substitution in f64.
use super::lanes::Element;
use super::tensor::slice;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};
use std::marker::PhantomData;

/// The inverse of the lower triangular `[D, D]` matrix `l`, differentiable.
pub(crate) fn lower_inverse(l: &Tensor) -> Result<Tensor> {
    let l = l.contiguous()?;
    match l.dtype() {
        DType::F64 => l.apply_op1(LowerInverse::<f64>(PhantomData)),
        _ => l.apply_op1(LowerInverse::<f32>(PhantomData)),
    }
}

/// The inverse of a lower triangular `[n, n]` matrix.
pub(super) fn substitute(n: usize, l: &[f64]) -> Vec<f64> {
    let mut inverse = vec![0.; n * n];
    for i in 0..n {
        // Row i is (eᵢ - Σ_k l_ik row_k)/l_ii: rows lie together in memory.
        let (known, rest) = inverse.split_at_mut(i * n);
        let row = &mut rest[..n];
        for (k, other) in known.chunks_exact(n).enumerate() {
            let factor = l[i * n + k];
            row[..=k].iter_mut().zip(other).for_each(|(r, o)| *r -= factor * o);
        }
        row[i] += 1.;
        row[..=i].iter_mut().for_each(|r| *r /= l[i * n + i]);
    }
    inverse
}

struct LowerInverse<T>(PhantomData<T>);

impl<T: Element> CustomOp1 for LowerInverse<T> {
    fn name(&self) -> &'static str {
        "lower-inverse"
    }
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let n = layout.dims()[0];
        let l: Vec<f64> = slice::<T>(storage, layout)?.iter().map(|v| v.to_f64()).collect();
        let inverse = substitute(n, &l).into_iter().map(T::from_f64).collect();
        Ok((T::to_cpu_storage_owned(inverse), (n, n).into()))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let inverse = super::cuda::triangular::lower_inverse::<T>(storage, layout)?;
        Ok((inverse, layout.shape().clone()))
    }
    /// `d(L⁻¹) = -L⁻¹ dL L⁻¹`, so the cotangent is `-L⁻ᵀ g L⁻ᵀ`.
    fn bwd(&self, _: &Tensor, inverse: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let t = inverse.t()?;
        Ok(Some(t.matmul(g)?.matmul(&t)?.neg()?))
    }
}
