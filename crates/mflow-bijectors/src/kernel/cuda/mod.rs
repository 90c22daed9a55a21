//! Launches of the CUDA kernels: the only `unsafe` code beside the products of the CPU, behind checked lengths.
//!
//! Each `.cu` file mirrors the Rust that it stands for; tests run it on the CPU against that. Here is only what hands it
//! its arguments.
use crate::bijector::Direction;
use crate::univariate::{CudaMap, RationalQuadratic, ScalarMap};
use candle_core::cuda_backend::cudarc::driver::{
    CudaView, DeviceRepr, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::{CudaDType, WrapErr};
use candle_core::{CudaStorage, Error, Layout, Result, WithDType};

#[allow(missing_docs, reason = "a list of strings, written by the build script")]
mod ptx {
    include!(concat!(env!("OUT_DIR"), "/ptx.rs"));
}

/// A number that kernels compute in.
pub(crate) trait OnCuda: CudaDType + DeviceRepr {}
impl OnCuda for f32 {}
impl OnCuda for f64 {}

/// How the parameters of an element-wise map lie.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parameters {
    /// `[P, N]`.
    Columns,
    /// `[N, P]`.
    Rows,
}

/// A kernel of `pointwise.cu`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kernel {
    /// Values and log-slopes.
    Values,
    /// Cotangents of these, pulled back.
    Pull,
    /// Values, log-slopes and first derivatives; also of the log-slopes if asked for.
    Gradient { log_det: bool },
    /// Cotangents of these, pulled back.
    GradientPull { log_det: bool },
}

/// Threads of a block.
const THREADS: u32 = 256;

/// `kernel` of `map` on the points, the parameters and, of a pullback, the cotangents: one flat storage of its results.
pub(crate) fn pointwise<U: ScalarMap, T: WithDType + OnCuda>(
    kernel: Kernel,
    map: &U,
    direction: Direction,
    parameters: Parameters,
    inputs: &[(&CudaStorage, &Layout)],
) -> Result<CudaStorage> {
    let Some(CudaMap::RationalQuadratic(map)) = map.cuda() else {
        return Err(Error::Msg("no CUDA kernel for this map".into()));
    };
    let [(storage, points), ..] = inputs else {
        return Err(Error::Msg("a CUDA kernel was given no points".into()));
    };
    let (n, per, device) = (points.shape().elem_count(), map.parameters(), &storage.device);
    let all = n * (1 + per);
    let results = |log_det: bool| 2 * n + all * if log_det { 2 } else { 1 };
    let (name, log_det, cotangents, len) = match kernel {
        Kernel::Values => ("rq_values", None, 0, 2 * n),
        Kernel::Pull => ("rq_pull", None, 2 * n, all),
        Kernel::Gradient { log_det } => ("rq_gradient", Some(log_det), 0, results(log_det)),
        Kernel::GradientPull { log_det } => {
            ("rq_gradient_pull", Some(log_det), results(log_det), all)
        }
    };
    let views =
        inputs.iter().zip([n, n * per, cotangents]).map(|((s, l), len)| view::<T>(s, l, len));
    let views = views.collect::<Result<Vec<_>>>()?;
    let mut out = device.alloc_zeros::<T>(len)?;
    if n > 0 {
        let name = format!("{name}_{}", T::DTYPE.as_str());
        let function = device.get_or_load_custom_func(&name, "mflow_pointwise", ptx::POINTWISE)?;
        let RationalQuadratic { bins, bound, logit_scale, circular } = map;
        let int = |v: usize| i32::try_from(v).map_err(|e| Error::Msg(format!("CUDA kernel: {e}")));
        let long = |v: usize| i64::try_from(v).map_err(|e| Error::Msg(format!("CUDA kernel: {e}")));
        let (bins, circular) = (int(bins)?, i32::from(circular));
        let inverse = i32::from(direction == Direction::Inverse);
        let log_det = log_det.map(i32::from);
        let (stride, step) = match parameters {
            Parameters::Columns => (n, 1),
            Parameters::Rows => (1, per),
        };
        let (n, stride, step) = (long(n)?, long(stride)?, long(step)?);
        let mut launch = function.builder();
        launch.arg(&bins).arg(&circular).arg(&inverse).arg(&bound).arg(&logit_scale);
        if let Some(log_det) = &log_det {
            launch.arg(log_det);
        }
        launch.arg(&n).arg(&stride).arg(&step);
        for view in &views {
            launch.arg(view);
        }
        launch.arg(&mut out);
        let blocks = u32::try_from(points.shape().elem_count().div_ceil(THREADS as usize));
        let blocks = blocks.map_err(|e| Error::Msg(format!("CUDA kernel: {e}")))?;
        let config = LaunchConfig {
            grid_dim: (blocks, 1, 1),
            block_dim: (THREADS, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: the arguments are those of the kernel's signature, in its order and with its types; each array has the
        // length that `view` checked, or that it was allocated with, and a thread touches its own element only.
        #[expect(unsafe_code, reason = "kernels of our own cannot be launched otherwise")]
        unsafe { launch.launch(config) }.w()?;
    }
    Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
}

/// `len` numbers of a contiguous input.
fn view<'a, T: WithDType + OnCuda>(
    storage: &'a CudaStorage,
    layout: &Layout,
    len: usize,
) -> Result<CudaView<'a, T>> {
    match layout.contiguous_offsets() {
        Some((start, end)) if end - start == len => {
            Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
        }
        Some((start, end)) => {
            Err(Error::Msg(format!("CUDA kernel: expected {len} numbers, found {}", end - start)))
        }
        None => Err(Error::Msg("a CUDA kernel was given a strided tensor".into())),
    }
}
