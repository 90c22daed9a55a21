//! Launches of `coupling.cu`: a whole coupling layer of a rational-quadratic spline, with tangents.
use super::{
    Arg, Grid, Input, Module, OnCuda, SHARED, index, launch, number, parts, ptx, space, view,
};
use crate::bijector::Direction;
use crate::kernel::coupling::Plan;
use crate::kernel::rows::Rows;
use crate::nn::{Activation, NetKind};
use crate::univariate::{CudaMap, RationalQuadratic, ScalarMap};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};
use candle_core::{CudaStorage, Error, Layout, Result, Storage, Tensor, WithDType};

const MODULE: Module = Module { name: "mflow_coupling", ptx: ptx::COUPLING };

/// A layer, as the kernels see it.
pub(crate) struct CudaCoupling<'a, U> {
    pub(crate) plan: &'a Plan<U>,
    pub(crate) direction: Direction,
    pub(crate) rows: Rows,
    /// Numbers of the features that are kept, on the device.
    pub(crate) keep: &'a Tensor,
    /// The same of those that move.
    pub(crate) moved: &'a Tensor,
}

/// The kernels of one number of rows in a block.
struct Variant {
    /// Of the names of its kernels.
    name: &'static str,
    rows: usize,
    /// The most tangents of a point: a block has whole points.
    tangents: usize,
}

const VARIANTS: [Variant; 3] = [
    Variant { name: "values", rows: 16, tangents: 0 },
    Variant { name: "16", rows: 16, tangents: 15 },
    Variant { name: "32", rows: 32, tangents: 31 },
];

impl<U: ScalarMap> Plan<U> {
    /// Numbers of each row in the memory of a block: three hidden layers, and before these the input of the network in the
    /// place of the last two.
    fn width(&self) -> usize {
        let Self { net, moved, .. } = self;
        let hidden = net.config.hidden;
        (hidden + (2 * hidden).max(net.inputs + net.context)).max(moved.len())
    }

    /// The kernels for so many tangents of each point, if a block has room for the points.
    fn variant(&self, tangents: usize, bytes: usize) -> Option<&'static Variant> {
        let variant = VARIANTS.iter().find(|v| tangents <= v.tangents)?;
        (self.width() * variant.rows * bytes <= SHARED).then_some(variant)
    }

    /// Whether the kernels can do this layer for points with so many tangents: a rational-quadratic spline, a network that
    /// fits into the memory of a block, and no feature that is both kept and moved.
    pub(crate) fn fits_cuda(&self, tangents: usize, bytes: usize) -> bool {
        matches!(self.map.cuda(), Some(CudaMap::RationalQuadratic(_)))
            && self.variant(tangents, bytes).is_some()
            && !self.keep.iter().any(|k| self.moved.contains(k))
    }
}

impl<U: ScalarMap> CudaCoupling<'_, U> {
    /// Affine maps of a block of the network.
    fn in_block(&self) -> usize {
        self.plan.net.depth() + usize::from(self.plan.net.gated())
    }

    /// Number of affine maps of the network.
    fn maps(&self) -> usize {
        2 + self.in_block() * self.plan.net.config.blocks
    }

    /// Numbers that the kernels keep of a row, of its hidden layers and of what goes through gates, or of all results of
    /// affine maps: parameters of the splines are the last.
    fn kept(&self) -> usize {
        (self.maps() - 1) * self.plan.net.config.hidden + self.outputs()
    }

    /// Parameters of the splines.
    fn outputs(&self) -> usize {
        self.plan.moved.len() * self.plan.map.parameters()
    }

    /// Numbers that the layer gives.
    pub(crate) fn results(&self) -> usize {
        self.rows.len() * self.plan.dim + self.rows.points
    }

    /// The kernel `name` of blocks of points, with its grid.
    fn of_points<T>(&self, name: &str) -> Result<(String, Grid)> {
        let Rows { points, tangents } = self.rows;
        let variant = self.plan.variant(tangents, size_of::<T>());
        let Variant { name: kind, rows, .. } =
            variant.ok_or_else(|| Error::Msg(format!("no CUDA kernel for {tangents} tangents")))?;
        let shared = self.plan.width() * rows * size_of::<T>();
        let blocks = points.div_ceil(rows / (1 + tangents));
        Ok((format!("{name}_{kind}"), Grid { blocks: [blocks, 1, 1], threads: 128, shared }))
    }

    /// The arguments that all kernels begin with.
    fn sizes<'a, T>(&self, points: &Layout) -> Result<Vec<Arg<'a, T>>> {
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
            Arg::Long(number(self.rows.points)?),
            int(self.rows.tangents)?,
            // Whether there are log-dets of layers before.
            Arg::Int((points.shape().elem_count() > self.rows.len() * dim).into()),
            int(*dim)?,
            int(keep.len())?,
            int(moved.len())?,
            int(net.context)?,
            int(net.config.hidden)?,
            int(net.config.blocks)?,
            Arg::Int(depth),
            Arg::Int(net.gated().into()),
            Arg::Int(activation),
            int(bins)?,
            Arg::Int(circular.into()),
            Arg::Int((self.direction == Direction::Inverse).into()),
            Arg::Double(bound),
            Arg::Double(logit_scale),
        ])
    }

    /// What the layer gives, packed, and what [`CudaCoupling::pull`] needs of it.
    pub(crate) fn forward<T: WithDType + OnCuda>(
        &self,
        points: Input<'_>,
        context: Input<'_>,
        theta: Input<'_>,
        save: bool,
    ) -> Result<(CudaStorage, CudaSlice<T>)> {
        let (device, n) = (&points.0.device, points.1.shape().elem_count());
        let mut out = space::<T>(device, self.results())?;
        let kept = if save { self.kept() } else { self.outputs() };
        let mut saved = space::<T>(device, self.rows.len() * kept)?;
        let [keep, moved] = [self.keep, self.moved].map(Tensor::storage_and_layout);
        let mut args = self.sizes(points.1)?;
        args.push(Arg::Int(save.into()));
        args.push(Arg::Index(index(&keep.0, keep.1)?));
        args.push(Arg::Index(index(&moved.0, moved.1)?));
        args.push(Arg::In(view::<T>(points.0, points.1, n)?));
        args.push(Arg::In(self.context::<T>(context)?));
        args.push(Arg::In(view::<T>(theta.0, theta.1, theta.1.shape().elem_count())?));
        args.push(Arg::Out(&mut out));
        args.push(Arg::Out(&mut saved));
        let (name, grid) = self.of_points::<T>("coupling_forward")?;
        launch(device, &MODULE, &name, &grid, args)?;
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
        let (device, rows) = (&points.0.device, self.rows.len());
        let net = &self.plan.net;
        let (hidden, parameters) = (net.config.hidden, theta.1.shape().elem_count());
        let (inputs, outputs) = (net.inputs + net.context, self.outputs());
        let (n, of_context) = (points.1.shape().elem_count(), self.rows.points * net.context);
        let x = || view::<T>(points.0, points.1, n);
        let of_theta = || view::<T>(theta.0, theta.1, parameters);
        let mut transposed = space::<T>(device, parameters)?;
        let mut args = self.sizes(points.1)?;
        args.push(Arg::In(of_theta()?));
        args.push(Arg::Out(&mut transposed));
        let blocks = (hidden * hidden.max(outputs)).div_ceil(256).min(64);
        let grid = Grid { blocks: [blocks, self.maps(), 1], threads: 256, shared: 0 };
        launch(device, &MODULE, "coupling_transpose", &grid, args)?;

        let mut deltas = space::<T>(device, rows * self.kept())?;
        let mut out = space::<T>(device, n + of_context + parameters)?;
        let [keep, moved] = [self.keep, self.moved].map(Tensor::storage_and_layout);
        let (g_storage, g_layout) = g.storage_and_layout();
        let Storage::Cuda(g_storage) = &*g_storage else {
            return Err(Error::Msg("a CUDA kernel was given cotangents of another device".into()));
        };
        let (g_inputs, g_theta) = out.split_at_mut(n + of_context);
        let mut args = self.sizes(points.1)?;
        args.push(Arg::Index(index(&keep.0, keep.1)?));
        args.push(Arg::Index(index(&moved.0, moved.1)?));
        args.push(Arg::In(x()?));
        args.push(Arg::In(self.context::<T>(context)?));
        args.push(Arg::In(of_theta()?));
        args.push(Arg::In(transposed.slice(..)));
        args.push(Arg::In(saved.slice(..)));
        args.push(Arg::In(view::<T>(g_storage, g_layout, self.results())?));
        args.push(Arg::Out(&mut deltas));
        args.push(Arg::Part(g_inputs));
        let (name, grid) = self.of_points::<T>("coupling_pull")?;
        launch(device, &MODULE, &name, &grid, args)?;

        let parts = parts(rows);
        let mut sums = space::<T>(device, parts * parameters)?;
        let mut args = self.sizes(points.1)?;
        args.push(Arg::Int(number(parts)?));
        args.push(Arg::Long(number(parameters)?));
        args.push(Arg::Index(index(&keep.0, keep.1)?));
        args.push(Arg::In(x()?));
        args.push(Arg::In(self.context::<T>(context)?));
        args.push(Arg::In(saved.slice(..)));
        args.push(Arg::In(deltas.slice(..)));
        args.push(Arg::Out(&mut sums));
        let (wide, high) = (hidden.max(outputs), hidden.max(inputs) + 1);
        let grid = Grid::of_tiles::<T>(wide, high, self.maps() * parts);
        launch(device, &MODULE, "coupling_weights", &grid, args)?;

        let args = vec![
            Arg::Long(number(parameters)?),
            Arg::Int(number(parts)?),
            Arg::In(sums.slice(..)),
            Arg::Part(g_theta),
        ];
        launch(device, &MODULE, "coupling_total", &Grid::of(parameters), args)?;
        Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
    }

    /// The context; without one, no numbers of what stands for it.
    fn context<'a, T: WithDType + OnCuda>(
        &self,
        (storage, layout): (&'a CudaStorage, &'a Layout),
    ) -> Result<CudaView<'a, T>> {
        match self.plan.net.context {
            0 => Ok(storage.as_cuda_slice::<T>()?.slice(..)),
            c => view::<T>(storage, layout, self.rows.points * c),
        }
    }
}
