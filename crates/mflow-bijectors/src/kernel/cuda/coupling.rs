//! Launches of `coupling.cu`: a whole coupling layer of a rational-quadratic spline, for values.
use super::{Arg, Grid, Input, Module, OnCuda, ROWS, SHARED, launch, number, ptx, space, view};
use crate::bijector::Direction;
use crate::kernel::coupling::Plan;
use crate::nn::{Activation, NetKind};
use crate::univariate::{CudaMap, RationalQuadratic, ScalarMap};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Error, Layout, Result, Storage, Tensor, WithDType};

const MODULE: Module = Module { name: "mflow_coupling", ptx: ptx::COUPLING };

/// A layer, as the kernels see it.
pub(crate) struct CudaCoupling<'a, U> {
    pub(crate) plan: &'a Plan<U>,
    pub(crate) direction: Direction,
    /// Numbers of the features that are kept, on the device.
    pub(crate) keep: &'a Tensor,
    /// The same of those that move.
    pub(crate) moved: &'a Tensor,
}

impl<U: ScalarMap> Plan<U> {
    /// Whether the kernels can do this layer: a rational-quadratic spline, a network without gates that fits into the
    /// memory of a block, and no feature that is both kept and moved.
    pub(crate) fn fits_cuda(&self, bytes: usize) -> bool {
        let hidden = self.net.config.hidden;
        let numbers = self.net.inputs + self.net.context + 3 * hidden + self.moved.len();
        matches!(self.map.cuda(), Some(CudaMap::RationalQuadratic(_)))
            && !self.net.gated()
            && numbers * ROWS * bytes <= SHARED
            && !self.keep.iter().any(|k| self.moved.contains(k))
    }
}

impl<U: ScalarMap> CudaCoupling<'_, U> {
    /// Number of affine maps of the network.
    fn maps(&self) -> usize {
        2 + self.plan.net.depth() * self.plan.net.config.blocks
    }

    /// Numbers that the kernels keep of a row: hidden layers but the last, parameters of the splines.
    fn kept(&self) -> usize {
        let outputs = self.plan.moved.len() * self.plan.map.parameters();
        (self.maps() - 1) * self.plan.net.config.hidden + outputs
    }

    /// The arguments that all kernels begin with.
    fn sizes<'a, T>(&self, rows: usize) -> Result<Vec<Arg<'a, T>>> {
        let Plan { dim, keep, moved, net, map } = self.plan;
        let Some(CudaMap::RationalQuadratic(map)) = map.cuda() else {
            return Err(Error::Msg("no CUDA kernel for this map".into()));
        };
        let RationalQuadratic { bins, bound, logit_scale, circular } = map;
        let activation = match net.config.activation {
            Activation::Relu => 0,
            Activation::Silu => 1,
            Activation::Tanh => 2,
            Activation::Gelu => 3,
        };
        let depth = match net.config.kind {
            NetKind::Residual => 2,
            NetKind::Mlp => 1,
        };
        let int = |v: usize| Ok::<_, Error>(Arg::Int(number(v)?));
        Ok(vec![
            Arg::Long(number(rows)?),
            int(*dim)?,
            int(keep.len())?,
            int(moved.len())?,
            int(net.context)?,
            int(net.config.hidden)?,
            int(net.config.blocks)?,
            Arg::Int(depth),
            Arg::Int(activation),
            int(bins)?,
            Arg::Int(circular.into()),
            Arg::Int((self.direction == Direction::Inverse).into()),
            Arg::Double(bound),
            Arg::Double(logit_scale),
        ])
    }

    /// `y [B, D]` with the log-determinants `[B]` behind it, and what [`CudaCoupling::pull`] needs of it.
    pub(crate) fn forward<T: WithDType + OnCuda>(
        &self,
        points: Input<'_>,
        context: Input<'_>,
        theta: Input<'_>,
        save: bool,
    ) -> Result<(CudaStorage, CudaSlice<T>)> {
        let (device, rows) = (&points.0.device, self.rows(points.1));
        let mut out = space::<T>(device, rows * (self.plan.dim + 1))?;
        let mut saved = space::<T>(device, rows * self.kept())?;
        let [keep, moved] = [self.keep, self.moved].map(Tensor::storage_and_layout);
        let mut args = self.sizes(rows)?;
        args.push(Arg::Int(save.into()));
        args.push(Arg::Index(index(&keep.0, keep.1)?));
        args.push(Arg::Index(index(&moved.0, moved.1)?));
        args.push(Arg::In(view::<T>(points.0, points.1, rows * self.plan.dim)?));
        args.push(Arg::In(self.context::<T>(context, rows)?));
        args.push(Arg::In(view::<T>(theta.0, theta.1, theta.1.shape().elem_count())?));
        args.push(Arg::Out(&mut out));
        args.push(Arg::Out(&mut saved));
        let hidden = self.plan.net.config.hidden;
        let width =
            self.plan.net.inputs + self.plan.net.context + 3 * hidden + self.plan.moved.len();
        launch(device, &MODULE, "coupling_forward", &Grid::of_rows::<T>(rows, width), args)?;
        Ok((CudaStorage::wrap_cuda_slice(out, device.clone()), saved))
    }

    /// The cotangents of points, context and parameters, behind each other, from those of the results, `g`.
    pub(crate) fn pull<T: WithDType + OnCuda>(
        &self,
        points: Input<'_>,
        context: Input<'_>,
        theta: Input<'_>,
        saved: &CudaSlice<T>,
        g: &Tensor,
    ) -> Result<CudaStorage> {
        let (device, rows) = (&points.0.device, self.rows(points.1));
        let Plan { dim, net, moved, map, .. } = self.plan;
        let (hidden, parameters) = (net.config.hidden, theta.1.shape().elem_count());
        let (inputs, outputs) = (net.inputs + net.context, moved.len() * map.parameters());
        let mut transposed = space::<T>(device, parameters)?;
        let mut args = self.sizes(rows)?;
        args.push(Arg::In(view::<T>(theta.0, theta.1, parameters)?));
        args.push(Arg::Out(&mut transposed));
        let blocks = (hidden * hidden.max(outputs)).div_ceil(256).min(64);
        let grid = Grid { blocks: [blocks, self.maps(), 1], threads: 256, shared: 0 };
        launch(device, &MODULE, "coupling_transpose", &grid, args)?;

        let mut deltas = space::<T>(device, rows * self.kept())?;
        let mut out = space::<T>(device, rows * (dim + net.context) + parameters)?;
        let [keep, moved] = [self.keep, self.moved].map(Tensor::storage_and_layout);
        let (g_storage, g_layout) = g.storage_and_layout();
        let Storage::Cuda(g_storage) = &*g_storage else {
            return Err(Error::Msg("a CUDA kernel was given cotangents of another device".into()));
        };
        let x = || view::<T>(points.0, points.1, rows * dim);
        let (of_inputs, of_theta) = out.split_at_mut(rows * (dim + net.context));
        let mut args = self.sizes(rows)?;
        args.push(Arg::Index(index(&keep.0, keep.1)?));
        args.push(Arg::Index(index(&moved.0, moved.1)?));
        args.push(Arg::In(x()?));
        args.push(Arg::In(transposed.slice(..)));
        args.push(Arg::In(saved.slice(..)));
        args.push(Arg::In(view::<T>(g_storage, g_layout, rows * (dim + 1))?));
        args.push(Arg::Out(&mut deltas));
        args.push(Arg::Part(of_inputs));
        launch(device, &MODULE, "coupling_pull", &Grid::of_rows::<T>(rows, 2 * hidden), args)?;

        let mut args = self.sizes(rows)?;
        args.push(Arg::Index(index(&keep.0, keep.1)?));
        args.push(Arg::In(x()?));
        args.push(Arg::In(self.context::<T>(context, rows)?));
        args.push(Arg::In(saved.slice(..)));
        args.push(Arg::In(deltas.slice(..)));
        args.push(Arg::Part(of_theta));
        let (wide, high) = (hidden.max(outputs), hidden.max(inputs) + 1);
        let grid = Grid::of_tiles::<T>(wide, high, self.maps());
        launch(device, &MODULE, "coupling_weights", &grid, args)?;
        Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
    }

    fn rows(&self, points: &Layout) -> usize {
        points.shape().elem_count() / self.plan.dim
    }

    /// The context; without one, no numbers of what stands for it.
    fn context<'a, T: WithDType + OnCuda>(
        &self,
        (storage, layout): (&'a CudaStorage, &'a Layout),
        rows: usize,
    ) -> Result<CudaView<'a, T>> {
        match self.plan.net.context {
            0 => Ok(storage.as_cuda_slice::<T>()?.slice(..)),
            c => view::<T>(storage, layout, rows * c),
        }
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
