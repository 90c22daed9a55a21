//! [`ManifoldModel`]: every [`Model`] whose manifold is the image of one map, put together from parts by each config.
use super::off_manifold::OffManifold;
use crate::base::{BaseDensity, StandardNormal};
use crate::embedding::Embedding;
use crate::model::{
    Density, Model, ModelSignature, Part, Projected, check_arguments, check_columns, check_finite,
    check_shapes,
};
use crate::{Error, Result};
use candle_core::Tensor;
use mflow_bijectors::{Bijector, Diff, Direction, Dual, Noise, Params, Stream, host};
use std::sync::Arc;

/// `x = embed(u)`, `u = h(ũ)`, with `ũ` from a base density; what distinguishes the models is the
/// embedding, and what else they define off the manifold.
///
/// ```text
/// log p(x) = log p(ũ) - log|det J_h(ũ)| - ½ log det Jᵀ J,      J = ∂embed(u)/∂u
/// ```
///
/// at the projection of `x`: exact, from `N` tangents pushed through the embedding. Brehmer & Cranmer
/// (2020), *Flows for simultaneous manifold learning and density estimation*, arXiv 2003.13913, eq. 4
/// to 7.
#[derive(Clone, Debug)]
pub(crate) struct ManifoldModel {
    pub(super) signature: ModelSignature,
    pub(super) embedding: Arc<dyn Embedding>,
    pub(super) h: Arc<dyn Bijector>,
    pub(super) base: Arc<dyn BaseDensity>,
    pub(super) off_manifold: Arc<dyn OffManifold>,
}

/// What a config settles of a model.
pub(crate) struct Parts {
    pub(crate) name: &'static str,
    pub(crate) embedding: Arc<dyn Embedding>,
    pub(crate) h: Arc<dyn Bijector>,
    pub(crate) base: Arc<dyn BaseDensity>,
    pub(crate) off_manifold: Arc<dyn OffManifold>,
    pub(crate) context_dim: usize,
}

impl ManifoldModel {
    pub(crate) fn new(parts: Parts, params: &Params<'_>) -> Self {
        let Parts { name, embedding, h, base, off_manifold, context_dim } = parts;
        let (d, n) = (embedding.data_dim(), embedding.manifold_dim());
        let density = off_manifold.density(embedding.as_ref());
        let noise_dim = off_manifold.noise_dim(embedding.as_ref());
        let signature = ModelSignature {
            name,
            data_dim: d,
            manifold_dim: n,
            charts: 1,
            context_dim: (context_dim > 0).then_some(context_dim),
            conditional_manifold: embedding.context_dim().is_some(),
            density,
            noise_dim,
            latent: base.describe(),
            latent_domain: base.domain(),
            dtype: params.dtype(),
            device: params.device().clone(),
        };
        Self { signature, embedding, h, base, off_manifold }
    }

    fn check(
        &self,
        op: &'static str,
        arg: &'static str,
        x: &Tensor,
        columns: usize,
        context: Option<&Tensor>,
    ) -> Result<()> {
        check_arguments(op, (arg, x, columns), (self.signature.context_dim, context))
    }

    fn check_data(&self, op: &'static str, x: &Tensor, context: Option<&Tensor>) -> Result<()> {
        self.check(op, "x", x, self.signature.data_dim, context)
    }
    fn check_latent(&self, op: &'static str, u: &Tensor, context: Option<&Tensor>) -> Result<()> {
        self.check(op, "latent", u, self.signature.manifold_dim, context)
    }

    fn check_shapes(
        &self,
        op: &'static str,
        arg: &'static str,
        x: &Tensor,
        columns: usize,
        context: Option<&Tensor>,
    ) -> Result<()> {
        check_shapes(op, (arg, x, columns), (self.signature.context_dim, context))
    }

    /// [`Model::coordinate_log_prob`] with tangents.
    pub(super) fn push_coordinate_log_prob(&self, u: &Dual, context: &Dual) -> Result<Dual> {
        let latent = self.h.push_inverse(u, Some(context))?;
        Ok(self.base.push_log_prob(&latent.value)?.add(&latent.log_abs_det)?)
    }

    /// [`Model::log_density`] of a model that knows nothing off its manifold.
    pub(super) fn log_density_on_manifold(
        &self,
        kind: Density,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Tensor> {
        let whole = self.signature.manifold_dim == self.signature.data_dim;
        // On all of R^D the two are the same.
        if kind == Density::Manifold || (kind == Density::Ambient && whole) {
            let u = self.embedding.coordinates(x, context)?;
            let of_u = self.coordinate_log_prob(&u, context)?;
            return Ok((of_u - self.embedding.log_volume(&u, context)?)?);
        }
        let reason = "it is a density on the manifold only; ask for the manifold density";
        self.lacks("log_density", reason)
    }
}

/// The score, from a log-density whose tangents are along the context.
pub(super) fn score_of(log_prob: &Dual, context: &Tensor) -> Result<Tensor> {
    Ok(match log_prob.tangents() {
        Some(rows) => rows.clone(),
        None => context.zeros_like()?,
    })
}

/// A context with the unit vectors as tangents, log-dets included.
pub(super) fn with_tangents(context: &Tensor) -> Result<Dual> {
    Ok(crate::chart::with_frame(context)?.with_log_det())
}

impl Model for ManifoldModel {
    fn signature(&self) -> &ModelSignature {
        &self.signature
    }
    fn embedding(&self) -> Option<&dyn Embedding> {
        Some(self.embedding.as_ref())
    }
    fn inverts(&self) -> bool {
        self.embedding.inverts()
    }

    fn log_density(&self, kind: Density, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check_data("log_prob", x, context)?;
        self.off_manifold.log_density(self, kind, x, context)
    }
    fn score(&self, x: &Tensor, context: &Tensor) -> Result<Tensor> {
        self.check_data("score", x, Some(context))?;
        self.off_manifold.score(self, x, context)
    }

    fn project(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check_data("project", x, context)?;
        let u = self.embedding.coordinates(x, context)?;
        self.embedding.embed(&u, context)
    }
    fn project_with_log_prob(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Projected> {
        self.check_data("project_with_log_prob", x, context)?;
        let u = self.embedding.coordinates(x, context)?;
        if self.signature.density == Some(Density::Manifold)
            && let Some((projection, volume)) = self.embedding.embed_with_volume(&u, context)?
        {
            let log_prob = (self.coordinate_log_prob(&u, context)? - volume)?;
            return Ok(Projected { projection, log_prob });
        }
        let projection = self.embedding.embed(&u, context)?;
        Ok(Projected { projection, log_prob: self.log_prob(x, context)? })
    }
    fn encode(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check_data("encode", x, context)?;
        let u = self.embedding.coordinates(x, context)?;
        Ok(self.h.inverse(&u, context)?.value)
    }
    fn decode(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check_latent("decode", latent, context)?;
        let u = self.h.forward(latent, context)?.value;
        self.embedding.embed(&u, context)
    }
    fn decode_jacobian(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check_latent("decode_jacobian", latent, context)?;
        let (b, n) = latent.dims2()?;
        let dual_context = context.map(<Dual as Diff>::constant);
        let latent = crate::chart::with_frame(latent)?;
        let u = self.h.push_forward(&latent, dual_context.as_ref())?;
        let rows = self.embedding.embed_with_jacobian(u.value.value(), context)?;
        // Chain rule on rows: dx/dũ = (du/dũ)(dx/du).
        match (u.value.tangents(), rows.tangents()) {
            (Some(of_h), Some(of_f)) if b > 0 => Ok(of_h.matmul(of_f)?),
            _ => {
                let (dtype, device) = (self.signature.dtype, &self.signature.device);
                Ok(host::zeros((b, n, self.signature.data_dim), dtype, device)?)
            }
        }
    }

    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check_data("coordinates", x, context)?;
        self.embedding.coordinates(x, context)
    }
    fn latents(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check_data("latents", x, context)?;
        match self.embedding.flow() {
            Some(f) => Ok(f.inverse(x, context)?.value),
            None => self.embedding.coordinates(x, context),
        }
    }
    fn coordinate_log_prob(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        // Values are not checked: training tells a loss that is not finite by where it happened.
        let n = self.signature.manifold_dim;
        self.check_shapes("coordinate_log_prob", "u", u, n, context)?;
        let latent = self.h.inverse(u, context)?;
        // log|det| of h⁻¹ is minus that of h.
        Ok((self.base.log_prob(&latent.value)? + latent.log_abs_det)?)
    }
    fn coordinate_score(&self, u: &Tensor, context: &Tensor) -> Result<Tensor> {
        let n = self.signature.manifold_dim;
        self.check_shapes("coordinate_score", "u", u, n, Some(context))?;
        let (u, dual) = (Dual::constant(u), with_tangents(context)?);
        score_of(&self.push_coordinate_log_prob(&u, &dual)?, context)
    }
    fn surrogate_log_prob(
        &self,
        x: &Tensor,
        context: Option<&Tensor>,
        noise: &Tensor,
    ) -> Result<Tensor> {
        self.check_data("surrogate_log_prob", x, context)?;
        if x.dim(0)? == 0 && self.signature.noise_dim > 0 {
            // candle cannot sum nothing.
            return Ok(host::zeros(0, self.signature.dtype, &self.signature.device)?);
        }
        self.off_manifold.surrogate_log_prob(self, x, context, noise)
    }

    fn latent_log_prob(&self, latent: &Tensor) -> Result<Tensor> {
        let n = self.signature.manifold_dim;
        check_columns("latent_log_prob", "latent", latent, n)?;
        check_finite("latent_log_prob", "latent", latent)?;
        self.base.log_prob(latent)
    }
    fn sample_latent(&self, rows: usize, stream: &mut Stream) -> Result<Tensor> {
        self.base.sample(rows, stream, self.signature.dtype, &self.signature.device)
    }
    fn sample_noise(&self, rows: usize, stream: &mut Stream) -> Result<Option<Tensor>> {
        let columns = self.off_manifold.sample_noise_dim(self.embedding.as_ref());
        if columns == 0 {
            return Ok(None);
        }
        let normal = StandardNormal { dim: columns };
        Ok(Some(normal.sample(rows, stream, self.signature.dtype, &self.signature.device)?))
    }
    fn decode_noisy(
        &self,
        latent: &Tensor,
        noise: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Tensor> {
        self.check_latent("decode_noisy", latent, context)?;
        let columns = self.off_manifold.sample_noise_dim(self.embedding.as_ref());
        let of_latents = latent.dim(0)?;
        if columns > 0 && noise.dims() != [of_latents, columns] {
            let (op, arg) = ("decode_noisy", "noise");
            let expected = format!("[{of_latents}, {columns}]");
            return Err(Error::Shape { op, arg, expected, found: noise.dims().to_vec() });
        }
        check_finite("decode_noisy", "noise", noise)?;
        self.off_manifold.decode_noisy(self, latent, noise, context)
    }

    fn observe(&self, x: &Tensor, context: Option<&Tensor>, part: Part) -> Result<()> {
        self.check_data("observe", x, context)?;
        match part {
            Part::Manifold => self.embedding.observe(x, context).map(drop)?,
            Part::Density => {
                let u = self.embedding.coordinates(x, context)?;
                self.h.observe(Direction::Inverse, &u, context).map(drop)?;
            }
        }
        Ok(())
    }
    fn training(&self, noise: &Noise) -> Result<Option<Box<dyn Model>>> {
        // Parts that a kind shares with the embedding must be dropped together.
        let (embedding, off_manifold) = match self.off_manifold.training(noise)? {
            Some(view) => (Some(view.embedding), view.off_manifold),
            None => (self.embedding.training(noise)?, self.off_manifold.clone()),
        };
        let h = self.h.training(noise)?;
        if embedding.is_none() && h.is_none() {
            return Ok(None);
        }
        Ok(Some(Box::new(Self {
            embedding: embedding.unwrap_or_else(|| self.embedding.clone()),
            h: h.unwrap_or_else(|| self.h.clone()),
            off_manifold,
            ..self.clone()
        })))
    }
}
