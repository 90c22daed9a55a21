//! Whether coordinates can be trusted.
use super::frame::difference;
use super::graph::{Graph, median};
use super::neighbours::Nearest;
use super::rows::{Rows, squared_distance};
use super::spectrum::dot;
use crate::Result;

/// Neighbours in the coordinates are apart in the data if they are so many times as far as the longest edge at
/// either of them.
const APART: f64 = 2.;

/// The median over the edges of `| |du| / |dx| - 1 |`.
pub(super) fn stretch(graph: &Graph, n: usize, u: &[f64]) -> f64 {
    let error = |(i, j, edge): (usize, usize, &super::graph::Edge)| {
        let du = difference(u, n, i, j);
        (dot(&du, &du).sqrt() / edge.along.max(f64::MIN_POSITIVE) - 1.).abs()
    };
    median(graph.pairs().map(error).collect())
}

/// The share of the `k` nearest neighbours in `u: [nodes, n]` that are far apart in `x: [nodes, D]`.
pub(super) fn overlap(graph: &Graph, x: Rows<'_>, n: usize, u: &[f64], k: usize) -> Result<f64> {
    let places = Rows::new(u, n);
    let nearest = Nearest::new(places)?;
    let longest =
        |i: usize| graph.at(i).iter().fold(0_f64, |longest, edge| longest.max(edge.length));
    let longest: Vec<f64> = (0..graph.len()).map(longest).collect();
    let (mut apart, mut all) = (0_usize, 0_usize);
    for i in 0..graph.len() {
        for (j, _) in nearest.of(places.row(i), k + 1)? {
            if j != i {
                let distance = squared_distance(x.row(i), x.row(j)).sqrt();
                apart += usize::from(distance > APART * longest[i].max(longest[j]));
                all += 1;
            }
        }
    }
    Ok(apart as f64 / all.max(1) as f64)
}
