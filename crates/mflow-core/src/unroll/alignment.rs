//! Local tangent space alignment: coordinates that are, around every node, an affine map of those on its tangent
//! plane.
//!
//! Zhang & Zha, *Principal Manifolds and Nonlinear Dimensionality Reduction via Tangent Space Alignment*, SIAM
//! Journal on Scientific Computing 26 (2004).
use super::cholesky::{Cholesky, Lower};
use super::graph::Graph;
use super::spectrum::{add, largest, orthonormalize};
use crate::{Error, Result};
use mflow_bijectors::Stream;

/// Added to the diagonal, relative to its mean, so that the constant coordinate has an inverse; far less than the
/// eigenvalues of bent coordinates.
const SHIFT: f64 = 1e-13;

/// Coordinates `[nodes, n]` of a connected graph, centred and up to a linear map.
///
/// With `T_i` the steps from node `i` to itself and its neighbours on its tangent plane, `W_i` projects on what is
/// no affine map of `T_i`. The coordinates minimise `Σ |W_i u|²`: they are the eigenvectors of `M = Σ W_i` with the
/// smallest eigenvalues, but for the constant one (section 5).
pub(super) fn align(graph: &Graph, n: usize, stream: &mut Stream) -> Result<Vec<f64>> {
    let (order, lower) = alignment(graph, n);
    let size = graph.len();
    let Some(factor) = Cholesky::of(lower) else {
        return Err(Error::NotConverged { op: "unroll, tangent space alignment", steps: 1 });
    };
    let centre = |v: &mut [f64]| {
        let mean = v.iter().sum::<f64>() / size as f64;
        v.iter_mut().for_each(|v| *v -= mean);
    };
    let apply = |v: &[f64]| {
        let mut v = v.to_vec();
        centre(&mut v);
        let mut image = factor.solve(&v);
        centre(&mut image);
        image
    };
    let (_, vectors) = largest(size, n, stream, apply);
    let mut u = vec![0.; size * n];
    for (axis, vector) in vectors.iter().enumerate() {
        order.iter().zip(vector).for_each(|(&node, v)| u[node * n + axis] = *v);
    }
    Ok(u)
}

/// `M` with its nodes in an order in which neighbours are near each other, and that order: that of their distance
/// from a node at an end of the graph. A row of the factor is as long as a slice of the manifold has nodes.
fn alignment(graph: &Graph, n: usize) -> (Vec<usize>, Lower) {
    let size = graph.len();
    let furthest = |distances: &[f64]| {
        (0..size).max_by(|&i, &j| distances[i].total_cmp(&distances[j])).unwrap_or(0)
    };
    let distances = graph.distances(furthest(&graph.distances(0)));
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&i, &j| distances[i].total_cmp(&distances[j]));
    let mut place = vec![0; size];
    order.iter().enumerate().for_each(|(at, &node)| place[node] = at);
    let members = |node: usize| -> Vec<usize> {
        let others = graph.at(node).iter().map(|edge| place[edge.to]);
        std::iter::once(place[node]).chain(others).collect()
    };
    let mut starts: Vec<usize> = (0..size).collect();
    for node in 0..size {
        let members = members(node);
        let first = members.iter().fold(size, |first, &at| first.min(at));
        members.iter().for_each(|&at| starts[at] = starts[at].min(first));
    }
    let mut lower: Lower = starts.iter().enumerate().map(|(i, s)| vec![0.; i + 1 - s]).collect();
    for node in 0..size {
        let members = members(node);
        let w = projector(graph.steps(node), n);
        for (&i, w) in members.iter().zip(w.chunks_exact(members.len())) {
            for (&j, w) in members.iter().zip(w).filter(|&(&j, _)| j <= i) {
                lower[i][j - starts[i]] += w;
            }
        }
    }
    let trace: f64 = lower.iter().filter_map(|row| row.last()).sum();
    for diagonal in lower.iter_mut().filter_map(|row| row.last_mut()) {
        *diagonal += SHIFT * trace / size as f64;
    }
    (order, lower)
}

/// `W = 1 - G Gᵀ`, `[m, m]`, of a node and the steps `[m - 1, n]` to its neighbours: the columns of `G` are
/// orthonormal and span the affine maps.
fn projector(steps: &[f64], n: usize) -> Vec<f64> {
    let m = steps.len() / n + 1;
    let mut basis = vec![vec![1.; m]];
    for axis in 0..n {
        basis
            .push(std::iter::once(0.).chain(steps.iter().skip(axis).step_by(n).copied()).collect());
    }
    orthonormalize(&mut basis);
    let mut w = vec![0.; m * m];
    for (i, row) in w.chunks_exact_mut(m).enumerate() {
        row[i] = 1.;
        basis.iter().for_each(|g| add(row, -g[i], g));
    }
    w
}
