//! What a pseudo-invertible encoder (PIE) defines off its manifold.
use super::OffManifold;
use crate::Result;
use crate::base::{BaseDensity, StandardNormal};
use crate::embedding::{Embedding, columns};
use crate::model::{Density, Model};
use crate::models::manifold::{ManifoldModel, score_of, with_tangents};
use candle_core::Tensor;
use mflow_bijectors::{Bijector, Diff, Dual, host};
use std::sync::Arc;

/// The latents `v` across the manifold are normal, `N(0, ε²)`.
///
/// ```text
/// log p(x) = log p(ũ) - log|det J_h(ũ)| + log N(v; 0, ε²) - log|det J_f(u, v)|,     x = f(u, v)
/// ```
#[derive(Clone, Debug)]
pub(crate) struct NormalNoise {
    pub(crate) epsilon: f64,
}

impl NormalNoise {
    /// `-dim ln ε`, with which `N(v; 0, ε²)` is `N(v/ε; 0, 1)`.
    fn log_scale(&self, dim: usize) -> f64 {
        -(dim as f64) * self.epsilon.ln()
    }

    /// The ambient density, `[B]`; with `clip`, of `v` clipped to `±clip ε` in the second term.
    fn log_prob(
        &self,
        of: &ManifoldModel,
        x: &Tensor,
        context: Option<&Tensor>,
        clip: Option<f64>,
    ) -> Result<Tensor> {
        let latents = flow(of)?.inverse(x, context)?;
        let (n, rest) = sizes(of);
        let u = columns(&latents.value, 0, n)?;
        let mut v = (columns(&latents.value, n, rest)? / self.epsilon)?;
        if let Some(clip) = clip {
            v = v.clamp(-clip, clip)?;
        }
        let of_v = (StandardNormal { dim: rest }.log_prob(&v)? + self.log_scale(rest))?;
        Ok(((of.coordinate_log_prob(&u, context)? + of_v)? + latents.log_abs_det)?)
    }

    /// The ambient density with tangents along the context.
    fn push_log_prob(&self, of: &ManifoldModel, x: &Tensor, context: &Dual) -> Result<Dual> {
        let latents = flow(of)?.push_inverse(&Dual::constant(x), Some(context))?;
        let (n, rest) = sizes(of);
        let (u, v) = (latents.value.narrow(0, n)?, latents.value.narrow(n, rest)?);
        let of_v = StandardNormal { dim: rest }.push_log_prob(&v.scale(1. / self.epsilon)?)?;
        let of_v = of_v.shift(self.log_scale(rest))?;
        let of_u = of.push_coordinate_log_prob(&u, context)?;
        Ok(of_u.add(&of_v)?.add(&latents.log_abs_det)?)
    }
}

impl OffManifold for NormalNoise {
    fn density(&self, _: &dyn Embedding) -> Option<Density> {
        Some(Density::Ambient)
    }
    fn log_density(
        &self,
        of: &ManifoldModel,
        kind: Density,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Tensor> {
        match kind {
            Density::Ambient => self.log_prob(of, x, context, None),
            Density::Clipped { clip } => self.log_prob(of, x, context, Some(clip)),
            Density::Slice => self.log_prob(of, &of.project(x, context)?, context, None),
            Density::Manifold => of.log_density_on_manifold(kind, x, context),
            Density::Ratio => {
                of.lacks("log_density", "it has densities, not ratios; ask for those")
            }
        }
    }
    fn score(&self, of: &ManifoldModel, x: &Tensor, context: &Tensor) -> Result<Tensor> {
        if x.dim(0)? == 0 {
            // candle panics at views of nothing.
            return Ok(context.zeros_like()?);
        }
        score_of(&self.push_log_prob(of, x, &with_tangents(context)?)?, context)
    }
    fn sample_noise_dim(&self, embedding: &dyn Embedding) -> usize {
        embedding.data_dim() - embedding.manifold_dim()
    }
    /// `f(h(ũ), ε noise)`, a point off the manifold.
    fn decode_noisy(
        &self,
        of: &ManifoldModel,
        latent: &Tensor,
        noise: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Tensor> {
        let u = of.h.forward(latent, context)?.value;
        if u.dim(0)? == 0 {
            return Ok(host::zeros((0, of.signature.data_dim), u.dtype(), u.device())?);
        }
        let latents = Tensor::cat(&[u, (noise * self.epsilon)?], 1)?;
        Ok(flow(of)?.forward(&latents, context)?.value)
    }
}

/// The bijector of `R^D`.
fn flow(of: &ManifoldModel) -> Result<&Arc<dyn Bijector>> {
    let missing = || mflow_bijectors::Error::config("kind", "needs a flow of all of R^D for `pie`");
    Ok(of.embedding.flow().ok_or_else(missing)?)
}

/// `N` and `D - N`.
fn sizes(of: &ManifoldModel) -> (usize, usize) {
    let (d, n) = (of.signature.data_dim, of.signature.manifold_dim);
    (n, d - n)
}
