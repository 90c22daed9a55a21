//! A linear map by its LU factors.
use super::inverse::LowerInverse;
use super::triangle::{MIN_DIAGONAL, Triangle};
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::count::check_square;
use crate::kernel::lu::LuOp;
use crate::kernel::rows::Rows;
use crate::kernel::{Kernel, PackedLayer, split};
use crate::params::{Init, Params, Piece};
use crate::route::{Code, Route};
use crate::{Diff, Result};
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// Config of [`LuLinear`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LuLinearConfig {
    /// Number of features.
    pub dim: usize,
    /// Kernel or tensor operations.
    #[serde(default)]
    pub route: Route,
}

impl LuLinearConfig {
    /// A linear map of `dim` features, initially the identity.
    pub fn new(dim: usize) -> Self {
        Self { dim, route: Route::Auto }
    }
    /// By another route.
    #[must_use]
    pub fn with_route(self, route: Route) -> Self {
        Self { route, ..self }
    }

    /// Create the layer; parameters `lower_entries`, `upper_entries`, `unconstrained_upper_diag`,
    /// `bias` in the order of nflows.
    ///
    /// # Errors
    /// If `dim` is 0.
    pub fn build(&self, params: &mut Params<'_>) -> Result<LuLinear> {
        let d = self.dim;
        check_square("lu_linear.dim", d)?;
        let off = Triangle::entries(d);
        let unit = (1. - MIN_DIAGONAL).exp_m1().ln();
        let theta = params.flat(vec![
            Piece::vector("lower_entries", off, Init::Constant(0.)),
            Piece::vector("upper_entries", off, Init::Constant(0.)),
            Piece::vector("unconstrained_upper_diag", d, Init::Constant(unit)),
            Piece::vector("bias", d, Init::Constant(0.)),
        ])?;
        let lower = Triangle::lower(d, "lu_linear.dim", params)?;
        let upper = Triangle::upper(d, "lu_linear.dim", params)?;
        let inverse = LowerInverse::new(d, "lu_linear.dim", params)?;
        let signature = Signature::vector(d, params.dtype(), params.device());
        Ok(LuLinear { theta, lower, upper, inverse, signature, route: self.route })
    }
}

/// `y = L U x + b` with a unit lower triangular `L` and an upper triangular `U` whose diagonal is
/// `1e-3 + softplus`; `log|det J| = Σ log U_ii`.
///
/// **Shapes**: `[B, D]` to `[B, D]`. The inverse multiplies by the inverse factors, which are
/// computed once per call in f64; on the CPU, from 256 features on, less than `D/4` rows (tangents count) are divided by
/// the factors in their own precision, which takes `B D²` and not `D³` operations.
///
/// **Reference**: Oliva et al. (2018), *Transformation Autoregressive Networks*, arXiv 1801.09819;
/// Kingma & Dhariwal (2018), *Glow*, arXiv 1807.03039, section 3.2.
#[derive(Debug)]
pub struct LuLinear {
    theta: Tensor,
    lower: Triangle,
    upper: Triangle,
    inverse: LowerInverse,
    signature: Signature,
    route: Route,
}

/// The factors of an [`LuLinear`], as tensors.
struct Factors {
    l: Tensor,
    u: Tensor,
    bias: Tensor,
    log_abs_det: Tensor,
}

impl LuLinear {
    /// Whether one kernel does all of it.
    fn is_fused(&self, x: &Tensor) -> bool {
        match self.route.code(x.device()) {
            Code::CpuKernel => true,
            #[cfg(feature = "cuda")]
            Code::CudaKernel => {
                let bytes = x.dtype().size_in_bytes();
                let d = self.signature.latent_shape.first();
                d.is_some_and(|d| crate::kernel::cuda::lu::CudaLu::fits(*d, bytes))
            }
            _ => false,
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a signature of vectors has one axis, and `split` gives a part for each length"
    )]
    fn factors(&self) -> Result<Factors> {
        let d = self.signature.latent_shape[0];
        let off = Triangle::entries(d);
        let parts = split(&self.theta, &[off, off, d, d])?;
        let diagonal = parts[2].unsqueeze(0)?.softplus()?.shift(MIN_DIAGONAL)?.squeeze(0)?;
        Ok(Factors {
            l: self.lower.matrix(&parts[0], &diagonal.ones_like()?)?,
            u: self.upper.matrix(&parts[1], &diagonal)?,
            bias: parts[3].clone(),
            log_abs_det: diagonal.log()?.sum_all()?,
        })
    }
}

/// One direction, as its kernel sees it.
struct Fused<'a> {
    lu: &'a LuLinear,
    direction: Direction,
}

impl PackedLayer for Fused<'_> {
    #[expect(
        clippy::indexing_slicing,
        reason = "a signature of vectors has one axis, and `split` gives a part for each length"
    )]
    fn packed(&self, points: &Tensor, rows: Rows, _: Option<&Tensor>) -> Result<Tensor> {
        let (dim, theta) = (self.lu.signature.latent_shape[0], &self.lu.theta);
        let (direction, least) = (self.direction, MIN_DIAGONAL);
        Ok(match points.dtype() {
            DType::F64 => {
                let op = LuOp::<f64> { dim, direction, rows, least, element: PhantomData };
                points.apply_op2(theta, op)
            }
            _ => {
                let op = LuOp::<f32> { dim, direction, rows, least, element: PhantomData };
                points.apply_op2(theta, op)
            }
        }?)
    }
}

impl Layer for LuLinear {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        if self.is_fused(x.value())
            && let Some(mapped) = x.fused(&Fused { lu: self, direction }, None)?
        {
            return Ok(mapped);
        }
        let Factors { l, u, bias, log_abs_det } = self.factors()?;
        let rows = x.value().dim(0)?;
        let (value, log_abs_det) = match direction {
            Direction::Forward => {
                let y = x.matmul(&u.t()?.contiguous()?)?.matmul(&l.t()?.contiguous()?)?;
                (y.add(&T::constant(&bias))?, log_abs_det)
            }
            Direction::Inverse => {
                // Row vectors: x = (y - b) L⁻ᵀ U⁻ᵀ, and Uᵀ is lower triangular.
                let l_inverse = self.inverse.of(&l)?.t()?.contiguous()?;
                let u_inverse = self.inverse.of(&u.t()?.contiguous()?)?;
                let y = x.sub(&T::constant(&bias))?;
                (y.matmul(&l_inverse)?.matmul(&u_inverse)?, log_abs_det.neg()?)
            }
        };
        let log_abs_det = T::constant(&log_abs_det.broadcast_as(rows)?);
        Ok(Mapped { value, log_abs_det })
    }
    fn kernel(&self, direction: Direction, x: &Tensor) -> Option<Kernel<'_>> {
        self.is_fused(x).then(|| Kernel(Box::new(Fused { lu: self, direction })))
    }
}
