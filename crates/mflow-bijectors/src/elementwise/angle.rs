//! Rotation of angles.
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::count::check_features;
use crate::domain::Domain;
use crate::params::{Init, Params, Piece};
use crate::shape::no_log_det;
use crate::{Diff, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::f64::consts::{PI, TAU};

/// Config of an [`AngleShift`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AngleShiftConfig {
    /// Number of angles.
    pub dim: usize,
}

impl AngleShiftConfig {
    /// A rotation of `dim` angles, initially by nothing.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }

    /// Create the layer; its parameter is `shift`, `[D]`.
    ///
    /// # Errors
    /// If `dim` is 0.
    pub fn build(&self, params: &mut Params<'_>) -> Result<AngleShift> {
        check_features("angle_shift.dim", self.dim)?;
        let shift = params.flat(vec![Piece::vector("shift", self.dim, Init::Constant(0.))])?;
        let signature = Signature::vector(self.dim, params.dtype(), params.device())
            .between(Domain::Angle, Domain::Angle)
            .with_conformal(true);
        Ok(AngleShift { shift, signature })
    }
}

/// `y = x + t` on the circle, in `[-π, π]`; `log|det J| = 0`.
///
/// **Shapes**: `[B, D]` to `[B, D]`. Between circular splines, all of which fix the point `π`, it moves
/// that point.
///
/// **Reference**: Rezende et al. (2020), *Normalizing Flows on Tori and Spheres*, arXiv 2002.02428,
/// section 2.1.
#[derive(Debug)]
pub struct AngleShift {
    shift: Tensor,
    signature: Signature,
}

/// The same angle in `[-π, π]`, to rounding; whole turns are constants.
pub(crate) fn wrap<T: Diff>(x: &T) -> Result<T> {
    let v = x.value().detach();
    let turns = (((&v / TAU)? + 0.5)?.floor()? * -TAU)?;
    // Exactly what is there already stays.
    let outside = v.abs()?.gt(PI)?;
    x.add(&T::constant(&outside.where_cond(&turns, &turns.zeros_like()?)?))
}

impl Layer for AngleShift {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let shift = T::constant(&self.shift);
        let value = match direction {
            Direction::Forward => wrap(&x.add(&shift)?)?,
            Direction::Inverse => wrap(&x.sub(&shift)?)?,
        };
        Ok(Mapped { value, log_abs_det: no_log_det(x)? })
    }
}
