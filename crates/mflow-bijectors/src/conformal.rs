//! Conformal maps: `J Jᵀ = λ(x)² I`, so that `ln λ` is `log|det J|` divided by the dimension.
//!
//! With [`crate::Orthogonal`] and permutations these generate all
//! conformal maps of three dimensions or more (Liouville). A map that is known to be conformal says so
//! in its [`crate::Signature`]; the volume element of `N` tangents is then `N ln λ` in closed form.
//! Ross & Cresswell (2021), *Conformal Embedding Flows*, arXiv 2106.05275, section 3.2.
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::count::check_features;
use crate::domain::Domain;
use crate::kernel::split;
use crate::params::{Init, Params, Piece};
use crate::{Diff, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Config of a [`Scaling`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ScalingConfig {
    /// Number of features.
    pub dim: usize,
}

impl ScalingConfig {
    /// A map of `dim` features, initially the identity.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }

    /// Create the layer; parameters `log_scale`, `[1]`, and `shift`, `[D]`.
    ///
    /// # Errors
    /// If `dim` is 0.
    pub fn build(&self, params: &mut Params<'_>) -> Result<Scaling> {
        let d = self.dim;
        check_features("scaling.dim", d)?;
        let theta = params.flat(vec![
            Piece::vector("log_scale", 1, Init::Constant(0.)),
            Piece::vector("shift", d, Init::Constant(0.)),
        ])?;
        let signature = Signature::vector(d, params.dtype(), params.device());
        Ok(Scaling { theta, signature: signature.with_conformal(true) })
    }
}

/// `y = exp(s) x + t` with one number `s` for all features; `ln λ = s` and `log|det J| = D s`.
///
/// **Shapes**: `[B, D]` to `[B, D]`.
#[derive(Debug)]
pub struct Scaling {
    theta: Tensor,
    signature: Signature,
}

impl Layer for Scaling {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "a signature of vectors has one axis, and `split` gives a part for each length"
    )]
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let d = self.signature.latent_shape[0];
        let parts = split(&self.theta, &[1, d])?;
        let shift = T::constant(&parts[1]);
        let (value, log_scale) = match direction {
            Direction::Forward => {
                let scale = parts[0].exp()?;
                (x.linear(|t| t.broadcast_mul(&scale))?.add(&shift)?, parts[0].clone())
            }
            Direction::Inverse => {
                let log_scale = parts[0].neg()?;
                let scale = log_scale.exp()?;
                (x.sub(&shift)?.linear(|t| t.broadcast_mul(&scale))?, log_scale)
            }
        };
        let log_abs_det = (log_scale * d as f64)?.broadcast_as(x.value().dim(0)?)?;
        Ok(Mapped { value, log_abs_det: T::constant(&log_abs_det) })
    }
}

/// Config of a [`SpecialConformal`] map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SpecialConformalConfig {
    /// Number of features.
    pub dim: usize,
}

impl SpecialConformalConfig {
    /// A map of `dim` features, initially near the identity.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }

    /// Create the layer; its parameter is `b`, `[D]`.
    ///
    /// # Errors
    /// If `dim` is 0.
    pub fn build(&self, params: &mut Params<'_>) -> Result<SpecialConformal> {
        check_features("special_conformal.dim", self.dim)?;
        // Small, so that the pole starts far out.
        let b = params.flat(vec![Piece::vector("b", self.dim, Init::uniform(0.02))])?;
        Ok(SpecialConformal { b, signature: signature(self.dim, params) })
    }
}

fn signature(dim: usize, params: &Params<'_>) -> Signature {
    Signature::vector(dim, params.dtype(), params.device())
        .between(Domain::RealsExceptPole, Domain::RealsExceptPole)
        .with_conformal(true)
}

/// `y = (x - b |x|²) / (1 - 2 b·x + |b|² |x|²)`, an inversion, a translation by `-b` and another
/// inversion; `ln λ = -ln(1 - 2 b·x + |b|² |x|²)` and `log|det J| = D ln λ`.
///
/// **Shapes**: `[B, D]` to `[B, D]`. The inverse is the same map with `-b`. The poles are `b/|b|²` and,
/// of the inverse, `-b/|b|²`: there the value is infinite or NaN.
///
/// **Reference**: Ross & Cresswell (2021), arXiv 2106.05275, section 3.2.
#[derive(Debug)]
pub struct SpecialConformal {
    b: Tensor,
    signature: Signature,
}

impl Layer for SpecialConformal {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "a signature of vectors has one axis, and `split` gives a part for each length"
    )]
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let b = match direction {
            Direction::Forward => self.b.clone(),
            Direction::Inverse => self.b.neg()?,
        };
        let norm = x.mul(x)?.sum_last()?.unsqueeze_last()?;
        let shifted = x.sub(&norm.mul(&T::constant(&b))?)?;
        let along = x.matmul(&b.unsqueeze(1)?)?.scale(-2.)?;
        let b_norm = T::constant(&b.sqr()?.sum_all()?.reshape(1)?);
        let sum = along.add(&norm.mul(&b_norm)?)?.shift(1.)?;
        // The denominator is |x - b |x|²|²/|x|² too: near the pole, where the sum cancels, that keeps
        // digits and goes to zero with the numerator; at the origin the sum is exact.
        let near = sum.value().lt(0.25)?;
        let far = near.eq(0u8)?;
        let safe = norm.masked(&near)?.add(&T::constant(&far.to_dtype(x.value().dtype())?))?;
        let ratio = shifted.mul(&shifted)?.sum_last()?.unsqueeze_last()?.div(&safe)?;
        let scale = sum.masked(&far)?.add(&ratio.masked(&near)?)?;
        let value = shifted.div(&scale)?;
        let d = self.signature.latent_shape[0] as f64;
        Ok(Mapped { value, log_abs_det: scale.ln()?.scale(-d)?.sum_last()? })
    }
}

/// Config of an [`Inversion`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct InversionConfig {
    /// Number of features.
    pub dim: usize,
}

impl InversionConfig {
    /// The inversion of `dim` features.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }

    /// Create the layer.
    ///
    /// # Errors
    /// If `dim` is 0.
    pub fn build(&self, params: &Params<'_>) -> Result<Inversion> {
        check_features("inversion.dim", self.dim)?;
        Ok(Inversion { signature: signature(self.dim, params) })
    }
}

/// `y = x/|x|²`, its own inverse; `ln λ = -ln |x|²` and `log|det J| = D ln λ`.
///
/// **Shapes**: `[B, D]` to `[B, D]`. The pole is the origin: there the value is NaN.
#[derive(Debug)]
pub struct Inversion {
    signature: Signature,
}

impl Layer for Inversion {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "a signature of vectors has one axis, and `split` gives a part for each length"
    )]
    fn apply<T: Diff>(&self, _: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let norm = x.mul(x)?.sum_last()?.unsqueeze_last()?;
        let d = self.signature.latent_shape[0] as f64;
        Ok(Mapped { value: x.div(&norm)?, log_abs_det: norm.ln()?.scale(-d)?.sum_last()? })
    }
}
