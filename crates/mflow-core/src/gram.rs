//! Log-determinant of the Gram matrix of tangent rows: the squared volume of a parallelepiped.
#![expect(
    clippy::indexing_slicing,
    reason = "rows are n by d and factors n by n, as they were allotted for the tangents"
)]
use crate::Result;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, D, DType, Device, Layout, Shape, Tensor, WithDType,
};
#[cfg(feature = "cuda")]
use mflow_bijectors::cuda;
use mflow_bijectors::{Code, Route, host};
use std::marker::PhantomData;

/// `log det(T Tᵀ)` for tangent rows `T: [B, N, D]`, `[B]`; differentiable.
///
/// Half of it is the log-volume in the density of an M-flow (Brehmer & Cranmer 2020, eq. 6): with
/// `T` the rows of the Jacobian, `T Tᵀ = Jᵀ J`. By Cholesky in f64 where there are kernels, with the backward pass
/// `2 g (T Tᵀ)⁻¹ T`; elsewhere by orthogonalising the rows, which does not square their condition. Rows that
/// are linearly dependent, to within rounding, give `-inf`, NaN gives NaN.
///
/// # Errors
/// If the shape is not `[B, N, D]`.
pub fn gram_log_det(tangents: &Tensor) -> Result<Tensor> {
    let rows = tangents.contiguous()?;
    if !rows.dtype().is_float() {
        let message = format!("gram_log_det: expected real numbers, found {:?}", rows.dtype());
        return Err(candle_core::Error::Msg(message).into());
    }
    Ok(match (Route::Auto.code(rows.device()), rows.dtype()) {
        (Code::CpuKernel | Code::CudaKernel, DType::F64) => {
            rows.apply_op1(GramLogDet::<f64>(PhantomData))?
        }
        (Code::CpuKernel | Code::CudaKernel, _) => {
            rows.apply_op1(GramLogDet::<f32>(PhantomData))?
        }
        _ => orthogonalized(&rows)?,
    })
}

/// `log det(T Tᵀ) = Σ ln |r_i|²`, with `r_i` what the rows before it leave of row `i` (modified Gram-Schmidt).
fn orthogonalized(rows: &Tensor) -> Result<Tensor> {
    let (b, n, d) = rows.dims3()?;
    let epsilon = if rows.dtype() == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
    if rows.elem_count() == 0 {
        return Ok(host::zeros(b, rows.dtype(), rows.device())?);
    }
    // A row within the rounding of its sums depends on the others.
    let rounding = (n + d) as f64 * epsilon;
    let least = (rows.detach().sqr()?.sum(D::Minus1)? * (rounding * rounding))?;
    let mut rest = rows.clone();
    let mut log_det = Tensor::zeros(b, rows.dtype(), rows.device())?;
    for i in 0..n {
        let row = rest.narrow(1, 0, 1)?;
        let square = row.sqr()?.sum(D::Minus1)?;
        let none = square.le(&least.narrow(1, i, 1)?)?;
        let square = none.where_cond(&square.zeros_like()?, &square)?;
        log_det = (log_det + square.log()?.squeeze(1)?)?;
        if i + 1 == n {
            break;
        }
        let unit = row.broadcast_div(&square.sqrt()?.unsqueeze(1)?)?;
        let others = rest.narrow(1, 1, n - i - 1)?;
        let along = others.broadcast_mul(&unit)?.sum_keepdim(D::Minus1)?;
        rest = (others - along.broadcast_mul(&unit)?)?;
    }
    Ok(log_det)
}

/// The rows of `(T Tᵀ)⁻¹ T`, `[B, N, D]`, of tangent rows `T: [B, N, D]`, detached: the map from small steps between
/// points to steps of coordinates, in least squares. All 0 where the rows of `T` are linearly dependent or not finite,
/// so that nothing moves there.
pub(crate) fn pseudo_inverse(tangents: &Tensor) -> Result<Tensor> {
    let (b, n, d) = tangents.dims3()?;
    let (dtype, device) = (tangents.dtype(), tangents.device());
    let rows = host::values_f64(tangents)?;
    let mut cholesky = Cholesky::new(n, d);
    let mut out = Vec::with_capacity(rows.len());
    for rows in rows.chunks_exact((n * d).max(1)) {
        match cholesky.factor(rows).is_finite() {
            true => out.extend_from_slice(cholesky.solve()),
            false => out.resize(out.len() + n * d, 0.),
        }
    }
    Ok(host::place(&Tensor::from_vec(out, (b, n, d), &Device::Cpu)?, dtype, device)?)
}

struct GramLogDet<T>(PhantomData<T>);

/// Scratch space for one matrix.
struct Cholesky {
    n: usize,
    d: usize,
    /// The rows of one point, in f64, `[n, d]`.
    rows: Vec<f64>,
    /// The lower Cholesky factor of the Gram matrix, `[n, n]`.
    l: Vec<f64>,
}

impl Cholesky {
    fn new(n: usize, d: usize) -> Self {
        Self { n, d, rows: vec![0.; n * d], l: vec![0.; n * n] }
    }

    /// Factor `T Tᵀ`; returns its log-determinant.
    fn factor<T: WithDType>(&mut self, rows: &[T]) -> f64 {
        let (n, d) = (self.n, self.d);
        self.rows.iter_mut().zip(rows).for_each(|(to, from)| *to = from.to_f64());
        let mut log_det = 0.;
        for i in 0..n {
            for j in 0..=i {
                let (a, b) = (&self.rows[i * d..(i + 1) * d], &self.rows[j * d..(j + 1) * d]);
                let gram: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                let known: f64 = (0..j).map(|k| self.l[i * n + k] * self.l[j * n + k]).sum();
                let rest = gram - known;
                self.l[i * n + j] = if i == j {
                    // A pivot within the rounding of its sums is a row that depends on the others.
                    let rounding = (n + d) as f64 * f64::EPSILON * gram;
                    let pivot = if rest <= rounding { 0. } else { rest };
                    log_det += pivot.ln();
                    pivot.sqrt()
                } else {
                    rest / self.l[j * n + j]
                };
            }
        }
        log_det
    }

    /// Overwrite the rows by `(T Tᵀ)⁻¹ T`: two triangular solves.
    fn solve(&mut self) -> &[f64] {
        let (n, d) = (self.n, self.d);
        for step in 0..2 * n {
            let forward = step < n;
            let i = if forward { step } else { 2 * n - 1 - step };
            let known = if forward { 0..i } else { i + 1..n };
            for k in known {
                let c = if forward { self.l[i * n + k] } else { self.l[k * n + i] };
                for t in 0..d {
                    self.rows[i * d + t] -= c * self.rows[k * d + t];
                }
            }
            let pivot = self.l[i * n + i];
            self.rows[i * d..(i + 1) * d].iter_mut().for_each(|v| *v /= pivot);
        }
        &self.rows
    }
}

impl<T: Number> CustomOp1 for GramLogDet<T> {
    fn name(&self) -> &'static str {
        "gram-log-det"
    }
    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (b, n, d) = layout.shape().dims3()?;
        let rows = slice::<T>(storage, layout)?;
        let mut cholesky = Cholesky::new(n, d);
        let log_det = rows.chunks_exact((n * d).max(1)).map(|t| T::from_f64(cholesky.factor(t)));
        Ok((T::to_cpu_storage_owned(log_det.collect()), b.into()))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &CudaStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let log_det = cuda::gram::log_det::<T>(storage, layout)?;
        Ok((log_det, layout.dims()[0].into()))
    }
    fn bwd(&self, rows: &Tensor, _: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(rows.apply_op2_no_bwd(&g.contiguous()?, self)?))
    }
}

/// The pullback: `(T [B, N, D], g [B]) -> 2 g (T Tᵀ)⁻¹ T`.
impl<T: Number> CustomOp2 for GramLogDet<T> {
    fn name(&self) -> &'static str {
        "gram-log-det-pull"
    }
    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (_, n, d) = l1.shape().dims3()?;
        let (rows, g) = (slice::<T>(s1, l1)?, slice::<T>(s2, l2)?);
        let mut cholesky = Cholesky::new(n, d);
        let mut out = Vec::with_capacity(rows.len());
        for (t, g) in rows.chunks_exact((n * d).max(1)).zip(g) {
            cholesky.factor(t);
            let scale = 2. * g.to_f64();
            out.extend(cholesky.solve().iter().map(|v| T::from_f64(scale * v)));
        }
        Ok((T::to_cpu_storage_owned(out), l1.shape().clone()))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        Ok((cuda::gram::pull::<T>((s1, l1), (s2, l2))?, l1.shape().clone()))
    }
}

/// What the operation computes in.
#[cfg(not(feature = "cuda"))]
trait Number: WithDType {}
#[cfg(feature = "cuda")]
trait Number: WithDType + cuda::OnCuda {}
impl Number for f32 {}
impl Number for f64 {}

/// The numbers of a contiguous tensor.
fn slice<'a, T: WithDType>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&T::cpu_storage_as_slice(storage)?[start..end]),
        None => Err(candle_core::Error::Msg("gram-log-det: strided tensor".into())),
    }
}
