//! A normal distribution on a linear subspace.

use std::f64::consts::PI;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::charted::Charted;
use super::directional::log_normal;
use super::number::Number;

/// Points on a subspace of three dimensions of `R^20`, normal with a different width along each axis:
/// what principal component analysis finds.
///
/// ```text
/// z_k ~ N(0, width_k^2) with widths 2, 1, 1/2,   x = A z
/// A_ik = cos(pi k (i + 1/2) / 20) / sqrt(10),   i = 0..19,   k = 1..3
/// ```
///
/// The columns of `A` are three vectors of the discrete cosine transform, which are orthonormal, so
/// that the density of x per volume of the subspace is the density of z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinearSubspace;

/// `D`.
const FEATURES: u8 = 20;
/// Frequency and width of each axis.
const AXES: [(f64, f64); 3] = [(1.0, 2.0), (2.0, 1.0), (3.0, 0.5)];

/// The rows of `A`.
fn rows() -> impl Iterator<Item = [f64; 3]> {
    let d = f64::from(FEATURES);
    let row = move |i: u8| {
        AXES.map(|(k, _)| (PI * k * (f64::from(i) + 0.5) / d).cos() * (2.0 / d).sqrt())
    };
    (0..FEATURES).map(row)
}

impl Charted for LinearSubspace {
    fn name(&self) -> &'static str {
        "linear-subspace"
    }
    fn dims(&self) -> (usize, usize) {
        (usize::from(FEATURES), AXES.len())
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        AXES.map(|(_, width)| width * rng.sample::<f64, _>(StandardNormal)).to_vec()
    }
    fn log_prob_chart(&self, z: &[f64], _: &[f64]) -> f64 {
        z.iter().zip(AXES).map(|(&z, (_, width))| log_normal(z, 0.0, width)).sum()
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        let at = |row: [f64; 3]| {
            z.iter().zip(row).fold(T::constant(0.0), |sum, (&z, a)| sum + z.scale(a))
        };
        rows().map(at).collect()
    }
    fn chart(&self, x: &[f64]) -> Option<Vec<f64>> {
        // A^T x
        let along = |z: [f64; 3], (x, row): (&f64, [f64; 3])| [0, 1, 2].map(|k| z[k] + x * row[k]);
        Some(x.iter().zip(rows()).fold([0.0; 3], along).to_vec())
    }
}
