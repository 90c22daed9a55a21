//! Launches of `lu.cu`: a linear map by its LU factors, with tangents.
use super::{Arg, Grid, Module, OnCuda, launch, number, ptx, space, view};
use crate::bijector::Direction;
use crate::kernel::rows::Rows;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CudaDevice, CudaStorage, Error, Layout, Result, Storage, Tensor, WithDType};

const MODULE: Module = Module { name: "mflow_lu", ptx: ptx::LU };

/// Rows of a block, as in the kernels.
const ROWS: usize = 16;
/// The side of a tile of sums, as in the kernels.
const TILE: usize = 16;
/// What a block may have of shared memory on all devices, bytes.
const SHARED: usize = 48 * 1024;

/// A map, as the kernels see it.
#[derive(Clone, Copy)]
pub(crate) struct CudaLu {
    pub(crate) dim: usize,
    pub(crate) direction: Direction,
    pub(crate) rows: Rows,
    /// The least entry on the diagonal of `U`.
    pub(crate) least: f64,
}

/// A storage with its layout.
type Input<'a> = (&'a CudaStorage, &'a Layout);

impl CudaLu {
    /// Whether the kernels can do a map of `dim` features: a block has five rows of each point in its memory.
    pub(crate) fn fits(dim: usize, bytes: usize) -> bool {
        5 * dim * ROWS * bytes <= SHARED
    }

    fn map<'a, T>(&self) -> Result<Vec<Arg<'a, T>>> {
        let inverse = self.direction == Direction::Inverse;
        Ok(vec![Arg::Int(number(self.dim)?), Arg::Int(inverse.into())])
    }

    fn sizes<'a, T>(&self) -> Result<Vec<Arg<'a, T>>> {
        let mut args = self.map()?;
        args.push(Arg::Long(number(self.rows.points)?));
        args.push(Arg::Long(number(self.rows.len())?));
        Ok(args)
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
        let factors = self.factors::<T>(device, theta)?;
        let mut out = space::<T>(device, all * d + self.rows.points)?;
        let mut args = self.sizes()?;
        args.push(Arg::In(view::<T>(points.0, points.1, all * d)?));
        args.push(Arg::In(view::<T>(theta.0, theta.1, d * (d + 1))?));
        args.push(Arg::In(factors.slice(..)));
        args.push(Arg::Out(&mut out));
        launch(device, &MODULE, "lu_forward", &self.of_rows::<T>(3), args)?;
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
        let mut sums = space::<T>(device, 2 * (d + 1) * (d + 1))?;
        let mut out = space::<T>(device, all * d + d * (d + 1))?;
        let (of_points, of_theta) = out.split_at_mut(all * d);

        let mut args = self.sizes()?;
        args.push(Arg::In(view::<T>(points.0, points.1, all * d)?));
        args.push(Arg::In(view::<T>(theta.0, theta.1, d * (d + 1))?));
        args.push(Arg::In(factors.slice(..)));
        args.push(Arg::In(g()?));
        args.push(Arg::Out(&mut sides));
        args.push(Arg::Part(of_points));
        launch(device, &MODULE, "lu_pull", &self.of_rows::<T>(5), args)?;

        let mut args = self.sizes()?;
        args.push(Arg::In(g()?));
        args.push(Arg::In(sides.slice(..)));
        args.push(Arg::Out(&mut sums));
        let tiles = d / TILE + 1;
        let shared = 2 * TILE * (TILE + 1) * size_of::<T>();
        let grid = Grid { blocks: [tiles, tiles, 2], threads: TILE * TILE, shared };
        launch(device, &MODULE, "lu_sums", &grid, args)?;

        let mut args = self.map()?;
        args.push(Arg::In(factors.slice(..)));
        args.push(Arg::In(sums.slice(..)));
        args.push(Arg::Part(of_theta));
        launch(device, &MODULE, "lu_gather", &Grid::of(d * d), args)?;
        Ok(CudaStorage::wrap_cuda_slice(out, device.clone()))
    }

    /// Blocks of [`ROWS`] rows with `count` rows of `dim` numbers for each in shared memory.
    fn of_rows<T>(&self, count: usize) -> Grid {
        let shared = count * self.dim * ROWS * size_of::<T>();
        Grid { blocks: [self.rows.len().div_ceil(ROWS), 1, 1], threads: 128, shared }
    }
}
