//! Coordinates that are improved step by step: the nearest point of a manifold, from one that is near.
use crate::Result;
use crate::embedding::Embedding;
use crate::gram::pseudo_inverse;
use candle_core::{D, Tensor};
use mflow_bijectors::{Bijector, Diff, Domain, Dual, Noise};
use std::sync::Arc;

/// Another embedding whose coordinates of a point are improved by steps of Gauss and Newton,
///
/// ```text
/// u <- u + (J Jᵀ)⁻¹ J (x - g(u)),      J the rows dg/du_i
/// ```
///
/// towards the nearest point of its image, each row as far as it comes nearer. An encoder network says roughly
/// where a point lies; from there a step squares its error, so that on the manifold a few of them invert the
/// decoder to rounding. While training the coordinates are those of the embedding itself: it is they that learn.
#[derive(Clone, Debug)]
pub(crate) struct Refined {
    pub(crate) embedding: Arc<dyn Embedding>,
    pub(crate) steps: usize,
}

/// Where the points of a batch are, so far.
struct Found {
    /// Coordinates, detached, `[B, N]`.
    u: Tensor,
    /// `x - g(u)`, `[B, D]`.
    rest: Tensor,
    /// `|x - g(u)|²`, detached, `[B, 1]`.
    square: Tensor,
    /// The rows of `(J Jᵀ)⁻¹ J`, detached, `[B, N, D]`.
    inverse: Tensor,
}

impl Refined {
    fn at(&self, u: &Tensor, x: &Tensor, context: Option<&Tensor>) -> Result<Found> {
        let u = u.detach();
        let point = self.embedding.embed_with_jacobian(&u, context)?;
        let rest = (x - point.value())?;
        let square = rest.detach().sqr()?.sum_keepdim(D::Minus1)?;
        let inverse = match point.tangents() {
            Some(rows) => pseudo_inverse(rows)?,
            None => {
                let (b, n) = u.dims2()?;
                Tensor::zeros((b, n, x.dim(D::Minus1)?), x.dtype(), x.device())?
            }
        };
        Ok(Found { u, rest, square, inverse })
    }
}

impl Found {
    /// The step from here, `[B, N]`; differentiable in the point and in the embedding.
    fn step(&self) -> Result<Tensor> {
        Ok(self.inverse.matmul(&self.rest.unsqueeze(D::Minus1)?)?.squeeze(D::Minus1)?)
    }

    /// Row by row whichever is nearer; the former where the latter is not finite.
    fn nearer(self, other: Self) -> Result<Self> {
        let better = other.square.lt(&self.square)?;
        let pick = |a: &Tensor, b: &Tensor| -> Result<Tensor> {
            let mut mask = better.clone();
            while mask.rank() < a.rank() {
                mask = mask.unsqueeze(D::Minus1)?;
            }
            Ok(mask.broadcast_as(a.shape())?.where_cond(a, b)?)
        };
        Ok(Self {
            u: pick(&other.u, &self.u)?,
            rest: pick(&other.rest, &self.rest)?,
            square: pick(&other.square, &self.square)?,
            inverse: pick(&other.inverse, &self.inverse)?,
        })
    }
}

impl Embedding for Refined {
    fn manifold_dim(&self) -> usize {
        self.embedding.manifold_dim()
    }
    fn data_dim(&self) -> usize {
        self.embedding.data_dim()
    }
    fn context_dim(&self) -> Option<usize> {
        self.embedding.context_dim()
    }
    fn domain(&self) -> Domain {
        self.embedding.domain()
    }
    fn embed(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.embedding.embed(u, context)
    }
    fn embed_with_jacobian(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Dual> {
        self.embedding.embed_with_jacobian(u, context)
    }
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let start = self.embedding.coordinates(x, context)?;
        if x.dim(0)? == 0 {
            return Ok(start);
        }
        let mut best = self.at(&start, x, context)?;
        let mut u = (&best.u + best.step()?)?;
        for _ in 0..self.steps {
            let next = self.at(&u, x, context)?;
            u = (&next.u + next.step()?)?;
            best = best.nearer(next)?;
        }
        // What moves with the point and with the embedding is the step that would come next; it is zero on the
        // manifold, and no part of the value.
        let step = best.step()?;
        Ok((&best.u + (&step - step.detach())?)?)
    }
    fn log_volume(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.embedding.log_volume(u, context)
    }
    fn embed_with_volume(
        &self,
        u: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Option<(Tensor, Tensor)>> {
        self.embedding.embed_with_volume(u, context)
    }
    fn inverts(&self) -> bool {
        self.embedding.inverts()
    }
    fn flow(&self) -> Option<&Arc<dyn Bijector>> {
        self.embedding.flow()
    }
    fn observe(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.embedding.observe(x, context)
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Embedding>>> {
        Ok(Some(self.embedding.training(noise)?.unwrap_or_else(|| self.embedding.clone())))
    }
}
