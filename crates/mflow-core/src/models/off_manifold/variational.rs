//! What a variational autoencoder (VAE) defines off its manifold.
use super::{OffManifold, TrainingView};
use crate::autoencoder::Autoencoder;
use crate::embedding::{Embedding, columns};
use crate::model::{Density, check_finite};
use crate::models::manifold::ManifoldModel;
use crate::{Error, Result};
use candle_core::Tensor;
use mflow_bijectors::{Diff, Noise};
use std::f64::consts::TAU;
use std::sync::Arc;

/// `p(x|u) = N(decoder(u), σ²)` and `q(u|x) = N(μ(x), s(x)²)`, both of independent features, the former
/// in units of the normalised data with a learned `σ`. Kingma & Welling (2014), *Auto-encoding
/// variational Bayes*, arXiv 1312.6114, appendix C.2.
#[derive(Clone, Debug)]
pub(crate) struct Variational {
    pub(crate) networks: Autoencoder,
    /// `ln σ`, `[1]`.
    pub(crate) log_scale: Tensor,
}

impl Variational {
    pub(crate) fn embedding(&self) -> Arc<dyn Embedding> {
        Arc::new(self.networks.clone())
    }
}

impl OffManifold for Variational {
    fn density(&self, _: &dyn Embedding) -> Option<Density> {
        None
    }
    fn noise_dim(&self, embedding: &dyn Embedding) -> usize {
        embedding.manifold_dim()
    }
    /// The evidence lower bound with one draw of `u`, `[B]`, in nats of data units:
    ///
    /// ```text
    /// log p(x|u) - KL(q(u|x) || N(0, 1)),    u = μ + s noise,    KL = ½ Σ (μ² + s² - 1 - ln s²)
    /// ```
    fn surrogate_log_prob(
        &self,
        of: &ManifoldModel,
        x: &Tensor,
        context: Option<&Tensor>,
        noise: &Tensor,
    ) -> Result<Tensor> {
        let (d, n) = (of.signature.data_dim, of.signature.manifold_dim);
        let rows = x.dim(0)?;
        if noise.dims() != [rows, n] {
            let (op, arg, expected) = ("surrogate_log_prob", "noise", format!("[{rows}, {n}]"));
            return Err(Error::Shape { op, arg, expected, found: noise.dims().to_vec() });
        }
        check_finite("surrogate_log_prob", "noise", noise)?;
        let encoder = &self.networks.encoder;
        let normalized = encoder.normalization.inverse(x, None)?;
        let outputs = encoder.outputs_of(&normalized.value, context)?;
        let (mean, log_variance) = (columns(&outputs, 0, n)?, columns(&outputs, n, n)?);
        let deviation = (&log_variance * 0.5)?.exp()?;
        let u = (&mean + (&deviation * noise)?)?;
        let decoded = self.networks.decode_normalized(&u, context)?;
        let residual =
            (normalized.value - decoded)?.broadcast_mul(&self.log_scale.neg()?.exp()?)?;
        let constant = 0.5 * d as f64 * TAU.ln();
        let of_x = ((residual.sqr()?.sum_last()? * -0.5)? - constant)?;
        let of_x = of_x.broadcast_sub(&(&self.log_scale * d as f64)?)?;
        let divergence = ((mean.sqr()? + deviation.sqr()?)? - log_variance)?.sum_last()?;
        let divergence = ((divergence - n as f64)? * 0.5)?;
        Ok(((of_x - divergence)? + normalized.log_abs_det)?)
    }

    fn sample_noise_dim(&self, embedding: &dyn Embedding) -> usize {
        embedding.data_dim()
    }
    /// `decoder(ũ) + σ noise`, in data units.
    fn decode_noisy(
        &self,
        of: &ManifoldModel,
        latent: &Tensor,
        noise: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Tensor> {
        let u = of.h.forward(latent, context)?.value;
        let decoded = self.networks.decode_normalized(&u, context)?;
        let noisy = (decoded + noise.broadcast_mul(&self.log_scale.exp()?)?)?;
        Ok(self.networks.encoder.normalization.forward(&noisy, None)?.value)
    }

    fn training(&self, noise: &Noise) -> Result<Option<TrainingView>> {
        let Some(networks) = self.networks.training_parts(noise)? else {
            return Ok(None);
        };
        let parts = Self { networks, ..self.clone() };
        Ok(Some(TrainingView { embedding: parts.embedding(), off_manifold: Arc::new(parts) }))
    }
}
