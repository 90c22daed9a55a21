//! Element loops of conditioner networks, over matrices of values with tangents.
use super::buffer::Buffer;
use super::lanes::{Element, dispatch, registers};
use super::{Jet, Real};
use crate::nn::Activation;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// The rows of a matrix: a value of each of `points`, and behind them `tangents` rows of each point.
///
/// Values and tangents go through the same affine maps, so that one matrix product serves both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) points: usize,
    pub(crate) tangents: usize,
}

impl Rows {
    /// Number of rows.
    pub(crate) fn len(self) -> usize {
        self.points * (1 + self.tangents)
    }
    /// Numbers of the rows that hold the tangents of a point.
    #[inline(always)]
    pub(crate) fn of(self, point: usize) -> Range<usize> {
        let first = self.points + point * self.tangents;
        first..first + self.tangents
    }
}

/// Elements `r` of a row.
#[inline(always)]
fn at(row: usize, width: usize, r: &Range<usize>) -> Range<usize> {
    row * width + r.start..row * width + r.end
}

/// `pre += bias`, `out = act(pre)`; of tangents `out = act'(pre) pre`.
pub(crate) fn bias_activate<T: Element>(
    rows: Rows,
    pre: &mut [T],
    bias: &[T],
    activation: Activation,
) -> Buffer<T> {
    struct Op<'a, T>(Rows, &'a mut [T], &'a [T], &'a mut [T], Activation);
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(rows, pre, bias, out, activation) = self;
            let width = bias.len();
            for b in 0..rows.points {
                for r in registers::<T, S>(width) {
                    let here = at(b, width, &r);
                    let x = T::load(simd, &pre[here.clone()]) + T::load(simd, &bias[r.clone()]);
                    T::store(simd, x, &mut pre[here.clone()]);
                    T::store(simd, activation.value(x), &mut out[here]);
                    if rows.tangents > 0 {
                        let slope = activation.derivative(x);
                        for row in rows.of(b) {
                            let here = at(row, width, &r);
                            let t = T::load(simd, &pre[here.clone()]) * slope;
                            T::store(simd, t, &mut out[here]);
                        }
                    }
                }
            }
        }
    }
    let mut out = Buffer::stale(pre.len());
    dispatch(Op(rows, pre, bias, &mut out, activation));
    out
}

/// One update of a hidden layer: `u += bias`, `gate = sigmoid(gate + gate_bias)`, returns
/// `h + u gate`; without a gate `h + u`, without `h` only the second term. Of tangents `h + u gate`
/// alone: the context, and with it the gate, is constant.
pub(crate) fn residual<T: Element>(
    rows: Rows,
    h: Option<&[T]>,
    u: &mut [T],
    bias: &[T],
    gate: Option<(&mut [T], &[T])>,
) -> Buffer<T> {
    struct Op<'a, T> {
        rows: Rows,
        h: Option<&'a [T]>,
        u: &'a mut [T],
        bias: &'a [T],
        gate: Option<(&'a mut [T], &'a [T])>,
        out: &'a mut [T],
    }
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self { rows, h, u, bias, mut gate, out } = self;
            let width = bias.len();
            for b in 0..rows.points {
                for r in registers::<T, S>(width) {
                    let here = at(b, width, &r);
                    let mut x = T::load(simd, &u[here.clone()]) + T::load(simd, &bias[r.clone()]);
                    T::store(simd, x, &mut u[here.clone()]);
                    let mut factor = None;
                    if let Some((gate, gate_bias)) = &mut gate {
                        let g = T::load(simd, &gate[here.clone()])
                            + T::load(simd, &gate_bias[r.clone()]);
                        let g = g.sigmoid();
                        T::store(simd, g, &mut gate[here.clone()]);
                        x = x * g;
                        factor = Some(g);
                    }
                    if let Some(h) = h {
                        x = T::load(simd, &h[here.clone()]) + x;
                    }
                    T::store(simd, x, &mut out[here]);
                    for row in rows.of(b) {
                        let here = at(row, width, &r);
                        let mut t = T::load(simd, &u[here.clone()]);
                        if let Some(g) = factor {
                            t = t * g;
                        }
                        if let Some(h) = h {
                            t = T::load(simd, &h[here.clone()]) + t;
                        }
                        T::store(simd, t, &mut out[here]);
                    }
                }
            }
        }
    }
    let mut out = Buffer::stale(u.len());
    dispatch(Op { rows, h, u, bias, gate, out: &mut out });
    out
}

/// Backward of the gated product: the cotangents of `u`, and those of the gate before its sigmoid,
/// `(g u + Σ over tangents) gate (1 - gate)`.
pub(crate) fn gate_back<T: Element>(rows: Rows, g: &[T], u: &[T], gate: &[T]) -> [Buffer<T>; 2] {
    struct Op<'a, T>(Rows, &'a [T], &'a [T], &'a [T], &'a mut [T], &'a mut [T]);
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(rows, g, u, gate, gu, ggate) = self;
            let width = gate.len() / rows.points.max(1);
            for b in 0..rows.points {
                for r in registers::<T, S>(width) {
                    let here = at(b, width, &r);
                    let s = T::load(simd, &gate[here.clone()]);
                    let mut total = T::splat(simd, T::default());
                    for row in std::iter::once(b).chain(rows.of(b)) {
                        let here = at(row, width, &r);
                        let x = T::load(simd, &g[here.clone()]);
                        total += x * T::load(simd, &u[here.clone()]);
                        T::store(simd, x * s, &mut gu[here]);
                    }
                    T::store(simd, total * s * (s.constant(1.) - s), &mut ggate[here]);
                }
            }
        }
    }
    let (mut gu, mut ggate) = (Buffer::stale(g.len()), Buffer::stale(gate.len()));
    dispatch(Op(rows, g, u, gate, &mut gu, &mut ggate));
    [gu, ggate]
}

/// Backward of the activation of `pre`: `g *= act'(pre)`, and on values `+= act''(pre) Σ pre g` over
/// their tangents.
pub(crate) fn activate_back<T: Element>(
    rows: Rows,
    g: &mut [T],
    pre: &[T],
    width: usize,
    activation: Activation,
) {
    struct Op<'a, T>(Rows, &'a mut [T], &'a [T], usize, Activation);
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(rows, g, pre, width, activation) = self;
            let curved = rows.tangents > 0 && activation.is_curved();
            for b in 0..rows.points {
                for r in registers::<T, S>(width) {
                    let here = at(b, width, &r);
                    let x = T::load(simd, &pre[here.clone()]);
                    let zero = T::splat(simd, T::default());
                    let (slope, curvature) = if curved {
                        let jet = activation.derivative(Jet { v: x, d: x.constant(1.) });
                        (jet.v, jet.d)
                    } else {
                        (activation.derivative(x), zero)
                    };
                    let mut total = zero;
                    for row in rows.of(b) {
                        let here = at(row, width, &r);
                        let t = T::load(simd, &g[here.clone()]);
                        if curved {
                            total += t * T::load(simd, &pre[here.clone()]);
                        }
                        T::store(simd, t * slope, &mut g[here]);
                    }
                    let mut value = T::load(simd, &g[here.clone()]) * slope;
                    if curved {
                        value += total * curvature;
                    }
                    T::store(simd, value, &mut g[here]);
                }
            }
        }
    }
    dispatch(Op(rows, g, pre, width, activation));
}

/// `a += b`.
pub(crate) fn add<T: Element>(a: &mut [T], b: &[T]) {
    struct Op<'a, T>(&'a mut [T], &'a [T]);
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(a, b) = self;
            for r in registers::<T, S>(a.len()) {
                let sum = T::load(simd, &a[r.clone()]) + T::load(simd, &b[r.clone()]);
                T::store(simd, sum, &mut a[r]);
            }
        }
    }
    dispatch(Op(a, b));
}

/// The sum of `scale row` over the tangents of each point, `[points, width]`; one factor a row.
pub(crate) fn contract<T: Element>(
    rows: Rows,
    tangents: &[T],
    scale: impl Fn(usize) -> T,
    width: usize,
) -> Buffer<T> {
    struct Op<'a, T, F>(Rows, &'a [T], F, usize, &'a mut [T]);
    impl<T: Element, F: Fn(usize) -> T> WithSimd for Op<'_, T, F> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(rows, tangents, scale, width, out) = self;
            let k = rows.tangents;
            for b in 0..rows.points {
                for r in registers::<T, S>(width) {
                    let mut sum = T::splat(simd, T::default());
                    for row in b * k..(b + 1) * k {
                        let t = T::load(simd, &tangents[at(row, width, &r)]);
                        sum += t * T::splat(simd, scale(row));
                    }
                    T::store(simd, sum, &mut out[at(b, width, &r)]);
                }
            }
        }
    }
    let mut out = Buffer::stale(rows.points * width);
    dispatch(Op(rows, tangents, scale, width, &mut out));
    out
}

/// `tangents += scale row`, with the row of their point; one factor a row. The transpose of
/// [`contract`].
pub(crate) fn spread<T: Element>(
    rows: Rows,
    tangents: &mut [T],
    scale: impl Fn(usize) -> T,
    of_points: &[T],
    width: usize,
) {
    struct Op<'a, T, F>(Rows, &'a mut [T], F, &'a [T], usize);
    impl<T: Element, F: Fn(usize) -> T> WithSimd for Op<'_, T, F> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(rows, tangents, scale, of_points, width) = self;
            let k = rows.tangents;
            for b in 0..rows.points {
                for r in registers::<T, S>(width) {
                    let x = T::load(simd, &of_points[at(b, width, &r)]);
                    for row in b * k..(b + 1) * k {
                        let here = at(row, width, &r);
                        let t =
                            T::load(simd, &tangents[here.clone()]) + x * T::splat(simd, scale(row));
                        T::store(simd, t, &mut tangents[here]);
                    }
                }
            }
        }
    }
    dispatch(Op(rows, tangents, scale, of_points, width));
}

/// Column sums of `[rows, width]`.
pub(crate) fn column_sums<T: Element>(rows: &[T], sums: &mut [T]) {
    struct Op<'a, T>(&'a mut [T], &'a [T]);
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(sums, rows) = self;
            let width = sums.len();
            for r in registers::<T, S>(width) {
                let mut acc = T::splat(simd, T::default());
                for row in rows.chunks_exact(width) {
                    acc += T::load(simd, &row[r.clone()]);
                }
                T::store(simd, acc, &mut sums[r]);
            }
        }
    }
    dispatch(Op(sums, rows));
}

/// The dot product of `a` and `b`.
pub(crate) fn dot<T: Element>(a: &[T], b: &[T]) -> T {
    struct Op<'a, T>(&'a [T], &'a [T]);
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = T;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> T {
            let Self(a, b) = self;
            let mut acc = T::splat(simd, T::default());
            for r in registers::<T, S>(a.len()) {
                acc += T::load(simd, &a[r.clone()]) * T::load(simd, &b[r]);
            }
            let mut lanes = [T::default(); 16];
            T::store(simd, acc, &mut lanes);
            lanes[..T::width::<S>()].iter().fold(T::default(), |s, v| s + *v)
        }
    }
    dispatch(Op(a, b))
}

/// The sum of `a`.
pub(crate) fn sum<T: Element>(a: &[T]) -> T {
    a.iter().fold(T::default(), |s, v| s + *v)
}
