//! An element-wise map with its first derivatives as one operation, differentiable once more.
#[cfg(feature = "cuda")]
use super::cuda::pointwise as cuda;
use super::lanes::{Element, dispatch, registers};
use super::tensor::{slice, split};
use super::{Jet, Real};
use crate::Result;
use crate::bijector::Direction;
use crate::univariate::{Gradient, LogSlopeGradient, Point, ScalarMap};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Shape, Tensor};
use pulp::{Simd, WithSimd};
use std::marker::PhantomData;

/// Evaluate `map` on `x: [B, T]` with `p: [B, T, P]`, with first derivatives.
pub(crate) fn gradient<U: ScalarMap>(
    map: U,
    direction: Direction,
    x: &Tensor,
    p: &Tensor,
    log_det: bool,
) -> Result<Gradient> {
    let (x, p) = (x.contiguous()?, p.contiguous()?);
    let packed = match x.dtype() {
        DType::F64 => x.apply_op2(&p, GradientOp::<U, f64>::new(map, direction, log_det))?,
        _ => x.apply_op2(&p, GradientOp::<U, f32>::new(map, direction, log_det))?,
    };
    let (n, np) = (x.elem_count(), p.elem_count());
    let mut lens = vec![n, n, n, np];
    if log_det {
        lens.extend([n, np]);
    }
    let mut parts = split(&packed, &lens)?.into_iter();
    let mut next = |like: &Tensor| match parts.next() {
        Some(part) => part.reshape(like.shape()),
        None => Err(candle_core::Error::Msg("gradient op: too few blocks".into())),
    };
    Ok(Gradient {
        y: next(&x)?,
        l: next(&x)?,
        dy_dx: next(&x)?,
        dy_dp: next(&p)?,
        log_det: if log_det {
            Some(LogSlopeGradient { dx: next(&x)?, dp: next(&p)? })
        } else {
            None
        },
    })
}

/// `(x [N], p [N, P])` -> blocks `y, l, dy/dx [N]`, `dy/dp [N, P]` and, with `log_det`, `dl/dx [N]`,
/// `dl/dp [N, P]`, packed in one flat tensor so that each block is a contiguous view.
struct GradientOp<U, T> {
    map: U,
    direction: Direction,
    log_det: bool,
    element: PhantomData<T>,
}

impl<U, T> GradientOp<U, T> {
    fn new(map: U, direction: Direction, log_det: bool) -> Self {
        Self { map, direction, log_det, element: PhantomData }
    }
}

/// Parameter `k` of the elements `r` of a row-major `[N, P]` as lanes.
#[inline(always)]
fn load_column<T: Element, S: Simd>(
    simd: S,
    p: &[T],
    r: &std::ops::Range<usize>,
    width: usize,
    k: usize,
) -> T::Lanes<S> {
    let mut lanes = [T::default(); 16];
    for (lane, i) in lanes.iter_mut().zip(r.clone()) {
        *lane = p[i * width + k];
    }
    T::load(simd, &lanes)
}

#[inline(always)]
fn store_column<T: Element, S: Simd>(
    simd: S,
    v: T::Lanes<S>,
    p: &mut [T],
    r: &std::ops::Range<usize>,
    width: usize,
    k: usize,
) {
    let mut lanes = [T::default(); 16];
    T::store(simd, v, &mut lanes);
    for (lane, i) in lanes.iter().zip(r.clone()) {
        p[i * width + k] = *lane;
    }
}

struct Forward<'a, U, T> {
    op: &'a GradientOp<U, T>,
    x: &'a [T],
    p: &'a [T],
    out: &'a mut [T],
}

impl<U: ScalarMap, T: Element> WithSimd for Forward<'_, U, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { op, x, p, out } = self;
        let (map, direction, width, n) = (op.map, op.direction, op.map.parameters(), x.len());
        let zero = T::splat(simd, T::default());
        let mut ps = vec![zero; width];
        let mut gs = vec![zero; width];
        let mut scratch = vec![zero; map.scratch()];
        let (values, rest) = out.split_at_mut(2 * n);
        let (ys, ls) = values.split_at_mut(n);
        let (y_grads, l_grads) = rest.split_at_mut(n + n * width);
        for r in registers::<T, S>(n) {
            let xs = T::load(simd, &x[r.clone()]);
            for (k, p_k) in ps.iter_mut().enumerate() {
                *p_k = load_column(simd, p, &r, width, k);
            }
            let point = map.value(direction, xs, &ps, &mut scratch);
            T::store(simd, point.y, &mut ys[r.clone()]);
            T::store(simd, point.log_slope, &mut ls[r.clone()]);
            let one = zero.constant(1.);
            for (grads, y, log_slope) in [(&mut *y_grads, one, zero), (&mut *l_grads, zero, one)] {
                if grads.is_empty() {
                    continue;
                }
                let (dx, dp) = grads.split_at_mut(n);
                let cotangent = Point { y, log_slope };
                let g = map.pullback(direction, xs, &ps, cotangent, &mut gs, &mut scratch);
                T::store(simd, g, &mut dx[r.clone()]);
                for (k, g_k) in gs.iter().enumerate() {
                    store_column(simd, *g_k, dp, &r, width, k);
                }
            }
        }
    }
}

struct Backward<'a, U, T> {
    op: &'a GradientOp<U, T>,
    x: &'a [T],
    p: &'a [T],
    g: &'a [T],
    g_x: &'a mut [T],
    g_p: &'a mut [T],
}

impl<U: ScalarMap, T: Element> WithSimd for Backward<'_, U, T> {
    type Output = ();
    /// One pass in dual numbers per element, two with log-dets, whatever the number of tangents: the
    /// derivative of the pullback along `(g_dx, g_dp)` is the Hessian times that vector.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { op, x, p, g, g_x, g_p } = self;
        let (map, direction, width, n) = (op.map, op.direction, op.map.parameters(), x.len());
        let zero = T::splat(simd, T::default());
        let one = zero.constant(1.);
        let jet = |v, d| Jet { v, d };
        let mut ps = vec![jet(zero, zero); width];
        let mut gs = ps.clone();
        let mut scratch = vec![jet(zero, zero); map.scratch()];
        let (values, rest) = g.split_at(2 * n);
        let (g_y, g_l) = values.split_at(n);
        let (y_grads, l_grads) = rest.split_at(n + n * width);
        for r in registers::<T, S>(n) {
            let at = |v: &[T]| T::load(simd, &v[r.clone()]);
            let y_pass = Point { y: jet(one, at(g_y)), log_slope: jet(zero, at(g_l)) };
            let l_pass = Point { y: jet(zero, zero), log_slope: jet(one, zero) };
            let mut total = zero;
            for (first, grads, cotangent) in [(true, y_grads, y_pass), (false, l_grads, l_pass)] {
                if grads.is_empty() {
                    continue;
                }
                let (dx, dp) = grads.split_at(n);
                for (k, p_k) in ps.iter_mut().enumerate() {
                    let (v, d) =
                        (load_column(simd, p, &r, width, k), load_column(simd, dp, &r, width, k));
                    *p_k = jet(v, d);
                }
                let xs = jet(at(x), at(dx));
                total += map.pullback(direction, xs, &ps, cotangent, &mut gs, &mut scratch).d;
                for (k, g_k) in gs.iter().enumerate() {
                    let mut v = g_k.d;
                    if !first {
                        v += load_column(simd, g_p, &r, width, k);
                    }
                    store_column(simd, v, g_p, &r, width, k);
                }
            }
            T::store(simd, total, &mut g_x[r]);
        }
    }
}

impl<U: ScalarMap, T: Element> CustomOp2 for GradientOp<U, T> {
    fn name(&self) -> &'static str {
        "univariate-gradient"
    }
    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, p) = (slice::<T>(s1, l1)?, slice::<T>(s2, l2)?);
        let grads = x.len() + p.len();
        let len = 2 * x.len() + grads * if self.log_det { 2 } else { 1 };
        let mut out = vec![T::default(); len];
        dispatch(Forward { op: self, x, p, out: &mut out });
        Ok((T::to_cpu_storage_owned(out), len.into()))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (n, np) = (l1.shape().elem_count(), l2.shape().elem_count());
        let inputs = [(s1, l1), (s2, l2)];
        let kernel = cuda::Kernel::Gradient { log_det: self.log_det };
        let (map, rows) = (&self.map, cuda::Parameters::Rows);
        let out = cuda::pointwise::<U, T>(kernel, map, self.direction, rows, &inputs)?;
        Ok((out, (2 * n + (n + np) * if self.log_det { 2 } else { 1 }).into()))
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

/// The pullback: `(x [N], p [N, P], g) -> [N + N P]`, with `g` laid out like the results of the operation: the
/// cotangents of `x`, then of `p`.
impl<U: ScalarMap, T: Element> CustomOp3 for GradientOp<U, T> {
    fn name(&self) -> &'static str {
        "univariate-gradient-pull"
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
        let (x, p, g) = (slice::<T>(s1, l1)?, slice::<T>(s2, l2)?, slice::<T>(s3, l3)?);
        let mut out = vec![T::default(); x.len() + p.len()];
        let (g_x, g_p) = out.split_at_mut(x.len());
        dispatch(Backward { op: self, x, p, g, g_x, g_p });
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
        let inputs = [(s1, l1), (s2, l2), (s3, l3)];
        let kernel = cuda::Kernel::GradientPull { log_det: self.log_det };
        let (map, rows) = (&self.map, cuda::Parameters::Rows);
        let out = cuda::pointwise::<U, T>(kernel, map, self.direction, rows, &inputs)?;
        Ok((out, (l1.shape().elem_count() + l2.shape().elem_count()).into()))
    }
}
