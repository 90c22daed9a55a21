//! Launches of `permute.cu`.
use super::{Arg, Grid, Input, Module, OnCuda, index, launch, number, ptx, space, view};
use candle_core::{CudaStorage, Result, Tensor, WithDType};

const MODULE: Module = Module { name: "mflow_permute", ptx: ptx::PERMUTE };

/// `n` numbers of rows with their features in `order`, in a result of `len` numbers; behind the rows are log-dets.
pub(crate) fn permute<T: WithDType + OnCuda>(
    points: Input<'_>,
    order: &Tensor,
    n: usize,
    len: usize,
) -> Result<CudaStorage> {
    let (device, given) = (&points.0.device, points.1.shape().elem_count());
    let mut out = space::<T>(device, len)?;
    let (order_storage, order_layout) = order.storage_and_layout();
    let args = vec![
        Arg::Int(number(order.elem_count())?),
        Arg::Long(number(n)?),
        Arg::Long(number(given)?),
        Arg::Long(number(len)?),
        Arg::Index(index(&order_storage, order_layout)?),
        Arg::In(view::<T>(points.0, points.1, given)?),
        Arg::Out(&mut out),
    ];
    launch(device, &MODULE, "permute", &Grid::of(len), args)?;
    Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
}
