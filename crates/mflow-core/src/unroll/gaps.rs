//! Gaps that chance leaves between random points: two pieces of a graph may be one piece of a manifold.
//!
//! Between points that fall on a curve at random, the largest gap grows like the logarithm of their number, so it
//! can be longer than the distance to the `k`-th neighbour at both of its ends. No edge then crosses it.
use super::graph::Pair;
use super::neighbours::Nearest;
use super::rows::{Rows, squared_distance};
use super::spectrum::dot;
use super::tangent::Tangent;
use crate::Result;

/// How often, at most, a manifold in one piece is left in two: once in so many data sets.
const DATA_SETS: f64 = 1000.;

/// Neighbours from which the density at a row is estimated, at least.
pub(super) const LEAST: usize = 10;

/// What is known of the surroundings of the rows.
pub(super) struct Surroundings<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) nearest: &'a Nearest<'a>,
    /// The tangent plane at each row.
    pub(super) planes: &'a [Tangent],
    /// The distance of each row to its neighbour with the number `count`.
    pub(super) reach: &'a [f64],
    pub(super) count: usize,
}

impl Surroundings<'_> {
    /// Edges between different pieces that cross a gap which chance can explain, `piece: [rows]`.
    ///
    /// The ball around an end of a gap reaches as far as `count` rows do, `r`, and all of them are on its side.
    /// If the density is the same across a gap of length `g`, then the `n`-th power of `g` is more than `ρ` times the sum of
    /// the `n`-th powers of both `r` with probability `(1 + ρ)^(-2 count)`: that an exponential variable
    /// exceeds `ρ` times the sum of `2 count` others. Any of the rows may be at a gap, so an edge is one where that
    /// probability times the number of rows is not below `1 / DATA_SETS`. It also has to go more along the tangent
    /// planes at both of its ends than away from them: sheets that lie side by side stay apart.
    pub(super) fn bridges(&self, piece: &[usize], n: usize) -> Result<Vec<Pair>> {
        let chance = 1. / (2. * self.count as f64);
        let ratio = (self.rows.len() as f64 * DATA_SETS).powf(chance) - 1.;
        let power = |v: f64| v.powf(n as f64);
        let mut bridges = vec![];
        for i in 0..self.rows.len() {
            // From the end with the longer reach, no gap is longer than this.
            let furthest = self.reach[i] * (2. * ratio).powf(1. / n as f64);
            for (j, length) in self.nearest.within(self.rows.row(i), furthest)? {
                let longer =
                    self.reach[j] < self.reach[i] || (self.reach[j] == self.reach[i] && i < j);
                if piece[i] != piece[j]
                    && longer
                    && power(length) <= ratio * (power(self.reach[i]) + power(self.reach[j]))
                    && self.goes_along(i, j)
                {
                    bridges.push((i.min(j), i.max(j), length));
                }
            }
        }
        Ok(bridges)
    }

    /// Whether the way from `i` to `j` is at less than 45 degrees to both tangent planes.
    fn goes_along(&self, i: usize, j: usize) -> bool {
        let (from, to) = (self.rows.row(i), self.rows.row(j));
        let square = squared_distance(from, to);
        [i, j].into_iter().all(|at| {
            let along = self.planes[at].along(from, to);
            2. * dot(&along, &along) > square
        })
    }
}
