//! Launches of `gram.cu`: the volume of tangents.
use super::{Arg, Grid, Module, OnCuda, launch, number, ptx, space, view};
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CudaStorage, Layout, Result, WithDType};

const MODULE: Module = Module { name: "mflow_gram", ptx: ptx::GRAM };

/// The Cholesky factors of the Gram matrices of `rows: [B, N, D]`, and their log-determinants.
fn factor<T: WithDType + OnCuda>(
    storage: &CudaStorage,
    layout: &Layout,
) -> Result<(CudaSlice<f64>, CudaSlice<T>)> {
    let ((b, n, d), device) = (layout.shape().dims3()?, &storage.device);
    let mut factors = space::<f64>(device, n * n * b)?;
    let mut log_det = space::<T>(device, b)?;
    let args = vec![
        Arg::Long(number(b)?),
        Arg::Int(number(n)?),
        Arg::Int(number(d)?),
        Arg::In(view::<T>(storage, layout, b * n * d)?),
        Arg::Space(&mut factors),
        Arg::Out(&mut log_det),
    ];
    launch(device, &MODULE, "gram_factor", &Grid::of(b), args)?;
    Ok((factors, log_det))
}

/// `log det(T Tᵀ)` of rows `T: [B, N, D]`, `[B]`.
///
/// # Errors
/// If the rows are strided or of another dtype, or the device refuses.
pub fn log_det<T: WithDType + OnCuda>(
    storage: &CudaStorage,
    layout: &Layout,
) -> Result<CudaStorage> {
    let (_, log_det) = factor::<T>(storage, layout)?;
    Ok(CudaStorage::wrap_cuda_slice(log_det, storage.device.clone()))
}

/// The cotangent of the rows from that of [`log_det`], `g: [B]`: `2 g (T Tᵀ)⁻¹ T`, `[B, N, D]`.
///
/// # Errors
/// As [`log_det`].
pub fn pull<T: WithDType + OnCuda>(
    rows: (&CudaStorage, &Layout),
    g: (&CudaStorage, &Layout),
) -> Result<CudaStorage> {
    let (storage, layout) = rows;
    let ((b, n, d), device) = (layout.shape().dims3()?, &storage.device);
    let (mut factors, _) = factor::<T>(storage, layout)?;
    let mut work = space::<f64>(device, b * n * d)?;
    let mut out = space::<T>(device, b * n * d)?;
    let args = vec![
        Arg::Long(number(b)?),
        Arg::Int(number(n)?),
        Arg::Int(number(d)?),
        Arg::In(view::<T>(storage, layout, b * n * d)?),
        Arg::Space(&mut factors),
        Arg::In(view::<T>(g.0, g.1, b)?),
        Arg::Space(&mut work),
        Arg::Out(&mut out),
    ];
    launch(device, &MODULE, "gram_pull", &Grid::of(b * d), args)?;
    Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
}
