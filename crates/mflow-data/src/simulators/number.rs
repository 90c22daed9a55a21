//! Numbers that embeddings are written in: plain ones, and dual ones for exact Jacobians.

use std::f64::consts::{PI, TAU};
use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// What an embedding needs of a number.
pub(crate) trait Number:
    Copy
    + Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    fn constant(value: f64) -> Self;
    /// Without the derivative: what decides between cases.
    fn value(self) -> f64;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn sqrt(self) -> Self;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    /// The angle of the point (other, self).
    fn atan2(self, other: Self) -> Self;
    /// An angle, from -pi to pi.
    fn wrapped(self) -> Self;
    /// 1 or -1, with the derivative 0.
    fn signum(self) -> Self;

    fn scale(self, factor: f64) -> Self {
        self * Self::constant(factor)
    }
    fn shift(self, by: f64) -> Self {
        self + Self::constant(by)
    }
}

impl Number for f64 {
    fn constant(value: f64) -> Self {
        value
    }
    fn value(self) -> f64 {
        self
    }
    fn sin(self) -> Self {
        self.sin()
    }
    fn cos(self) -> Self {
        self.cos()
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn exp(self) -> Self {
        self.exp()
    }
    fn ln(self) -> Self {
        self.ln()
    }
    fn atan2(self, other: Self) -> Self {
        self.atan2(other)
    }
    fn wrapped(self) -> Self {
        (self + PI).rem_euclid(TAU) - PI
    }
    fn signum(self) -> Self {
        self.signum()
    }
}

/// A number with its derivative in one direction: `value + tangent e` with `e^2 = 0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dual {
    pub(crate) value: f64,
    pub(crate) tangent: f64,
}

impl Dual {
    /// `f(value)` where `slope` is `f'(value)`.
    fn chain(self, value: f64, slope: f64) -> Self {
        Self { value, tangent: slope * self.tangent }
    }
}

impl Add for Dual {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, tangent: self.tangent + other.tangent }
    }
}

impl Sub for Dual {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Dual {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let tangent = self.tangent * other.value + self.value * other.tangent;
        Self { value: self.value * other.value, tangent }
    }
}

impl Div for Dual {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        Self { value, tangent: (self.tangent - value * other.tangent) / other.value }
    }
}

impl Neg for Dual {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, tangent: -self.tangent }
    }
}

impl Number for Dual {
    fn constant(value: f64) -> Self {
        Self { value, tangent: 0.0 }
    }
    fn value(self) -> f64 {
        self.value
    }
    fn sin(self) -> Self {
        let (sin, cos) = self.value.sin_cos();
        self.chain(sin, cos)
    }
    fn cos(self) -> Self {
        let (sin, cos) = self.value.sin_cos();
        self.chain(cos, -sin)
    }
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.chain(root, 0.5 / root)
    }
    fn exp(self) -> Self {
        let exp = self.value.exp();
        self.chain(exp, exp)
    }
    fn ln(self) -> Self {
        self.chain(self.value.ln(), 1.0 / self.value)
    }
    fn atan2(self, other: Self) -> Self {
        let squared = self.value * self.value + other.value * other.value;
        let tangent = (other.value * self.tangent - self.value * other.tangent) / squared;
        Self { value: self.value.atan2(other.value), tangent }
    }
    fn wrapped(self) -> Self {
        self.chain(self.value.wrapped(), 1.0)
    }
    fn signum(self) -> Self {
        Self::constant(self.value.signum())
    }
}
