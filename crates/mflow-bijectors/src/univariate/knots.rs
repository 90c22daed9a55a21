//! What splines share: shares of the box by softmax, knots, the bin of a point.
use crate::bijector::Mapped;
use crate::kernel::Real;
use crate::{Diff, Error, Result, host};
use candle_core::{D, DType, Device, Tensor};

/// Smallest width and height of a bin, as a fraction of the box.
pub(super) const MIN_BIN: f64 = 1e-3;

/// Whether splines can have this number of bins (two or more, of those that need an inner knot) on
/// this box.
pub(super) fn check(bins: usize, least: usize, bound: f64) -> Result<()> {
    if bins < least || bins as f64 * MIN_BIN >= 1. {
        let reason = format!("must be in {least}..{}, found {bins}", 1. / MIN_BIN);
        return Err(Error::config("spline.bins", reason));
    }
    if !(bound > 0. && bound.is_finite()) {
        let reason = format!("must be positive and finite, found {bound}");
        return Err(Error::config("spline.tail_bound", reason));
    }
    Ok(())
}

/// Softmax of `scale` times the logits.
#[inline(always)]
pub(super) fn softmax<R: Real>(scale: f64, logits: &[R], out: &mut [R]) {
    let scale = logits[0].constant(scale);
    let mut top = logits[0];
    for u in &logits[1..] {
        top = u.maximum(top);
    }
    let mut total = top.constant(0.);
    for (o, u) in out.iter_mut().zip(logits) {
        *o = ((*u - top) * scale).exp();
        total += *o;
    }
    let r = total.recip();
    for o in out {
        *o = *o * r;
    }
}

/// The cotangents of the logits of a [`softmax`] whose outputs `p` have the cotangents `g`.
#[inline(always)]
pub(super) fn softmax_pullback<R: Real>(scale: f64, p: &[R], g: &[R], out: &mut [R]) {
    let mut mean = p[0].constant(0.);
    for (p, g) in p.iter().zip(g) {
        mean += *p * *g;
    }
    let scale = mean.constant(scale);
    for ((out, p), g) in out.iter_mut().zip(p).zip(g) {
        *out = scale * *p * (*g - mean);
    }
}

/// The size of a bin with this share of the unit interval, and its derivative.
#[inline(always)]
pub(super) fn size<R: Real>(bins: usize, share: R) -> R {
    share.constant(MIN_BIN) + share * share.constant(1. - MIN_BIN * bins as f64)
}

/// A point in a box: where it is in the unit interval (the middle if outside), and the masks that say
/// so.
#[derive(Clone, Copy)]
pub(super) struct Boxed<R: Real> {
    pub(super) unit: R,
    above: R::Mask,
    below: R::Mask,
}

impl<R: Real> Boxed<R> {
    #[inline(always)]
    pub(super) fn new(x: R, bound: f64) -> Self {
        let (end, zero) = (x.constant(bound), x.constant(0.));
        let (above, below) = (x.ge(-end), end.ge(x));
        let inside = R::select(above, R::select(below, x, zero), zero);
        Self { unit: (inside + end) * x.constant(0.5 / bound), above, below }
    }
    /// The value at the place `f` of the unit interval, which rounding must not have left: the slope may
    /// jump at the bound.
    #[inline(always)]
    pub(super) fn value(&self, f: R, bound: f64, x: R) -> R {
        let (zero, one) = (x.constant(0.), x.constant(1.));
        // In this order a NaN stays NaN.
        let f = R::select(zero.ge(f), zero, R::select(f.ge(one), one, f));
        self.select(x.constant(2. * bound) * f - x.constant(bound), x)
    }
    /// One value inside of the box, another outside.
    #[inline(always)]
    pub(super) fn select(&self, inside: R, outside: R) -> R {
        R::select(self.above, R::select(self.below, inside, outside), outside)
    }
}

/// Numbers of the unit interval that rounding may have left, moved back; derivatives stay.
pub(super) fn to_unit<T: Diff>(t: &T) -> Result<T> {
    let v = t.value().detach();
    let (under, over) = (v.lt(0.)?, v.gt(1.)?);
    let none = v.zeros_like()?;
    let back = under.where_cond(&v.neg()?, &over.where_cond(&(1. - &v)?, &none)?)?;
    t.add(&T::constant(&back))
}

/// `f` on the box `[-bound, bound]` as on the unit interval, the identity outside. `f` gives values in
/// the unit interval and log-slopes.
pub(super) fn on_box<T: Diff>(
    x: &T,
    bound: f64,
    f: impl FnOnce(&T) -> Result<(T, T)>,
) -> Result<Mapped<T>> {
    let v = x.value();
    let inside = (v.ge(-bound)? * v.le(bound)?)?;
    let outside = inside.eq(0u8)?;
    let (y, l) = f(&x.masked(&inside)?.shift(bound)?.scale(0.5 / bound)?)?;
    // Rounding must not leave the unit interval: the slope may jump at the bound.
    let y = to_unit(&y)?;
    let value = y.scale(2. * bound)?.shift(-bound)?.masked(&inside)?.add(&x.masked(&outside)?)?;
    Ok(Mapped { value, log_abs_det: l.masked(&inside)?.sum_last()? })
}

/// Sizes of bins from logits, `[.., K]`: at least 1e-3 each, in all 1.
pub(super) fn sizes<T: Diff>(logits: &T, bins: usize, scale: f64) -> Result<T> {
    let share = logits.scale(scale)?.softmax()?;
    share.scale(1. - MIN_BIN * bins as f64)?.shift(MIN_BIN)
}

/// `[.., K]` to the sums below each of the first `K` knots.
pub(super) fn below<T: Diff>(sizes: &T, bins: usize) -> Result<T> {
    let v = sizes.value();
    let sums = (0..bins * bins).map(|e| f64::from(e % bins > e / bins)).collect::<Vec<_>>();
    let sums = Tensor::from_vec(sums, (bins, bins), &Device::Cpu)?;
    sizes.matmul(&host::place(&sums, v.dtype(), v.device())?)
}

/// The number of the bin of each point, `u32`, `[B, T, 1]`, by its left knots `[.., K]`.
pub(super) fn bin<T: Diff>(x: &T, left: &Tensor) -> Result<Tensor> {
    let at_or_above = x.value().detach().unsqueeze(D::Minus1)?.broadcast_ge(&left.detach())?;
    let count = at_or_above.to_dtype(DType::U32)?.sum_keepdim(D::Minus1)?;
    // The first knot is at 0; what is NaN lies in no bin and counts for the first.
    Ok((count.maximum(1u32)? - count.ones_like()?)?)
}
