//! Landmark Isomap: coordinates whose distances are those along the graph.
//!
//! Tenenbaum, de Silva & Langford, *A Global Geometric Framework for Nonlinear Dimensionality Reduction*, Science
//! 290 (2000); landmarks: de Silva & Tenenbaum, *Global Versus Local Methods in Nonlinear Dimensionality
//! Reduction*, NIPS 2002, section 3.
use super::graph::Graph;
use super::spectrum::{dot, largest};
use mflow_bijectors::Stream;

/// Coordinates `[nodes, n]` of a connected graph, centred on the landmarks.
pub(super) fn isomap(graph: &Graph, n: usize, landmarks: usize, stream: &mut Stream) -> Vec<f64> {
    let (landmarks, distances) = far_apart(graph, landmarks.min(graph.len()));
    let m = landmarks.len();
    // Classical scaling: -½ H Δ H, H = 1 - 11ᵀ/m, has the products of centred positions as its entries.
    let square = |i: usize, node: usize| distances[i][node] * distances[i][node];
    let mut mean = vec![0.; m];
    for (i, mean) in mean.iter_mut().enumerate() {
        *mean = landmarks.iter().map(|&node| square(i, node)).sum::<f64>() / m as f64;
    }
    let all = mean.iter().sum::<f64>() / m as f64;
    let mut products = vec![0.; m * m];
    for i in 0..m {
        for j in 0..m {
            products[i * m + j] = (mean[i] + mean[j] - all - square(i, landmarks[j])) / 2.;
        }
    }
    let apply = |v: &[f64]| products.chunks_exact(m).map(|row| dot(row, v)).collect();
    let (values, vectors) = largest(m, n, stream, apply);
    // Triangulation: u(x) = ½ L# (mean - δ(x)), with rows of L# = vᵀ / √λ (section 3.3).
    let mut u = vec![0.; graph.len() * n];
    let mut sums = vec![0.; graph.len()];
    for (axis, (value, vector)) in values.iter().zip(&vectors).enumerate() {
        // Rounding errors of fewer dimensions than were asked for: this coordinate stays 0.
        if *value <= 1e-12 * values[0] {
            continue;
        }
        sums.fill(dot(vector, &mean));
        for (i, v) in vector.iter().enumerate() {
            sums.iter_mut().zip(&distances[i]).for_each(|(sum, d)| *sum -= v * d * d);
        }
        let factor = 0.5 / value.sqrt();
        sums.iter().enumerate().for_each(|(node, sum)| u[node * n + axis] = factor * sum);
    }
    u
}

/// Landmarks far from each other, each the node furthest from those before it, with their distances from all
/// nodes, `[landmarks][nodes]`.
fn far_apart(graph: &Graph, count: usize) -> (Vec<usize>, Vec<Vec<f64>>) {
    let mut near = graph.distances(0);
    let (mut landmarks, mut distances) = (vec![], vec![]);
    for _ in 0..count {
        let mut furthest = 0;
        for (node, distance) in near.iter().enumerate() {
            if *distance > near[furthest] {
                furthest = node;
            }
        }
        let from = graph.distances(furthest);
        if landmarks.is_empty() {
            near.clone_from(&from);
        } else {
            near.iter_mut().zip(&from).for_each(|(near, d)| *near = near.min(*d));
        }
        landmarks.push(furthest);
        distances.push(from);
    }
    (landmarks, distances)
}
