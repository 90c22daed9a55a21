//! Coordinates from an encoder network, improved by steps towards the nearest point of the manifold.
use crate::Result;
use crate::embedding::Embedding;
use crate::gram::pseudo_inverse;
use candle_core::{D, Tensor};
use mflow_bijectors::{Bijector, Diff, Domain, Dual, Noise, host};
use std::sync::Arc;

/// Another embedding `g`, whose coordinates of a point are improved by Gauss-Newton steps,
///
/// ```text
/// u <- u + (J Jᵀ)⁻¹ J (x - g(u)),      J the rows dg/du_i, [N, D]
/// ```
///
/// towards the nearest point of its image. Of the codes on the way, each row keeps the one whose point is nearest to `x`.
/// An encoder network says roughly where a point lies. From there, if the point is on the manifold, a step squares the
/// error, so that a few steps invert the decoder to rounding.
///
/// The training view ([`Embedding::training`]) is `g` without steps, so that its encoder learns.
#[derive(Clone, Debug)]
pub(crate) struct Refined {
    pub(crate) embedding: Arc<dyn Embedding>,
    /// How many steps, at least 1.
    pub(crate) steps: usize,
    /// What differences of points are multiplied by, `[D]`: a point is near in units of the normalised data, so that
    /// the units of columns do not matter.
    pub(crate) units: Tensor,
}

/// The coordinates found for a batch so far, and what a step from there needs.
#[derive(Clone)]
struct Found {
    /// Coordinates, detached, `[B, N]`.
    u: Tensor,
    /// `x - g(u)` in units of the normalised data, `[B, D]`.
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
        let rest = (x - point.value())?.broadcast_mul(&self.units)?;
        let square = rest.detach().sqr()?.sum_keepdim(D::Minus1)?;
        let inverse = match point.tangents() {
            Some(rows) => pseudo_inverse(&rows.broadcast_mul(&self.units)?)?,
            None => {
                let (b, n) = u.dims2()?;
                host::zeros((b, n, x.dim(D::Minus1)?), x.dtype(), x.device())?
            }
        };
        Ok(Found { u, rest, square, inverse })
    }
}

impl Found {
    /// The step from here, `[B, N]`; differentiable in `x` and in the parameters of the embedding.
    fn step(&self) -> Result<Tensor> {
        Ok(self.inverse.matmul(&self.rest.unsqueeze(D::Minus1)?)?.squeeze(D::Minus1)?)
    }

    /// Row by row whichever of the two is nearer to `x`; `self` where `other` is not finite.
    fn nearer(&self, other: &Self) -> Result<Self> {
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
        let mut here = self.at(&start, x, context)?;
        let mut best = here.clone();
        for _ in 0..self.steps {
            here = self.at(&(&here.u + here.step()?)?, x, context)?;
            best = best.nearer(&here)?;
        }
        // The gradient is that of the step that would come next. The step is no part of the value; on the manifold it
        // is 0.
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
