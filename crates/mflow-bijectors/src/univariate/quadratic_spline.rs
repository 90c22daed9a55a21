//! The piecewise-quadratic map.
use super::knots::{
    Boxed, MIN_BIN, below, bin, check, on_box, size, sizes, softmax, softmax_pullback,
};
use super::{Point, ScalarMap, Univariate};
use crate::bijector::{Direction, Mapped};
use crate::kernel::Real;
use crate::{Diff, Result};

/// A piecewise-quadratic map of `[-bound, bound]` to itself, the identity outside: the integral of a
/// piecewise-linear density.
///
/// With `z = (x + bound)/(2 bound)`, bin widths `w`, densities `v` at the knots, the area below them
/// `A = Σ w_i (v_i + v_(i+1))/2` and that below the bin `T_k`, `u = z - z_k`, `r = 0.999/A`:
///
/// ```text
/// f     = 0.001 z + r (T_k + v_k u + (v_(k+1) - v_k) u²/(2 w_k)),   y = 2 bound f - bound
/// dy/dx = 0.001   + r (v_k + (v_(k+1) - v_k) u/w_k)
/// ```
///
/// The `2K - 1` parameters of an element are `K` width logits and `K - 1` inner densities before
/// `softplus + 1e-3`; both are multiplied by the logit scale. The density at the two ends is nflows's
/// choice, `(Σ_inner w_j (v_j + v_(j+1))/2 + (w_0 v_1 + w_(K-1) v_(K-1))/4) / (1 - (w_0 + w_(K-1))/4)`,
/// with which the slope at the bound is near 1 but not 1.
///
/// Müller, McWilliams, Rousselle, Gross & Novák (2019), *Neural Importance Sampling*, arXiv
/// 1808.03856, section 4.2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuadraticSpline {
    bins: usize,
    bound: f64,
    logit_scale: f64,
}

/// Smallest density before normalisation, and its share after.
const MIN_DENSITY: f64 = 1e-3;

/// The bin of a point, and what the map there depends on.
struct Bin<R> {
    k: R,
    z: R,
    left: R,
    width: R,
    /// Area below the bin.
    area_below: R,
    v0: R,
    v1: R,
    /// The whole area.
    area: R,
}

impl<R: Real> Bin<R> {
    #[inline(always)]
    fn rate(&self) -> R {
        self.z.constant(1. - MIN_DENSITY) / self.area
    }
    /// `T_k + v_k u + Δv u²/(2w)`.
    #[inline(always)]
    fn integral(&self) -> R {
        let (u, half) = (self.z - self.left, self.z.constant(0.5));
        self.area_below + self.v0 * u + half * (self.v1 - self.v0) * u * (u / self.width)
    }
    /// `v_k + Δv u/w`.
    #[inline(always)]
    fn density(&self) -> R {
        self.v0 + (self.v1 - self.v0) * ((self.z - self.left) / self.width)
    }
}

impl QuadraticSpline {
    /// A spline of `bins` bins on `[-bound, bound]`.
    ///
    /// # Errors
    /// If `bins` is less than 2 or too many for the smallest bin, or `bound` is not positive.
    pub fn new(bins: usize, bound: f64, logit_scale: f64) -> Result<Self> {
        check(bins, 2, bound)?;
        Ok(Self { bins, bound, logit_scale })
    }

    /// Find the bin of `x`, a point of the unit interval (of the values, if inverse; then `z` is the
    /// solution). Leaves shares, widths and densities in `scratch`.
    #[inline(always)]
    fn locate<R: Real>(&self, direction: Direction, x: R, p: &[R], scratch: &mut [R]) -> Bin<R> {
        let n = self.bins;
        let (shares, rest) = scratch.split_at_mut(n);
        let (w, rest) = rest.split_at_mut(n);
        let v = &mut rest[..=n];
        softmax(self.logit_scale, &p[..n], shares);
        for (w, share) in w.iter_mut().zip(shares.iter()) {
            *w = size(n, *share);
        }
        let (half, quarter) = (x.constant(0.5), x.constant(0.25));
        let scale = x.constant(self.logit_scale);
        for j in 1..n {
            v[j] = (p[n + j - 1] * scale).softplus() + x.constant(MIN_DENSITY);
        }
        let mut inner = quarter * (w[0] * v[1] + w[n - 1] * v[n - 1]);
        for j in 1..n - 1 {
            inner += half * w[j] * (v[j] + v[j + 1]);
        }
        let edge = inner / (x.constant(1.) - quarter * (w[0] + w[n - 1]));
        (v[0], v[n]) = (edge, edge);
        let zero = x.constant(0.);
        let mut area = zero;
        for i in 0..n {
            area += half * w[i] * (v[i] + v[i + 1]);
        }
        let mut bin = Bin {
            k: zero,
            z: x,
            left: zero,
            width: w[0],
            area_below: zero,
            v0: v[0],
            v1: v[1],
            area,
        };
        let (rate, least) = (bin.rate(), x.constant(MIN_DENSITY));
        let (mut left, mut below) = (zero, zero);
        for i in 0..n {
            let here = match direction {
                Direction::Forward => x.ge(left),
                Direction::Inverse => x.ge(least * left + rate * below),
            };
            let pick = |new: R, old: R| R::select(here, new, old);
            bin.k = pick(x.constant(i as f64), bin.k);
            bin.left = pick(left, bin.left);
            bin.width = pick(w[i], bin.width);
            bin.area_below = pick(below, bin.area_below);
            bin.v0 = pick(v[i], bin.v0);
            bin.v1 = pick(v[i + 1], bin.v1);
            left += w[i];
            below += half * w[i] * (v[i] + v[i + 1]);
        }
        if direction == Direction::Inverse {
            // The root of a u² + b u + c = 0 in the form without cancellation.
            let a = half * rate * (bin.v1 - bin.v0) / bin.width;
            let b = least + rate * bin.v0;
            let c = least * bin.left + rate * bin.area_below - x;
            let discriminant = (b * b - x.constant(4.) * a * c).maximum(zero);
            bin.z = bin.left - (c + c) / (b + discriminant.sqrt());
        }
        bin
    }
}

impl ScalarMap for QuadraticSpline {
    fn parameters(&self) -> usize {
        2 * self.bins - 1
    }
    fn scratch(&self) -> usize {
        5 * self.bins + 2
    }
    #[inline(always)]
    fn value<R: Real>(&self, direction: Direction, x: R, p: &[R], scratch: &mut [R]) -> Point<R> {
        let at = Boxed::new(x, self.bound);
        let bin = self.locate(direction, at.unit, p, scratch);
        let (rate, least) = (bin.rate(), x.constant(MIN_DENSITY));
        let l = (least + rate * bin.density()).ln();
        let (f, l) = match direction {
            Direction::Forward => (least * bin.z + rate * bin.integral(), l),
            Direction::Inverse => (bin.z, -l),
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
        let (zero, one, half) = (x.constant(0.), x.constant(1.), x.constant(0.5));
        let (quarter, least) = (x.constant(0.25), x.constant(MIN_DENSITY));
        let rate = bin.rate();
        let (density, integral) = (bin.density(), bin.integral());
        let slope = least + rate * density;
        let rise = (bin.v1 - bin.v0) / bin.width;
        let mut g_l = at.select(cotangent.log_slope, zero);
        let mut g_f = at.select(cotangent.y, zero) * x.constant(2. * self.bound);
        let mut g_in = zero;
        if direction == Direction::Inverse {
            // Implicit differentiation of y = f(z; p), as for every spline here.
            g_in = (g_f - g_l * rate * rise / slope) / slope;
            (g_f, g_l) = (-g_in, -g_l);
        }
        let (u, q) = (bin.z - bin.left, (bin.z - bin.left) / bin.width);
        let (g_integral, g_density) = (g_f * rate, g_l * rate / slope);
        let g_area = -(g_f * integral + g_l * density / slope) * rate / bin.area;
        let g_v0 = g_integral * u * (one - half * q) + g_density * (one - q);
        let g_v1 = g_integral * half * u * q + g_density * q;
        let g_u = g_integral * density + g_density * rise;
        let g_width = -(g_integral * half * u + g_density) * rise * q;
        let (shares, rest) = scratch.split_at_mut(n);
        let (w, rest) = rest.split_at_mut(n);
        let (v, rest) = rest.split_at_mut(n + 1);
        let (g_w, g_v) = rest.split_at_mut(n);
        let g_v = &mut g_v[..=n];
        g_v.fill(zero);
        for i in 0..n {
            let up_to = bin.k.ge(x.constant(i as f64));
            let under = bin.k.ge(x.constant((i + 1) as f64));
            let of_bin = |g: R| R::select(up_to, R::select(under, zero, g), zero);
            // Areas below the bin enter its integral, all enter the whole area.
            let g_s = half * (g_area + R::select(under, g_integral, zero));
            g_w[i] = g_s * (v[i] + v[i + 1]) + of_bin(g_width) + R::select(under, -g_u, zero);
            g_v[i] += g_s * w[i] + of_bin(g_v0);
            g_v[i + 1] += g_s * w[i] + of_bin(g_v1);
        }
        // The density at the ends.
        let (edge, g_edge) = (v[0], g_v[0] + g_v[n]);
        let g_inner = g_edge / (one - quarter * (w[0] + w[n - 1]));
        g_w[0] += quarter * g_inner * (v[1] + edge);
        g_w[n - 1] += quarter * g_inner * (v[n - 1] + edge);
        g_v[1] += quarter * g_inner * w[0];
        g_v[n - 1] += quarter * g_inner * w[n - 1];
        for j in 1..n - 1 {
            g_w[j] += half * g_inner * (v[j] + v[j + 1]);
            g_v[j] += half * g_inner * w[j];
            g_v[j + 1] += half * g_inner * w[j];
        }
        let scale = x.constant(self.logit_scale);
        for j in 1..n {
            g_p[n + j - 1] = g_v[j] * scale * (p[n + j - 1] * scale).sigmoid();
        }
        let rest = x.constant(1. - MIN_BIN * n as f64);
        for g in g_w.iter_mut() {
            *g = *g * rest;
        }
        softmax_pullback(self.logit_scale, shares, g_w, &mut g_p[..n]);
        let per_box = x.constant(0.5 / self.bound);
        let g_x = match direction {
            Direction::Forward => (g_f * least + g_u) * per_box,
            Direction::Inverse => g_in * per_box,
        };
        at.select(g_x, cotangent.y)
    }
}

impl Univariate for QuadraticSpline {
    /// Equal bins and densities; the density at the ends makes it not quite the identity.
    fn identity(&self) -> Vec<f64> {
        let mut p = vec![0.; 2 * self.bins - 1];
        p[self.bins..].fill((1. - MIN_DENSITY).exp_m1().ln() / self.logit_scale);
        p
    }
    fn compose<T: Diff>(&self, direction: Direction, x: &T, p: &T) -> Result<Mapped<T>> {
        let (n, scale) = (self.bins, self.logit_scale);
        let w = sizes(&p.narrow(0, n)?, n, scale)?;
        let inner = p.narrow(n, n - 1)?.scale(scale)?.softplus()?.shift(MIN_DENSITY)?;
        let (first, last) = (w.narrow(0, 1)?, w.narrow(n - 1, 1)?);
        let ends = first.mul(&inner.narrow(0, 1)?)?.add(&last.mul(&inner.narrow(n - 2, 1)?)?)?;
        let mut area = ends.scale(0.25)?;
        if n > 2 {
            let pairs = inner.narrow(0, n - 2)?.add(&inner.narrow(1, n - 2)?)?;
            let between = w.narrow(1, n - 2)?.mul(&pairs)?.sum_last()?.unsqueeze_last()?;
            area = area.add(&between.scale(0.5)?)?;
        }
        let edge = area.div(&first.add(&last)?.scale(-0.25)?.shift(1.)?)?;
        let v = T::cat(&[&edge, &inner, &edge])?;
        let areas = w.mul(&v.narrow(0, n)?.add(&v.narrow(1, n)?)?)?.scale(0.5)?;
        let rate = T::constant(&(areas.sum_last()?.value().ones_like()? * (1. - MIN_DENSITY))?)
            .div(&areas.sum_last()?)?;
        let (knots, areas_below) = (below(&w, n)?, below(&areas, n)?);
        on_box(x, self.bound, |z| {
            let k = match direction {
                Direction::Forward => bin(z, knots.value())?,
                Direction::Inverse => {
                    let rate = rate.value().unsqueeze(candle_core::D::Minus1)?;
                    let heights = areas_below.value().broadcast_mul(&rate)?;
                    bin(z, &(heights + (knots.value() * MIN_DENSITY)?)?)?
                }
            };
            let (left, width, under) = (knots.gather(&k)?, w.gather(&k)?, areas_below.gather(&k)?);
            let (v0, v1) = (v.gather(&k)?, v.gather(&(&k + k.ones_like()?)?)?);
            let rise = v1.sub(&v0)?.div(&width)?;
            let u = match direction {
                Direction::Forward => z.sub(&left)?,
                Direction::Inverse => {
                    let a = rate.mul(&rise)?.scale(0.5)?;
                    let b = rate.mul(&v0)?.shift(MIN_DENSITY)?;
                    let c = left.scale(MIN_DENSITY)?.add(&rate.mul(&under)?)?.sub(z)?;
                    let root = b.mul(&b)?.sub(&a.mul(&c)?.scale(4.)?)?.relu()?.sqrt()?;
                    c.scale(-2.)?.div(&b.add(&root)?)?
                }
            };
            let l = rate.mul(&v0.add(&rise.mul(&u)?)?)?.shift(MIN_DENSITY)?.ln()?;
            Ok(match direction {
                Direction::Forward => {
                    let curve = rise.mul(&u)?.scale(0.5)?.add(&v0)?.mul(&u)?.add(&under)?;
                    (z.scale(MIN_DENSITY)?.add(&rate.mul(&curve)?)?, l)
                }
                Direction::Inverse => (left.add(&u)?, l.neg()?),
            })
        })
    }
}
