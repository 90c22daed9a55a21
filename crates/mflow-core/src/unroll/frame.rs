//! Coordinates in data units, in a position that does not depend on how they were found.
use super::cholesky::Cholesky;
use super::graph::Graph;
use super::rows::Rows;
use crate::principal::{PrincipalAxes, eigen};

/// Scales coordinates `u: [nodes, n]` by one number, so that neighbours are as far apart as in the data.
pub(super) fn scale_to_data(graph: &Graph, n: usize, u: &mut [f64]) {
    let (mut found, mut expected) = (0., 0.);
    for (i, j, edge) in graph.pairs() {
        let difference = difference(u, n, i, j);
        found += difference.iter().map(|v| v * v).sum::<f64>();
        expected += edge.along * edge.along;
    }
    if found > 0. {
        let factor = (expected / found).sqrt();
        u.iter_mut().for_each(|v| *v *= factor);
    }
}

/// Maps coordinates `u: [nodes, n]`, found up to a linear map, by the one for which neighbours are as far apart as in the
/// data: `min Σ (duᵀ S du - |dx|²)² / |dx|⁴` over symmetric `S`, then `u <- S^½ u`. If that `S` is not
/// positive, the coordinates are scaled by one number instead.
pub(super) fn map_to_data(graph: &Graph, n: usize, u: &mut [f64]) {
    let unknowns = n * (n + 1) / 2;
    let (mut normal, mut right) = (vec![0.; unknowns * unknowns], vec![0.; unknowns]);
    for (i, j, edge) in graph.pairs() {
        let du = difference(u, n, i, j);
        let square = edge.length.powi(2);
        let products = (0..n).flat_map(|a| (0..=a).map(move |b| (a, b)));
        let products = products.map(|(a, b)| if a == b { 1. } else { 2. } * du[a] * du[b] / square);
        let products: Vec<f64> = products.collect();
        let target = edge.along.powi(2) / square;
        for (row, p) in products.iter().enumerate() {
            right[row] += p * target;
            let out = &mut normal[row * unknowns..(row + 1) * unknowns];
            out.iter_mut().zip(&products).for_each(|(out, q)| *out += p * q);
        }
    }
    let Some(solution) = Cholesky::dense(&normal, unknowns).map(|factor| factor.solve(&right))
    else {
        return scale_to_data(graph, n, u);
    };
    let mut s = vec![0.; n * n];
    for a in 0..n {
        for b in 0..=a {
            let value = solution[a * (a + 1) / 2 + b];
            (s[a * n + b], s[b * n + a]) = (value, value);
        }
    }
    let (values, vectors) = eigen(s, n);
    if values.iter().any(|value| *value <= 0.) {
        return scale_to_data(graph, n, u);
    }
    for row in u.chunks_exact_mut(n) {
        let along = |axis: usize| (0..n).map(|a| vectors[a * n + axis] * row[a]).sum::<f64>();
        let mapped: Vec<f64> = (0..n).map(|axis| values[axis].sqrt() * along(axis)).collect();
        row.copy_from_slice(&mapped);
    }
}

/// Moves the mean of `u: [nodes, n]` to 0 and turns it to its principal axes, the longest first; each coordinate
/// rises with the column of the data, `x: [nodes, D]`, with which it varies most.
pub(super) fn turn(x: Rows<'_>, n: usize, u: &mut [f64]) {
    let axes = PrincipalAxes::of(u, n);
    for row in u.chunks_exact_mut(n) {
        let centred: Vec<f64> = row.iter().zip(&axes.mean).map(|(v, mean)| v - mean).collect();
        for (v, axis) in row.iter_mut().zip(&axes.axes) {
            *v = super::spectrum::dot(&centred, axis);
        }
    }
    for axis in 0..n {
        // The coordinate has mean 0, so that sums of products are covariances.
        let mut covariances = vec![0.; x.cols];
        for (i, row) in u.chunks_exact(n).enumerate() {
            covariances.iter_mut().zip(x.row(i)).for_each(|(c, v)| *c += row[axis] * v);
        }
        let most = covariances.into_iter().fold(
            0_f64,
            |most, c| {
                if c.abs() > most.abs() { c } else { most }
            },
        );
        if most < 0. {
            u.chunks_exact_mut(n).for_each(|row| row[axis] = -row[axis]);
        }
    }
}

/// `u_j - u_i`, `[n]`.
pub(super) fn difference(u: &[f64], n: usize, i: usize, j: usize) -> Vec<f64> {
    let (a, b) = (&u[i * n..(i + 1) * n], &u[j * n..(j + 1) * n]);
    b.iter().zip(a).map(|(b, a)| b - a).collect()
}
