//! The first coordinates of `R^D`.
use super::Chart;
use crate::Result;
use candle_core::{D, DType, Device, Tensor};
use mflow_bijectors::{Diff, Domain, host};

/// `x = (u, 0)`: a coordinate subspace; volume element 1.
///
/// Brehmer & Cranmer (2020), arXiv 2003.13913, eq. 4.
#[derive(Clone, Debug)]
pub struct ZeroPadding {
    coordinates: usize,
    data: usize,
    dtype: DType,
    device: Device,
}

impl ZeroPadding {
    /// The first `coordinates` of `data` dimensions.
    ///
    /// # Errors
    /// If `coordinates` is not in `1..=data`.
    pub fn new(coordinates: usize, data: usize, dtype: DType, device: &Device) -> Result<Self> {
        if coordinates == 0 || coordinates > data {
            return super::refuse(
                "manifold_dim",
                format!(
                    "must be at least 1 and at most the data dimension {data}, found {coordinates}"
                ),
            );
        }
        Ok(Self { coordinates, data, dtype, device: device.clone() })
    }
}

impl Chart for ZeroPadding {
    fn coordinate_dim(&self) -> usize {
        self.coordinates
    }
    fn data_dim(&self) -> usize {
        self.data
    }
    fn domain(&self) -> Domain {
        Domain::Reals
    }
    fn dtype(&self) -> DType {
        self.dtype
    }
    fn embed<T: Diff>(&self, u: &T) -> Result<T> {
        let rest = self.data - self.coordinates;
        Ok(u.linear(|t| t.pad_with_zeros(D::Minus1, 0, rest))?)
    }
    fn coordinates(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.narrow(D::Minus1, 0, self.coordinates)?.contiguous()?)
    }
    fn log_volume(&self, u: &Tensor) -> Result<Tensor> {
        Ok(host::zeros(u.dim(0)?, self.dtype, &self.device)?)
    }
}
