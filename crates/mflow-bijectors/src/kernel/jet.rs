//! Dual numbers over any [`Real`]: a value and one derivative.
use super::Real;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// `v + d ε` with `ε² = 0`. Running a gradient in jets gives a Hessian-vector product.
#[derive(Clone, Copy, Debug)]
pub struct Jet<R> {
    /// Value.
    pub v: R,
    /// Derivative.
    pub d: R,
}

impl<R: Real> Add for Jet<R> {
    type Output = Self;
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        Self { v: self.v + o.v, d: self.d + o.d }
    }
}
impl<R: Real> Sub for Jet<R> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        Self { v: self.v - o.v, d: self.d - o.d }
    }
}
impl<R: Real> Mul for Jet<R> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        Self { v: self.v * o.v, d: self.d * o.v + self.v * o.d }
    }
}
impl<R: Real> Div for Jet<R> {
    type Output = Self;
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        let r = o.v.recip();
        let q = self.v * r;
        Self { v: q, d: (self.d - q * o.d) * r }
    }
}
impl<R: Real> Neg for Jet<R> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self { v: -self.v, d: -self.d }
    }
}
impl<R: Real> AddAssign for Jet<R> {
    #[inline(always)]
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}

impl<R: Real> Real for Jet<R> {
    type Mask = R::Mask;
    #[inline(always)]
    fn constant(self, v: f64) -> Self {
        Self { v: self.v.constant(v), d: self.v.constant(0.) }
    }
    #[inline(always)]
    fn exp(self) -> Self {
        let e = self.v.exp();
        Self { v: e, d: self.d * e }
    }
    #[inline(always)]
    fn ln(self) -> Self {
        Self { v: self.v.ln(), d: self.d / self.v }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        let s = self.v.sqrt();
        Self { v: s, d: self.d / (s + s) }
    }
    #[inline(always)]
    fn ge(self, rhs: Self) -> Self::Mask {
        self.v.ge(rhs.v)
    }
    #[inline(always)]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
        Self { v: R::select(mask, yes.v, no.v), d: R::select(mask, yes.d, no.d) }
    }
}
