//! Conditioner networks: what computes the parameters of a coupling or autoregressive map.
mod activation;
mod masked;
mod net;

pub use activation::Activation;
pub use net::{Conditioned, Grid, Net, NetConfig, NetKind};
pub(crate) use net::{LinearSize, SIDE};

use candle_core::Tensor;

/// An affine map `x W + b`, weight `[in, out]`, bias `[out]`.
///
/// Files store weights as `[out, in]`; in memory they lie the way the products read them.
#[derive(Clone, Debug)]
pub struct Linear {
    /// Weight, `[in, out]`.
    pub weight: Tensor,
    /// Bias, `[out]`.
    pub bias: Tensor,
}
