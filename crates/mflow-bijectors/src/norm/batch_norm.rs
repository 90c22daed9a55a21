//! Batch normalisation, invertible.
use super::moments;
use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::count::check_features;
use crate::kernel::split;
use crate::noise::Noise;
use crate::params::{Init, Params, Piece};
use crate::{Diff, Error, Result};
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Config of [`BatchNorm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BatchNormConfig {
    /// Number of features.
    pub dim: usize,
    /// Weight of a new batch in the running averages.
    #[serde(default = "default_momentum")]
    pub momentum: f64,
    /// Added to variances and scales.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
}

fn default_momentum() -> f64 {
    0.1
}
fn default_epsilon() -> f64 {
    1e-5
}

impl BatchNormConfig {
    /// Momentum 0.1, epsilon 1e-5.
    pub fn new(dim: usize) -> Self {
        Self { dim, momentum: default_momentum(), epsilon: default_epsilon() }
    }

    /// Create the layer: parameters `unconstrained_weight` and `bias`, running averages
    /// `running_mean` and `running_var`, in the order of nflows.
    ///
    /// # Errors
    /// If a field is out of range or a parameter does not fit.
    pub fn build(&self, params: &mut Params<'_>) -> Result<BatchNorm> {
        let d = self.dim;
        check_features("batch_norm.dim", d)?;
        if !(self.momentum > 0. && self.momentum <= 1.) {
            let reason = format!("must be in (0, 1], found {}", self.momentum);
            return Err(Error::config("batch_norm.momentum", reason));
        }
        if !(self.epsilon > 0. && self.epsilon < 1.) {
            let reason = format!("must be in (0, 1), found {}", self.epsilon);
            return Err(Error::config("batch_norm.epsilon", reason));
        }
        let unit = (1. - self.epsilon).exp_m1().ln();
        let theta = params.flat(vec![
            Piece::vector("unconstrained_weight", d, Init::Constant(unit)),
            Piece::vector("bias", d, Init::Constant(0.)),
        ])?;
        let zeros = Tensor::zeros(d, params.dtype(), params.device())?;
        let mean = params.state("running_mean", &zeros)?;
        let variance = params.state("running_var", &zeros.ones_like()?)?;
        let signature = Signature::vector(d, params.dtype(), params.device());
        let config = self.clone();
        Ok(BatchNorm { config, theta, mean, variance, of_batch: false, signature })
    }
}

/// `y = w (x - m)/√(v + ε) + b` with mean `m` and variance `v` of each feature;
/// `log|det J| = Σ ln w - ½ ln(v + ε)`.
///
/// **Shapes**: `[B, D]` to `[B, D]`. `m` and `v` are running averages, which
/// [`crate::Bijector::observe`] moves towards those of a batch, so that the map is a bijection.
/// While training ([`crate::Bijector::training`]) `forward` takes those of the batch itself, through
/// which gradients flow, and tangents do not; such a batch must not be cut into shards. `inverse`
/// takes the running averages always.
///
/// **Reference**: Dinh et al. (2017), *Real NVP*, arXiv 1605.08803, section 3.7; Papamakarios et al.
/// (2017), *MAF*, arXiv 1705.07057, appendix B.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    config: BatchNormConfig,
    theta: Tensor,
    mean: Var,
    variance: Var,
    /// Whether `forward` takes the statistics of the batch.
    of_batch: bool,
    signature: Signature,
}

impl Layer for BatchNorm {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    #[expect(clippy::indexing_slicing, reason = "`split` gives a part for each length")]
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let BatchNormConfig { dim, epsilon, .. } = self.config;
        let parts = split(&self.theta, &[dim, dim])?;
        let weight = parts[0].unsqueeze(0)?.softplus()?.shift(epsilon)?.squeeze(0)?;
        let bias = T::constant(&parts[1]);
        let (mean, variance) = if self.of_batch && direction == Direction::Forward {
            moments(x.value())?
        } else {
            (self.mean.as_detached_tensor(), self.variance.as_detached_tensor())
        };
        let variance = (variance + epsilon)?;
        let scale = (&weight / variance.sqrt()?)?;
        let log_abs_det = (weight.log()?.sum_all()? - (variance.log()?.sum_all()? * 0.5)?)?;
        let mean = T::constant(&mean);
        let (value, log_abs_det) = match direction {
            Direction::Forward => {
                let y = x.sub(&mean)?.linear(|t| t.broadcast_mul(&scale))?.add(&bias)?;
                (y, log_abs_det)
            }
            Direction::Inverse => {
                let x = x.sub(&bias)?.linear(|t| t.broadcast_div(&scale))?.add(&mean)?;
                (x, log_abs_det.neg()?)
            }
        };
        let rows = x.value().dim(0)?;
        Ok(Mapped { value, log_abs_det: T::constant(&log_abs_det.broadcast_as(rows)?) })
    }
    /// Only `forward` sees what is normalised.
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        if direction == Direction::Forward && x.dim(0)? > 1 {
            let (mean, variance) = moments(&x.detach())?;
            for (state, new) in [(&self.mean, mean), (&self.variance, variance)] {
                let momentum = self.config.momentum;
                let old = (state.as_detached_tensor() * (1. - momentum))?;
                state.set(&(old + (new * momentum)?)?)?;
            }
        }
        self.apply(direction, x, context)
    }
    fn training(&self, _: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        Ok(Some(Arc::new(Self { of_batch: true, ..self.clone() })))
    }
}
