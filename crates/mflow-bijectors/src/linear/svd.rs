//! A linear map by its singular values.
use super::householder::{OrthogonalConfig, check, piece, reflect};
use super::triangle::MIN_DIAGONAL;
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::kernel::split;
use crate::params::{Init, Params, Piece};
use crate::{Diff, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Config of [`SvdLinear`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SvdLinearConfig {
    /// Number of features.
    pub dim: usize,
    /// Number of reflections in each orthogonal factor.
    pub reflections: usize,
}

impl SvdLinearConfig {
    /// A linear map with as many reflections as an [`OrthogonalConfig`] in each factor.
    pub fn new(dim: usize) -> Self {
        Self { dim, reflections: OrthogonalConfig::new(dim).reflections }
    }
    /// With another number of reflections.
    #[must_use]
    pub fn with_reflections(self, reflections: usize) -> Self {
        Self { reflections, ..self }
    }

    /// Create the layer; parameters `orthogonal_1.q_vectors`, `orthogonal_2.q_vectors`,
    /// `unconstrained_diagonal`, `bias`.
    ///
    /// # Errors
    /// If a number is 0.
    pub fn build(&self, params: &mut Params<'_>) -> Result<SvdLinear> {
        let d = self.dim;
        check("svd_linear", d, self.reflections)?;
        let unit = (1. - MIN_DIAGONAL).exp_m1().ln();
        let theta = params.flat(vec![
            piece("orthogonal_1.q_vectors", d, self.reflections),
            piece("orthogonal_2.q_vectors", d, self.reflections),
            Piece::vector("unconstrained_diagonal", d, Init::Constant(unit)),
            Piece::vector("bias", d, Init::Constant(0.)),
        ])?;
        let signature = Signature::vector(d, params.dtype(), params.device());
        Ok(SvdLinear { theta, config: self.clone(), signature })
    }
}

/// `y = U S V x + b` with orthogonal `U` and `V` and the diagonal `S = 1e-3 + softplus`;
/// `log|det J| = Σ ln S_ii`.
///
/// **Shapes**: `[B, D]` to `[B, D]`. `U` (`orthogonal_1`) and `V` (`orthogonal_2`) are products of
/// Householder reflections; no direction solves a system.
///
/// **Reference**: the singular value decomposition, as in nflows.
#[derive(Debug)]
pub struct SvdLinear {
    theta: Tensor,
    config: SvdLinearConfig,
    signature: Signature,
}

impl Layer for SvdLinear {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    #[expect(clippy::indexing_slicing, reason = "`split` gives a part for each length")]
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let SvdLinearConfig { dim: d, reflections: r } = self.config;
        let parts = split(&self.theta, &[r * d, r * d, d, d])?;
        let (u, v) = (parts[0].reshape((r, d))?, parts[1].reshape((r, d))?);
        let diagonal = parts[2].unsqueeze(0)?.softplus()?.shift(MIN_DIAGONAL)?.squeeze(0)?;
        let bias = T::constant(&parts[3]);
        let log_abs_det = diagonal.log()?.sum_all()?;
        let (value, log_abs_det) = match direction {
            Direction::Forward => {
                let y = reflect(direction, x, &v)?.linear(|t| t.broadcast_mul(&diagonal))?;
                (reflect(direction, &y, &u)?.add(&bias)?, log_abs_det)
            }
            Direction::Inverse => {
                let y = reflect(direction, &x.sub(&bias)?, &u)?;
                let y = y.linear(|t| t.broadcast_div(&diagonal))?;
                (reflect(direction, &y, &v)?, log_abs_det.neg()?)
            }
        };
        let rows = x.value().dim(0)?;
        Ok(Mapped { value, log_abs_det: T::constant(&log_abs_det.broadcast_as(rows)?) })
    }
}
