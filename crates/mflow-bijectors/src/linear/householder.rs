//! Orthogonal maps as products of Householder reflections.
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::count::check_square;
use crate::params::{Init, Params, Piece};
use crate::shape::no_log_det;
use crate::{Diff, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Config of [`Orthogonal`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OrthogonalConfig {
    /// Number of features.
    pub dim: usize,
    /// Number of reflections; `dim` of them reach every orthogonal matrix.
    pub reflections: usize,
}

impl OrthogonalConfig {
    /// A product of as many reflections as there are features, or one less if that number is odd:
    /// with an even number the map can start as the identity.
    pub fn new(dim: usize) -> Self {
        Self { dim, reflections: dim - dim % 2 }.with_at_least_one()
    }
    fn with_at_least_one(self) -> Self {
        Self { reflections: self.reflections.max(1), ..self }
    }
    /// With another number of reflections.
    #[must_use]
    pub fn with_reflections(self, reflections: usize) -> Self {
        Self { reflections, ..self }
    }

    /// Create the layer; its parameter is `q_vectors`, `[reflections, D]`.
    ///
    /// # Errors
    /// If a number is 0.
    pub fn build(&self, params: &mut Params<'_>) -> Result<Orthogonal> {
        check("orthogonal", self.dim, self.reflections)?;
        let theta = params.flat(vec![piece("q_vectors", self.dim, self.reflections)])?;
        let vectors = theta.reshape((self.reflections, self.dim))?;
        let signature = Signature::vector(self.dim, params.dtype(), params.device());
        Ok(Orthogonal { vectors, signature: signature.with_conformal(true) })
    }
}

/// Whether a product of reflections can be built.
pub(super) fn check(kind: &str, dim: usize, reflections: usize) -> Result<()> {
    for (field, v) in [("dim", dim), ("reflections", reflections)] {
        check_square(format!("{kind}.{field}"), v)?;
    }
    Ok(())
}

/// Vectors in equal pairs, so that the product of an even number of reflections starts as the
/// identity; unit vectors, as far as there are any, the rest repeated.
#[expect(clippy::integer_division_remainder_used, reason = "`check` has refused a dimension of 0")]
pub(super) fn piece(name: &str, dim: usize, reflections: usize) -> Piece {
    let unit = |r: usize| (0..dim).map(move |i| f64::from(i == (r / 2) % dim));
    let values = (0..reflections).flat_map(unit).collect();
    Piece::array(name, &[reflections, dim], Init::Values(values))
}

/// Reflect `x` at the planes orthogonal to the rows of `vectors: [R, D]`: first to last, or last to
/// first in the inverse direction. Each `x <- x - 2 (x·q)/(q·q) q`.
pub(super) fn reflect<T: Diff>(direction: Direction, x: &T, vectors: &Tensor) -> Result<T> {
    let n = vectors.dim(0)?;
    let mut x = x.clone();
    for i in 0..n {
        let i = if direction == Direction::Forward { i } else { n - 1 - i };
        let q = vectors.narrow(0, i, 1)?;
        let twice = (q.broadcast_div(&q.sqr()?.sum_keepdim(1)?)? * 2.)?;
        let along = x.matmul(&q.t()?.contiguous()?)?;
        x = x.sub(&along.matmul(&twice)?)?;
    }
    Ok(x)
}

/// `y = Q x` with `Q` the product of reflections `I - 2 q qᵀ/|q|²`; `log|det J| = 0`.
///
/// **Shapes**: `[B, D]` to `[B, D]`. Conformal with factor 1. The first row of `q_vectors` acts
/// first in `forward`.
///
/// **Reference**: Tomczak & Welling (2016), arXiv 1611.09630, section 2.2; as in nflows.
#[derive(Debug)]
pub struct Orthogonal {
    vectors: Tensor,
    signature: Signature,
}

impl Layer for Orthogonal {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let value = reflect(direction, x, &self.vectors)?;
        Ok(Mapped { value, log_abs_det: no_log_det(x)? })
    }
}
