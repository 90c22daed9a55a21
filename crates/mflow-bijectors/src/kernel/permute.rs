//! Features in another order, of points, their tangents and the log-dets before them.
#[cfg(feature = "cuda")]
use super::cuda::permute;
use super::lanes::Element;
use super::rows::Rows;
use super::tensor::slice;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::marker::PhantomData;
use std::sync::Arc;

/// Which feature each one of a result is.
#[derive(Clone, Debug)]
pub(crate) struct FeatureOrder {
    /// `u32`, `[D]`, where the points are.
    pub(crate) index: Tensor,
    pub(crate) list: Arc<[u32]>,
}

/// `points` and the result are packed ([`super::PackedLayer`]).
pub(crate) struct PermuteOp<T> {
    order: FeatureOrder,
    /// The order that undoes it.
    back: FeatureOrder,
    rows: Rows,
    /// Whether the result has log-dets; that of a pullback has those that its argument had.
    has_log_dets: bool,
    element: PhantomData<T>,
}

impl<T> PermuteOp<T> {
    pub(crate) fn new(order: FeatureOrder, back: FeatureOrder, rows: Rows) -> Self {
        Self { order, back, rows, has_log_dets: true, element: PhantomData }
    }

    /// Numbers of the rows, and of the result.
    fn lens(&self) -> [usize; 2] {
        let n = self.rows.len() * self.order.list.len();
        [n, n + if self.has_log_dets { self.rows.points } else { 0 }]
    }
}

impl<T: Element> CustomOp1 for PermuteOp<T> {
    fn name(&self) -> &'static str {
        "permute"
    }
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [n, len] = self.lens();
        let (rows, log_dets) = slice::<T>(storage, layout)?.split_at(n);
        let mut out = Vec::with_capacity(len);
        for row in rows.chunks_exact(self.order.list.len()) {
            out.extend(self.order.list.iter().map(|&k| row[k as usize]));
        }
        out.extend(log_dets.iter().take(len - n));
        out.resize(len, T::default());
        Ok((T::to_cpu_storage_owned(out), len.into()))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let [n, len] = self.lens();
        Ok((permute::permute::<T>((storage, layout), &self.order.index, n, len)?, len.into()))
    }
    fn bwd(&self, points: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let back = Self {
            order: self.back.clone(),
            back: self.order.clone(),
            has_log_dets: points.elem_count() > self.lens()[0],
            ..*self
        };
        Ok(Some(g.contiguous()?.apply_op1_no_bwd(&back)?))
    }
}
