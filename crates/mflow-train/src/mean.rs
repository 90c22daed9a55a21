//! The losses of this crate in a training loop of your own.
use crate::loss::{RowKind, Scale, Shard, WeightedLoss};
use crate::source::Batch;
use crate::weights::Mass;
use crate::{Error, Result};
use candle_core::Tensor;
use mflow_bijectors::Stream;
use mflow_core::{Model, ModelConfig};

/// The weighted sum of losses, as the trainer minimises it: a mean over the rows of the batch, a scalar whose `backward` gives the
/// gradients. `config` is that of the model; it says in which units distances are measured.
///
/// Rows with weights count by them, `(1/B) Σ w l`: with weights that are 1 on average over the data, an unbiased estimate.
///
/// Models without a tractable likelihood draw the noise of their surrogate from `stream`, which no other loss looks at.
///
/// # Errors
/// If the model does not have what a loss asks for, the batch has not what it comes with, there is no loss, or one of them is
/// [`Loss::Sinkhorn`](crate::Loss::Sinkhorn): that is no mean over rows, and [`sinkhorn`](crate::sinkhorn()) computes it.
pub fn mean_loss(
    losses: &[WeightedLoss],
    config: &ModelConfig,
    model: &dyn Model,
    batch: &Batch,
    stream: &mut Stream,
) -> Result<Tensor> {
    if losses.iter().any(|weighted| weighted.loss.divergence().is_some()) {
        let reason = "must not have `sinkhorn`, which is no mean over rows; call `sinkhorn`";
        return Err(Error::config("losses", reason));
    }
    let signature = model.signature();
    let noise = match signature.noise_dim {
        0 => None,
        columns => {
            let shape = [batch.rows(), columns];
            Some(stream.normal_tensor(&shape, signature.dtype, &signature.device)?)
        }
    };
    let scale = &Scale::new(config, model)?;
    let shard = Shard { model, kind: RowKind::Data, scale, batch, noise: noise.as_ref() };
    let total = shard.total(losses, Mass::of(None, 0..batch.rows()))?;
    total.ok_or_else(|| Error::config("losses", "must have a loss at least, found none"))
}
