//! A linear map by its QR factors.
use super::householder::{OrthogonalConfig, check, piece, reflect};
use super::inverse::LowerInverse;
use super::triangle::Triangle;
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::kernel::split;
use crate::params::{Init, Params, Piece};
use crate::{Diff, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Config of [`QrLinear`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct QrLinearConfig {
    /// Number of features.
    pub dim: usize,
    /// Number of reflections in `Q`.
    pub reflections: usize,
}

impl QrLinearConfig {
    /// A linear map with as many reflections as an [`OrthogonalConfig`].
    pub fn new(dim: usize) -> Self {
        Self { dim, reflections: OrthogonalConfig::new(dim).reflections }
    }
    /// With another number of reflections.
    #[must_use]
    pub fn with_reflections(self, reflections: usize) -> Self {
        Self { reflections, ..self }
    }

    /// Create the layer; parameters `upper_entries`, `log_upper_diag`, `orthogonal.q_vectors`, `bias`.
    ///
    /// # Errors
    /// If a number is 0.
    pub fn build(&self, params: &mut Params<'_>) -> Result<QrLinear> {
        let d = self.dim;
        check("qr_linear", d, self.reflections)?;
        let off = Triangle::entries(d);
        let theta = params.flat(vec![
            Piece::vector("upper_entries", off, Init::Constant(0.)),
            Piece::vector("log_upper_diag", d, Init::Constant(0.)),
            piece("orthogonal.q_vectors", d, self.reflections),
            Piece::vector("bias", d, Init::Constant(0.)),
        ])?;
        let upper = Triangle::upper(d, "qr_linear.dim", params)?;
        let signature = Signature::vector(d, params.dtype(), params.device());
        let inverse = LowerInverse::new(d, "qr_linear.dim", params)?;
        Ok(QrLinear { theta, upper, inverse, config: self.clone(), signature })
    }
}

/// `y = Q R x + b` with an orthogonal `Q` and an upper triangular `R` whose diagonal is `exp`;
/// `log|det J| = Σ ln R_ii`.
///
/// **Shapes**: `[B, D]` to `[B, D]`. `Q` is a product of Householder reflections.
///
/// **Reference**: Hoogeboom, van den Berg & Welling (2019), arXiv 1901.11137, section 3.3; as in
/// nflows.
#[derive(Debug)]
pub struct QrLinear {
    theta: Tensor,
    upper: Triangle,
    inverse: LowerInverse,
    config: QrLinearConfig,
    signature: Signature,
}

impl Layer for QrLinear {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    #[expect(clippy::indexing_slicing, reason = "`split` gives a part for each length")]
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let QrLinearConfig { dim: d, reflections } = self.config;
        let parts = split(&self.theta, &[Triangle::entries(d), d, reflections * d, d])?;
        let (log_diagonal, bias) = (&parts[1], T::constant(&parts[3]));
        let vectors = parts[2].reshape((reflections, d))?;
        let r = self.upper.matrix(&parts[0], &log_diagonal.exp()?)?;
        let (value, log_abs_det) = match direction {
            Direction::Forward => {
                let y = reflect(direction, &x.matmul(&r.t()?.contiguous()?)?, &vectors)?;
                (y.add(&bias)?, log_diagonal.sum_all()?)
            }
            Direction::Inverse => {
                // Row vectors: x = (Q⁻¹ (y - b)) R⁻ᵀ, and Rᵀ is lower triangular.
                let y = reflect(direction, &x.sub(&bias)?, &vectors)?;
                let inverse = self.inverse.of(&r.t()?.contiguous()?)?;
                (y.matmul(&inverse)?, log_diagonal.sum_all()?.neg()?)
            }
        };
        let rows = x.value().dim(0)?;
        Ok(Mapped { value, log_abs_det: T::constant(&log_abs_det.broadcast_as(rows)?) })
    }
}
