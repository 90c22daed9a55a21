//! Embeddings: the non-square maps `U -> R^D` whose image is the manifold.
use crate::Result;
use candle_core::{D, Tensor};
use mflow_bijectors::{Bijector, Dual};
use std::fmt::Debug;
use std::sync::Arc;

/// A differentiable map from coordinates `u` in `U`, of dimension `N`, onto a manifold in `R^D`, with
/// a projection back. Not a bijector: nobody can ask it for a determinant that it does not have.
///
/// **Shapes**: coordinates `[B, N]`, data `[B, D]`, context `[B, C]` (ignored by an unconditional
/// embedding), tangent rows `[B, N, D]`.
pub trait Embedding: Debug + Send + Sync {
    /// Dimension `N` of the manifold.
    fn manifold_dim(&self) -> usize;
    /// Dimension `D` of the data space.
    fn data_dim(&self) -> usize;
    /// Number of context features, if conditional.
    fn context_dim(&self) -> Option<usize>;
    /// The point of the manifold at `u`.
    ///
    /// # Errors
    /// If an argument does not fit.
    fn embed(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// The same with the rows of the Jacobian, `dx/du_i`, as tangents.
    ///
    /// # Errors
    /// If an argument does not fit.
    fn embed_with_jacobian(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Dual>;
    /// The coordinates of the projection of `x` onto the manifold.
    ///
    /// # Errors
    /// If an argument does not fit.
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
}

/// `x = f(u, 0)`: zero padding followed by a bijector of `R^D` (Brehmer & Cranmer 2020, eq. 4).
///
/// The projection drops the last `D - N` latents of `f⁻¹(x)`. Normalisation of data is the outermost
/// part of `f`: it shapes the volume of the manifold, so it must be seen by the tangents.
#[derive(Debug)]
pub struct PaddedFlow {
    f: Arc<dyn Bijector>,
    manifold_dim: usize,
}

impl PaddedFlow {
    /// The image of the first `manifold_dim` latents under `f`.
    ///
    /// # Errors
    /// If `manifold_dim` is not in `1..D` or `f` is no map of vectors.
    pub fn new(f: Arc<dyn Bijector>, manifold_dim: usize) -> Result<Self> {
        let shape = &f.signature().latent_shape;
        let d = shape.iter().product();
        if shape.len() != 1 || manifold_dim == 0 || manifold_dim >= d {
            let reason = format!(
                "must be at least 1 and less than the data dimension {d}, found {manifold_dim}"
            );
            return Err(mflow_bijectors::Error::config("manifold_dim", reason).into());
        }
        Ok(Self { f, manifold_dim })
    }

    fn pad(&self, u: &Tensor) -> candle_core::Result<Tensor> {
        u.pad_with_zeros(D::Minus1, 0, self.data_dim() - self.manifold_dim)
    }
}

impl Embedding for PaddedFlow {
    fn manifold_dim(&self) -> usize {
        self.manifold_dim
    }
    fn data_dim(&self) -> usize {
        self.f.signature().latent_shape[0]
    }
    fn context_dim(&self) -> Option<usize> {
        self.f.signature().context_dim
    }
    fn embed(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        Ok(self.f.forward(&self.pad(u)?, context)?.value)
    }
    fn embed_with_jacobian(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Dual> {
        let (b, n) = u.dims2()?;
        let frame = self.pad(&Tensor::eye(n, u.dtype(), u.device())?)?;
        let frame = frame.unsqueeze(0)?.broadcast_as((b, n, self.data_dim()))?.contiguous()?;
        let context = context.map(mflow_bijectors::Diff::constant);
        let x = Dual::new(self.pad(u)?, frame)?;
        Ok(self.f.push_forward(&x, context.as_ref())?.value)
    }
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let latents = self.f.inverse(x, context)?.value;
        Ok(latents.narrow(D::Minus1, 0, self.manifold_dim)?.contiguous()?)
    }
}
