//! The piecewise-cubic map.
use super::knots::{
    Boxed, MIN_BIN, below, bin, check, on_box, size, sizes, softmax, softmax_pullback,
};
use super::{Point, ScalarMap, Univariate};
use crate::bijector::{Direction, Mapped};
use crate::kernel::Real;
use crate::numerical::{Curve, solve};
use crate::{Diff, Result};
use candle_core::{D, Tensor};

/// A monotone piecewise-cubic map of `[-bound, bound]` to itself, the identity outside (Steffen's
/// interpolation).
///
/// With `z = (x + bound)/(2 bound)`, bin widths `w` and heights `h`, chords `s = h/w`, knot slopes
/// `d0`, `d1` and `θ = (z - z_k)/w`:
///
/// ```text
/// f     = f_k + w ((d0 + d1 - 2s) θ³ + (3s - 2 d0 - d1) θ² + d0 θ),   y = 2 bound f - bound
/// dy/dx = 3 (d0 + d1 - 2s) θ² + 2 (3s - 2 d0 - d1) θ + d0
/// ```
///
/// The `2K + 2` parameters of an element are `K` width logits and `K` height logits, both multiplied
/// by the logit scale, then `u_left` and `u_right`. An inner slope is twice the least of the two
/// chords and of their weighted mean, the outer ones are `3 sigmoid(u) s`. The inverse is found by
/// bracketed Newton steps to the last digits; closed forms of the root, as in nflows, lose up to all
/// of them where a cubic is nearly straight.
///
/// Durkan, Bekasov, Murray & Papamakarios (2019), *Cubic-Spline Flows*, arXiv 1906.02145, section 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CubicSpline {
    bins: usize,
    bound: f64,
    logit_scale: f64,
}

/// Newton steps in lanes: halving alone would find all digits of an f64.
const STEPS: usize = 54;

/// The bin of a point, and what the map there depends on.
struct Bin<R> {
    k: R,
    left: R,
    width: R,
    bottom: R,
    height: R,
    d0: R,
    d1: R,
    theta: R,
}

impl<R: Real> Bin<R> {
    /// Coefficients of `θ³` and `θ²`.
    #[inline(always)]
    fn coefficients(&self) -> (R, R) {
        let s = self.height / self.width;
        (self.d0 + self.d1 - s - s, s + s + s - self.d0 - self.d0 - self.d1)
    }
    /// `(g, g', g'')` at `θ`.
    #[inline(always)]
    fn curve(&self, theta: R) -> [R; 3] {
        let (a, b) = self.coefficients();
        let (two, three) = (theta.constant(2.), theta.constant(3.));
        let g = ((a * theta + b) * theta + self.d0) * theta;
        let slope = (three * a * theta + two * b) * theta + self.d0;
        [g, slope, two * (three * a * theta + b)]
    }
}

impl CubicSpline {
    /// A spline of `bins` bins on `[-bound, bound]`.
    ///
    /// # Errors
    /// If `bins` is 0 or too many for the smallest bin, or `bound` is not positive.
    pub fn new(bins: usize, bound: f64, logit_scale: f64) -> Result<Self> {
        check(bins, 1, bound)?;
        Ok(Self { bins, bound, logit_scale })
    }

    /// Twice the least of two chords and their mean, with what of it each depends on: the factors of
    /// the chords and of the widths in its differential.
    #[inline(always)]
    fn inner_slope<R: Real>(w: [R; 2], s: [R; 2]) -> (R, [R; 2], [R; 2]) {
        let (zero, two) = (w[0].constant(0.), w[0].constant(2.));
        let r = (w[0] + w[1]).recip();
        let mean = (w[1] * s[0] + w[0] * s[1]) * r;
        let low = R::select(s[1].ge(s[0]), two * s[0], two * s[1]);
        let take_mean = low.ge(mean);
        let first = s[1].ge(s[0]);
        let of_s0 = R::select(take_mean, w[1] * r, R::select(first, two, zero));
        let of_s1 = R::select(take_mean, w[0] * r, R::select(first, zero, two));
        let of_w0 = R::select(take_mean, (s[1] - mean) * r, zero);
        let of_w1 = R::select(take_mean, (s[0] - mean) * r, zero);
        (R::select(take_mean, mean, low), [of_s0, of_s1], [of_w0, of_w1])
    }

    /// Find the bin of `x`, a point of the unit interval. Leaves shares and sizes in `scratch`.
    #[inline(always)]
    fn locate<R: Real>(&self, direction: Direction, x: R, p: &[R], scratch: &mut [R]) -> Bin<R> {
        let n = self.bins;
        let (shares, rest) = scratch.split_at_mut(2 * n);
        let (w, h) = rest[..2 * n].split_at_mut(n);
        softmax(self.logit_scale, &p[..n], &mut shares[..n]);
        softmax(self.logit_scale, &p[n..2 * n], &mut shares[n..]);
        for i in 0..n {
            w[i] = size(n, shares[i]);
            h[i] = size(n, shares[n + i]);
        }
        let (zero, three) = (x.constant(0.), x.constant(3.));
        let first = three * p[2 * n].sigmoid() * h[0] / w[0];
        let last = three * p[2 * n + 1].sigmoid() * h[n - 1] / w[n - 1];
        let mut bin = Bin {
            k: zero,
            left: zero,
            width: w[0],
            bottom: zero,
            height: h[0],
            d0: first,
            d1: last,
            theta: zero,
        };
        let (mut left, mut bottom, mut d0) = (zero, zero, first);
        for i in 0..n {
            let d1 = if i + 1 == n {
                last
            } else {
                let (w, h) = ([w[i], w[i + 1]], [h[i], h[i + 1]]);
                Self::inner_slope(w, [h[0] / w[0], h[1] / w[1]]).0
            };
            let here = match direction {
                Direction::Forward => x.ge(left),
                Direction::Inverse => x.ge(bottom),
            };
            let pick = |new: R, old: R| R::select(here, new, old);
            bin.k = pick(x.constant(i as f64), bin.k);
            bin.left = pick(left, bin.left);
            bin.width = pick(w[i], bin.width);
            bin.bottom = pick(bottom, bin.bottom);
            bin.height = pick(h[i], bin.height);
            bin.d0 = pick(d0, bin.d0);
            bin.d1 = pick(d1, bin.d1);
            left += w[i];
            bottom += h[i];
            d0 = d1;
        }
        bin.theta = match direction {
            Direction::Forward => (x - bin.left) / bin.width,
            Direction::Inverse => {
                let target = (x - bin.bottom) / bin.width;
                let (mut low, mut high) = (zero, x.constant(1.));
                let mut theta = x.constant(0.5);
                for _ in 0..STEPS {
                    let [g, slope, _] = bin.curve(theta);
                    let up = target.ge(g);
                    low = R::select(up, theta, low);
                    high = R::select(up, high, theta);
                    let step = theta - (g - target) / slope;
                    let middle = x.constant(0.5) * (low + high);
                    let inside = R::select(high.ge(step), step, middle);
                    theta = R::select(step.ge(low), inside, middle);
                }
                theta
            }
        };
        bin
    }
}

impl ScalarMap for CubicSpline {
    fn parameters(&self) -> usize {
        2 * self.bins + 2
    }
    fn scratch(&self) -> usize {
        7 * self.bins
    }
    #[inline(always)]
    fn value<R: Real>(&self, direction: Direction, x: R, p: &[R], scratch: &mut [R]) -> Point<R> {
        let at = Boxed::new(x, self.bound);
        let bin = self.locate(direction, at.unit, p, scratch);
        let [g, slope, _] = bin.curve(bin.theta);
        let (f, l) = match direction {
            Direction::Forward => (bin.bottom + bin.width * g, slope.ln()),
            Direction::Inverse => (bin.left + bin.width * bin.theta, -slope.ln()),
        };
        Point { y: at.value(f, self.bound, x), log_slope: at.select(l, x.constant(0.)) }
    }
    #[inline(always)]
    fn pullback<R: Real>(
        &self,
        direction: Direction,
        x: R,
        p: &[R],
        cotangent: Point<R>,
        g_p: &mut [R],
        scratch: &mut [R],
    ) -> R {
        let n = self.bins;
        let at = Boxed::new(x, self.bound);
        let bin = self.locate(direction, at.unit, p, scratch);
        let (zero, one) = (x.constant(0.), x.constant(1.));
        let (two, three) = (x.constant(2.), x.constant(3.));
        let t = bin.theta;
        let [g, slope, bend] = bin.curve(t);
        let mut g_l = at.select(cotangent.log_slope, zero);
        let mut g_f = at.select(cotangent.y, zero) * x.constant(2. * self.bound);
        let mut g_in = zero;
        if direction == Direction::Inverse {
            // Implicit differentiation of y = f(z; p), as for every spline here.
            g_in = (g_f - g_l * bend / (slope * bin.width)) / slope;
            (g_f, g_l) = (-g_in, -g_l);
        }
        let (g_curve, g_slope) = (g_f * bin.width, g_l / slope);
        let g_theta = g_curve * slope + g_slope * bend;
        let u = t * (one - t);
        let g_chord = g_curve * t * t * (three - two * t) + g_slope * x.constant(6.) * u;
        let g_d0 = g_curve * u * (one - t) + g_slope * (one - t) * (one - three * t);
        let g_d1 = -g_curve * u * t + g_slope * t * (three * t - two);
        let (g_left, g_width) = (-g_theta / bin.width, g_f * g - g_theta * t / bin.width);
        let (shares, rest) = scratch.split_at_mut(2 * n);
        let (w, rest) = rest.split_at_mut(n);
        let (h, rest) = rest.split_at_mut(n);
        let (g_w, rest) = rest.split_at_mut(n);
        let (g_h, g_s) = rest.split_at_mut(n);
        for i in 0..n {
            let up_to = bin.k.ge(x.constant(i as f64));
            let under = bin.k.ge(x.constant((i + 1) as f64));
            let pick =
                |of_bin: R, of_knot: R| R::select(under, of_knot, R::select(up_to, of_bin, zero));
            g_w[i] = pick(g_width, g_left);
            g_h[i] = pick(zero, g_f);
            g_s[i] = pick(g_chord, zero);
        }
        // The slope at knot j, which is d0 of bin j and d1 of bin j - 1.
        let at_knot = |j: usize| {
            let first = R::select(bin.k.ge(x.constant(j as f64)), g_d0, zero);
            let first = R::select(bin.k.ge(x.constant((j + 1) as f64)), zero, first);
            let before = bin.k.ge(x.constant(j as f64 - 1.));
            let second = R::select(bin.k.ge(x.constant(j as f64)), zero, g_d1);
            first + R::select(before, second, zero)
        };
        for j in 1..n {
            let chord = |i: usize| h[i] / w[i];
            let (_, of_s, of_w) = Self::inner_slope([w[j - 1], w[j]], [chord(j - 1), chord(j)]);
            let g = at_knot(j);
            for e in 0..2 {
                g_s[j - 1 + e] += g * of_s[e];
                g_w[j - 1 + e] += g * of_w[e];
            }
        }
        for (end, knot, raw) in [(0, 0, 2 * n), (n - 1, n, 2 * n + 1)] {
            let (g, sigmoid) = (at_knot(knot), p[raw].sigmoid());
            g_s[end] += g * three * sigmoid;
            g_p[raw] = g * three * sigmoid * (one - sigmoid) * h[end] / w[end];
        }
        let rest = x.constant(1. - MIN_BIN * n as f64);
        for i in 0..n {
            let r = w[i].recip();
            g_h[i] = (g_h[i] + g_s[i] * r) * rest;
            g_w[i] = (g_w[i] - g_s[i] * h[i] * r * r) * rest;
        }
        softmax_pullback(self.logit_scale, &shares[..n], g_w, &mut g_p[..n]);
        softmax_pullback(self.logit_scale, &shares[n..], g_h, &mut g_p[n..2 * n]);
        let per_box = x.constant(0.5 / self.bound);
        let g_x = match direction {
            Direction::Forward => g_theta / bin.width * per_box,
            Direction::Inverse => g_in * per_box,
        };
        at.select(g_x, cotangent.y)
    }
}

/// The cubic of one bin over `θ`, with the coefficients of `θ³`, `θ²` and `θ` as its parameters.
struct Cubic;

impl Curve for Cubic {
    fn value<T: Diff>(&self, x: &T, p: &T) -> Result<T> {
        let c = |k: usize| p.narrow(k, 1)?.linear(|t| t.squeeze(D::Minus1));
        c(0)?.mul(x)?.add(&c(1)?)?.mul(x)?.add(&c(2)?)?.mul(x)
    }
    fn slope(&self, x: &Tensor, p: &Tensor) -> Result<Tensor> {
        let c = |k: usize| Diff::narrow(p, k, 1)?.linear(|t| t.squeeze(D::Minus1));
        let slope = (((c(0)? * 3.)? * x)? + (c(1)? * 2.)?)?;
        Ok(((slope * x)? + c(2)?)?)
    }
}

impl Univariate for CubicSpline {
    fn identity(&self) -> Vec<f64> {
        // Outer slopes of 1: 3 sigmoid(u) = 1.
        let mut p = vec![0.; 2 * self.bins + 2];
        p[2 * self.bins..].fill(-std::f64::consts::LN_2);
        p
    }
    fn compose<T: Diff>(&self, direction: Direction, x: &T, p: &T) -> Result<Mapped<T>> {
        let (n, scale) = (self.bins, self.logit_scale);
        let (w, h) = (sizes(&p.narrow(0, n)?, n, scale)?, sizes(&p.narrow(n, n)?, n, scale)?);
        let chords = h.div(&w)?;
        let end = |raw: usize, i: usize| {
            p.narrow(raw, 1)?.sigmoid()?.scale(3.)?.mul(&chords.narrow(i, 1)?)
        };
        let (first, last) = (end(2 * n, 0)?, end(2 * n + 1, n - 1)?);
        let slopes = if n > 1 {
            let halves = |t: &T| Ok::<_, crate::Error>((t.narrow(0, n - 1)?, t.narrow(1, n - 1)?));
            let ((w0, w1), (s0, s1)) = (halves(&w)?, halves(&chords)?);
            let mean = w1.mul(&s0)?.add(&w0.mul(&s1)?)?.div(&w0.add(&w1)?)?;
            let least = |a: &T, b: &T| {
                let a_less = a.value().le(b.value())?;
                a.masked(&a_less)?.add(&b.masked(&a_less.eq(0u8)?)?)
            };
            let inner = least(&mean, &least(&s0, &s1)?.scale(2.)?)?;
            T::cat(&[&first, &inner, &last])?
        } else {
            T::cat(&[&first, &last])?
        };
        let (knots, bottoms) = (below(&w, n)?, below(&h, n)?);
        on_box(x, self.bound, |z| {
            let k = match direction {
                Direction::Forward => bin(z, knots.value())?,
                Direction::Inverse => bin(z, bottoms.value())?,
            };
            let (left, width, bottom) = (knots.gather(&k)?, w.gather(&k)?, bottoms.gather(&k)?);
            let (d0, d1) = (slopes.gather(&k)?, slopes.gather(&(&k + k.ones_like()?)?)?);
            let s = chords.gather(&k)?;
            let a = d0.add(&d1)?.sub(&s.scale(2.)?)?;
            let b = s.scale(3.)?.sub(&d0.scale(2.)?)?.sub(&d1)?;
            let parts = [a.unsqueeze_last()?, b.unsqueeze_last()?, d0.unsqueeze_last()?];
            let cubic = T::cat(&parts.each_ref())?;
            let theta = match direction {
                Direction::Forward => z.sub(&left)?.div(&width)?,
                Direction::Inverse => {
                    let target = z.sub(&bottom)?.div(&width)?;
                    let low = target.value().zeros_like()?;
                    solve(&Cubic, &target, &cubic, &low, &low.ones_like()?)?
                }
            };
            let slope = a.mul(&theta)?.scale(3.)?.add(&b.scale(2.)?)?.mul(&theta)?.add(&d0)?;
            let l = slope.ln()?;
            Ok(match direction {
                Direction::Forward => (Cubic.value(&theta, &cubic)?.mul(&width)?.add(&bottom)?, l),
                Direction::Inverse => (theta.mul(&width)?.add(&left)?, l.neg()?),
            })
        })
    }
}
