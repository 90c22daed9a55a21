//! Gaps that chance leaves between random points: the two sides of one may be one piece of a manifold.
//!
//! Between points that fall on a curve at random, the largest gap grows like the logarithm of their number. So it
//! can be longer than the distance to the `k`-th neighbour at both of its ends, and no edge to a neighbour crosses
//! it.
use super::graph::{Graph, LONELY, Pair};
use super::neighbours::Nearest;
use super::rows::{Rows, squared_distance};
use super::tangent::Tangent;
use crate::Result;

/// How often a manifold in one piece is left in two, at most: once in so many data sets.
const DATA_SETS: f64 = 10_000.;

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
    /// Edges over gaps that chance can explain.
    ///
    /// A gap is between two rows neither of which has a neighbour that is nearer to the other row. The ball around
    /// each end reaches as far as `count` rows do, `r`. If the density is the same on both sides, the `n`-th power
    /// of the length of a gap is more than `ρ` times the sum of the `n`-th powers of both `r` with probability
    /// `(1 + ρ)^(-2 count)`: so often, an exponential variable is more than `ρ` times the sum of `2 count` others. Any
    /// of the rows may be at a gap. So an edge crosses a gap if that probability times the number of rows is not
    /// below `1 / DATA_SETS`. It also has to go more along the tangent planes at both ends than away from them:
    /// sheets that lie side by side stay apart.
    pub(super) fn bridges(&self, graph: &Graph, n: usize) -> Result<Vec<Pair>> {
        let chance = 1. / (2. * self.count as f64);
        let ratio = (self.rows.len() as f64 * DATA_SETS).powf(chance) - 1.;
        let power = |node: usize| self.reach[node].powf(n as f64);
        let mut bridges = vec![];
        for i in 0..self.rows.len() {
            // No gap is longer than this, seen from the end with the longer reach.
            let furthest = self.reach[i] * (2. * ratio).powf(1. / n as f64);
            for (j, length) in self.nearest.within(self.rows.row(i), furthest)? {
                let (longer, shorter) = (self.reach[i], self.reach[j]);
                if (longer > shorter || (longer == shorter && i < j))
                    && longer <= LONELY * shorter
                    && length.powf(n as f64) <= ratio * (power(i) + power(j))
                    && self.ends_at(graph, i, j)
                    && self.ends_at(graph, j, i)
                    && self.goes_along(i, j)
                {
                    bridges.push((i.min(j), i.max(j), length));
                }
            }
        }
        Ok(bridges)
    }

    /// Whether `i` and its neighbours are not nearer to `j` than `i` is.
    fn ends_at(&self, graph: &Graph, i: usize, j: usize) -> bool {
        let square = |from: usize| squared_distance(self.rows.row(from), self.rows.row(j));
        let own = square(i);
        i != j && graph.at(i).iter().all(|edge| square(edge.to) >= own)
    }

    /// Whether the way from `i` to `j` is at less than 45 degrees to both tangent planes.
    fn goes_along(&self, i: usize, j: usize) -> bool {
        let (from, to) = (self.rows.row(i), self.rows.row(j));
        [i, j].into_iter().all(|at| self.planes[at].goes_along(from, to))
    }
}
