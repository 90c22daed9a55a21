//! Launches of `pointwise.cu`: element-wise maps with their parameters.
use super::{Arg, Grid, Module, OnCuda, launch, number, ptx, space, view};
use crate::bijector::Direction;
use crate::univariate::{CudaMap, RationalQuadratic, ScalarMap};
use candle_core::{CudaStorage, Error, Layout, Result, WithDType};

const MODULE: Module = Module { name: "mflow_pointwise", ptx: ptx::POINTWISE };

/// How the parameters of an element-wise map lie.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parameters {
    /// `[P, N]`.
    Columns,
    /// `[N, P]`.
    Rows,
}

/// A kernel of the file.
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
    let RationalQuadratic { bins, bound, logit_scale, circular } = map;
    let inverse = direction == Direction::Inverse;
    let (stride, step) = match parameters {
        Parameters::Columns => (n, 1),
        Parameters::Rows => (1, per),
    };
    let mut args = vec![
        Arg::Int(number(bins)?),
        Arg::Int(circular.into()),
        Arg::Int(inverse.into()),
        Arg::Double(bound),
        Arg::Double(logit_scale),
    ];
    args.extend(log_det.map(|log_det| Arg::Int(log_det.into())));
    args.extend([Arg::Long(number(n)?), Arg::Long(number(stride)?), Arg::Long(number(step)?)]);
    for ((storage, layout), len) in inputs.iter().zip([n, n * per, cotangents]) {
        args.push(Arg::In(view::<T>(storage, layout, len)?));
    }
    let mut out = space::<T>(device, len)?;
    args.push(Arg::Out(&mut out));
    launch(device, &MODULE, name, &Grid::of(n), args)?;
    Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
}
