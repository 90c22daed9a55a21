//! The manifold-learning flow.
use crate::base::{BaseDensity, StandardNormal};
use crate::embedding::{Embedding, PaddedFlow};
use crate::model::{Model, ModelSignature, check_finite};
use crate::{Error, Result};
use candle_core::Tensor;
use mflow_bijectors::{
    Bijector, Chain, Diff, Dual, FeatureAffineConfig, LinearKind, ParamStore, SplineFlowConfig,
    Stream,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Config of [`MFlow`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MFlowConfig {
    /// Number of features `D` of the data.
    pub data_dim: usize,
    /// Dimension `N` of the manifold, `1 <= N < D`.
    pub manifold_dim: usize,
    /// Number of context features `C`, 0 for none.
    #[serde(default)]
    pub context_dim: usize,
    /// Whether the manifold too, not only the density on it, depends on the context.
    #[serde(default)]
    pub conditional_manifold: bool,
    /// The outer flow `f`, on `R^D`; by default with trained linear maps, so that the manifold can turn
    /// to face the data from whatever permutations the seed draws.
    #[serde(default = "default_outer")]
    pub outer: SplineFlowConfig,
    /// The inner flow `h`, on `R^N`.
    #[serde(default)]
    pub inner: SplineFlowConfig,
    /// From normalised to original data; the outermost part of `f`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization: Option<FeatureAffineConfig>,
}

fn default_outer() -> SplineFlowConfig {
    let mut flow = SplineFlowConfig::default();
    flow.linear = LinearKind::Lu;
    flow
}

impl MFlowConfig {
    /// The published flows of the polynomial surface, but for trained linear maps in `f`;
    /// unconditional, without normalisation.
    pub fn new(data_dim: usize, manifold_dim: usize) -> Self {
        Self {
            data_dim,
            manifold_dim,
            context_dim: 0,
            conditional_manifold: false,
            outer: default_outer(),
            inner: SplineFlowConfig::default(),
            normalization: None,
        }
    }
    /// With `context_dim` context features for the density.
    #[must_use]
    pub fn with_context(self, context_dim: usize) -> Self {
        Self { context_dim, ..self }
    }
    /// With a manifold that depends on the context as well.
    #[must_use]
    pub fn with_conditional_manifold(self) -> Self {
        Self { conditional_manifold: true, ..self }
    }
    /// With other flows.
    #[must_use]
    pub fn with_flows(self, outer: SplineFlowConfig, inner: SplineFlowConfig) -> Self {
        Self { outer, inner, ..self }
    }
    /// With normalisation of data.
    #[must_use]
    pub fn with_normalization(self, normalization: FeatureAffineConfig) -> Self {
        Self { normalization: Some(normalization), ..self }
    }

    /// Build over `store`; see [`crate::ModelConfig::build`]. Parameters are named `outer.*` and
    /// `inner.*`.
    ///
    /// # Errors
    /// If a field is out of range or a loaded parameter does not fit.
    pub fn build(&self, store: &mut ParamStore, trained: impl Fn(&str) -> bool) -> Result<MFlow> {
        let (d, n, c) = (self.data_dim, self.manifold_dim, self.context_dim);
        if n == 0 || n >= d {
            let reason = format!("must be at least 1 and less than data_dim = {d}, found {n}");
            return Err(mflow_bijectors::Error::config("manifold_dim", reason).into());
        }
        if let Some(columns) = self.normalization.as_ref().map(|a| a.scale.len())
            && columns != d
        {
            let reason = format!("must have data_dim = {d} columns, found {columns}");
            return Err(mflow_bijectors::Error::config("normalization", reason).into());
        }
        let of_manifold = if self.conditional_manifold { c } else { 0 };
        let (f, h) = store.build(trained, |params| {
            let outer = self.outer.bijector(d, of_manifold)?.build(&mut params.scope("outer"))?;
            let mut parts = vec![outer];
            if let Some(normalization) = &self.normalization {
                parts.push(Arc::new(normalization.build(params)?));
            }
            let inner = self.inner.bijector(n, c)?.build(&mut params.scope("inner"))?;
            Ok((Chain::new(parts)?, inner))
        })?;
        let signature = ModelSignature {
            data_dim: d,
            manifold_dim: n,
            context_dim: (c > 0).then_some(c),
            dtype: store.dtype(),
            device: store.device().clone(),
        };
        let embedding = Box::new(PaddedFlow::new(Arc::new(f), n)?);
        Ok(MFlow { embedding, h, base: Box::new(StandardNormal { dim: n }), signature })
    }
}

/// A manifold-learning flow: `x = f(u, 0)`, `u = h(ũ)`, `ũ` standard normal on `R^N`.
///
/// ```text
/// log p(x) = log p(ũ) - log|det J_h(ũ)| - ½ log det[(1 0) J_f(u)ᵀ J_f(u) (1 0)ᵀ]
/// ```
///
/// at the projection of `x`: exact, from `N` tangents pushed through `f`. Brehmer & Cranmer (2020),
/// *Flows for simultaneous manifold learning and density estimation*, arXiv 2003.13913, eq. 4 to 7.
#[derive(Debug)]
pub struct MFlow {
    embedding: Box<dyn Embedding>,
    h: Arc<dyn Bijector>,
    base: Box<dyn BaseDensity>,
    signature: ModelSignature,
}

impl MFlow {
    /// The manifold: `u -> f(u, 0)`.
    pub fn embedding(&self) -> &dyn Embedding {
        self.embedding.as_ref()
    }

    /// [`Self::check_shapes`], and refuse non-finite values.
    fn check(
        &self,
        op: &'static str,
        arg: &'static str,
        x: &Tensor,
        columns: usize,
        context: Option<&Tensor>,
    ) -> Result<()> {
        self.check_shapes(op, arg, x, columns, context)?;
        check_finite(op, arg, x)?;
        context.map_or(Ok(()), |c| check_finite(op, "context", c))
    }

    /// Refuse arguments that the layers would not: a context nobody asked for, a wrong shape of data
    /// (named as the caller knows it).
    fn check_shapes(
        &self,
        op: &'static str,
        arg: &'static str,
        x: &Tensor,
        columns: usize,
        context: Option<&Tensor>,
    ) -> Result<()> {
        let shape = |arg, expected: String, t: &Tensor| {
            Err(Error::Shape { op, arg, expected, found: t.dims().to_vec() })
        };
        if x.dims().len() != 2 || x.dims()[1] != columns {
            return shape(arg, format!("[B, {columns}]"), x);
        }
        match (self.signature.context_dim, context) {
            (Some(c), Some(t)) if t.dims() != [x.dims()[0], c] => {
                shape("context", format!("[{}, {c}]", x.dims()[0]), t)
            }
            (Some(c), None) => {
                Err(mflow_bijectors::Error::MissingContext { op, expected: c }.into())
            }
            (None, Some(t)) => shape("context", "none: the model is unconditional".into(), t),
            (Some(_), Some(_)) | (None, None) => Ok(()),
        }
    }
}

impl Model for MFlow {
    fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    fn log_prob(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check("log_prob", "x", x, self.signature.data_dim, context)?;
        let u = self.embedding.coordinates(x, context)?;
        let of_u = self.coordinate_log_prob(&u, context)?;
        Ok((of_u - self.embedding.log_volume(&u, context)?)?)
    }
    fn project(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check("project", "x", x, self.signature.data_dim, context)?;
        let u = self.embedding.coordinates(x, context)?;
        self.embedding.embed(&u, context)
    }
    fn encode(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check("encode", "x", x, self.signature.data_dim, context)?;
        let u = self.embedding.coordinates(x, context)?;
        Ok(self.h.inverse(&u, context)?.value)
    }
    fn decode(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check("decode", "latent", latent, self.signature.manifold_dim, context)?;
        let u = self.h.forward(latent, context)?.value;
        self.embedding.embed(&u, context)
    }
    fn decode_jacobian(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check("decode_jacobian", "latent", latent, self.signature.manifold_dim, context)?;
        let (b, n) = latent.dims2()?;
        let frame = Tensor::eye(n, latent.dtype(), latent.device())?;
        let frame = frame.unsqueeze(0)?.broadcast_as((b, n, n))?.contiguous()?;
        let dual_context = context.map(<Dual as Diff>::constant);
        let u = self.h.push_forward(&Dual::new(latent.clone(), frame)?, dual_context.as_ref())?;
        let rows = self.embedding.embed_with_jacobian(u.value.value(), context)?;
        // Chain rule on rows: dx/dũ = (du/dũ)(dx/du).
        match (u.value.tangents(), rows.tangents()) {
            (Some(of_h), Some(of_f)) => Ok(of_h.matmul(of_f)?),
            _ => {
                Ok(Tensor::zeros((b, n, self.signature.data_dim), latent.dtype(), latent.device())?)
            }
        }
    }

    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check("coordinates", "x", x, self.signature.data_dim, context)?;
        self.embedding.coordinates(x, context)
    }
    fn coordinate_log_prob(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        // Values are not checked: training tells a loss that is not finite by where it happened.
        let n = self.signature.manifold_dim;
        self.check_shapes("coordinate_log_prob", "u", u, n, context)?;
        let latent = self.h.inverse(u, context)?;
        // log|det| of h⁻¹ is minus that of h.
        Ok((self.base.log_prob(&latent.value)? + latent.log_abs_det)?)
    }

    fn sample_latent(&self, rows: usize, stream: &mut Stream) -> Result<Tensor> {
        self.base.sample(rows, stream, self.signature.dtype, &self.signature.device)
    }
}
