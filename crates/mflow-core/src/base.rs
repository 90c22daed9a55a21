//! Base densities: the simple distributions at the latent end of a flow.
use crate::Result;
use candle_core::{D, DType, Device, Tensor};
use mflow_bijectors::{Diff, Domain, Dual, Stream, host};
use std::f64::consts::{PI, TAU};
use std::fmt::Debug;

/// A density that can be evaluated and drawn from.
pub trait BaseDensity: Debug + Send + Sync {
    /// Log-density of `u: [B, N]` in nats, `[B]`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn log_prob(&self, u: &Tensor) -> Result<Tensor>;
    /// The same with the tangents of `u`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn push_log_prob(&self, u: &Dual) -> Result<Dual>;
    /// `rows` independent draws, `[rows, N]`.
    ///
    /// # Errors
    /// If the device cannot hold them.
    fn sample(
        &self,
        rows: usize,
        stream: &mut Stream,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor>;
    /// Where each latent lies.
    fn domain(&self) -> Domain;
    /// What the latents are, in words.
    fn describe(&self) -> String;
}

/// The log-density of no rows. candle divides by zero in sums of nothing on GPUs, and launches nothing there.
fn of_no_rows(u: &Tensor) -> Result<Tensor> {
    Ok(host::zeros(0, u.dtype(), u.device())?)
}

/// The standard normal density on `R^N`: `log p(u) = -|u|²/2 - N/2 ln(2π)`.
#[derive(Clone, Copy, Debug)]
pub struct StandardNormal {
    /// Dimension `N`.
    pub dim: usize,
}

impl StandardNormal {
    fn constant(self) -> f64 {
        0.5 * self.dim as f64 * TAU.ln()
    }
}

impl BaseDensity for StandardNormal {
    fn log_prob(&self, u: &Tensor) -> Result<Tensor> {
        if u.dim(0)? == 0 {
            return of_no_rows(u);
        }
        Ok(((u.sqr()?.sum(D::Minus1)? * -0.5)? - self.constant())?)
    }
    fn push_log_prob(&self, u: &Dual) -> Result<Dual> {
        Ok(u.mul(u)?.sum_last()?.scale(-0.5)?.shift(-self.constant())?)
    }
    fn sample(
        &self,
        rows: usize,
        stream: &mut Stream,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        Ok(stream.normal_tensor(&[rows, self.dim], dtype, device)?)
    }
    fn domain(&self) -> Domain {
        Domain::Reals
    }
    fn describe(&self) -> String {
        format!("standard normal on R^{}", self.dim)
    }
}

/// The uniform density of `N` angles in `[-π, π)`: `log p(u) = -N ln(2π)`.
#[derive(Clone, Copy, Debug)]
pub struct UniformAngles {
    /// Number of angles `N`.
    pub dim: usize,
}

impl BaseDensity for UniformAngles {
    fn log_prob(&self, u: &Tensor) -> Result<Tensor> {
        if u.dim(0)? == 0 {
            return of_no_rows(u);
        }
        let constant = -(self.dim as f64) * TAU.ln();
        Ok((Tensor::zeros(u.dim(0)?, u.dtype(), u.device())? + constant)?)
    }
    fn push_log_prob(&self, u: &Dual) -> Result<Dual> {
        Ok(Dual::constant(&self.log_prob(u.value())?))
    }
    fn sample(
        &self,
        rows: usize,
        stream: &mut Stream,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let angles = stream.uniform(rows * self.dim, -PI, PI);
        let angles = Tensor::from_vec(angles, (rows, self.dim), &Device::Cpu)?;
        Ok(host::place(&angles, dtype, device)?)
    }
    fn domain(&self) -> Domain {
        Domain::Angle
    }
    fn describe(&self) -> String {
        format!("uniform on {} angles in [-π, π)", self.dim)
    }
}
