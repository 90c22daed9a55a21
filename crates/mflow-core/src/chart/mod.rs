//! Charts: manifolds that are known in closed form, from their coordinates `U` into `R^D`.
//!
//! A [`Chart`] alone is an [`Embedding`] with an exact volume element; a [`crate::ChartedFlow`] puts a
//! bijector of `R^D` behind it, so that the manifold can be learned on a known topology.
mod angles;
mod config;
mod graph;
mod sphere;
mod stereographic;
mod subspace;
mod torus;
mod zero_padding;

pub use config::ChartConfig;
pub use graph::{Graph, GraphFunction};
pub use sphere::Hypersphere;
pub use stereographic::Stereographic;
pub use subspace::LinearSubspace;
pub use torus::{FlatTorus, Torus};
pub use zero_padding::ZeroPadding;

use crate::Result;
use crate::embedding::Embedding;
use crate::model::check_columns;
use candle_core::{DType, Device, Tensor};
use mflow_bijectors::{Diff, Domain, Dual, host};
use std::fmt::Debug;

/// What an author of a chart implements, instead of [`Embedding`]: one generic body for points and for
/// points with tangents.
///
/// **Shapes**: coordinates `[B, N]`, points `[B, D]`, volumes `[B]`.
///
/// # Errors
/// Every method fails if a tensor operation does. Arguments are already checked, and there is a row.
pub trait Chart: Debug + Send + Sync {
    /// Dimension `N` of the manifold.
    fn coordinate_dim(&self) -> usize;
    /// Dimension `D` of the space around it.
    fn data_dim(&self) -> usize;
    /// Where the coordinates lie; points of its border belong to it, of the manifold they may have
    /// several coordinates.
    fn domain(&self) -> Domain;
    /// Dtype of all arguments.
    fn dtype(&self) -> DType;
    /// The point of the manifold with coordinates `u`.
    fn embed<T: Diff>(&self, u: &T) -> Result<T>;
    /// The coordinates of the point of the manifold that is nearest to `x`.
    fn coordinates(&self, x: &Tensor) -> Result<Tensor>;
    /// `½ log det(Jᵀ J)`, the log-volume that a unit volume of coordinates has on the manifold, in
    /// closed form.
    fn log_volume(&self, u: &Tensor) -> Result<Tensor>;
}

/// Check a batch of rows of `columns` numbers.
pub(crate) fn check(
    op: &'static str,
    arg: &'static str,
    t: &Tensor,
    columns: usize,
    dtype: DType,
) -> Result<()> {
    check_columns(op, arg, t, columns)?;
    if t.dtype() != dtype {
        let found = t.dtype();
        return Err(mflow_bijectors::Error::DType { op, arg, expected: dtype, found }.into());
    }
    Ok(())
}

/// What comes of no rows: charts need not care, and candle panics at some views of nothing.
fn none(like: &Tensor, shape: &[usize]) -> Result<Tensor> {
    Ok(host::zeros(shape, like.dtype(), like.device())?)
}

/// Coordinates with the unit vectors of `U` as tangents.
pub(crate) fn with_frame(u: &Tensor) -> Result<Dual> {
    let (b, n) = u.dims2()?;
    if b == 0 {
        return Ok(Dual::new(u.clone(), none(u, &[0, n, n])?)?);
    }
    let frame = Tensor::eye(n, u.dtype(), u.device())?;
    let frame = frame.unsqueeze(0)?.broadcast_as((b, n, n))?.contiguous()?;
    Ok(Dual::new(u.clone(), frame)?)
}

impl<C: Chart> Embedding for C {
    fn manifold_dim(&self) -> usize {
        self.coordinate_dim()
    }
    fn data_dim(&self) -> usize {
        Chart::data_dim(self)
    }
    fn context_dim(&self) -> Option<usize> {
        None
    }
    fn domain(&self) -> Domain {
        Chart::domain(self)
    }
    fn projects_to_nearest(&self) -> bool {
        true
    }
    fn embed(&self, u: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        check("Embedding::embed", "u", u, self.coordinate_dim(), self.dtype())?;
        if u.dim(0)? == 0 {
            return none(u, &[0, Chart::data_dim(self)]);
        }
        Chart::embed(self, u)
    }
    fn embed_with_jacobian(&self, u: &Tensor, _: Option<&Tensor>) -> Result<Dual> {
        check("Embedding::embed_with_jacobian", "u", u, self.coordinate_dim(), self.dtype())?;
        if u.dim(0)? == 0 {
            let d = Chart::data_dim(self);
            return Ok(Dual::new(none(u, &[0, d])?, none(u, &[0, self.coordinate_dim(), d])?)?);
        }
        Chart::embed(self, &with_frame(u)?)
    }
    fn coordinates(&self, x: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        check("Embedding::coordinates", "x", x, Chart::data_dim(self), self.dtype())?;
        if x.dim(0)? == 0 {
            return none(x, &[0, self.coordinate_dim()]);
        }
        Chart::coordinates(self, x)
    }
    fn log_volume(&self, u: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        check("Embedding::log_volume", "u", u, self.coordinate_dim(), self.dtype())?;
        if u.dim(0)? == 0 {
            return none(u, &[0]);
        }
        Chart::log_volume(self, u)
    }
}

/// A tensor of numbers from a config.
fn numbers(values: &[f64], shape: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
    let t = Tensor::from_vec(values.to_vec(), shape, &Device::Cpu)?;
    Ok(t.to_dtype(dtype)?.to_device(device)?)
}

/// Whether a radius is one.
fn check_radius(field: &str, radius: f64) -> Result<()> {
    if radius > 0. && radius.is_finite() {
        return Ok(());
    }
    let reason = format!("must be positive and finite, found {radius}");
    Err(mflow_bijectors::Error::config(field, reason).into())
}

/// A config error.
fn refuse<T>(field: &str, reason: String) -> Result<T> {
    Err(mflow_bijectors::Error::config(field, reason).into())
}
