//! Losses, as data.
use crate::source::Batch;
use crate::{Error, Result};
use candle_core::Tensor;
use mflow_core::{Model, ModelConfig};
use serde::{Deserialize, Serialize};

/// What a phase minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loss {
    /// Mean over rows and features of `(x - project(x))²`, in units of the normalised data.
    /// Brehmer & Cranmer (2020), eq. 10.
    Reconstruction,
    /// Mean over rows of `-log p_u(u)`, the density of the coordinates, in nats: the likelihood with
    /// the manifold held fixed (eq. 11; the volume term is constant then).
    CoordinateLikelihood,
}

/// A loss with its weight in the sum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedLoss {
    /// Which loss.
    pub loss: Loss,
    /// Its factor.
    pub weight: f64,
}

/// What the rows of a batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// Points of the data space.
    Data,
    /// Coordinates on a manifold that does not move during the phase.
    Coordinates,
}

impl Loss {
    /// Whether the loss needs no more of a data point than its coordinates.
    pub(crate) fn needs_only_coordinates(self) -> bool {
        self == Self::CoordinateLikelihood
    }

    /// The sum over the rows of `batch`, a scalar.
    fn sum(self, model: &dyn Model, kind: RowKind, scale: &Scale, batch: &Batch) -> Result<Tensor> {
        let context = batch.context.as_ref();
        match (self, kind) {
            (Self::Reconstruction, _) => {
                let difference = (model.project(&batch.x, context)? - &batch.x)?;
                let difference = match &scale.inverse {
                    Some(inverse) => difference.broadcast_mul(inverse)?,
                    None => difference,
                };
                let features = model.signature().data_dim as f64;
                Ok((difference.sqr()?.sum_all()? / features)?)
            }
            (Self::CoordinateLikelihood, RowKind::Coordinates) => {
                Ok(model.coordinate_log_prob(&batch.x, context)?.sum_all()?.neg()?)
            }
            (Self::CoordinateLikelihood, RowKind::Data) => {
                let u = model.coordinates(&batch.x, context)?;
                Ok(model.coordinate_log_prob(&u, context)?.sum_all()?.neg()?)
            }
        }
    }
}

/// The scale of the data's normalisation, as a tensor.
#[derive(Debug)]
pub(crate) struct Scale {
    /// `1 / scale`, `[D]`; none without normalisation.
    inverse: Option<Tensor>,
}

impl Scale {
    pub(crate) fn new(config: &ModelConfig, model: &dyn Model) -> Result<Self> {
        let signature = model.signature();
        let tensor = config.normalization().map(|n| {
            let inverse: Vec<f64> = n.scale.iter().map(|s| s.recip()).collect();
            let inverse = Tensor::from_vec(inverse, n.scale.len(), &candle_core::Device::Cpu)?;
            inverse.to_dtype(signature.dtype)?.to_device(&signature.device)
        });
        Ok(Self { inverse: tensor.transpose()? })
    }
}

/// The weighted sum of losses over the rows of `batch`, divided by `rows`: summed over the shards of
/// a batch of `rows`, it is the mean loss.
pub(crate) fn total(
    losses: &[WeightedLoss],
    model: &dyn Model,
    kind: RowKind,
    scale: &Scale,
    batch: &Batch,
    rows: usize,
) -> Result<Tensor> {
    let mut total: Option<Tensor> = None;
    for WeightedLoss { loss, weight } in losses {
        let term = (loss.sum(model, kind, scale, batch)? * (weight / rows as f64))?;
        total = Some(match total {
            Some(sum) => (sum + term)?,
            None => term,
        });
    }
    total.ok_or_else(|| Error::config("losses", "must not be empty"))
}
