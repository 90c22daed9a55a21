//! Base densities: the simple distributions at the latent end of a flow.
use crate::Result;
use candle_core::{D, DType, Device, Tensor};
use mflow_bijectors::Stream;
use std::fmt::Debug;

/// A density that can be evaluated and drawn from.
pub trait BaseDensity: Debug + Send + Sync {
    /// Log-density of `u: [B, N]` in nats, `[B]`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn log_prob(&self, u: &Tensor) -> Result<Tensor>;
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
}

/// The standard normal density on `R^N`: `log p(u) = -|u|²/2 - N/2 ln(2π)`.
#[derive(Clone, Copy, Debug)]
pub struct StandardNormal {
    /// Dimension `N`.
    pub dim: usize,
}

impl BaseDensity for StandardNormal {
    fn log_prob(&self, u: &Tensor) -> Result<Tensor> {
        let constant = 0.5 * self.dim as f64 * (2. * std::f64::consts::PI).ln();
        Ok(((u.sqr()?.sum(D::Minus1)? * -0.5)? - constant)?)
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
}
