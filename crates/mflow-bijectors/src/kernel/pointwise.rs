//! An element-wise map with given parameters as one operation: values and log-slopes.
use super::elements::{Features, MapRows, PullRows};
use super::lanes::{Element, dispatch};
use super::tensor::{slice, with_slice};
use crate::Result;
use crate::bijector::Direction;
use crate::univariate::ScalarMap;
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Shape, Tensor};
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
    fn bwd(
        &self,
        x: &Tensor,
        p: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let n = x.elem_count();
        let (mut g_x, mut g_p) = (vec![T::default(); n], vec![T::default(); p.elem_count()]);
        let bias = &vec![T::default(); self.map.parameters()];
        let (map, direction) = (self.map, self.direction);
        with_slice::<T, _>(x, |moved| {
            with_slice::<T, _>(p, |p| {
                with_slice::<T, _>(g, |g| {
                    g_x.copy_from_slice(&g[..n]);
                    dispatch(PullRows {
                        map,
                        features: ONE,
                        direction,
                        moved,
                        p,
                        bias,
                        g_log_det: Some(&g[n..]),
                        g_x: &mut g_x,
                        g_p: &mut g_p,
                    });
                })
            })
        })???;
        let tensor = |g: Vec<T>, like: &Tensor| Tensor::from_vec(g, like.shape(), like.device());
        Ok((Some(tensor(g_x, x)?), Some(tensor(g_p, p)?)))
    }
}
