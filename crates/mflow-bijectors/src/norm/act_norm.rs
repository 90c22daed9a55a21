//! An affine map that starts from the statistics of the first batch.
use super::{flag, is_initialized, moments, set_initialized};
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::count::check_features;
use crate::kernel::split;
use crate::params::{Init, Params, Piece};
use crate::{Diff, Result};
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

/// Config of [`ActNorm`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ActNormConfig {
    /// Number of features; of images, in a [`crate::Pixelwise`] map, of channels.
    pub dim: usize,
}

impl ActNormConfig {
    /// A map of `dim` features, the identity until it has seen data.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }

    /// Create the layer: parameters `log_scale` and `shift`, and a saved flag `initialized`.
    ///
    /// # Errors
    /// If `dim` is 0 or a parameter does not fit.
    pub fn build(&self, params: &mut Params<'_>) -> Result<ActNorm> {
        let d = self.dim;
        check_features("act_norm.dim", d)?;
        let theta = params.flat(vec![
            Piece::vector("log_scale", d, Init::Constant(0.)),
            Piece::vector("shift", d, Init::Constant(0.)),
        ])?;
        let variable = params.variable()?;
        let initialized = flag(params)?;
        let signature = Signature::vector(d, params.dtype(), params.device());
        Ok(ActNorm { theta, variable, initialized, signature })
    }
}

/// `y = exp(s) x + t` for each feature; `log|det J| = Σ s`.
///
/// **Shapes**: `[B, D]` to `[B, D]`. The first batch that [`crate::Bijector::observe`] shows it
/// sets `s` and `t` so that what comes out has mean 0 and variance 1; the saved flag keeps a reloaded
/// layer from doing so again.
///
/// **Reference**: Kingma & Dhariwal (2018), *Glow*, arXiv 1807.03039, section 3.1.
#[derive(Debug)]
pub struct ActNorm {
    /// Log-scales, then shifts.
    theta: Tensor,
    variable: Var,
    initialized: Var,
    signature: Signature,
}

impl ActNorm {
    /// Whether the layer has seen data.
    ///
    /// # Errors
    /// If the flag cannot be read from its device.
    pub fn is_initialized(&self) -> Result<bool> {
        is_initialized(&self.initialized)
    }
}

impl Layer for ActNorm {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "a signature of vectors has one axis, and `split` gives a part for each length"
    )]
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let d = self.signature.latent_shape[0];
        let parts = split(&self.theta, &[d, d])?;
        let (log_scale, shift) = (&parts[0], T::constant(&parts[1]));
        let (value, log_abs_det) = match direction {
            Direction::Forward => {
                let scale = log_scale.exp()?;
                (x.linear(|t| t.broadcast_mul(&scale))?.add(&shift)?, log_scale.sum_all()?)
            }
            Direction::Inverse => {
                let scale = log_scale.neg()?.exp()?;
                let centred = x.sub(&shift)?;
                (centred.linear(|t| t.broadcast_mul(&scale))?, log_scale.sum_all()?.neg()?)
            }
        };
        let rows = x.value().dim(0)?;
        Ok(Mapped { value, log_abs_det: T::constant(&log_abs_det.broadcast_as(rows)?) })
    }
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        if !self.is_initialized()? && x.dim(0)? > 1 {
            let (mean, variance) = moments(&x.detach())?;
            // A constant feature has no scale to remove.
            let log_std = (variance.maximum(1e-12)?.log()? * 0.5)?;
            let (log_scale, shift) = match direction {
                Direction::Forward => {
                    let log_scale = log_std.neg()?;
                    let shift = (mean * log_scale.exp()?)?.neg()?;
                    (log_scale, shift)
                }
                Direction::Inverse => (log_std, mean),
            };
            self.variable.set(&Tensor::cat(&[log_scale, shift], 0)?)?;
            set_initialized(&self.initialized)?;
        }
        self.apply(direction, x, context)
    }
}
