//! A few eigenvectors of a large symmetric matrix, by subspace iteration.
use crate::principal::eigen;
use mflow_bijectors::Stream;

/// More iterations than a matrix with a gap in its spectrum takes; without a gap the vectors that are sought are
/// not defined to more digits.
const ITERATIONS: usize = 300;
/// Residual of an eigenvector, relative to the largest eigenvalue, at which it is found.
const TOLERANCE: f64 = 1e-10;

/// The `n` largest eigenvalues, the largest first, of those that `apply` takes furthest from 0, and their
/// eigenvectors of length 1, each `[size]`.
///
/// `apply` multiplies a symmetric matrix with a vector. Subspace iteration with Rayleigh-Ritz (Saad, *Numerical
/// Methods for Large Eigenvalue Problems*, algorithm 5.3) on a few more vectors than are sought.
pub(super) fn largest(
    size: usize,
    n: usize,
    stream: &mut Stream,
    mut apply: impl FnMut(&[f64]) -> Vec<f64>,
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let block = (n + 8).min(size);
    let mut vectors: Vec<Vec<f64>> = (0..block).map(|_| stream.normal(size)).collect();
    orthonormalize(&mut vectors);
    let mut values = vec![];
    for _ in 0..ITERATIONS {
        let images: Vec<Vec<f64>> = vectors.iter().map(|v| apply(v)).collect();
        let mut small = vec![0.; block * block];
        for i in 0..block {
            for j in 0..=i {
                let product = dot(&vectors[i], &images[j]);
                (small[i * block + j], small[j * block + i]) = (product, product);
            }
        }
        let (ritz, turn) = eigen(small, block);
        let mut order: Vec<usize> = (0..block).collect();
        order.sort_by(|&i, &j| ritz[j].total_cmp(&ritz[i]));
        let turned = |of: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let combine = |&column: &usize| {
                let mut sum = vec![0.; size];
                for (row, v) in of.iter().enumerate() {
                    add(&mut sum, turn[row * block + column], v);
                }
                sum
            };
            order.iter().map(combine).collect()
        };
        (vectors, values) = (turned(&vectors), order.iter().map(|&i| ritz[i]).collect());
        let mut images = turned(&images);
        let scale = values.iter().fold(0_f64, |scale, v| scale.max(v.abs()));
        let residual = |i: usize| {
            let parts = vectors[i].iter().zip(&images[i]);
            parts.map(|(v, image)| (image - values[i] * v).powi(2)).sum::<f64>().sqrt()
        };
        if (0..n.min(block)).all(|i| residual(i) <= TOLERANCE * scale) {
            break;
        }
        orthonormalize(&mut images);
        vectors = images;
    }
    values.truncate(n);
    vectors.truncate(n);
    (values, vectors)
}

/// Gram-Schmidt, twice, so that rounding leaves the vectors orthogonal; what is dependent becomes 0.
pub(super) fn orthonormalize(vectors: &mut [Vec<f64>]) {
    for i in 0..vectors.len() {
        let (done, rest) = vectors.split_at_mut(i);
        let before = dot(&rest[0], &rest[0]).sqrt();
        for _ in 0..2 {
            for other in &*done {
                let product = dot(other, &rest[0]);
                add(&mut rest[0], -product, other);
            }
        }
        let length = dot(&rest[0], &rest[0]).sqrt();
        let factor = if length > 1e-14 * before { 1. / length } else { 0. };
        rest[0].iter_mut().for_each(|v| *v *= factor);
    }
}

/// The sum of products, in eight sums: one alone would have to wait for each of its additions.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, last_a), (b, last_b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.; 8];
    for (a, b) in a.iter().zip(b) {
        (0..8).for_each(|i| sums[i] += a[i] * b[i]);
    }
    sums.iter().sum::<f64>() + last_a.iter().zip(last_b).map(|(a, b)| a * b).sum::<f64>()
}

/// `to += factor * v`.
pub(super) fn add(to: &mut [f64], factor: f64, v: &[f64]) {
    to.iter_mut().zip(v).for_each(|(to, v)| *to += factor * v);
}
