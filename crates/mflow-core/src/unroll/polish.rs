//! Coordinates as rigid as possible: the last digits of lengths.
//!
//! Lengths along a graph are too long by some per cent, as its paths turn at every node. But the ways to the neighbours on a
//! tangent plane are known. Sorkine & Alexa, *As-Rigid-As-Possible Surface Modeling*, SGP 2007: in turns, the
//! rotation of each tangent plane that fits the coordinates best, and the coordinates that fit the rotated planes
//! best.
use super::frame::difference;
use super::graph::Graph;
use super::spectrum::{add, dot};
use crate::principal::eigen;

/// Turns; errors of the start are of a few per cent, and the first turns take most of them.
const TURNS: usize = 5;

/// Moves coordinates `u: [nodes, n]` so that `Σ |u_j - u_i - R_i t_ij|²` over neighbours becomes smaller, with `t_ij`
/// the way from `i` to `j` on the tangent plane at `i`, and `R_i` orthogonal.
pub(super) fn polish(graph: &Graph, n: usize, u: &mut [f64]) {
    for _ in 0..TURNS {
        // The divergence of the rotated ways: at a node, the sum over its edges of where they come from.
        let mut target = vec![0.; u.len()];
        for i in 0..graph.len() {
            let rotation = rotation(graph, n, u, i);
            for (edge, step) in graph.at(i).iter().zip(graph.steps(i).chunks_exact(n)) {
                for a in 0..n {
                    let way = dot(&rotation[a * n..(a + 1) * n], step) / 2.;
                    target[edge.to * n + a] += way;
                    target[i * n + a] -= way;
                }
            }
        }
        for axis in 0..n {
            let column = |of: &[f64]| of.iter().skip(axis).step_by(n).copied().collect::<Vec<_>>();
            let solved = solve(graph, column(u), &column(&target));
            u.iter_mut().skip(axis).step_by(n).zip(solved).for_each(|(u, v)| *u = v);
        }
    }
}

/// The orthogonal matrix `[n, n]` that takes the steps at a node to the differences of the coordinates, in least
/// squares: `M (MᵀM)^-½` of `M = Σ du tᵀ`.
fn rotation(graph: &Graph, n: usize, u: &[f64], node: usize) -> Vec<f64> {
    let mut m = vec![0.; n * n];
    for (edge, step) in graph.at(node).iter().zip(graph.steps(node).chunks_exact(n)) {
        for (a, du) in difference(u, n, node, edge.to).into_iter().enumerate() {
            add(&mut m[a * n..(a + 1) * n], du, step);
        }
    }
    let mut products = vec![0.; n * n];
    for row in m.chunks_exact(n) {
        for a in 0..n {
            add(&mut products[a * n..(a + 1) * n], row[a], row);
        }
    }
    let (values, vectors) = eigen(products, n);
    let largest = values.iter().fold(0_f64, |a, b| a.max(*b));
    let mut rotation = vec![0.; n * n];
    for axis in 0..n {
        if values[axis] > 1e-20 * largest {
            let v: Vec<f64> = (0..n).map(|a| vectors[a * n + axis]).collect();
            for a in 0..n {
                let factor = dot(&m[a * n..(a + 1) * n], &v) / values[axis].sqrt();
                add(&mut rotation[a * n..(a + 1) * n], factor, &v);
            }
        }
    }
    rotation
}

/// Solves `L x = b`, `L` the graph's Laplacian, by conjugate gradients from a start.
fn solve(graph: &Graph, mut x: Vec<f64>, b: &[f64]) -> Vec<f64> {
    let apply = |x: &[f64]| -> Vec<f64> {
        let at = |i: usize| graph.at(i).iter().map(|edge| x[i] - x[edge.to]).sum();
        (0..graph.len()).map(at).collect()
    };
    let mut residual: Vec<f64> = b.iter().zip(apply(&x)).map(|(b, a)| b - a).collect();
    let degree: Vec<f64> = (0..graph.len()).map(|i| graph.at(i).len() as f64).collect();
    let scaled = |r: &[f64]| -> Vec<f64> { r.iter().zip(&degree).map(|(r, d)| r / d).collect() };
    let mut z = scaled(&residual);
    let mut direction = z.clone();
    let mut square = dot(&residual, &z);
    let enough = 1e-8 * dot(b, &scaled(b));
    for _ in 0..1000 {
        if square <= enough {
            break;
        }
        let image = apply(&direction);
        let step = square / dot(&direction, &image);
        add(&mut x, step, &direction);
        add(&mut residual, -step, &image);
        z = scaled(&residual);
        let next = dot(&residual, &z);
        let factor = next / square;
        direction.iter_mut().zip(&z).for_each(|(d, z)| *d = z + factor * *d);
        square = next;
    }
    x
}
