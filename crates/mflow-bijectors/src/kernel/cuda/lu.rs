//! Launches of `lu.cu`: a linear map by its LU factors, with tangents.
use super::{
    Arg, Grid, Input, Module, OnCuda, ROWS, SHARED, launch, number, parts, ptx, space, view,
};
use crate::bijector::Direction;
use crate::kernel::rows::Rows;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CudaDevice, CudaStorage, Error, Layout, Result, Storage, Tensor, WithDType};

const MODULE: Module = Module { name: "mflow_lu", ptx: ptx::LU };

/// A map, as the kernels see it.
#[derive(Clone, Copy)]
pub(crate) struct CudaLu {
    pub(crate) dim: usize,
    pub(crate) direction: Direction,
    pub(crate) rows: Rows,
    /// The least entry on the diagonal of `U`.
    pub(crate) least: f64,
}

impl CudaLu {
    /// Whether the kernels can do a map of `dim` features: a block has five rows of each point in its memory.
    pub(crate) fn fits(dim: usize, bytes: usize) -> bool {
        5 * dim * ROWS * bytes <= SHARED
    }

    fn map<'a, T>(&self) -> Result<Vec<Arg<'a, T>>> {
        let inverse = self.direction == Direction::Inverse;
        Ok(vec![Arg::Int(number(self.dim)?), Arg::Int(inverse.into())])
    }

    fn sizes<'a, T>(&self, points: &Layout) -> Result<Vec<Arg<'a, T>>> {
        let mut args = self.map()?;
        // Whether there are log-dets of layers before.
        let before = points.shape().elem_count() > self.rows.len() * self.dim;
        args.push(Arg::Int(before.into()));
        args.extend(self.lengths()?);
        Ok(args)
    }

    fn lengths<'a, T>(&self) -> Result<[Arg<'a, T>; 2]> {
        Ok([Arg::Long(number(self.rows.points)?), Arg::Long(number(self.rows.len())?)])
    }

    /// The matrices that points are multiplied by.
    fn factors<T: WithDType + OnCuda>(
        &self,
        device: &CudaDevice,
        theta: Input<'_>,
    ) -> Result<CudaSlice<T>> {
        let d = self.dim;
        let mut work = space::<f64>(device, 4 * d * d)?;
        let mut factors = space::<T>(device, 4 * d * d + 2 * d + 1)?;
        let mut args = self.map()?;
        args.push(Arg::Double(self.least));
        args.push(Arg::In(view::<T>(theta.0, theta.1, d * (d + 1))?));
        args.push(Arg::Space(&mut work));
        args.push(Arg::Out(&mut factors));
        let grid = Grid { blocks: [1, 1, 1], threads: 128, shared: 0 };
        launch(device, &MODULE, "lu_factors", &grid, args)?;
        Ok(factors)
    }

    /// The results, the log-determinants behind them.
    pub(crate) fn forward<T: WithDType + OnCuda>(
        &self,
        points: Input<'_>,
        theta: Input<'_>,
    ) -> Result<CudaStorage> {
        let (device, d, all) = (&points.0.device, self.dim, self.rows.len());
        let n = points.1.shape().elem_count();
        let factors = self.factors::<T>(device, theta)?;
        let mut out = space::<T>(device, all * d + self.rows.points)?;
        let mut args = self.sizes(points.1)?;
        args.push(Arg::In(view::<T>(points.0, points.1, n)?));
        args.push(Arg::In(view::<T>(theta.0, theta.1, d * (d + 1))?));
        args.push(Arg::In(factors.slice(..)));
        args.push(Arg::Out(&mut out));
        launch(device, &MODULE, "lu_forward", &Grid::of_rows::<T>(all, 3 * d), args)?;
        Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
    }

    /// The cotangents of the points and, behind them, of `theta`.
    pub(crate) fn pull<T: WithDType + OnCuda>(
        &self,
        points: Input<'_>,
        theta: Input<'_>,
        g: &Tensor,
    ) -> Result<CudaStorage> {
        let (device, d, all) = (&points.0.device, self.dim, self.rows.len());
        let (g_storage, g_layout) = g.storage_and_layout();
        let Storage::Cuda(g_storage) = &*g_storage else {
            return Err(Error::Msg("a CUDA kernel was given cotangents of another device".into()));
        };
        let g = || view::<T>(g_storage, g_layout, all * d + self.rows.points);
        let factors = self.factors::<T>(device, theta)?;
        let mut sides = space::<T>(device, 4 * d * all)?;
        let parts = parts(all);
        let mut sums = space::<T>(device, parts * 2 * (d + 1) * (d + 1))?;
        let n = points.1.shape().elem_count();
        let mut out = space::<T>(device, n + d * (d + 1))?;
        let (of_points, of_theta) = out.split_at_mut(n);

        let mut args = self.sizes(points.1)?;
        args.push(Arg::In(view::<T>(points.0, points.1, n)?));
        args.push(Arg::In(view::<T>(theta.0, theta.1, d * (d + 1))?));
        args.push(Arg::In(factors.slice(..)));
        args.push(Arg::In(g()?));
        args.push(Arg::Out(&mut sides));
        args.push(Arg::Part(of_points));
        launch(device, &MODULE, "lu_pull", &Grid::of_rows::<T>(all, 5 * d), args)?;

        let mut args = self.map()?;
        args.push(Arg::Int(number(parts)?));
        args.extend(self.lengths()?);
        args.push(Arg::In(g()?));
        args.push(Arg::In(sides.slice(..)));
        args.push(Arg::Out(&mut sums));
        let grid = Grid::of_tiles::<T>(d + 1, d + 1, 2 * parts);
        launch(device, &MODULE, "lu_sums", &grid, args)?;

        let mut args = self.map()?;
        args.push(Arg::Int(number(parts)?));
        args.push(Arg::In(factors.slice(..)));
        args.push(Arg::In(sums.slice(..)));
        args.push(Arg::Part(of_theta));
        launch(device, &MODULE, "lu_gather", &Grid::of(d * d), args)?;
        Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
    }
}
