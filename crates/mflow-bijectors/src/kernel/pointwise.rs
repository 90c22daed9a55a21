//! An element-wise map with given parameters as one operation: values and log-slopes.
#[cfg(feature = "cuda")]
use super::cuda::pointwise as cuda;
use super::elements::{Features, MapRows, PullRows};
use super::lanes::{Element, dispatch};
use super::tensor::{slice, split};
use crate::Result;
use crate::bijector::Direction;
use crate::univariate::ScalarMap;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Shape, Tensor};
use std::marker::PhantomData;

/// Values and log-slopes of `map` at `x: [B, T]` with `p: [B, T, P]`, both `[B, T]`.
pub(crate) fn values<U: ScalarMap>(
    map: U,
    direction: Direction,
    x: &Tensor,
    p: &Tensor,
) -> Result<[Tensor; 2]> {
    // The kernel reads the parameters transposed, `[P, B T]`.
    let columns = p.reshape((x.elem_count(), map.parameters()))?.t()?.contiguous()?;
    let flat = x.contiguous()?.flatten_all()?;
    let packed = match x.dtype() {
        DType::F64 => flat.apply_op2(&columns, PointwiseOp::<U, f64>::new(map, direction))?,
        _ => flat.apply_op2(&columns, PointwiseOp::<U, f32>::new(map, direction))?,
    };
    let n = x.elem_count();
    let part = |i: usize| packed.narrow(0, i * n, n)?.reshape(x.shape());
    Ok([part(0)?, part(1)?])
}

/// `(x [N], p [P, N]) -> [2 N]`: values, then log-slopes.
struct PointwiseOp<U, T> {
    map: U,
    direction: Direction,
    element: PhantomData<T>,
}

impl<U, T> PointwiseOp<U, T> {
    fn new(map: U, direction: Direction) -> Self {
        Self { map, direction, element: PhantomData }
    }
}

/// Each element is a row of one feature.
const ONE: Features<'static> = Features { dim: 1, moved: &[0] };

impl<U: ScalarMap, T: Element> CustomOp2 for PointwiseOp<U, T> {
    fn name(&self) -> &'static str {
        "univariate"
    }
    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (moved, p) = (slice::<T>(s1, l1)?, slice::<T>(s2, l2)?);
        let n = moved.len();
        let mut out = vec![T::default(); 2 * n];
        let (y, log_det) = out.split_at_mut(n);
        let bias = &vec![T::default(); self.map.parameters()];
        let (map, direction) = (self.map, self.direction);
        dispatch(MapRows { map, features: ONE, direction, moved, p, bias, y, log_det });
        Ok((T::to_cpu_storage_owned(out), (2 * n).into()))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (inputs, kernel) = ([(s1, l1), (s2, l2)], cuda::Kernel::Values);
        let (map, columns) = (&self.map, cuda::Parameters::Columns);
        let out = cuda::pointwise::<U, T>(kernel, map, self.direction, columns, &inputs)?;
        Ok((out, (2 * l1.shape().elem_count()).into()))
    }
    fn bwd(
        &self,
        x: &Tensor,
        p: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let packed = x.apply_op3_no_bwd(p, &g.contiguous()?, self)?;
        let parts = split(&packed, &[x.elem_count(), p.elem_count()])?;
        Ok((Some(parts[0].reshape(x.shape())?), Some(parts[1].reshape(p.shape())?)))
    }
}

/// The pullback: `(x [N], p [P, N], g [2 N]) -> [N + P N]`, the cotangents of `x`, then of `p`.
impl<U: ScalarMap, T: Element> CustomOp3 for PointwiseOp<U, T> {
    fn name(&self) -> &'static str {
        "univariate-pull"
    }
    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (moved, p, g) = (slice::<T>(s1, l1)?, slice::<T>(s2, l2)?, slice::<T>(s3, l3)?);
        let n = moved.len();
        let mut out = vec![T::default(); n + p.len()];
        let (g_x, g_p) = out.split_at_mut(n);
        g_x.copy_from_slice(&g[..n]);
        let bias = &vec![T::default(); self.map.parameters()];
        let (map, direction) = (self.map, self.direction);
        let g_log_det = Some(&g[n..]);
        let features = ONE;
        dispatch(PullRows { map, features, direction, moved, p, bias, g_log_det, g_x, g_p });
        let shape = out.len().into();
        Ok((T::to_cpu_storage_owned(out), shape))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
        s3: &CudaStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (inputs, kernel) = ([(s1, l1), (s2, l2), (s3, l3)], cuda::Kernel::Pull);
        let (map, columns) = (&self.map, cuda::Parameters::Columns);
        let out = cuda::pointwise::<U, T>(kernel, map, self.direction, columns, &inputs)?;
        Ok((out, (l1.shape().elem_count() + l2.shape().elem_count()).into()))
    }
}
