//! Launches of the CUDA kernels: the only `unsafe` code beside the products of the CPU, behind checked lengths.
//!
//! Each `.cu` file mirrors the Rust that it stands for; tests run it on the CPU against that. The `.rs` file of the same
//! name hands it its arguments.
pub(crate) mod coupling;
pub mod gram;
pub(crate) mod lu;
pub mod optimizer;
pub(crate) mod permute;
pub(crate) mod pointwise;
pub(crate) mod triangular;

use candle_core::cuda_backend::cudarc::driver::{
    CudaSlice, CudaView, CudaViewMut, DeviceRepr, DriverError, LaunchConfig, PushKernelArg, result,
    sys,
};
use candle_core::cuda_backend::{CudaDType, WrapErr};
use candle_core::{CudaDevice, CudaStorage, Device, Error, Layout, Result, Storage, WithDType};

#[allow(missing_docs, unreachable_pub, reason = "a list of strings, written by the build script")]
mod ptx {
    include!(concat!(env!("OUT_DIR"), "/ptx.rs"));
}

/// Open the CUDA device of this number for all threads of the process, with one stream: what one thread launches, another
/// may read.
///
/// # Errors
/// If the driver refuses.
pub fn open(number: usize) -> Result<Device> {
    let device = Device::new_cuda_with_stream(number)?;
    // SAFETY: events keep several streams from overtaking each other, at the cost of some for each tensor and each launch.
    // All tensors of this device are allocated and used on its only stream.
    #[expect(unsafe_code, reason = "events would cost as much as the launches")]
    unsafe {
        device.as_cuda_device()?.disable_event_tracking();
    }
    // A device without pools of memory does without.
    let _ = keep_memory(number);
    Ok(device)
}

/// Freed memory stays with the process. Otherwise the driver takes it back each time that a number is read.
fn keep_memory(number: usize) -> std::result::Result<(), DriverError> {
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    let mut threshold = u64::MAX;
    let device = result::device::get(number)?;
    // SAFETY: the device is one that `get` returned, the pool is its own, and this attribute is a u64.
    #[expect(unsafe_code, reason = "the driver has no other way")]
    unsafe {
        let pool = result::device::get_default_mem_pool(device)?;
        result::mem_pool::set_attribute(pool, attribute, (&raw mut threshold).cast())
    }
}

/// A number that kernels compute in.
pub trait OnCuda: CudaDType + DeviceRepr {}
impl OnCuda for f32 {}
impl OnCuda for f64 {}

/// One `.cu` file, compiled.
struct Module {
    name: &'static str,
    ptx: &'static str,
}

/// An argument of a kernel, in the type of its signature.
enum Arg<'a, T> {
    Int(i32),
    Long(i64),
    Double(f64),
    In(CudaView<'a, T>),
    Index(CudaView<'a, u32>),
    /// Space in double precision.
    Space(&'a mut CudaSlice<f64>),
    Out(&'a mut CudaSlice<T>),
    /// A part of what the kernel gives.
    Part(CudaViewMut<'a, T>),
    /// Addresses of arrays whose storages are held until after the launch: see `optimizer.rs`.
    Table(&'a optimizer::Table),
}

/// How many threads a kernel has.
struct Grid {
    blocks: [usize; 3],
    threads: usize,
    /// Shared memory of a block, bytes.
    shared: usize,
}

/// Rows of a block that takes rows, as in `rows.cuh`.
const ROWS: usize = 16;
/// The side of a tile of sums, its threads and the rows between two loads, as in `rows.cuh`.
const TILE: usize = 64;
const TILE_THREADS: usize = 256;
const TILE_STEP: usize = 16;
/// What a block may have of shared memory on all devices, bytes.
const SHARED: usize = 48 * 1024;

/// A storage with its layout.
type Input<'a> = (&'a CudaStorage, &'a Layout);

impl Grid {
    /// Blocks of [`ROWS`] rows, with `width` numbers of each in shared memory: a thread for each of the hidden units of
    /// the usual networks.
    fn of_rows<T>(rows: usize, width: usize) -> Self {
        let shared = width * ROWS * size_of::<T>();
        Self { blocks: [rows.div_ceil(ROWS), 1, 1], threads: 128, shared }
    }

    /// Blocks of [`TILE`] x [`TILE`] sums for `count` matrices `[high, wide]`.
    fn of_tiles<T>(wide: usize, high: usize, count: usize) -> Self {
        let shared = 2 * TILE * (TILE_STEP + 1) * size_of::<T>();
        Self {
            blocks: [wide.div_ceil(TILE), high.div_ceil(TILE), count],
            threads: TILE_THREADS,
            shared,
        }
    }

    /// At least `threads` threads that share nothing.
    fn of(threads: usize) -> Self {
        Self { blocks: [threads.div_ceil(256), 1, 1], threads: 256, shared: 0 }
    }
}

/// In how many parts so many rows are summed: enough blocks for a large device, long enough parts for each.
fn parts(rows: usize) -> usize {
    rows.div_ceil(1024).clamp(1, 64)
}

/// Run the kernel `name_DTYPE` of `module`.
fn launch<T: WithDType + OnCuda>(
    device: &CudaDevice,
    module: &Module,
    name: &str,
    grid: &Grid,
    mut args: Vec<Arg<'_, T>>,
) -> Result<()> {
    if grid.blocks.contains(&0) {
        return Ok(());
    }
    let name = format!("{name}_{}", T::DTYPE.as_str());
    let function = device.get_or_load_custom_func(&name, module.name, module.ptx)?;
    let mut launch = function.builder();
    for arg in &mut args {
        match arg {
            Arg::Int(v) => launch.arg(&*v),
            Arg::Long(v) => launch.arg(&*v),
            Arg::Double(v) => launch.arg(&*v),
            Arg::In(view) => launch.arg(&*view),
            Arg::Index(view) => launch.arg(&*view),
            Arg::Space(slice) => launch.arg(&mut **slice),
            Arg::Out(slice) => launch.arg(&mut **slice),
            Arg::Part(view) => launch.arg(view),
            Arg::Table(table) => launch.arg(&**table),
        };
    }
    let [x, y, z] = grid.blocks;
    let config = LaunchConfig {
        grid_dim: (number(x)?, number(y)?, number(z)?),
        block_dim: (number(grid.threads)?, 1, 1),
        shared_mem_bytes: number(grid.shared)?,
    };
    // SAFETY: the callers, all in this folder, give the arguments of the kernel's signature, in its order and with its
    // types. Each input has the length that `view` checked, each other array the one that it was allocated with, and a
    // kernel writes what belongs to its thread, or to its block behind a barrier, only. Whoever gives a table of addresses
    // has checked their lengths, holds what is behind them, for writing where a kernel writes, and knows that it is disjoint.
    #[expect(unsafe_code, reason = "kernels of our own cannot be launched otherwise")]
    unsafe { launch.launch(config) }.w()?;
    Ok(())
}

/// Room for `len` numbers that a kernel writes. There is some even for none, as devices have no empty arrays.
fn space<T: DeviceRepr>(device: &CudaDevice, len: usize) -> Result<CudaSlice<T>> {
    // SAFETY: any bits are a number, and each kernel writes what it or a later one reads.
    #[expect(unsafe_code, reason = "zeros would be written for nothing")]
    unsafe {
        device.alloc::<T>(len.max(1))
    }
}

/// A length in the type of a kernel's argument.
fn number<N: TryFrom<usize>>(v: usize) -> Result<N> {
    N::try_from(v).map_err(|_| Error::Msg(format!("CUDA kernel: {v} is too large")))
}

/// `len` numbers of a contiguous input.
fn view<'a, T: WithDType + OnCuda>(
    storage: &'a CudaStorage,
    layout: &Layout,
    len: usize,
) -> Result<CudaView<'a, T>> {
    match layout.contiguous_offsets() {
        // A view of no rows may start behind the end of its storage.
        Some((start, end)) if start == end && len == 0 => {
            Ok(storage.as_cuda_slice::<T>()?.slice(0..0))
        }
        Some((start, end)) if end - start == len => {
            Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
        }
        Some((start, end)) => {
            Err(Error::Msg(format!("CUDA kernel: expected {len} numbers, found {}", end - start)))
        }
        None => Err(Error::Msg("a CUDA kernel was given a strided tensor".into())),
    }
}

/// Numbers of features.
fn index<'a>(storage: &'a Storage, layout: &Layout) -> Result<CudaView<'a, u32>> {
    match (storage, layout.contiguous_offsets()) {
        (Storage::Cuda(storage), Some((start, end))) => {
            Ok(storage.as_cuda_slice::<u32>()?.slice(start..end))
        }
        _ => Err(Error::Msg("a CUDA kernel was given features of another device".into())),
    }
}
