//! Element loops of conditioner networks, over matrices `[rows, width]`.
use super::Real;
use super::lanes::{Element, dispatch, registers};
use crate::nn::Activation;
use pulp::{Simd, WithSimd};

/// `pre += bias`, `out = act(pre)`.
pub(crate) fn bias_activate<T: Element>(
    pre: &mut [T],
    bias: &[T],
    activation: Activation,
) -> Vec<T> {
    struct Op<'a, T>(&'a mut [T], &'a [T], &'a mut [T], Activation);
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(pre, bias, out, activation) = self;
            let width = bias.len();
            for (pre, out) in pre.chunks_exact_mut(width).zip(out.chunks_exact_mut(width)) {
                for r in registers::<T, S>(width) {
                    let x = T::load(simd, &pre[r.clone()]) + T::load(simd, &bias[r.clone()]);
                    T::store(simd, x, &mut pre[r.clone()]);
                    T::store(simd, activation.value(x), &mut out[r]);
                }
            }
        }
    }
    let mut out = vec![T::default(); pre.len()];
    dispatch(Op(pre, bias, &mut out, activation));
    out
}

/// One update of a hidden layer: `u += bias`, `gate = sigmoid(gate + gate_bias)`, returns
/// `h + u gate`; without a gate `h + u`, without `h` only the second term.
pub(crate) fn residual<T: Element>(
    h: Option<&[T]>,
    u: &mut [T],
    bias: &[T],
    gate: Option<(&mut [T], &[T])>,
) -> Vec<T> {
    struct Op<'a, T>(
        Option<&'a [T]>,
        &'a mut [T],
        &'a [T],
        Option<(&'a mut [T], &'a [T])>,
        &'a mut [T],
    );
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(h, u, bias, mut gate, out) = self;
            let width = bias.len();
            for start in (0..u.len()).step_by(width) {
                for r in registers::<T, S>(width) {
                    let at = start + r.start..start + r.end;
                    let x = T::load(simd, &u[at.clone()]) + T::load(simd, &bias[r.clone()]);
                    T::store(simd, x, &mut u[at.clone()]);
                    let mut x = x;
                    if let Some((gate, gate_bias)) = &mut gate {
                        let g = T::load(simd, &gate[at.clone()]) + T::load(simd, &gate_bias[r]);
                        let g = g.sigmoid();
                        T::store(simd, g, &mut gate[at.clone()]);
                        x = x * g;
                    }
                    if let Some(h) = h {
                        x = T::load(simd, &h[at.clone()]) + x;
                    }
                    T::store(simd, x, &mut out[at]);
                }
            }
        }
    }
    let mut out = vec![T::default(); u.len()];
    if !u.is_empty() {
        dispatch(Op(h, u, bias, gate, &mut out));
    }
    out
}

/// Backward of the gated product: `(g gate, g u gate (1 - gate))`.
pub(crate) fn gate_back<T: Element>(g: &[T], u: &[T], gate: &[T]) -> (Vec<T>, Vec<T>) {
    struct Op<'a, T>(&'a [T], &'a [T], &'a [T], &'a mut [T], &'a mut [T]);
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(g, u, gate, gu, ggate) = self;
            for r in registers::<T, S>(g.len()) {
                let (x, s) = (T::load(simd, &g[r.clone()]), T::load(simd, &gate[r.clone()]));
                let gated = x * s;
                T::store(simd, gated, &mut gu[r.clone()]);
                let u = T::load(simd, &u[r.clone()]);
                T::store(simd, gated * u * (s.constant(1.) - s), &mut ggate[r]);
            }
        }
    }
    let (mut gu, mut ggate) = (vec![T::default(); g.len()], vec![T::default(); g.len()]);
    dispatch(Op(g, u, gate, &mut gu, &mut ggate));
    (gu, ggate)
}

/// `rows *= act'(pre)`, each row of `pre` used for `repeat` rows of `rows` (tangents share it).
pub(crate) fn scale_by_derivative<T: Element>(
    rows: &mut [T],
    pre: &[T],
    width: usize,
    repeat: usize,
    activation: Activation,
) {
    struct Op<'a, T>(&'a mut [T], &'a [T], usize, usize, Activation);
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(rows, pre, width, repeat, activation) = self;
            for (rows, pre) in rows.chunks_exact_mut(width * repeat).zip(pre.chunks_exact(width)) {
                for r in registers::<T, S>(width) {
                    let d = activation.derivative(T::load(simd, &pre[r.clone()]));
                    for row in rows.chunks_exact_mut(width) {
                        let x = T::load(simd, &row[r.clone()]) * d;
                        T::store(simd, x, &mut row[r.clone()]);
                    }
                }
            }
        }
    }
    dispatch(Op(rows, pre, width, repeat, activation));
}

/// `h += rows * gate`, each row of `gate` used for `repeat` rows; without a gate `h += rows`.
pub(crate) fn add_gated<T: Element>(
    h: &mut [T],
    rows: &[T],
    gate: Option<&[T]>,
    width: usize,
    repeat: usize,
) {
    struct Op<'a, T>(&'a mut [T], &'a [T], Option<&'a [T]>, usize, usize);
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(h, rows, gate, width, repeat) = self;
            for (i, (h, row)) in h.chunks_exact_mut(width).zip(rows.chunks_exact(width)).enumerate()
            {
                let start = i / repeat * width;
                for r in registers::<T, S>(width) {
                    let mut x = T::load(simd, &row[r.clone()]);
                    if let Some(gate) = gate {
                        x = x * T::load(simd, &gate[start + r.start..start + r.end]);
                    }
                    T::store(simd, T::load(simd, &h[r.clone()]) + x, &mut h[r]);
                }
            }
        }
    }
    dispatch(Op(h, rows, gate, width, repeat));
}

/// Column sums of `[rows, width]`, added to `sums`.
pub(crate) fn add_column_sums<T: Element>(rows: &[T], sums: &mut [T]) {
    struct Op<'a, T>(&'a mut [T], &'a [T]);
    impl<T: Element> WithSimd for Op<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(sums, rows) = self;
            let width = sums.len();
            for r in registers::<T, S>(width) {
                let mut acc = T::load(simd, &sums[r.clone()]);
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
