//! The numbers that scalar arithmetic is written over: SIMD lanes and dual numbers of them.
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A real number, or several side by side. There are no branches: comparisons give masks.
pub trait Real:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    /// One truth value per lane.
    type Mask: Copy;
    /// The constant `v` in every lane (`self` only says how many lanes there are).
    #[must_use]
    fn constant(self, v: f64) -> Self;
    /// Exponential.
    #[must_use]
    fn exp(self) -> Self;
    /// Natural logarithm.
    #[must_use]
    fn ln(self) -> Self;
    /// Square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// `self >= rhs`, by value; false for NaN.
    fn ge(self, rhs: Self) -> Self::Mask;
    /// `yes` where the mask is true, else `no`.
    #[must_use]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// The larger one; `rhs` where `self` is NaN.
    #[inline(always)]
    #[must_use]
    fn maximum(self, rhs: Self) -> Self {
        Self::select(self.ge(rhs), self, rhs)
    }
    /// Reciprocal.
    #[inline(always)]
    #[must_use]
    fn recip(self) -> Self {
        self.constant(1.) / self
    }
    /// Logistic function, by `exp(-|x|)`: neither it nor its derivative overflows.
    #[inline(always)]
    #[must_use]
    fn sigmoid(self) -> Self {
        let one = self.constant(1.);
        let positive = self.ge(self.constant(0.));
        let e = Self::select(positive, -self, self).exp();
        Self::select(positive, one, e) / (one + e)
    }
    /// Hyperbolic tangent, as `2 sigmoid(2 x) - 1`.
    #[inline(always)]
    #[must_use]
    fn tanh(self) -> Self {
        let two = self.constant(2.);
        two * (two * self).sigmoid() - self.constant(1.)
    }
    /// `ln(1 + exp(self))`; from 40 on it is the identity to the last digit of an f64.
    #[inline(always)]
    #[must_use]
    fn softplus(self) -> Self {
        let large = self.ge(self.constant(40.));
        Self::select(large, self, (self.constant(1.) + self.exp()).ln())
    }
}
