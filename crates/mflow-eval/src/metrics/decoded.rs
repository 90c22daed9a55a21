//! Points of a learned manifold with the density of a model's samples there.
use super::Evaluated;
use crate::Result;
use mflow_core::candle::D;
use mflow_core::gram_log_det;

/// Points that latents are decoded to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// `[rows, D]`, data units.
    pub points: Vec<f64>,
    /// The log-density of the points that decoded latents are, with respect to volume on the learned
    /// manifold: `[rows]`, nats.
    pub log_density: Vec<f64>,
}

/// Decode the latents `[rows, N]`, all given the parameters `theta`, `[P]`, with `log p(ũ) - ½ log det(J Jᵀ)` for
/// the rows `J` of the decoder's Jacobian; of an atlas, the latents `[rows, N + 1]` with the density of the mixture.
///
/// Where the map from latents is one to one, this is the density of samples on the manifold: that of an
/// M-flow (Brehmer & Cranmer 2020, equation 7), and of models whose likelihood is intractable as well, since
/// no point has to be encoded.
///
/// # Errors
/// If the model cannot be evaluated.
pub fn decoded(of: Evaluated<'_>, latents: &[f64], theta: &[f64]) -> Result<Decoded> {
    let model = of.model;
    let signature = model.signature();
    let latents = of.tensor(latents, signature.latent_dim())?;
    let context = of.context(&theta.repeat(latents.dim(0)?))?;
    let points = of.by_rows(&latents, context.as_ref(), |z, c| model.decode(z, c))?;
    let log_density = of.by_rows(&latents, context.as_ref(), |z, c| {
        if signature.charts > 1 {
            // Charts overlap: the point may be one of several latents.
            return Ok(model.log_prob(&model.decode(z, c)?, c)?.unsqueeze(D::Minus1)?);
        }
        let volume = gram_log_det(&model.decode_jacobian(z, c)?)?;
        Ok((model.latent_log_prob(z)? - (volume * 0.5)?)?.unsqueeze(D::Minus1)?)
    })?;
    Ok(Decoded { points, log_density })
}
