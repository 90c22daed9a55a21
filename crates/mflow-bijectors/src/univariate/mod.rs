//! Monotone element-wise maps `y = g(x; p)`: scalar arithmetic for kernels, compositions beside it.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "parameters and scratch are as long as `ScalarMap` says, which kernels and compositions allot; bins are 1 or more"
)]
mod additive;
mod affine;
mod composition;
mod config;
mod cubic_spline;
mod knots;
mod linear_spline;
mod quadratic_spline;
mod rational_quadratic;

pub use additive::Additive;
pub use affine::{Affine, AffineScale};
pub use config::UnivariateConfig;
pub(crate) use config::Visitor;
pub use cubic_spline::CubicSpline;
pub use linear_spline::LinearSpline;
pub use quadratic_spline::QuadraticSpline;
pub use rational_quadratic::RationalQuadratic;

use crate::bijector::{Direction, Mapped};
use crate::domain::Domain;
use crate::kernel::{Real, pointwise, univariate};
use crate::{Diff, Result};
use candle_core::Tensor;
use std::fmt::Debug;

/// The scalar arithmetic of a monotone map `y = g(x; p)`, written once over [`Real`].
pub trait ScalarMap: Copy + Debug + Send + Sync + 'static {
    /// Number of parameters `P` per element.
    fn parameters(&self) -> usize;
    /// Length of the scratch space that the other methods are given.
    fn scratch(&self) -> usize;
    /// `(y, ln |dy/dx|)` in the given direction.
    fn value<R: Real>(&self, direction: Direction, x: R, p: &[R], scratch: &mut [R]) -> Point<R>;
    /// Pull `cotangent` of `(y, ln |dy/dx|)` back: returns the one of `x`, writes those of `p`.
    fn pullback<R: Real>(
        &self,
        direction: Direction,
        x: R,
        p: &[R],
        cotangent: Point<R>,
        g_p: &mut [R],
        scratch: &mut [R],
    ) -> R;
    /// What it is for CUDA devices, if they have kernels for it.
    fn cuda(&self) -> Option<CudaMap> {
        None
    }
}

/// A map for which CUDA devices have kernels, with its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum CudaMap {
    /// A rational-quadratic spline.
    RationalQuadratic(RationalQuadratic),
}

/// One point of a scalar map.
#[derive(Clone, Copy, Debug)]
pub struct Point<R> {
    /// The mapped value.
    pub y: R,
    /// Natural log of the slope.
    pub log_slope: R,
}

/// A [`ScalarMap`] with the composition of tensor operations that its kernels must equal.
pub trait Univariate: ScalarMap {
    /// Parameters with which the map is the identity, or as near to it as it comes.
    fn identity(&self) -> Vec<f64>;
    /// Where the map and its inverse are defined.
    fn domain(&self) -> Domain {
        Domain::Reals
    }

    /// `x: [B, T]`, `p: [B, T, P]`; the log-det is summed over `T`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn compose<T: Diff>(&self, direction: Direction, x: &T, p: &T) -> Result<Mapped<T>>;

    /// Values and log-slopes, `[B, T]`, by the fused operation.
    ///
    /// # Errors
    /// If the device has no kernel for the map, or it fails.
    fn values(&self, direction: Direction, x: &Tensor, p: &Tensor) -> Result<[Tensor; 2]> {
        pointwise::values(*self, direction, x, p)
    }

    /// Values with their gradients by the fused operation.
    ///
    /// # Errors
    /// If the device has no kernel for the map, or it fails.
    fn gradient(
        &self,
        direction: Direction,
        x: &Tensor,
        p: &Tensor,
        log_det: bool,
    ) -> Result<Gradient> {
        univariate::gradient(*self, direction, x, p, log_det)
    }
}

/// An element-wise map evaluated together with its first derivatives, all differentiable once more.
#[derive(Debug)]
pub struct Gradient {
    /// Values, `[B, T]`.
    pub y: Tensor,
    /// Log-slopes, `[B, T]`.
    pub l: Tensor,
    /// `dy/dx`, `[B, T]`.
    pub dy_dx: Tensor,
    /// `dy/dp`, `[B, T, P]`.
    pub dy_dp: Tensor,
    /// Derivatives of the log-slopes, if asked for.
    pub log_det: Option<LogSlopeGradient>,
}

/// Derivatives of the log-slopes of an element-wise map.
#[derive(Debug)]
pub struct LogSlopeGradient {
    /// `dl/dx`, `[B, T]`.
    pub dx: Tensor,
    /// `dl/dp`, `[B, T, P]`.
    pub dp: Tensor,
}
