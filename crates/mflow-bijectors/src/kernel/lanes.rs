//! SIMD lanes of `f32` and `f64` as [`Real`] numbers, and the element types of kernels.
use super::OnCuda;
use super::Real;
use super::buffer::{Kept, Shelf};
use candle_core::WithDType;
use pulp::{Simd, WithSimd, bytemuck};
use std::cell::RefCell;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Range, Sub};
use std::thread::LocalKey;

/// Run `op` with the widest instructions of this machine.
#[inline]
pub(crate) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    pulp::Arch::new().dispatch(op)
}

/// What a kernel computes in: `f32` or `f64`.
pub(crate) trait Element: super::gemm::Number + Kept + OnCuda {
    /// One register of this element.
    type Lanes<S: Simd>: Real;
    /// Elements per register.
    fn width<S: Simd>() -> usize;
    /// The first elements of `src`; zero where it is shorter than a register.
    fn load<S: Simd>(simd: S, src: &[Self]) -> Self::Lanes<S>;
    /// Store as many lanes as `dst` takes.
    fn store<S: Simd>(simd: S, lanes: Self::Lanes<S>, dst: &mut [Self]);
    /// The same number in each lane.
    fn splat<S: Simd>(simd: S, v: Self) -> Self::Lanes<S>;
}

/// Cut `0..n` into ranges of one register each; the last may be shorter.
#[inline(always)]
pub(crate) fn registers<T: Element, S: Simd>(n: usize) -> impl Iterator<Item = Range<usize>> {
    let w = T::width::<S>();
    (0..n.div_ceil(w)).map(move |i| i * w..((i + 1) * w).min(n))
}

macro_rules! lanes {
    ($name:ident, $t:ty, $ts:ident, $width:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
     $neg:ident, $sqrt:ident, $ge:ident, $select:ident, $mask:ident, $splat:ident, $load:ident,
     $store:ident) => {
        /// One SIMD register.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name<S: Simd> {
            simd: S,
            v: S::$ts,
        }
        impl<S: Simd> Add for $name<S> {
            type Output = Self;
            #[inline(always)]
            fn add(self, o: Self) -> Self {
                Self { v: self.simd.$add(self.v, o.v), ..self }
            }
        }
        impl<S: Simd> Sub for $name<S> {
            type Output = Self;
            #[inline(always)]
            fn sub(self, o: Self) -> Self {
                Self { v: self.simd.$sub(self.v, o.v), ..self }
            }
        }
        impl<S: Simd> Mul for $name<S> {
            type Output = Self;
            #[inline(always)]
            fn mul(self, o: Self) -> Self {
                Self { v: self.simd.$mul(self.v, o.v), ..self }
            }
        }
        impl<S: Simd> Div for $name<S> {
            type Output = Self;
            #[inline(always)]
            fn div(self, o: Self) -> Self {
                Self { v: self.simd.$div(self.v, o.v), ..self }
            }
        }
        impl<S: Simd> Neg for $name<S> {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                Self { v: self.simd.$neg(self.v), ..self }
            }
        }
        impl<S: Simd> AddAssign for $name<S> {
            #[inline(always)]
            fn add_assign(&mut self, o: Self) {
                *self = *self + o;
            }
        }
        impl<S: Simd> Real for $name<S> {
            type Mask = S::$mask;
            #[inline(always)]
            fn constant(self, v: f64) -> Self {
                Self { v: self.simd.$splat(<$t as WithDType>::from_f64(v)), ..self }
            }
            #[inline(always)]
            fn exp(self) -> Self {
                self.exponential()
            }
            #[inline(always)]
            fn ln(self) -> Self {
                self.logarithm()
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self { v: self.simd.$sqrt(self.v), ..self }
            }
            #[inline(always)]
            fn ge(self, rhs: Self) -> Self::Mask {
                self.simd.$ge(self.v, rhs.v)
            }
            #[inline(always)]
            fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
                Self { v: yes.simd.$select(mask, yes.v, no.v), ..yes }
            }
        }
        impl Kept for $t {
            fn shelf() -> &'static LocalKey<RefCell<Shelf<Self>>> {
                thread_local! {
                    static SHELF: RefCell<Shelf<$t>> = const { RefCell::new(Shelf::new()) };
                }
                &SHELF
            }
        }
        impl Element for $t {
            type Lanes<S: Simd> = $name<S>;
            #[inline(always)]
            fn width<S: Simd>() -> usize {
                S::$width
            }
            #[inline(always)]
            fn load<S: Simd>(simd: S, src: &[Self]) -> $name<S> {
                let v = match src.get(..S::$width) {
                    Some(full) => bytemuck::pod_read_unaligned(bytemuck::cast_slice(full)),
                    None => simd.$load(src),
                };
                $name { simd, v }
            }
            #[inline(always)]
            fn store<S: Simd>(simd: S, lanes: $name<S>, dst: &mut [Self]) {
                match dst.get_mut(..S::$width) {
                    Some(full) => full.copy_from_slice(bytemuck::cast_slice(&[lanes.v])),
                    None => simd.$store(dst, lanes.v),
                }
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, v: Self) -> $name<S> {
                $name { simd, v: simd.$splat(v) }
            }
        }
    };
}

lanes!(
    F32s,
    f32,
    f32s,
    F32_LANES,
    add_f32s,
    sub_f32s,
    mul_f32s,
    div_f32s,
    neg_f32s,
    sqrt_f32s,
    greater_than_or_equal_f32s,
    select_f32s,
    m32s,
    splat_f32s,
    partial_load_f32s,
    partial_store_f32s
);
lanes!(
    F64s,
    f64,
    f64s,
    F64_LANES,
    add_f64s,
    sub_f64s,
    mul_f64s,
    div_f64s,
    neg_f64s,
    sqrt_f64s,
    greater_than_or_equal_f64s,
    select_f64s,
    m64s,
    splat_f64s,
    partial_load_f64s,
    partial_store_f64s
);

impl<S: Simd> F64s<S> {
    /// Lane by lane by the standard library: f64 is for correctness, not for speed.
    #[inline(always)]
    fn each(mut self, f: impl Fn(f64) -> f64) -> Self {
        let lanes: &mut [f64] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut self.v));
        lanes.iter_mut().for_each(|v| *v = f(*v));
        self
    }
    #[inline(always)]
    fn exponential(self) -> Self {
        self.each(f64::exp)
    }
    #[inline(always)]
    fn logarithm(self) -> Self {
        self.each(f64::ln)
    }
}

impl<S: Simd> F32s<S> {
    #[inline(always)]
    fn splat(self, v: f32) -> Self {
        Self { v: self.simd.splat_f32s(v), ..self }
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self { v: self.simd.mul_add_e_f32s(self.v, b.v, c.v), ..self }
    }
    /// Horner's scheme.
    #[inline(always)]
    fn polynomial(self, coefficients: &[f32]) -> Self {
        let mut y = self.splat(coefficients[0]);
        for &c in &coefficients[1..] {
            y = y.mul_add(self, self.splat(c));
        }
        y
    }

    /// `exp` within 2 units in the last place: `2^n exp(r)` with `|r| <= ln(2)/2`, the polynomial of
    /// the Cephes library (Moshier 1992). Clamped to [-87.3, 88.3]; NaN stays NaN.
    #[inline(always)]
    fn exponential(self) -> Self {
        let s = self.simd;
        // Adding 1.5 * 2^23 leaves the rounded integer in the low bits of the sum.
        let magic = self.splat(12_582_912.0);
        let (low, high) = (self.splat(-87.3), self.splat(88.3));
        // A NaN fails both comparisons and is kept.
        let x = Self { v: s.select_f32s(s.less_than_f32s(self.v, low.v), low.v, self.v), ..self };
        let x = Self { v: s.select_f32s(s.greater_than_f32s(x.v, high.v), high.v, x.v), ..self };
        let shifted = x.mul_add(self.splat(std::f32::consts::LOG2_E), magic);
        let n = shifted - magic;
        let r = n.mul_add(self.splat(-0.693_359_4), x);
        let r = n.mul_add(self.splat(2.121_944_4e-4), r);
        let p = r.polynomial(&[
            1.987_569_1e-4,
            1.398_199_9e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            0.5,
        ]);
        let y = p.mul_add(r * r, r) + self.splat(1.0);
        // The exponent field of 2^n: n + 127, built from the low bits of the shifted sum.
        let bits = s.transmute_u32s_f32s(shifted.v);
        let bits = s.sub_u32s(bits, s.splat_u32s(12_582_912.0_f32.to_bits() - 127));
        let power = s.wrapping_dyn_shl_u32s(bits, s.splat_u32s(23));
        y * Self { v: s.transmute_f32s_u32s(power), ..self }
    }

    /// `ln` within 2 units in the last place (Cephes); 0 gives -inf, negative numbers and NaN NaN.
    #[inline(always)]
    fn logarithm(self) -> Self {
        let s = self.simd;
        let bits = s.transmute_u32s_f32s(self.v);
        // self = m 2^e with m in [1/2, 1).
        let e = s.wrapping_dyn_shr_u32s(bits, s.splat_u32s(23));
        let e = s.transmute_f32s_u32s(s.or_u32s(e, s.splat_u32s(0x4b00_0000)));
        let e = Self { v: e, ..self } - self.splat(8_388_608.0 + 126.0);
        let m = s.or_u32s(s.and_u32s(bits, s.splat_u32s(0x007f_ffff)), s.splat_u32s(0x3f00_0000));
        let m = Self { v: s.transmute_f32s_u32s(m), ..self };
        // Move m to [sqrt(1/2), sqrt(2)).
        let small = s.less_than_f32s(m.v, s.splat_f32s(std::f32::consts::FRAC_1_SQRT_2));
        let e = Self::select(small, e - self.splat(1.0), e);
        let m = Self::select(small, m + m, m) - self.splat(1.0);
        let z = m * m;
        let p = m.polynomial(&[
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ]);
        let y = p * m * z;
        let y = e.mul_add(self.splat(-2.121_944_4e-4), y);
        let y = z.mul_add(self.splat(-0.5), y);
        let y = e.mul_add(self.splat(0.693_359_4), m + y);
        let positive = s.greater_than_f32s(self.v, s.splat_f32s(0.0));
        let zero = s.equal_f32s(self.v, s.splat_f32s(0.0));
        let rest = Self::select(zero, self.splat(f32::NEG_INFINITY), self.splat(f32::NAN));
        let finite = s.less_than_f32s(self.v, s.splat_f32s(f32::INFINITY));
        Self::select(positive, Self::select(finite, y, self), rest)
    }
}

#[cfg(test)]
mod tests {
    //! The elementary functions against the standard library in f64.
    use super::*;
    use crate::kernel::Jet;

    /// Apply `f` to each number, in lanes.
    struct Each<'a, T, F>(&'a [T], &'a mut [T], F);

    /// A function of any lanes; closures cannot be generic.
    trait Function: Copy {
        fn call<R: Real>(self, x: R) -> R;
    }

    impl<T: Element, F: Function> WithSimd for Each<'_, T, F> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self(x, y, f) = self;
            for r in registers::<T, S>(x.len()) {
                let v = f.call(T::load(simd, &x[r.clone()]));
                T::store(simd, v, &mut y[r]);
            }
        }
    }

    fn each<T: Element, F: Function>(x: &[T], f: F) -> Vec<T> {
        let mut y = vec![T::default(); x.len()];
        dispatch(Each(x, &mut y, f));
        y
    }

    macro_rules! functions {
        ($($name:ident = |$x:ident| $body:expr;)*) => {
            $(#[derive(Clone, Copy)]
            struct $name;
            impl Function for $name {
                #[inline(always)]
                fn call<R: Real>(self, $x: R) -> R {
                    $body
                }
            })*
        };
    }

    functions! {
        Exp = |x| x.exp();
        Ln = |x| x.ln();
        Sqrt = |x| x.sqrt();
        Sigmoid = |x| x.sigmoid();
        Tanh = |x| x.tanh();
        Softplus = |x| x.softplus();
        AtMostZero = |x| -(-x).maximum(x.constant(0.));
        SigmoidSlope = |x| Jet { v: x, d: x.constant(1.) }.sigmoid().d;
        TanhSlope = |x| Jet { v: x, d: x.constant(1.) }.tanh().d;
        SoftplusSlope = |x| Jet { v: x, d: x.constant(1.) }.softplus().d;
        LnSlope = |x| Jet { v: x, d: x.constant(1.) }.ln().d;
        SqrtSlope = |x| Jet { v: x, d: x.constant(1.) }.sqrt().d;
        QuotientSlope = |x| {
            let x = Jet { v: x, d: x.constant(1.) };
            let one = x.constant(1.);
            (x.exp() / (one + x * x)).d
        };
    }

    /// Distance from `exact` in units of the last place of the f32 next to it.
    fn ulps(found: f32, exact: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the unit is that of the rounded number"
        )]
        let near = (exact as f32).abs().max(f32::MIN_POSITIVE);
        let unit = f64::from(f32::from_bits(near.to_bits() + 1)) - f64::from(near);
        (f64::from(found) - exact).abs() / unit
    }

    /// `n + 1` numbers from `low` to `high`.
    #[expect(clippy::cast_possible_truncation, reason = "f32 is under test")]
    fn grid(low: f64, high: f64, n: u32) -> Vec<f32> {
        (0..=n).map(|i| (low + (high - low) * f64::from(i) / f64::from(n)) as f32).collect()
    }

    fn within(what: &str, x: &[f32], y: &[f32], exact: impl Fn(f64) -> f64, limit: f64) {
        for (x, y) in x.iter().zip(y) {
            let error = ulps(*y, exact(f64::from(*x)));
            assert!(error <= limit, "{what}({x}) = {y} is off by {error:.2} ulp");
        }
    }

    #[test]
    fn exp_is_within_two_ulp() {
        for (low, high, n) in [(-87.3, 88.3, 400_003), (-1., 1., 200_001), (-1e-4, 1e-4, 20_001)] {
            let x = grid(low, high, n);
            within("exp", &x, &each(&x, Exp), f64::exp, 2.);
        }
        // Around the multiples of ln(2)/2, where the reduction changes.
        let x: Vec<f32> = (-250_i16..=250)
            .flat_map(|k| {
                let at = f32::from(k) * 0.5 * std::f32::consts::LN_2;
                (-2_i16..=2).map(move |j| at + f32::from(j) * at.abs().max(1e-3) * f32::EPSILON)
            })
            .filter(|x| (-87.3..=88.3).contains(x))
            .collect();
        within("exp", &x, &each(&x, Exp), f64::exp, 2.);
    }

    #[test]
    fn exp_is_clamped_and_keeps_nan() {
        let x = [-87.3, -88., -104., -1e30, f32::NEG_INFINITY];
        for (x, y) in x.iter().zip(each(&x, Exp)) {
            assert!(y > 0. && y <= 1.3e-38, "exp({x}) = {y} is the least");
        }
        let x = [88.3, 88.8, 1e30, f32::INFINITY];
        for (x, y) in x.iter().zip(each(&x, Exp)) {
            assert!(y > 2e38 && y.is_finite(), "exp({x}) = {y} is the largest");
        }
        let special = [f32::NAN, -f32::NAN, 0., -0., f32::MIN_POSITIVE, 1e-45];
        let y = each(&special, Exp);
        assert!(y[0].is_nan() && y[1].is_nan(), "NaN stays NaN: {y:?}");
        assert_eq!(y[2..], [1.; 4], "exp of nothing");
    }

    #[test]
    fn ln_is_within_two_ulp() {
        // Every exponent of a normal number, with mantissas in between.
        let mut x = vec![f32::MIN_POSITIVE, f32::MAX, 1., 2., 0.5];
        for exponent in 1_u32..=254 {
            x.extend((0..601).map(|i| f32::from_bits((exponent << 23) + i * 13_958)));
        }
        within("ln", &x, &each(&x, Ln), f64::ln, 2.);
        let near_one = grid(0.9, 1.1, 100_001);
        within("ln", &near_one, &each(&near_one, Ln), f64::ln, 2.);
        // Where the mantissa is halved.
        let half = grid(0.707, 0.7072, 10_001);
        within("ln", &half, &each(&half, Ln), f64::ln, 2.);
    }

    #[test]
    fn ln_of_special_numbers() {
        let x = [0., -0., -1., f32::NEG_INFINITY, f32::NAN, f32::INFINITY, -f32::MIN_POSITIVE];
        let y = each(&x, Ln);
        assert_eq!(y[..2], [f32::NEG_INFINITY; 2], "ln of zero");
        assert!(y[2..5].iter().all(|v| v.is_nan()), "ln of negative numbers and NaN: {y:?}");
        assert!(y[5] == f32::INFINITY && y[6].is_nan(), "ln of infinity, and just below 0: {y:?}");
        // Subnormal numbers are outside of what kernels meet: finite and small is enough.
        let y = each(&[1e-45_f32, 1e-40, 1.1e-38], Ln);
        assert!(y.iter().all(|v| *v < -86. && v.is_finite()), "ln of subnormal numbers: {y:?}");
    }

    #[test]
    fn functions_made_of_them() {
        let sigmoid = |x: f64| 1. / (1. + (-x).exp());
        let x = grid(-80., 80., 100_003);
        within("sigmoid", &x, &each(&x, Sigmoid), sigmoid, 4.);
        // The sum with 1 rounds: absolute errors of the order of an epsilon.
        for (name, found, exact) in [
            ("tanh", each(&x, Tanh), Box::new(f64::tanh) as Box<dyn Fn(f64) -> f64>),
            (
                "softplus",
                each(&x, Softplus),
                Box::new(|x: f64| x.max(0.) + (-x.abs()).exp().ln_1p()),
            ),
            ("sigmoid'", each(&x, SigmoidSlope), Box::new(move |x| sigmoid(x) * sigmoid(-x))),
            ("tanh'", each(&x, TanhSlope), Box::new(|x: f64| x.cosh().powi(-2))),
            ("softplus'", each(&x, SoftplusSlope), Box::new(sigmoid)),
            ("min(x, 0)", each(&x, AtMostZero), Box::new(|x: f64| x.min(0.))),
        ] {
            for (x, y) in x.iter().zip(found) {
                let exact = exact(f64::from(*x));
                let error = (f64::from(y) - exact).abs() / (1. + exact.abs());
                assert!(error < 5e-7, "{name}({x}) = {y} is off by {error:.1e}");
            }
        }
    }

    /// Far out, values saturate and derivatives vanish; neither is NaN.
    #[test]
    fn saturation_is_finite() {
        let far = [90., 300., 1e30, f32::INFINITY];
        let both: Vec<f32> = far.iter().flat_map(|x| [*x, -*x]).collect();
        for (name, y, limits) in [
            ("sigmoid", each(&both, Sigmoid), [1., 0.]),
            ("tanh", each(&both, Tanh), [1., -1.]),
            ("sigmoid'", each(&both[..6], SigmoidSlope), [0., 0.]),
            ("tanh'", each(&both[..6], TanhSlope), [0., 0.]),
            ("softplus'", each(&both[..6], SoftplusSlope), [1., 0.]),
        ] {
            for (y, limit) in y.chunks_exact(2).flat_map(|y| y.iter().zip(limits)) {
                assert!((y - limit).abs() < 1e-37, "{name} far out: {y} is {limit}");
            }
        }
        let double = each(&[800_f64, -800., 1e200, -1e200], SigmoidSlope);
        assert_eq!(double, [0.; 4], "in f64 as well");
        let nan =
            [each(&[f32::NAN], Sigmoid), each(&[f32::NAN], Tanh), each(&[f32::NAN], Softplus)];
        assert!(nan.iter().all(|y| y[0].is_nan()), "NaN stays NaN: {nan:?}");
    }

    #[test]
    fn double_precision_is_that_of_the_standard_library() {
        let x: Vec<f64> = (0..4003).map(|i| 0.037 * f64::from(i) - 74.).collect();
        let same = |a: &[f64], f: fn(f64) -> f64| {
            a.iter().zip(&x).all(|(a, x)| a.to_bits() == f(*x).to_bits() || f(*x).is_nan())
        };
        assert!(same(&each(&x, Exp), f64::exp), "exp");
        assert!(same(&each(&x, Ln), f64::ln), "ln");
        assert!(same(&each(&x, Sqrt), f64::sqrt), "sqrt");
    }

    #[test]
    fn jets_carry_derivatives() {
        let x: Vec<f64> = (1..400).map(|i| 0.01 * f64::from(i)).collect();
        let check = |name: &str, found: Vec<f64>, exact: fn(f64) -> f64| {
            for (x, d) in x.iter().zip(found) {
                let error = (d - exact(*x)).abs() / exact(*x).abs().max(1.);
                assert!(error < 1e-14, "derivative of {name} at {x}: off by {error:.1e}");
            }
        };
        check("ln", each(&x, LnSlope), f64::recip);
        check("sqrt", each(&x, SqrtSlope), |x| 0.5 / x.sqrt());
        check("tanh", each(&x, TanhSlope), |x| x.cosh().powi(-2));
        check("a quotient", each(&x, QuotientSlope), |x| {
            x.exp() * (1. + x * x - 2. * x) / (1. + x * x).powi(2)
        });
    }

    #[test]
    fn partial_registers_leave_the_rest_alone() {
        for n in 0..40_u8 {
            let x: Vec<f32> = (0..n).map(f32::from).collect();
            let mut y = vec![-1_f32; usize::from(n) + 3];
            dispatch(Each(&x, &mut y[..usize::from(n)], Sqrt));
            let expected: Vec<f32> = x.iter().map(|x| x.sqrt()).chain([-1.; 3]).collect();
            assert_eq!(y, expected, "{n} numbers");
        }
    }
}
