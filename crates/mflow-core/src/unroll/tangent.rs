//! The plane that is nearest to a few points: principal components of a neighbourhood.
use super::rows::{Rows, squared_distance};
use super::spectrum::{add, dot};
use crate::principal::eigen;

/// A plane of dimension `n` in `D` dimensions.
#[derive(Debug)]
pub(super) struct Tangent {
    /// The mean of the points, `[D]`.
    pub(super) mean: Vec<f64>,
    /// Orthogonal axes of length 1, `[n, D]`; an axis along which nothing spreads may be 0.
    axes: Vec<f64>,
}

impl Tangent {
    /// The plane of least squares through `members` of `rows`.
    pub(super) fn of(rows: Rows<'_>, members: &[usize], n: usize) -> Self {
        let (d, m) = (rows.cols, members.len());
        let mut mean = vec![0.; d];
        for &i in members {
            mean.iter_mut().zip(rows.row(i)).for_each(|(mean, v)| *mean += v / m as f64);
        }
        let mut centred = rows.gather(members);
        for row in centred.chunks_exact_mut(d) {
            row.iter_mut().zip(&mean).for_each(|(v, mean)| *v -= mean);
        }
        let row = |i: usize| &centred[i * d..(i + 1) * d];
        // Of X: [m, D], the axes are eigenvectors of the smaller of XᵀX and XXᵀ.
        let mut axes = Vec::with_capacity(n * d);
        if d <= m {
            let mut scatter = vec![0.; d * d];
            for i in 0..m {
                for (a, value) in row(i).iter().enumerate() {
                    let out = &mut scatter[a * d..(a + 1) * d];
                    out.iter_mut().zip(row(i)).for_each(|(s, v)| *s += value * v);
                }
            }
            let (values, vectors) = eigen(scatter, d);
            for &axis in largest(&values).iter().take(n) {
                axes.extend((0..d).map(|a| vectors[a * d + axis]));
            }
        } else {
            let mut products = vec![0.; m * m];
            for i in 0..m {
                for j in 0..=i {
                    let product = row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum();
                    (products[i * m + j], products[j * m + i]) = (product, product);
                }
            }
            let (values, vectors) = eigen(products, m);
            let order = largest(&values);
            for &axis in order.iter().take(n) {
                let mut sum = vec![0.; d];
                // Smaller ones are rounding errors.
                if values[axis] > 1e-12 * values[order[0]] {
                    let length = values[axis].sqrt();
                    for i in 0..m {
                        let weight = vectors[i * m + axis] / length;
                        sum.iter_mut().zip(row(i)).for_each(|(s, v)| *s += weight * v);
                    }
                }
                axes.extend(sum);
            }
        }
        axes.resize(n * d, 0.);
        Self { mean, axes }
    }

    /// A plane half way to another one.
    pub(super) fn halfway(&self, other: &Self) -> Self {
        let d = self.mean.len();
        let mut axes = self.axes.clone();
        // Of the axes and their images on the other plane, the middle; which is half way up to third order in the
        // angle.
        for axis in axes.chunks_exact_mut(d) {
            let before = axis.to_vec();
            for a in other.axes.chunks_exact(d) {
                add(axis, dot(a, &before), a);
            }
        }
        orthonormalize(&mut axes, d);
        let mean = self.mean.iter().zip(&other.mean).map(|(a, b)| (a + b) / 2.).collect();
        Self { mean, axes }
    }

    /// Whether the way between two points is at less than 45 degrees to the plane.
    pub(super) fn goes_along(&self, from: &[f64], to: &[f64]) -> bool {
        let along = self.along(from, to);
        2. * dot(&along, &along) > squared_distance(from, to)
    }

    /// The components `[n]` of `to - from` along the plane.
    pub(super) fn along(&self, from: &[f64], to: &[f64]) -> Vec<f64> {
        let component = |axis: &[f64]| {
            axis.iter().zip(to.iter().zip(from)).map(|(a, (to, from))| a * (to - from)).sum()
        };
        self.axes.chunks_exact(from.len()).map(component).collect()
    }
}

/// Gram-Schmidt on the rows of `[n, d]`; rows that are 0 stay so.
fn orthonormalize(axes: &mut [f64], d: usize) {
    for i in 0..axes.len() / d {
        let (done, rest) = axes.split_at_mut(i * d);
        let axis = &mut rest[..d];
        for other in done.chunks_exact(d) {
            let product = dot(other, axis);
            add(axis, -product, other);
        }
        let length = dot(axis, axis).sqrt();
        if length > 0. {
            axis.iter_mut().for_each(|v| *v /= length);
        }
    }
}

/// Positions of values, the largest first.
fn largest(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[j].total_cmp(&values[i]));
    order
}
