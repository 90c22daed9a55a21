//! Monotone equations solved numerically, with exact derivatives.
use crate::{Diff, Error, Result, host};
use candle_core::{DType, Tensor};

/// An increasing function of `x` with parameters `p`, element by element.
pub(crate) trait Curve {
    /// `f(x; p)` with `x: [B, T]`, `p: [B, T, P]`.
    fn value<T: Diff>(&self, x: &T, p: &T) -> Result<T>;
    /// `df/dx`, positive.
    fn slope(&self, x: &Tensor, p: &Tensor) -> Result<Tensor>;
}

/// Halvings and Newton steps at most; halving alone finds all digits of an f64 in 54 of them from a
/// bracket of unit size, and a bracket may be as large as `2^(STEPS - 54)`.
const STEPS: usize = 110;

/// The `x` in `[low, high]` with `f(x; p) = y`, differentiable in `y` and `p`, tangents included.
///
/// Newton steps, halving the bracket where they leave it, to rounding: until of every element
/// `|f(x) - y| <= ε (1 + |y|)` or the next step is less than `4 ε (1 + |x|)`. The derivatives are those of the implicit function:
/// `dx = (dy - ∂_p f dp) / f'`. NaN gives NaN.
///
/// # Errors
/// [`Error::NotConverged`] if some element is still moving.
pub(crate) fn solve<C: Curve, T: Diff>(
    curve: &C,
    y: &T,
    p: &T,
    low: &Tensor,
    high: &Tensor,
) -> Result<T> {
    let (target, at) = (y.value().detach(), p.value().detach());
    let found = newton(curve, &target, &at, low.detach(), high.detach())?;
    // One differentiable Newton step: its value is the solution, its derivatives are those of the
    // implicit function.
    let rate = curve.slope(&found, &at)?.recip()?;
    let miss = (y.value() - curve.value(&found, p.value())?)?;
    let x = (&found + (miss * rate)?)?;
    // The same for tangents, at the tracked solution; what it adds to the value is rounding, and its
    // derivative in all is zero.
    let rate = curve.slope(&x, p.value())?.recip()?;
    let fixed = T::constant(&x);
    fixed.add(&y.sub(&curve.value(&fixed, p)?)?.mul(&T::constant(&rate))?)
}

fn newton<C: Curve>(
    curve: &C,
    y: &Tensor,
    p: &Tensor,
    mut low: Tensor,
    mut high: Tensor,
) -> Result<Tensor> {
    let epsilon = match y.dtype() {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    };
    let mut x = ((&low + &high)? * 0.5)?;
    if x.elem_count() == 0 {
        return Ok(x);
    }
    let relative = |a: &Tensor, to: &Tensor| a.abs()? / (to.abs()? + 1.)?;
    let mut moving = 0.;
    for _ in 0..STEPS {
        let miss = (curve.value(&x, p)? - y)?;
        let above = miss.gt(0.)?;
        high = above.where_cond(&x, &high)?;
        low = above.where_cond(&low, &x)?;
        let step = (&x - miss.div(&curve.slope(&x, p)?)?)?;
        let inside = (step.ge(&low)? * step.le(&high)?)?;
        let next = inside.where_cond(&step, &((&low + &high)? * 0.5)?)?;
        // What is NaN compares false: it is not waited for.
        let far = (relative(&miss, y)?.gt(epsilon)?
            * relative(&(&next - &x)?, &next)?.gt(4. * epsilon)?)?;
        x = far.where_cond(&next, &x)?;
        moving = host::scalar(&far.to_dtype(DType::F32)?.sum_all()?)?;
        if moving == 0. {
            // A NaN of y must not be lost in the bracket.
            let nan = (y.zeros_like()? + f64::NAN)?;
            return Ok(y.ne(y)?.where_cond(&nan, &x)?);
        }
    }
    Err(Error::NotConverged { op: "bracketed Newton", steps: STEPS, unfinished: moving })
}
