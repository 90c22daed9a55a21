//! SIMD lanes of `f32` and `f64` as [`Real`] numbers, and the element types of kernels.
use super::Real;
use candle_core::WithDType;
use pulp::{Simd, WithSimd, bytemuck};
use std::ops::{Add, AddAssign, Div, Mul, Neg, Range, Sub};

/// Run `op` with the widest instructions of this machine.
#[inline]
pub(crate) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    pulp::Arch::new().dispatch(op)
}

/// What a kernel computes in: `f32` or `f64`.
pub(crate) trait Element: WithDType + Default {
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
            #[expect(clippy::cast_possible_truncation, reason = "constants round to the lane type")]
            fn constant(self, v: f64) -> Self {
                Self { v: self.simd.$splat(v as $t), ..self }
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
            5.000_000_1e-1,
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
            3.333_333_1e-1,
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
