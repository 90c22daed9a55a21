//! Normalisation layers: statistics of data that become parameters of a map.
mod act_norm;
mod batch_norm;
mod gaussianize;

pub use act_norm::{ActNorm, ActNormConfig};
pub use batch_norm::{BatchNorm, BatchNormConfig};
pub use gaussianize::{Gaussianize, GaussianizeConfig};

use crate::params::Params;
use crate::{Result, host};
use candle_core::{DType, Tensor, Var};

/// The saved flag of a layer that initialises itself once.
fn flag(params: &mut Params<'_>) -> Result<Var> {
    let no = Tensor::zeros(1, DType::U8, params.device())?;
    params.state("initialized", &no)
}

/// Whether it is set.
fn is_initialized(flag: &Var) -> Result<bool> {
    Ok(host::values::<u8>(&flag.as_detached_tensor())? != [0])
}

/// Set it.
fn set_initialized(flag: &Var) -> Result<()> {
    Ok(flag.set(&flag.as_detached_tensor().ones_like()?)?)
}

/// Mean and standard deviation of each feature of `x: [B, D]`, with `B - 1` in the denominator.
fn moments(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let rows = x.dim(0)?.max(2) as f64;
    let mean = (x.sum(0)? / x.dim(0)?.max(1) as f64)?;
    let centred = x.broadcast_sub(&mean)?;
    let variance = (centred.sqr()?.sum(0)? / (rows - 1.))?;
    Ok((mean, variance))
}
