//! Cross sections as functions of the parameters, with their errors.

use std::ops::{Add, Mul};

use super::quadratic::Quadratic;

/// A cross section in picobarn: a polynomial in θ that was integrated by chance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    mean: Quadratic,
    /// Of the six coefficients.
    covariance: [[f64; 6]; 6],
}

impl Rate {
    /// The estimate.
    #[must_use]
    pub fn mean(&self) -> &Quadratic {
        &self.mean
    }

    /// The cross section at θ, and its standard error, in picobarn.
    #[must_use]
    pub fn at(&self, theta: [f64; 2]) -> (f64, f64) {
        let m = Quadratic::monomials(theta);
        let row = |row: &[f64; 6]| row.iter().zip(m).map(|(c, m)| c * m).sum::<f64>();
        let variance: f64 = self.covariance.iter().zip(m).map(|(c, m)| m * row(c)).sum();
        (self.mean.at(theta), variance.max(0.0).sqrt())
    }
}

/// The sum of two that were integrated with points of their own.
impl Add for Rate {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self.mean += other.mean;
        let entries = self.covariance.iter_mut().flatten();
        entries.zip(other.covariance.iter().flatten()).for_each(|(a, b)| *a += b);
        self
    }
}

impl Mul<f64> for Rate {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        let covariance = self.covariance.map(|row| row.map(|c| c * factor * factor));
        Self { mean: self.mean * factor, covariance }
    }
}

/// Sums over points.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    count: u32,
    sum: Quadratic,
    products: [[f64; 6]; 6],
}

impl Sums {
    pub(super) fn add(&mut self, value: Quadratic) {
        self.count += 1;
        self.sum += value;
        for (row, a) in self.products.iter_mut().zip(value.0) {
            row.iter_mut().zip(value.0).for_each(|(sum, b)| *sum += a * b);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        let rows = self.products.iter_mut().zip(&other.products);
        rows.for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, b)| *a += b));
    }

    /// The mean, and its covariance.
    pub(super) fn rate(&self) -> Rate {
        let n = f64::from(self.count.max(1));
        let mean = self.sum * (1.0 / n);
        let mut covariance = self.products;
        for (row, a) in covariance.iter_mut().zip(mean.0) {
            for (c, b) in row.iter_mut().zip(mean.0) {
                *c = (*c / n - a * b) / n;
            }
        }
        Rate { mean, covariance }
    }
}
