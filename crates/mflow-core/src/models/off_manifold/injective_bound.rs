//! What a relaxed injective flow (RIF) is trained on.
use super::OffManifold;
use crate::Result;
use crate::embedding::Embedding;
use crate::model::{Density, Model};
use crate::models::manifold::ManifoldModel;
use candle_core::Tensor;
use mflow_bijectors::Diff;

/// As an autoencoder; trained on a bound with the singular values of the decoder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InjectiveBound;

impl OffManifold for InjectiveBound {
    fn density(&self, _: &dyn Embedding) -> Option<Density> {
        None
    }
    /// A bound on the log-density at `decoder(u)`, `u = encoder(x)`, that penalises the singular values `s_i`
    /// of the decoder's Jacobian, `[B]`:
    ///
    /// ```text
    /// log p_u(u) - ½ log det Jᵀ J = log p_u(u) - Σ ln s_i >= log p_u(u) - N/2 ln(Σ s_i² / N)
    /// ```
    ///
    /// by the concavity of the logarithm, equal where all `s_i` are; `Σ s_i² = |J|²`, the sum of the squares
    /// of the `N` tangents. Kumar, Poole & Murphy (2020), *Regularized autoencoders via relaxed injective
    /// probability flow*, arXiv 2002.08927; they estimate the sum from random directions, we take it whole,
    /// and a flow `h` in the place of their density of codes.
    fn surrogate_log_prob(
        &self,
        of: &ManifoldModel,
        x: &Tensor,
        context: Option<&Tensor>,
        _noise: &Tensor,
    ) -> Result<Tensor> {
        let u = of.embedding.coordinates(x, context)?;
        let of_u = of.coordinate_log_prob(&u, context)?;
        let n = of.signature.manifold_dim as f64;
        let decoded = of.embedding.embed_with_jacobian(&u, context)?;
        let Some(rows) = decoded.tangents() else {
            return Ok(of_u);
        };
        let mean_square = (rows.sqr()?.sum_last()?.sum_last()? / n)?;
        Ok((of_u - (mean_square.log()? * (0.5 * n))?)?)
    }
}
