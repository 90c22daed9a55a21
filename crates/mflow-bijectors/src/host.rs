//! Numbers that leave their device for the host: the only place where they do. And numbers of the host that go to a device.
//!
//! On a GPU such a read waits for all that was launched before it. So the work of a training step or of a batch of
//! densities must not read, but for the few scalars that the caller asked for; tests count.
use candle_core::{DType, Device, Result, Shape, Storage, Tensor, WithDType};
use std::sync::atomic::{AtomicU64, Ordering};

static READS: AtomicU64 = AtomicU64::new(0);

/// How many times this process has read numbers from tensors so far, on whatever device: a measure for tests.
pub fn reads() -> u64 {
    READS.load(Ordering::Relaxed)
}

/// All numbers of `t`, row-major.
///
/// # Errors
/// If `t` has another dtype.
pub fn values<T: WithDType>(t: &Tensor) -> Result<Vec<T>> {
    READS.fetch_add(1, Ordering::Relaxed);
    t.flatten_all()?.to_vec1()
}

/// `f` of all numbers of `t` on the CPU, row-major, without a copy if they lie like that.
///
/// # Errors
/// If `t` has another dtype, or is on another device.
#[expect(
    clippy::indexing_slicing,
    reason = "candle says where the elements of a contiguous tensor are in its storage"
)]
pub fn with_values<T: WithDType, R>(t: &Tensor, f: impl FnOnce(&[T]) -> R) -> Result<R> {
    READS.fetch_add(1, Ordering::Relaxed);
    let t = t.contiguous()?;
    let (storage, layout) = t.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(cpu), Some((start, end))) => {
            Ok(f(&T::cpu_storage_as_slice(cpu)?[start..end]))
        }
        _ => Err(candle_core::Error::Msg("expected a tensor on the CPU".to_owned())),
    }
}

/// All numbers of `t` in double precision, row-major; detached.
///
/// # Errors
/// If a tensor operation fails.
pub fn values_f64(t: &Tensor) -> Result<Vec<f64>> {
    // Converted here, as not every device has double precision.
    Ok(match t.dtype() {
        DType::F64 => values(&t.detach())?,
        DType::F32 => values::<f32>(&t.detach())?.into_iter().map(f64::from).collect(),
        _ => values(&tensor(&t.detach())?.to_dtype(DType::F64)?)?,
    })
}

/// The only number of `t`, in double precision.
///
/// # Errors
/// If `t` has not one number.
pub fn scalar(t: &Tensor) -> Result<f64> {
    match values_f64(t)?.as_slice() {
        [v] => Ok(*v),
        all => Err(candle_core::Error::Msg(format!("expected one number, found {}", all.len()))),
    }
}

/// `t` on the host; with its graph, so that gradients find back to its device.
///
/// # Errors
/// If it cannot be copied.
pub fn tensor(t: &Tensor) -> Result<Tensor> {
    READS.fetch_add(1, Ordering::Relaxed);
    t.to_device(&Device::Cpu)
}

/// `t` as numbers of type `dtype` on `device`, for numbers that come from the host.
///
/// They are converted before they move, as not every device has double precision. Nothing is not moved but made there, by
/// [`zeros`].
///
/// # Errors
/// If `device` cannot hold them.
pub fn place(t: &Tensor, dtype: DType, device: &Device) -> Result<Tensor> {
    match t.elem_count() {
        0 => zeros(t.shape(), dtype, device),
        _ => t.to_dtype(dtype)?.to_device(device),
    }
}

/// Zeros of this shape, which may have none: GPUs refuse memory for nothing, so that no numbers are a part of one there.
///
/// # Errors
/// If `device` cannot hold them.
pub fn zeros(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Tensor> {
    let shape = shape.into();
    if device.is_cpu() || shape.elem_count() > 0 {
        return Tensor::zeros(shape, dtype, device);
    }
    Tensor::zeros(1, dtype, device)?.narrow(0, 0, 0)?.reshape(shape)
}
