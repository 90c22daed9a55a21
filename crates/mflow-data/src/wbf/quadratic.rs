//! Polynomials of the two parameters.

use std::ops::{Add, AddAssign, Mul};

/// `c_0 + c_1 θ_1 + c_2 θ_2 + c_3 θ_1² + c_4 θ_1 θ_2 + c_5 θ_2²`: how squared amplitudes, and with them
/// weights and rates, depend on the parameters. The six numbers are all that there is to know ("morphing").
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quadratic(pub [f64; 6]);

impl Quadratic {
    /// What the coefficients multiply.
    #[must_use]
    pub fn monomials([a, b]: [f64; 2]) -> [f64; 6] {
        [1.0, a, b, a * a, a * b, b * b]
    }

    /// The value at θ.
    #[must_use]
    pub fn at(&self, theta: [f64; 2]) -> f64 {
        self.0.iter().zip(Self::monomials(theta)).map(|(c, m)| c * m).sum()
    }

    /// The gradient at θ.
    #[must_use]
    pub fn gradient(&self, [a, b]: [f64; 2]) -> [f64; 2] {
        let [_, c1, c2, c3, c4, c5] = self.0;
        [c1 + 2.0 * c3 * a + c4 * b, c2 + c4 * a + 2.0 * c5 * b]
    }

    /// The gradient of the logarithm at θ: the score of a density in proportion to it.
    #[must_use]
    pub fn score(&self, theta: [f64; 2]) -> [f64; 2] {
        let value = self.at(theta);
        self.gradient(theta).map(|slope| slope / value)
    }

    /// What bounds a squared amplitude from above, by Cauchy and Schwarz:
    /// `|A + θ_1 B + θ_2 C|² <= (1 + |θ|²/s²) (|A|² + s² |B|² + s² |C|²)`. This is the second factor, and the mean of
    /// the left side over θ from N(0, s²)².
    pub(super) fn bound(&self, s: f64) -> f64 {
        self.0[0] + s * s * (self.0[3] + self.0[5])
    }
}

impl Add for Quadratic {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl AddAssign for Quadratic {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
    }
}

impl Mul<f64> for Quadratic {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self(self.0.map(|c| c * factor))
    }
}
