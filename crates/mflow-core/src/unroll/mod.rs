//! Coordinates of points near a manifold, from the points alone: before any training.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "nodes, rows, edges and axes are numbered by the graph and the arguments that `check` lets through, which made these vectors"
)]
mod alignment;
mod cholesky;
mod extend;
mod frame;
mod gaps;
mod graph;
mod isomap;
mod neighbours;
mod polish;
mod quality;
mod rank;
mod rows;
mod spectrum;
mod strays;
mod tangent;

use crate::{Error, Result};
use graph::Graph;
use mflow_bijectors::Stream;
use neighbours::Nearest;
pub use rank::{LinearSpan, linear_rank, linear_span};
use rows::{Rows, distinct};

/// How coordinates are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnrollMethod {
    /// Landmark Isomap (Tenenbaum, de Silva & Langford, Science 290, 2000): distances between coordinates are those
    /// along the manifold. It bears noise. It is less exact for a manifold with holes, as paths around a hole are
    /// too long.
    Isomap,
    /// Local tangent space alignment (Zhang & Zha, SIAM Journal on Scientific Computing 26, 2004): around every row,
    /// coordinates are an affine map of those on the tangent plane. It is fast, and holes do not bend it.
    /// Noise does, from about a tenth of the radius of a neighbourhood on; then take Isomap.
    TangentAlignment,
}

impl UnrollMethod {
    /// How many rows make the graph, at most.
    fn most_nodes(self) -> usize {
        match self {
            Self::Isomap => 20_000,
            // Neighbourhoods have to be wider than the noise: what it costs to bend a coordinate falls with the
            // fourth power of their width, what noise costs a straight one rises with the square.
            Self::TangentAlignment => 2500,
        }
    }

    /// How many neighbours a row has in the graph of a manifold of dimension `n`, if nobody says.
    fn neighbours(self, n: usize) -> usize {
        match self {
            Self::Isomap => 10.max(2 * n + 2),
            Self::TangentAlignment => 15.max(2 * n + 2),
        }
    }
}

/// Settings of [`unroll`].
#[derive(Clone, Debug, PartialEq)]
pub struct UnrollOptions {
    /// How coordinates are found.
    pub method: UnrollMethod,
    /// Nearest neighbours of a row; `None` for 10 (Isomap) or 15 (alignment), or `2 N + 2` if that is more.
    pub neighbours: Option<usize>,
    /// For Isomap: from how many nodes the distances to all others are measured.
    pub landmarks: usize,
    /// Seed of what is drawn: the rows that make the graph where there are too many, and start vectors of eigenvectors.
    pub seed: u64,
}

impl Default for UnrollOptions {
    fn default() -> Self {
        Self { method: UnrollMethod::Isomap, neighbours: None, landmarks: 300, seed: 0 }
    }
}

/// Coordinates of all rows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Unrolled {
    /// The dimension of the manifold, `N`.
    pub manifold_dim: usize,
    /// Coordinates of each row, `[rows, N]`, row-major, in data units of length; those of each piece have mean 0.
    pub coordinates: Vec<f64>,
    /// The piece each row is on, `[rows]`: a position in `pieces`.
    pub piece: Vec<usize>,
    /// The pieces of the manifold, the largest first.
    pub pieces: Vec<UnrolledPiece>,
    /// Rows of the graph that are on no piece, as their own part of the graph is too small for one, and rows beside the
    /// graph that are nearest to one of these. Each has coordinates next to the nearest row that is on a piece.
    pub outliers: Vec<usize>,
}

/// A connected part of a manifold.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UnrolledPiece {
    /// Its rows, in order.
    pub rows: Vec<usize>,
    /// How far distances between neighbours are off: the median of `| |du| / |dx| - 1 |` over the edges of the graph,
    /// with `dx` along the tangent planes. It is above 0.01 for surfaces that cannot be flattened without
    /// stretching, and for noise that is as wide as a neighbourhood.
    pub stretch: f64,
    /// The share of the nearest neighbours in coordinates that are far apart in the data. It is near 0 for a manifold
    /// that can be flattened. Above 0.05, parts of the manifold lie on each other in these coordinates: the manifold
    /// is closed, like a circle or a sphere, or has another dimension, or the coordinates are wrong.
    pub overlap: f64,
}

/// Coordinates `[rows, N]` of the rows of `x: [rows, cols]`, row-major, on the manifold of dimension `N` near which
/// they lie, without any training.
///
/// 1. A graph joins each row to its nearest ones, except through the space between two sheets. It falls into the
///    pieces of the manifold, and each is treated alone.
/// 2. [`UnrollMethod`] finds coordinates on the graph.
/// 3. They are made as rigid as possible: a step in coordinates has the length of the step on the manifold. Of a
///    surface that flattens without stretching, they are the true coordinates up to a rigid motion.
///
/// A part of the rows makes the graph if there are many (20,000 for Isomap, 2500 for the alignment). The other rows
/// are placed by an affine map from the tangent plane of their neighbours. The same arguments give the same result.
///
/// # Errors
/// If sizes do not fit, a number is not finite, there are not more different rows than neighbours, or the rows span
/// fewer than `N` dimensions ([`Error::Rank`], see [`linear_rank`]).
pub fn unroll(
    x: &[f64],
    cols: usize,
    manifold_dim: usize,
    options: &UnrollOptions,
) -> Result<Unrolled> {
    let n = manifold_dim;
    check(x, cols, n)?;
    let k = options.neighbours.unwrap_or(options.method.neighbours(n));
    for (field, count) in [("neighbours", k), ("landmarks", options.landmarks)] {
        if count <= n {
            let reason = format!("must be at least {}, found {count}", n + 1);
            return Err(mflow_bijectors::Error::config(field, reason).into());
        }
    }
    let all = Rows::new(x, cols);
    let distinct = distinct(all);
    if distinct.first.len() <= k {
        return Err(Error::Data {
            op: "unroll",
            arg: "x",
            expected: format!("at least {} different rows", k.saturating_add(1)),
            found: format!("{} among {}", distinct.first.len(), all.len()),
        });
    }
    let rank = linear_rank(x, cols, n);
    if rank < n {
        return Err(Error::Rank { op: "unroll", rank, manifold_dim: n });
    }
    let mut nodes = distinct.first.clone();
    let most = options.method.most_nodes();
    if nodes.len() > most {
        let order = Stream::new(options.seed, "unroll nodes").permutation(nodes.len());
        nodes = order[..most].iter().map(|&i| distinct.first[i]).collect();
        nodes.sort_unstable();
    }
    let node_values = all.gather(&nodes);
    let node_rows = Rows::new(&node_values, cols);
    let nearest = Nearest::new(node_rows)?;
    let graph = Graph::of(node_rows, &nearest, k, n)?;
    let least = graph::least(nodes.len(), k);
    let mut parts = graph.components();
    let large = parts.iter().take_while(|part| part.len() >= least).count().max(1);
    let mut stray = vec![false; nodes.len()];
    parts.drain(large..).flatten().for_each(|node| stray[node] = true);
    // Nodes that are on pieces, in the order of the pieces, with their coordinates.
    let mut placed = Placed::default();
    let mut pieces = vec![];
    let mut stream = Stream::new(options.seed, "unroll vectors");
    for (number, part) in parts.iter().enumerate() {
        let values = node_rows.gather(part);
        let rows = Rows::new(&values, cols);
        let graph = graph.part(part);
        let mut u = match options.method {
            UnrollMethod::Isomap => isomap::isomap(&graph, n, options.landmarks, &mut stream),
            UnrollMethod::TangentAlignment => alignment::align(&graph, n, &mut stream)?,
        };
        if options.method == UnrollMethod::TangentAlignment {
            frame::map_to_data(&graph, n, &mut u);
        }
        polish::polish(&graph, n, &mut u);
        frame::turn(rows, n, &mut u);
        pieces.push(UnrolledPiece {
            rows: vec![],
            stretch: quality::stretch(&graph, n, &u),
            overlap: quality::overlap(&graph, rows, n, &u, k)?,
        });
        placed.rows.extend(part.iter().map(|&node| nodes[node]));
        placed.piece.resize(placed.rows.len(), number);
        placed.u.extend(u);
    }
    let (u, piece) = placed.extend(all, &distinct.first, k, n)?;
    // A node is the nearest to itself.
    let is_outlier = distinct
        .first
        .iter()
        .map(|&row| -> Result<bool> { Ok(stray[nearest.of(all.row(row), 1)?[0].0]) });
    let is_outlier = match stray.contains(&true) {
        true => is_outlier.collect::<Result<Vec<bool>>>()?,
        false => vec![false; distinct.first.len()],
    };
    let mut unrolled = Unrolled {
        manifold_dim: n,
        coordinates: Vec::with_capacity(all.len() * n),
        piece: Vec::with_capacity(all.len()),
        pieces,
        outliers: vec![],
    };
    for (row, &value) in distinct.of.iter().enumerate() {
        unrolled.coordinates.extend(&u[value * n..(value + 1) * n]);
        unrolled.piece.push(piece[value]);
        unrolled.pieces[piece[value]].rows.push(row);
        if is_outlier[value] {
            unrolled.outliers.push(row);
        }
    }
    Ok(unrolled)
}

/// Rows with coordinates.
#[derive(Default)]
struct Placed {
    rows: Vec<usize>,
    piece: Vec<usize>,
    u: Vec<f64>,
}

impl Placed {
    /// Coordinates and piece of each of `rows`, by those that have them.
    fn extend(
        &self,
        all: Rows<'_>,
        rows: &[usize],
        k: usize,
        n: usize,
    ) -> Result<(Vec<f64>, Vec<usize>)> {
        let mut place = vec![usize::MAX; all.len()];
        self.rows.iter().enumerate().for_each(|(at, &row)| place[row] = at);
        let values = all.gather(&self.rows);
        let known = Rows::new(&values, all.cols);
        let nearest = Nearest::new(known)?;
        let (mut u, mut piece) = (vec![], vec![]);
        for &row in rows {
            let at = place[row];
            if at != usize::MAX {
                u.extend(&self.u[at * n..(at + 1) * n]);
                piece.push(self.piece[at]);
                continue;
            }
            let found = nearest.of(all.row(row), k + 1)?;
            let on = self.piece[found[0].0];
            let near: Vec<usize> =
                found.iter().map(|&(at, _)| at).filter(|&at| self.piece[at] == on).collect();
            u.extend(extend::interpolate(all.row(row), &near, known, &self.u, n));
            piece.push(on);
        }
        Ok((u, piece))
    }
}

fn check(x: &[f64], cols: usize, n: usize) -> Result<()> {
    let (op, arg) = ("unroll", "x");
    if cols == 0 || x.is_empty() || !x.len().is_multiple_of(cols) {
        return Err(Error::Shape {
            op,
            arg,
            expected: format!("[rows, {cols}] with at least one row"),
            found: vec![x.len()],
        });
    }
    if let Some(i) = x.iter().position(|v| !v.is_finite()) {
        return Err(Error::NonFinite { op, arg, row: i / cols, column: i % cols, value: x[i] });
    }
    if n == 0 || n > cols {
        let reason = format!("must be at least 1 and at most {cols}, found {n}");
        return Err(mflow_bijectors::Error::config("manifold_dim", reason).into());
    }
    Ok(())
}
