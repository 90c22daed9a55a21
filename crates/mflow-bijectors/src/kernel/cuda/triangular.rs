//! Launches of `triangular.cu`.
use super::{Arg, Grid, Module, OnCuda, launch, number, ptx, space, view};
use candle_core::{CudaStorage, Layout, Result, WithDType};

const MODULE: Module = Module { name: "mflow_triangular", ptx: ptx::TRIANGULAR };

/// The inverse of a lower triangular `[D, D]` matrix.
pub(crate) fn lower_inverse<T: WithDType + OnCuda>(
    storage: &CudaStorage,
    layout: &Layout,
) -> Result<CudaStorage> {
    let (d, device) = (layout.dims()[0], &storage.device);
    let mut out = space::<T>(device, d * d)?;
    let l = view::<T>(storage, layout, d * d)?;
    let args = vec![Arg::Int(number(d)?), Arg::In(l), Arg::Out(&mut out)];
    launch(device, &MODULE, "lower_inverse", &Grid::of(d), args)?;
    Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
}
