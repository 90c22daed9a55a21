//! An element-wise map on columns: values, and cotangents pulled back.
//!
//! The parameters lie transposed, `[T P, B]`, so that one register holds the same parameter of
//! neighbouring rows and the scalar arithmetic runs in lanes.
use super::lanes::{Element, registers};
use super::{Jet, Real};
use crate::bijector::Direction;
use crate::univariate::{Point, ScalarMap};
use pulp::{Simd, WithSimd};

/// The `T` features of rows of length `dim` that a map moves.
#[derive(Clone, Copy)]
pub(crate) struct Features<'a> {
    pub(crate) dim: usize,
    pub(crate) moved: &'a [usize],
}

/// Apply the map to the moved features.
pub(crate) struct MapRows<'a, U, T> {
    pub(crate) map: U,
    pub(crate) features: Features<'a>,
    pub(crate) direction: Direction,
    /// Moved features, `[T, B]`.
    pub(crate) moved: &'a [T],
    /// Parameters before their bias, `[T P, B]`.
    pub(crate) p: &'a [T],
    /// `[T P]`.
    pub(crate) bias: &'a [T],
    /// `[B, D]`.
    pub(crate) y: &'a mut [T],
    /// `[B]`; the log-slopes are added to it.
    pub(crate) log_det: &'a mut [T],
}

/// Load the `P` parameters of one feature for the rows `r` of `[T P, B]`.
#[inline(always)]
fn load_parameters<T: Element, S: Simd>(
    simd: S,
    p: &[T],
    bias: &[T],
    rows: usize,
    r: &std::ops::Range<usize>,
    out: &mut [T::Lanes<S>],
) {
    for (k, out) in out.iter_mut().enumerate() {
        let v = T::load(simd, &p[k * rows + r.start..k * rows + r.end]);
        *out = v + T::splat(simd, bias[k]);
    }
}

impl<U: ScalarMap, T: Element> WithSimd for MapRows<'_, U, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { map, features, direction, moved, p, bias, y, log_det } = self;
        let (rows, per, zero) = (log_det.len(), map.parameters(), T::splat(simd, T::default()));
        let (mut ps, mut scratch) = (vec![zero; per], vec![zero; map.scratch()]);
        let mut lanes = [T::default(); 16];
        for (t, &feature) in features.moved.iter().enumerate() {
            let (x, p, bias) = (&moved[t * rows..], &p[t * per * rows..], &bias[t * per..]);
            for r in registers::<T, S>(rows) {
                load_parameters(simd, p, bias, rows, &r, &mut ps);
                let xs = T::load(simd, &x[r.clone()]);
                let point = map.value(direction, xs, &ps, &mut scratch);
                T::store(simd, point.y, &mut lanes);
                for (v, b) in lanes.iter().zip(r.clone()) {
                    y[b * features.dim + feature] = *v;
                }
                let total = T::load(simd, &log_det[r.clone()]) + point.log_slope;
                T::store(simd, total, &mut log_det[r]);
            }
        }
    }
}

/// Pull cotangents of the moved features back to them (in place, in `g_x`) and to the parameters.
pub(crate) struct PullRows<'a, U, T> {
    pub(crate) map: U,
    pub(crate) features: Features<'a>,
    pub(crate) direction: Direction,
    /// Moved features, `[T, B]`.
    pub(crate) moved: &'a [T],
    /// Parameters before their bias, `[T P, B]`.
    pub(crate) p: &'a [T],
    /// `[T P]`.
    pub(crate) bias: &'a [T],
    /// Cotangent of the log-det, `[B]`; none is zero.
    pub(crate) g_log_det: Option<&'a [T]>,
    /// `[B, D]`.
    pub(crate) g_x: &'a mut [T],
    /// `[T P, B]`.
    pub(crate) g_p: &'a mut [T],
}

impl<U: ScalarMap, T: Element> WithSimd for PullRows<'_, U, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { map, features, direction, moved, p, bias, g_log_det, g_x, g_p } = self;
        let (d, per, zero) = (features.dim, map.parameters(), T::splat(simd, T::default()));
        let rows = g_x.len() / d;
        let (mut ps, mut gs) = (vec![zero; per], vec![zero; per]);
        let mut scratch = vec![zero; map.scratch()];
        let mut lanes = [T::default(); 16];
        for (t, &feature) in features.moved.iter().enumerate() {
            let x = &moved[t * rows..];
            let (p, bias) = (&p[t * per * rows..], &bias[t * per..]);
            let g_p = &mut g_p[t * per * rows..];
            for r in registers::<T, S>(rows) {
                load_parameters(simd, p, bias, rows, &r, &mut ps);
                for (lane, b) in lanes.iter_mut().zip(r.clone()) {
                    *lane = g_x[b * d + feature];
                }
                let cotangent = Point {
                    y: T::load(simd, &lanes),
                    log_slope: g_log_det.map_or(zero, |g| T::load(simd, &g[r.clone()])),
                };
                let xs = T::load(simd, &x[r.clone()]);
                let g = map.pullback(direction, xs, &ps, cotangent, &mut gs, &mut scratch);
                T::store(simd, g, &mut lanes);
                for (lane, b) in lanes.iter().zip(r.clone()) {
                    g_x[b * d + feature] = *lane;
                }
                for (k, g) in gs.iter().enumerate() {
                    T::store(simd, *g, &mut g_p[k * rows + r.start..k * rows + r.end]);
                }
            }
        }
    }
}

/// As [`PullRows`], of values and tangents: the pullback of `(y, log-slope)`, and of `ẏ = ∂y·(ẋ, ṗ)`
/// summed over the tangents, which is the Hessian of `y` times `v = Σ ȳ̇ (ẋ, ṗ)`. Both at once are the
/// derivative along `v` of the pullback in dual numbers, whatever the number of tangents.
pub(crate) struct PullTangents<'a, U, T> {
    pub(crate) map: U,
    pub(crate) features: Features<'a>,
    pub(crate) direction: Direction,
    /// Moved features, `[T, B]`.
    pub(crate) moved: &'a [T],
    /// Parameters before their bias, `[T P, B]`.
    pub(crate) p: &'a [T],
    /// `[T P]`.
    pub(crate) bias: &'a [T],
    /// `v` of the moved features, `[T, B]`.
    pub(crate) v_moved: &'a [T],
    /// `v` of the parameters, `[T P, B]`.
    pub(crate) v_p: &'a [T],
    /// Cotangent of the log-det, `[B]`.
    pub(crate) g_log_det: &'a [T],
    /// `[B, D]`.
    pub(crate) g_x: &'a mut [T],
    /// `[T P, B]`.
    pub(crate) g_p: &'a mut [T],
}

impl<U: ScalarMap, T: Element> WithSimd for PullTangents<'_, U, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { map, features, direction, moved, p, bias, v_moved, v_p, g_log_det, g_x, g_p } =
            self;
        let (d, per, zero) = (features.dim, map.parameters(), T::splat(simd, T::default()));
        let (rows, one) = (g_log_det.len(), zero.constant(1.));
        let (mut values, mut along) = (vec![zero; per], vec![zero; per]);
        let none = vec![T::default(); per];
        let mut ps = vec![Jet { v: zero, d: zero }; per];
        let (mut gs, mut scratch) = (ps.clone(), vec![Jet { v: zero, d: zero }; map.scratch()]);
        let mut lanes = [T::default(); 16];
        for (t, &feature) in features.moved.iter().enumerate() {
            let (x, v_x) = (&moved[t * rows..], &v_moved[t * rows..]);
            let of_t = t * per * rows..(t + 1) * per * rows;
            let (p, v_p, g_p) = (&p[of_t.clone()], &v_p[of_t.clone()], &mut g_p[of_t]);
            for r in registers::<T, S>(rows) {
                load_parameters(simd, p, &bias[t * per..], rows, &r, &mut values);
                load_parameters(simd, v_p, &none, rows, &r, &mut along);
                for (p, (v, d)) in ps.iter_mut().zip(values.iter().zip(&along)) {
                    *p = Jet { v: *v, d: *d };
                }
                for (lane, b) in lanes.iter_mut().zip(r.clone()) {
                    *lane = g_x[b * d + feature];
                }
                let cotangent = Point {
                    y: Jet { v: one, d: T::load(simd, &lanes) },
                    log_slope: Jet { v: zero, d: T::load(simd, &g_log_det[r.clone()]) },
                };
                let xs = Jet { v: T::load(simd, &x[r.clone()]), d: T::load(simd, &v_x[r.clone()]) };
                let g = map.pullback(direction, xs, &ps, cotangent, &mut gs, &mut scratch);
                T::store(simd, g.d, &mut lanes);
                for (lane, b) in lanes.iter().zip(r.clone()) {
                    g_x[b * d + feature] = *lane;
                }
                for (k, g) in gs.iter().enumerate() {
                    T::store(simd, g.d, &mut g_p[k * rows + r.start..k * rows + r.end]);
                }
            }
        }
    }
}
