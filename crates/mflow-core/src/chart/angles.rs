//! Angles of points: the inverse of sine and cosine.
use crate::Result;
use candle_core::{Device, Tensor};
use mflow_bijectors::host;

/// The angle of `(x, y)` in `[-π, π]`, element by element, differentiable; that of the origin is 0, and
/// so is its derivative, which does not exist: a point there pulls no parameter.
pub(super) fn atan2(y: &Tensor, x: &Tensor) -> Result<Tensor> {
    let (ys, xs) = (host::values_f64(y)?, host::values_f64(x)?);
    let angles: Vec<f64> = ys.iter().zip(xs).map(|(y, x)| y.atan2(x)).collect();
    let angles = Tensor::from_vec(angles, y.shape(), &Device::Cpu)?;
    let angles = host::place(&angles, y.dtype(), y.device())?;
    if !y.track_op() && !x.track_op() {
        return Ok(angles);
    }
    // dθ = (x dy - y dx)/r²: the numerator is zero in value and right in its derivative.
    let (fixed_x, fixed_y) = (x.detach(), y.detach());
    let turn = ((&fixed_x * y)? - (&fixed_y * x)?)?;
    let square = (fixed_x.sqr()? + fixed_y.sqr()?)?;
    let square = square.eq(0.)?.where_cond(&square.ones_like()?, &square)?;
    Ok((angles + (turn / square)?)?)
}

/// `√(Σ x²)` over the columns of `x: [B, K]`, `[B, 1]`, with a derivative of 0 where all of them are 0.
pub(super) fn norm(x: &Tensor) -> Result<Tensor> {
    let square = x.sqr()?.sum_keepdim(1)?;
    let nothing = square.eq(0.)?;
    // The root of 1 in the place of that of 0, whose slope is infinite.
    let root = nothing.where_cond(&square.ones_like()?, &square)?.sqrt()?;
    Ok(nothing.where_cond(&square.zeros_like()?, &root)?)
}
