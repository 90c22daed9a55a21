//! Triangular matrices from flat vectors of their entries.
use crate::Result;
use crate::coupling::indices;
use crate::params::Params;
use candle_core::Tensor;

/// Smallest diagonal entry where it is `1e-3 + softplus`, as in nflows.
pub(super) const MIN_DIAGONAL: f64 = 1e-3;

/// Where the entries of a triangle off its diagonal lie in a `[D, D]` matrix; row by row in the flat
/// vector, as nflows stores them.
#[derive(Debug)]
pub(super) struct Triangle {
    dim: usize,
    /// Numbers of the entries in `[entries, 0]`, `[D D]`.
    index: Tensor,
}

impl Triangle {
    /// The triangle below the diagonal.
    pub(super) fn lower(dim: usize, field: &str, params: &Params<'_>) -> Result<Self> {
        let below = |i: usize, j: usize| (j < i).then(|| i * (i - 1) / 2 + j);
        Self::new(dim, field, params, below)
    }
    /// The triangle above the diagonal.
    pub(super) fn upper(dim: usize, field: &str, params: &Params<'_>) -> Result<Self> {
        let above = |i: usize, j: usize| (j > i).then(|| i * (2 * dim - i - 1) / 2 + (j - i - 1));
        Self::new(dim, field, params, above)
    }
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "entries are numbered only where there are some"
    )]
    fn new(
        dim: usize,
        field: &str,
        params: &Params<'_>,
        at: impl Fn(usize, usize) -> Option<usize>,
    ) -> Result<Self> {
        let zero = Self::entries(dim);
        let all: Vec<usize> =
            (0..dim * dim).map(|e| at(e / dim, e % dim).unwrap_or(zero)).collect();
        Ok(Self { dim, index: indices(field, &all, params.device())? })
    }

    /// Number of entries off the diagonal.
    pub(super) fn entries(dim: usize) -> usize {
        dim * dim.saturating_sub(1) / 2
    }

    /// The matrix with these entries and this diagonal.
    pub(super) fn matrix(&self, entries: &Tensor, diagonal: &Tensor) -> Result<Tensor> {
        let (dtype, device) = (entries.dtype(), entries.device());
        let zero = Tensor::zeros(1, dtype, device)?;
        // A matrix of one number has no entries off the diagonal.
        let entries = match entries.elem_count() {
            0 => zero,
            _ => Tensor::cat(&[entries, &zero], 0)?,
        };
        let off = entries.index_select(&self.index, 0)?.reshape((self.dim, self.dim))?;
        Ok((off + Tensor::eye(self.dim, dtype, device)?.broadcast_mul(diagonal)?)?)
    }
}
