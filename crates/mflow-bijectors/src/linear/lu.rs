//! A linear map by its LU factors.
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::kernel::{split, triangular};
use crate::params::{Init, Params, Piece};
use crate::{Diff, Error, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Config of [`LuLinear`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LuLinearConfig {
    /// Number of features.
    pub dim: usize,
}

/// Smallest diagonal entry of `U`, as in nflows.
const MIN_DIAGONAL: f64 = 1e-3;

impl LuLinearConfig {
    /// A linear map of `dim` features, initially the identity.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }

    /// Create the layer; parameters `lower_entries`, `upper_entries`, `unconstrained_upper_diag`,
    /// `bias` in the order of nflows.
    ///
    /// # Errors
    /// If `dim` is 0.
    pub fn build(&self, params: &mut Params<'_>) -> Result<LuLinear> {
        let d = self.dim;
        if d == 0 {
            return Err(Error::config("lu_linear.dim", "must be positive, found 0"));
        }
        let off = d * (d - 1) / 2;
        let unit = (1. - MIN_DIAGONAL).exp_m1().ln();
        let theta = params.flat(vec![
            Piece::vector("lower_entries", off, Init::Constant(0.)),
            Piece::vector("upper_entries", off, Init::Constant(0.)),
            Piece::vector("unconstrained_upper_diag", d, Init::Constant(unit)),
            Piece::vector("bias", d, Init::Constant(0.)),
        ])?;
        // Entry (i, j) of a triangle by its number in `[entries below the diagonal row by row, 0]`.
        let below = |i: usize, j: usize| if j < i { i * (i - 1) / 2 + j } else { off };
        // nflows stores the upper triangle row by row as well.
        let above = |i: usize, j: usize| {
            if j > i { i * (2 * d - i - 1) / 2 + (j - i - 1) } else { off }
        };
        let index = |at: &dyn Fn(usize, usize) -> usize| -> Result<Tensor> {
            let all = (0..d * d).map(|e| u32::try_from(at(e / d, e % d)));
            let all = all.collect::<std::result::Result<Vec<_>, _>>();
            let all = all.map_err(|e| Error::config("lu_linear.dim", e.to_string()))?;
            Ok(Tensor::from_vec(all, d * d, params.device())?)
        };
        let signature = Signature::vector(d, params.dtype(), params.device());
        Ok(LuLinear { theta, lower: index(&below)?, upper: index(&above)?, signature })
    }
}

/// `y = L U x + b` with a unit lower triangular `L` and an upper triangular `U` whose diagonal is
/// `1e-3 + softplus`; `log|det J| = Σ log U_ii`.
///
/// **Shapes**: `[B, D]` to `[B, D]`. The inverse multiplies by the inverse factors, which are
/// computed once per call by substitution in f64.
///
/// **Reference**: Oliva et al. (2018), *Transformation Autoregressive Networks*, arXiv 1801.09819;
/// Kingma & Dhariwal (2018), *Glow*, arXiv 1807.03039, section 3.2.
#[derive(Debug)]
pub struct LuLinear {
    theta: Tensor,
    /// Where the entries of the triangles are, `[D D]`.
    lower: Tensor,
    upper: Tensor,
    signature: Signature,
}

/// The factors of an [`LuLinear`], as tensors.
struct Factors {
    l: Tensor,
    u: Tensor,
    bias: Tensor,
    log_abs_det: Tensor,
}

impl LuLinear {
    fn factors(&self) -> Result<Factors> {
        let d = self.signature.latent_shape[0];
        let off = d * (d - 1) / 2;
        let (diagonal, bias, lower, upper) = if off > 0 {
            let parts = split(&self.theta, &[off, off, d, d])?;
            (parts[2].clone(), parts[3].clone(), Some(parts[0].clone()), Some(parts[1].clone()))
        } else {
            let parts = split(&self.theta, &[d, d])?;
            (parts[0].clone(), parts[1].clone(), None, None)
        };
        let (dtype, device) = (self.theta.dtype(), self.theta.device());
        let zero = Tensor::zeros(1, dtype, device)?;
        let triangle = |entries: Option<Tensor>, index: &Tensor| -> Result<Tensor> {
            let entries = match entries {
                Some(entries) => Tensor::cat(&[&entries, &zero], 0)?,
                None => zero.clone(),
            };
            Ok(entries.index_select(index, 0)?.reshape((d, d))?)
        };
        let eye = Tensor::eye(d, dtype, device)?;
        let diagonal = diagonal.unsqueeze(0)?.softplus()?.shift(MIN_DIAGONAL)?;
        Ok(Factors {
            l: (triangle(lower, &self.lower)? + &eye)?,
            u: (triangle(upper, &self.upper)? + eye.broadcast_mul(&diagonal)?)?,
            bias,
            log_abs_det: diagonal.log()?.sum_all()?,
        })
    }
}

impl Layer for LuLinear {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let Factors { l, u, bias, log_abs_det } = self.factors()?;
        let rows = x.value().dim(0)?;
        let (value, log_abs_det) = match direction {
            Direction::Forward => {
                let y = x.matmul(&u.t()?.contiguous()?)?.matmul(&l.t()?.contiguous()?)?;
                (y.add(&T::constant(&bias))?, log_abs_det)
            }
            Direction::Inverse => {
                // Row vectors: x = (y - b) L⁻ᵀ U⁻ᵀ, and Uᵀ is lower triangular.
                let l_inverse = triangular::lower_inverse(&l)?.t()?.contiguous()?;
                let u_inverse = triangular::lower_inverse(&u.t()?.contiguous()?)?;
                let y = x.sub(&T::constant(&bias))?;
                (y.matmul(&l_inverse)?.matmul(&u_inverse)?, log_abs_det.neg()?)
            }
        };
        let log_abs_det = T::constant(&log_abs_det.broadcast_as(rows)?);
        Ok(Mapped { value, log_abs_det })
    }
}
