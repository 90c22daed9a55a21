//! The piecewise-linear map.
use super::knots::{Boxed, below, bin, check, on_box, softmax, softmax_pullback};
use super::{Point, ScalarMap, Univariate};
use crate::bijector::{Direction, Mapped};
use crate::kernel::Real;
use crate::{Diff, Result};
use candle_core::{D, Tensor};

/// A piecewise-linear map of `[-bound, bound]` to itself, the identity outside: over `K` equal bins it
/// is the integral of a histogram with the shares `p = softmax(logits)`.
///
/// With `z = (x + bound)/(2 bound)`, `k = ⌊K z⌋` and `f = p_0 + .. + p_(k-1) + (K z - k) p_k`:
/// `y = 2 bound f - bound` and `dy/dx = K p_k`. The `K` parameters of an element are the logits. The
/// log-det jumps from bin to bin. A logit counts as at most 60 below the largest one.
///
/// Müller, McWilliams, Rousselle, Gross & Novák (2019), *Neural Importance Sampling*, arXiv
/// 1808.03856, section 4.1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearSpline {
    bins: usize,
    bound: f64,
}

/// How far a logit can be below the largest one: no share is zero. Shares near `exp(-60)` have no
/// derivative to speak of, so that none is taken of this bound.
const DEPTH: f64 = 60.;

impl LinearSpline {
    /// A map of `bins` bins on `[-bound, bound]`.
    ///
    /// # Errors
    /// If `bins` is 0 or too many, or `bound` is not positive.
    pub fn new(bins: usize, bound: f64) -> Result<Self> {
        check(bins, 1, bound)?;
        Ok(Self { bins, bound })
    }

    /// The bin of a point of the unit interval: its number, its share, and the sum below it. Leaves
    /// the shares in `scratch`.
    #[inline(always)]
    fn locate<R: Real>(&self, direction: Direction, z: R, p: &[R], scratch: &mut [R]) -> [R; 3] {
        let (shares, logits) = scratch[..2 * self.bins].split_at_mut(self.bins);
        let mut top = p[0];
        for u in &p[1..] {
            top = u.maximum(top);
        }
        for (logit, u) in logits.iter_mut().zip(p) {
            *logit = u.maximum(top - z.constant(DEPTH));
        }
        softmax(1., logits, shares);
        let zero = z.constant(0.);
        let (mut k, mut share, mut sum, mut total) = (zero, zero, zero, zero);
        for (i, p_i) in shares.iter().enumerate() {
            let here = match direction {
                Direction::Forward => z.ge(z.constant(i as f64 / self.bins as f64)),
                Direction::Inverse => z.ge(total),
            };
            k = R::select(here, z.constant(i as f64), k);
            share = R::select(here, *p_i, share);
            sum = R::select(here, total, sum);
            total += *p_i;
        }
        [k, share, sum]
    }
}

impl ScalarMap for LinearSpline {
    fn parameters(&self) -> usize {
        self.bins
    }
    fn scratch(&self) -> usize {
        2 * self.bins
    }
    #[inline(always)]
    fn value<R: Real>(&self, direction: Direction, x: R, p: &[R], scratch: &mut [R]) -> Point<R> {
        let at = Boxed::new(x, self.bound);
        let [k, share, sum] = self.locate(direction, at.unit, p, scratch);
        let n = x.constant(self.bins as f64);
        let l = (n * share).ln();
        let (f, l) = match direction {
            Direction::Forward => (sum + (n * at.unit - k) * share, l),
            Direction::Inverse => ((k + (at.unit - sum) / share) / n, -l),
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
        let at = Boxed::new(x, self.bound);
        let [k, share, sum] = self.locate(direction, at.unit, p, scratch);
        let (zero, n) = (x.constant(0.), x.constant(self.bins as f64));
        let g_y = at.select(cotangent.y, zero);
        let g_l = at.select(cotangent.log_slope, zero);
        let (slope, box_size) = (n * share, x.constant(2. * self.bound));
        // Of the inverse: x = f⁻¹(y; p), with the cotangent of f that implicit differentiation gives.
        let (g_x, g_f, g_l, inside) = match direction {
            Direction::Forward => (g_y * slope, g_y * box_size, g_l, n * at.unit - k),
            Direction::Inverse => {
                let g = g_y / slope;
                (g, -g * box_size, -g_l, (at.unit - sum) / share)
            }
        };
        let (shares, g_shares) = scratch[..2 * self.bins].split_at_mut(self.bins);
        let of_bin = g_f * inside + g_l / share;
        for (i, g) in g_shares.iter_mut().enumerate() {
            let up_to = k.ge(x.constant(i as f64));
            let under = k.ge(x.constant((i + 1) as f64));
            *g = R::select(under, g_f, R::select(up_to, of_bin, zero));
        }
        softmax_pullback(1., shares, g_shares, g_p);
        at.select(g_x, cotangent.y)
    }
}

impl Univariate for LinearSpline {
    fn identity(&self) -> Vec<f64> {
        vec![0.; self.bins]
    }
    fn compose<T: Diff>(&self, direction: Direction, x: &T, p: &T) -> Result<Mapped<T>> {
        let n = self.bins;
        let top = T::constant(&p.value().max_keepdim(D::Minus1)?.detach());
        let shares = p.sub(&top)?.shift(DEPTH)?.relu()?.softmax()?;
        let sums = below(&shares, n)?;
        on_box(x, self.bound, |z| {
            let v = z.value();
            let k = match direction {
                Direction::Forward => {
                    let left = (0..n).map(|i| i as f64 / n as f64).collect::<Vec<_>>();
                    let left = Tensor::from_vec(left, n, &candle_core::Device::Cpu)?;
                    bin(z, &left.to_dtype(v.dtype())?.to_device(v.device())?)?
                }
                Direction::Inverse => bin(z, sums.value())?,
            };
            let (share, sum) = (shares.gather(&k)?, sums.gather(&k)?);
            let k = T::constant(&k.squeeze(D::Minus1)?.to_dtype(v.dtype())?);
            let l = share.scale(n as f64)?.ln()?;
            Ok(match direction {
                Direction::Forward => (z.scale(n as f64)?.sub(&k)?.mul(&share)?.add(&sum)?, l),
                Direction::Inverse => {
                    let inside = z.sub(&sum)?.div(&share)?;
                    (inside.add(&k)?.scale(1. / n as f64)?, l.neg()?)
                }
            })
        })
    }
}
