//! The rational-quadratic spline, scalar arithmetic.
use super::knots::{MIN_BIN, check, softmax};
use super::{CudaMap, Point, ScalarMap};
use crate::Error;
use crate::bijector::Direction;
use crate::kernel::Real;

/// A monotone rational-quadratic spline on `[-bound, bound]` with linear tails (the identity).
///
/// Durkan, Bekasov, Murray & Papamakarios (2019), *Neural Spline Flows*, arXiv 1906.04032, eq. 4 to
/// 8. With bin width `w`, height `h`, slope of the chord `s = h/w`, knot derivatives `d0`, `d1` and
/// `θ = (x - x_k)/w`:
///
/// ```text
/// y     = y_k + h (s θ² + d0 θ(1-θ)) / (s + (d0 + d1 - 2s) θ(1-θ))                        (eq. 4)
/// dy/dx = s² (d1 θ² + 2s θ(1-θ) + d0 (1-θ)²) / (s + (d0 + d1 - 2s) θ(1-θ))²               (eq. 5)
/// ```
///
/// The `3K - 1` parameters of an element are `K` width logits, `K` height logits and `K - 1` inner
/// derivatives before softplus, in this order (as in nflows); widths and heights are at least 1e-3
/// of the box, derivatives at least 1e-3, the outer ones are 1. A circular spline has `K` derivatives,
/// the first of which counts at both ends. `Forward` is the map above.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RationalQuadratic {
    /// Number of bins `K`.
    pub bins: usize,
    /// Half the width of the box; the map is the identity outside.
    pub bound: f64,
    /// Factor on width and height logits: nflows divides them by the square root of the
    /// conditioner's hidden width.
    pub logit_scale: f64,
    /// Whether the two ends are one point, with a slope of its own, instead of slopes of 1.
    pub circular: bool,
}

/// Smallest derivative at a knot.
pub(super) const MIN_SLOPE: f64 = 1e-3;

/// The bin that holds a point, with what its gradient needs.
struct Bin<R> {
    /// Number of the bin, as a real number.
    k: R,
    xk: R,
    w: R,
    yk: R,
    h: R,
    s: R,
    d0: R,
    d1: R,
    /// Parameters of `d0` and `d1`.
    raw0: R,
    raw1: R,
    theta: R,
    /// Softmax probabilities of this bin, and their sums below it.
    pw: R,
    ph: R,
    below_w: R,
    below_h: R,
}

impl RationalQuadratic {
    /// A spline of `bins` bins on `[-bound, bound]`.
    ///
    /// # Errors
    /// If `bins` is 0 or too many for the smallest bin, or `bound` is not positive.
    pub fn new(bins: usize, bound: f64, logit_scale: f64) -> Result<Self, Error> {
        check(bins, 1, bound)?;
        Ok(Self { bins, bound, logit_scale, circular: false })
    }

    /// A spline of `bins` bins on the circle `[-π, π)`: the point `π` stays, and the slopes on its two
    /// sides are the same. Rezende et al. (2020), arXiv 2002.02428, section 2.1.
    ///
    /// # Errors
    /// If `bins` is 0 or too many for the smallest bin.
    pub fn circle(bins: usize) -> Result<Self, Error> {
        let spline = Self::new(bins, std::f64::consts::PI, 1.)?;
        Ok(Self { circular: true, ..spline })
    }

    /// The inner-derivative parameter with which a derivative is 1: `softplus⁻¹(1 - 1e-3)`.
    pub fn unit_slope() -> f64 {
        (1. - MIN_SLOPE).exp_m1().ln()
    }

    /// Parameters of the spline whose bins have these widths and heights, as shares of the box, and these slopes at the
    /// inner knots. Sizes below the smallest that a spline can have are raised to it, at the cost of the other bins;
    /// slopes above three times that of the steeper chord beside them are cut.
    pub(crate) fn of_knots(&self, widths: &[f64], heights: &[f64], slopes: &[f64]) -> Vec<f64> {
        /// What a softmax can leave to a bin without a logit far from the others.
        const LEAST: f64 = 1e-5;
        /// Where a knot is much steeper than both chords beside it, slopes between knots would swing.
        const STEEPER: f64 = 3.;
        let logit = |size: &f64| (size - MIN_BIN).max(LEAST).ln() / self.logit_scale;
        let chord = |bin: usize| heights[bin].max(MIN_BIN) / widths[bin].max(MIN_BIN);
        let raw = |(knot, slope): (usize, &f64)| {
            let above = slope.min(STEEPER * chord(knot).max(chord(knot + 1))) - MIN_SLOPE;
            // softplus⁻¹, which for a large number is the number.
            if above > 30. { above } else { above.max(LEAST).exp_m1().ln() }
        };
        let sizes = widths.iter().chain(heights).map(logit);
        sizes.chain(slopes.iter().enumerate().map(raw)).collect()
    }

    /// Find the bin of `x`, which lies inside the box.
    #[inline(always)]
    fn locate<R: Real>(&self, inverse: bool, x: R, p: &[R], scratch: &mut [R]) -> Bin<R> {
        let n = self.bins;
        let (pw, ph) = scratch[..2 * n].split_at_mut(n);
        softmax(self.logit_scale, &p[..n], pw);
        softmax(self.logit_scale, &p[n..2 * n], ph);
        let (input, output) = if inverse { (ph, pw) } else { (pw, ph) };
        let (zero, end) = (x.constant(0.), x.constant(self.bound));
        let least = x.constant(2. * self.bound * MIN_BIN);
        let rest = x.constant(2. * self.bound * (1. - MIN_BIN * n as f64));
        // Running knots of the two axes and sums of probabilities; then those of the bin.
        let (mut a, mut b, mut sum_a, mut sum_b) = (-end, -end, zero, zero);
        let (mut k, mut a_k, mut b_k) = (zero, a, b);
        let (mut size_a, mut size_b, mut pa, mut pb) = (zero, zero, zero, zero);
        let (mut below_a, mut below_b, mut raw0, mut raw1) = (zero, zero, zero, zero);
        for i in 0..n {
            let last = i + 1 == n;
            // The last knot is pinned to the bound, so that rounding leaves no gap to the tail.
            let da = if last { end - a } else { least + rest * input[i] };
            let db = if last { end - b } else { least + rest * output[i] };
            let here = x.ge(a);
            k = R::select(here, x.constant(i as f64), k);
            a_k = R::select(here, a, a_k);
            b_k = R::select(here, b, b_k);
            size_a = R::select(here, da, size_a);
            size_b = R::select(here, db, size_b);
            pa = R::select(here, input[i], pa);
            pb = R::select(here, output[i], pb);
            below_a = R::select(here, sum_a, below_a);
            below_b = R::select(here, sum_b, below_b);
            if self.circular {
                raw0 = R::select(here, p[2 * n + i], raw0);
                raw1 = R::select(here, p[2 * n + if last { 0 } else { i + 1 }], raw1);
            } else {
                if i > 0 {
                    raw0 = R::select(here, p[2 * n + i - 1], raw0);
                }
                if !last {
                    raw1 = R::select(here, p[2 * n + i], raw1);
                }
            }
            a += da;
            b += db;
            sum_a += input[i];
            sum_b += output[i];
        }
        let one = x.constant(1.);
        let slope = |raw: R| x.constant(MIN_SLOPE) + raw.softplus();
        let (mut d0, mut d1) = (slope(raw0), slope(raw1));
        if !self.circular {
            d0 = R::select(k.ge(one), d0, one);
            d1 = R::select(k.ge(x.constant((n - 1) as f64)), one, d1);
        }
        let ((xk, w, pw, below_w), (yk, h, ph, below_h)) = if inverse {
            ((b_k, size_b, pb, below_b), (a_k, size_a, pa, below_a))
        } else {
            ((a_k, size_a, pa, below_a), (b_k, size_b, pb, below_b))
        };
        let s = h / w;
        let theta = if inverse {
            // The root of a θ² + b θ + c = 0 (eq. 6 to 8) in the form without cancellation: where b is
            // negative, a is at least h s.
            let dy = x - yk;
            let t = dy * (d0 + d1 - s - s);
            let (qa, qb, qc) = (t + h * (s - d0), h * d0 - t, -s * dy);
            let discriminant = (qb * qb - x.constant(4.) * qa * qc).maximum(zero);
            let (root, positive) = (discriminant.sqrt(), qb.ge(zero));
            let above = R::select(positive, -(qc + qc), root - qb);
            above / R::select(positive, qb + root, qa + qa)
        } else {
            (x - xk) / w
        };
        // Rounding may leave the bin, where between steep chords and flat knots the slope would be
        // negative. `zero * theta` is 0, and NaN where `theta` is.
        let theta = R::select(theta.ge(zero), theta, zero * theta);
        let theta = R::select(one.ge(theta), theta, one + zero * theta);
        Bin { k, xk, w, yk, h, s, d0, d1, raw0, raw1, theta, pw, ph, below_w, below_h }
    }

    /// Whether `x` is in the box, and `x` moved to 0 where it is not: what follows stays finite. The
    /// circle has no outside but by rounding.
    #[inline(always)]
    fn clamp<R: Real>(&self, x: R) -> (R, R::Mask, R::Mask) {
        let (bound, zero) = (x.constant(self.bound), x.constant(0.));
        let reach = x.constant(self.reach());
        let (above, below) = (x.ge(-reach), reach.ge(x));
        let mut x = x;
        if self.circular {
            x = R::select(bound.ge(x), R::select(x.ge(-bound), x, -bound), bound);
        }
        (R::select(above, R::select(below, x, zero), zero), above, below)
    }

    /// Half the width of the box; on the circle, what an angle can be by rounding.
    pub(super) fn reach(&self) -> f64 {
        if self.circular { self.bound * (1. + 1e-6) } else { self.bound }
    }
}

impl ScalarMap for RationalQuadratic {
    fn parameters(&self) -> usize {
        3 * self.bins - usize::from(!self.circular)
    }
    fn scratch(&self) -> usize {
        2 * self.bins
    }
    fn cuda(&self) -> Option<CudaMap> {
        Some(CudaMap::RationalQuadratic(*self))
    }

    #[inline(always)]
    fn value<R: Real>(&self, direction: Direction, x: R, p: &[R], scratch: &mut [R]) -> Point<R> {
        let inverse = direction == Direction::Inverse;
        let (clamped, above, below) = self.clamp(x);
        let bin = self.locate(inverse, clamped, p, scratch);
        let (zero, one) = (x.constant(0.), x.constant(1.));
        let Bin { s, d0, d1, theta, .. } = bin;
        let rest = one - theta;
        let u = theta * rest;
        let d = s + (d0 + d1 - s - s) * u;
        let m = d1 * theta * theta + (s + s) * u + d0 * rest * rest;
        let r = s / d;
        let l = (r * r * m).ln();
        let (y, l) = if inverse {
            (bin.xk + bin.w * theta, -l)
        } else {
            (bin.yk + bin.h * (s * theta * theta + d0 * u) / d, l)
        };
        let inside = |v: R, outside: R| R::select(above, R::select(below, v, outside), outside);
        Point { y: inside(y, x), log_slope: inside(l, zero) }
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
        let inverse = direction == Direction::Inverse;
        let n = self.bins;
        let (clamped, above, below) = self.clamp(x);
        let bin = self.locate(inverse, clamped, p, scratch);
        let Bin { k, w, h, s, d0, d1, theta, .. } = bin;
        let (zero, one, two) = (x.constant(0.), x.constant(1.), x.constant(2.));
        let inside = |v: R, outside: R| R::select(above, R::select(below, v, outside), outside);
        let (g_y, mut g_l) = (inside(cotangent.y, zero), inside(cotangent.log_slope, zero));
        let rest = one - theta;
        let u = theta * rest;
        let curve = d0 + d1 - two * s;
        // y = yk + h n/d, dy/dx = s² m/d²
        let (d, num) = (s + curve * u, s * theta * theta + d0 * u);
        let m = d1 * theta * theta + two * s * u + d0 * rest * rest;
        let (rd, rm, rw) = (d.recip(), m.recip(), w.recip());
        let du = one - two * theta;
        let y_theta = h * ((two * s * theta + d0 * du) - num * rd * curve * du) * rd;
        let m_theta = two * d1 * theta + two * s * du - two * d0 * rest;
        let l_theta = m_theta * rm - two * curve * du * rd;
        // For the inverse x = g⁻¹(y): with the total cotangent of x, implicit differentiation of
        // y = g(x; p) gives g_y = g_x / g' and g_p = -(g_x / g') dg/dp, and l changes sign.
        let (g_out, g_in) = if inverse {
            let g_in = (g_y - g_l * l_theta * rw) / (y_theta * rw);
            g_l = -g_l;
            (-g_in, g_in)
        } else {
            (g_y, zero)
        };
        let g_num = g_out * h * rd;
        let g_d = -(g_num * num + two * g_l) * rd;
        let g_m = g_l * rm;
        let g_s = g_num * theta * theta + g_d * (one - two * u) + g_m * two * u + two * g_l / s;
        let g_d0 = (g_num + g_d) * u + g_m * rest * rest;
        let g_d1 = g_d * u + g_m * theta * theta;
        let g_theta = g_out * y_theta + g_l * l_theta;
        let g_xk = -g_theta * rw;
        let g_h = g_out * num * rd + g_s * rw;
        let g_w = (g_xk * theta) - g_s * s * rw;
        // Widths and heights are affine in the probabilities; knots are sums of those below.
        let c = x.constant(2. * self.bound * (1. - MIN_BIN * n as f64));
        let (g_w, g_xk, g_h, g_yk) = (g_w * c, g_xk * c, g_h * c, g_out * c);
        let mean_w = g_w * bin.pw + g_xk * bin.below_w;
        let mean_h = g_h * bin.ph + g_yk * bin.below_h;
        let scale = x.constant(self.logit_scale);
        let (slope0, slope1) = (g_d0 * bin.raw0.sigmoid(), g_d1 * bin.raw1.sigmoid());
        // `locate` left the probabilities of widths and heights in the scratch space.
        let (pw, ph) = scratch[..2 * n].split_at(n);
        for i in 0..n {
            let up_to = k.ge(x.constant(i as f64));
            let under = k.ge(x.constant((i + 1) as f64));
            let pick =
                |of_bin: R, of_knot: R| R::select(under, of_knot, R::select(up_to, of_bin, zero));
            g_p[i] = scale * pw[i] * (pick(g_w, g_xk) - mean_w);
            g_p[n + i] = scale * ph[i] * (pick(g_h, g_yk) - mean_h);
            if self.circular {
                // Parameter i is the left slope of bin i and the right one of the bin before, which
                // of the first is the last.
                let left = pick(slope0, zero);
                let before = if i == 0 { n - 1 } else { i - 1 };
                let from = k.ge(x.constant(before as f64));
                let to = k.ge(x.constant((before + 1) as f64));
                g_p[2 * n + i] = left + R::select(from, R::select(to, zero, slope1), zero);
            } else if i > 0 {
                // Parameter i - 1 is the left slope of bin i and the right one of bin i - 1.
                let left = R::select(up_to, R::select(under, zero, slope0), zero);
                let at_previous = k.ge(x.constant((i - 1) as f64));
                let right = R::select(at_previous, R::select(up_to, zero, slope1), zero);
                g_p[2 * n + i - 1] = left + right;
            }
        }
        let g_x = if inverse { g_in } else { g_theta * rw };
        inside(g_x, cotangent.y)
    }
}
