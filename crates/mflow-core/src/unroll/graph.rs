//! The graph of neighbours: which rows are next to each other on the manifold, and how far apart.
use super::gaps::{self, Surroundings};
use super::neighbours::Nearest;
use super::rows::Rows;
use super::spectrum::dot;
use super::strays;
use super::tangent::Tangent;
use crate::Result;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// An edge that leaves the tangent plane at both of its ends by more than this many typical distances from such
/// planes, and more than it goes along them, is a shortcut through the space between two sheets.
const OFF_PLANE: f64 = 4.;

/// An edge that is so many times as long as the distance to the last neighbour at one of its ends leads to an
/// outlier, or from a dense part of the manifold to another.
pub(super) const LONELY: f64 = 10.;

/// Nodes that make a piece of a manifold, of so many nodes with `k` neighbours each; fewer are outliers.
pub(super) fn least(nodes: usize, k: usize) -> usize {
    (k + 1).max(nodes / 100)
}

/// A graph without directions: every edge is listed at both of its ends.
#[derive(Debug)]
pub(super) struct Graph {
    /// Where the edges of each node start, `[nodes + 1]`.
    starts: Vec<usize>,
    edges: Vec<Edge>,
    /// For each edge, the way along it on the tangent plane of the node that it starts from, `[edges, n]`, in
    /// coordinates of that plane.
    steps: Vec<f64>,
    n: usize,
}

/// The way from one node to a neighbour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) to: usize,
    /// Euclidean length, in data units.
    pub(super) length: f64,
    /// The length of its part along the manifold: on the plane half way between the tangent planes at its ends.
    /// Noise off the manifold does not add to it, and curvature does not shorten it.
    pub(super) along: f64,
}

impl Edge {
    /// The length of its part away from that plane.
    fn off(&self) -> f64 {
        (self.length * self.length - self.along * self.along).sqrt()
    }
}

/// Two nodes, the lower one first, and their distance.
pub(super) type Pair = (usize, usize, f64);

impl Graph {
    /// Each row with its `k` nearest ones and the rows that have it among theirs.
    ///
    /// But for edges that leave the tangent planes of dimension `n` (see [`OFF_PLANE`]) and for those to
    /// outliers (see [`LONELY`]); and with edges over gaps that chance can explain.
    pub(super) fn of(rows: Rows<'_>, nearest: &Nearest<'_>, k: usize, n: usize) -> Result<Self> {
        let count = k.max(gaps::LEAST).min(rows.len() - 1);
        let mut planes = Vec::with_capacity(rows.len());
        let mut reach = Vec::with_capacity(rows.len());
        let mut pairs: Vec<Pair> = Vec::with_capacity(2 * k * rows.len());
        for i in 0..rows.len() {
            // The nearest one is the row itself.
            let found = nearest.of(rows.row(i), count + 1)?;
            reach.push(found[count].1);
            let members: Vec<usize> = found.iter().take(k + 1).map(|&(j, _)| j).collect();
            planes.push(Tangent::of(rows, &members, n));
            for &(j, length) in found.iter().take(k + 1).filter(|&&(j, _)| j != i) {
                pairs.push((i.min(j), i.max(j), length));
            }
        }
        pairs.sort_by_key(|&(i, j, _)| (i, j));
        pairs.dedup_by_key(|&mut (i, j, _)| (i, j));
        let mut edges = measured(rows, &planes, pairs);
        let typical = median(edges.iter().map(|(_, edge)| edge.off()).collect());
        edges.retain(|(_, edge)| !(edge.off() > OFF_PLANE * typical && edge.off() > edge.along));
        let lonely = |i: usize, edge: &Edge| edge.length > LONELY * reach[i].min(reach[edge.to]);
        let (long, mut edges): (Vec<_>, Vec<_>) =
            edges.into_iter().partition(|(i, edge)| lonely(*i, edge));
        let large = Self::assemble(rows, &planes, &edges, n).on_pieces(k);
        // Of the two tangent planes, that at the end where rows are dense is the right one.
        let goes_along = |i: usize, edge: &Edge| {
            let at = if reach[i] < reach[edge.to] { i } else { edge.to };
            planes[at].goes_along(rows.row(i), rows.row(edge.to))
        };
        let is_way =
            |(i, edge): &(usize, Edge)| large[*i] && large[edge.to] && goes_along(*i, edge);
        edges.extend(long.into_iter().filter(is_way));
        let graph = Self::assemble(rows, &planes, &edges, n);
        let around = Surroundings { rows, nearest, planes: &planes, reach: &reach, count };
        edges.extend(measured(rows, &planes, around.bridges(&graph, n)?));
        let graph = Self::assemble(rows, &planes, &edges, n);
        let large = graph.on_pieces(k);
        let mut pairs = strays::joins(rows, nearest, &mut planes, &graph, &large)?;
        if pairs.is_empty() {
            return Ok(graph);
        }
        // Edges between strays are measured anew, on the planes that they have now.
        let (of_strays, mut edges): (Vec<_>, Vec<_>) =
            edges.into_iter().partition(|(i, edge)| !large[*i] || !large[edge.to]);
        pairs.extend(of_strays.into_iter().map(|(i, edge)| (i, edge.to, edge.length)));
        edges.extend(measured(rows, &planes, pairs));
        Ok(Self::assemble(rows, &planes, &edges, n))
    }

    /// Whether each node is on a component that is large enough for a piece, if nodes have `k` neighbours each.
    fn on_pieces(&self, k: usize) -> Vec<bool> {
        let mut on_piece = vec![false; self.len()];
        let components = self.components();
        let large = components.iter().take_while(|c| c.len() >= least(self.len(), k));
        large.flatten().for_each(|&node| on_piece[node] = true);
        on_piece
    }

    /// The graph of some edges, each of which is listed once, with the node that it starts from.
    fn assemble(rows: Rows<'_>, planes: &[Tangent], edges: &[(usize, Edge)], n: usize) -> Self {
        let both =
            edges.iter().flat_map(|&(i, edge)| [(i, edge), (edge.to, Edge { to: i, ..edge })]);
        let mut both: Vec<(usize, Edge)> = both.collect();
        both.sort_by_key(|&(from, edge)| (from, edge.to));
        let (mut starts, mut steps) = (vec![0; rows.len() + 1], vec![]);
        for &(from, edge) in &both {
            starts[from + 1] += 1;
            let mut step = planes[from].along(rows.row(from), rows.row(edge.to));
            let length = dot(&step, &step).sqrt();
            if length > 0. {
                step.iter_mut().for_each(|v| *v *= edge.along / length);
            }
            steps.extend(step);
        }
        for i in 0..rows.len() {
            starts[i + 1] += starts[i];
        }
        Self { starts, edges: both.into_iter().map(|(_, edge)| edge).collect(), steps, n }
    }

    /// The graph of some of the nodes, which no edge leaves; `nodes` are in order.
    pub(super) fn part(&self, nodes: &[usize]) -> Self {
        let mut place = vec![usize::MAX; self.len()];
        nodes.iter().enumerate().for_each(|(new, &old)| place[old] = new);
        let (mut starts, mut edges, mut steps) = (vec![0], vec![], vec![]);
        for &node in nodes {
            edges.extend(self.at(node).iter().map(|e| Edge { to: place[e.to], ..*e }));
            steps.extend(self.steps(node));
            starts.push(edges.len());
        }
        Self { starts, edges, steps, n: self.n }
    }

    /// The dimension of the manifold.
    pub(super) fn dim(&self) -> usize {
        self.n
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The edges at a node.
    pub(super) fn at(&self, node: usize) -> &[Edge] {
        &self.edges[self.starts[node]..self.starts[node + 1]]
    }

    /// The ways to the neighbours of a node on its tangent plane, `[edges at it, n]`.
    pub(super) fn steps(&self, node: usize) -> &[f64] {
        &self.steps[self.starts[node] * self.n..self.starts[node + 1] * self.n]
    }

    /// Every edge once, as its ends and itself.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, usize, &Edge)> {
        (0..self.len()).flat_map(move |i| {
            self.at(i).iter().filter(move |e| i < e.to).map(move |e| (i, e.to, e))
        })
    }

    /// The connected components, the largest first; the nodes of each in order.
    pub(super) fn components(&self) -> Vec<Vec<usize>> {
        let mut seen = vec![false; self.len()];
        let mut components = vec![];
        for start in 0..self.len() {
            if seen[start] {
                continue;
            }
            seen[start] = true;
            let (mut component, mut next) = (vec![start], 0);
            while next < component.len() {
                for edge in self.at(component[next]) {
                    if !seen[edge.to] {
                        seen[edge.to] = true;
                        component.push(edge.to);
                    }
                }
                next += 1;
            }
            component.sort_unstable();
            components.push(component);
        }
        components.sort_by_key(|component| Reverse(component.len()));
        components
    }

    /// The lengths of the shortest paths from a node to all others, `[nodes]` (Dijkstra 1959); infinite where
    /// there is no path.
    pub(super) fn distances(&self, from: usize) -> Vec<f64> {
        let mut distances = vec![f64::INFINITY; self.len()];
        self.walk(from, |node, distance| {
            distances[node] = distance;
            true
        });
        distances
    }

    /// Visits the nodes in the order of their distance from one, until `visit` says that it is enough.
    pub(super) fn walk(&self, from: usize, mut visit: impl FnMut(usize, f64) -> bool) {
        let mut best = vec![f64::INFINITY; self.len()];
        best[from] = 0.;
        // The bits of numbers that are not negative are in the order of the numbers.
        let mut heap = BinaryHeap::from([Reverse((0_f64.to_bits(), from))]);
        while let Some(Reverse((bits, node))) = heap.pop() {
            let distance = f64::from_bits(bits);
            if distance > best[node] {
                continue;
            }
            if !visit(node, distance) {
                return;
            }
            for edge in self.at(node) {
                let through = distance + edge.length;
                if through < best[edge.to] {
                    best[edge.to] = through;
                    heap.push(Reverse((through.to_bits(), edge.to)));
                }
            }
        }
    }
}

/// Edges between pairs of nodes, with the first one.
fn measured(rows: Rows<'_>, planes: &[Tangent], pairs: Vec<Pair>) -> Vec<(usize, Edge)> {
    let measure = |(i, j, length): Pair| {
        let step = planes[i].halfway(&planes[j]).along(rows.row(i), rows.row(j));
        (i, Edge { to: j, length, along: dot(&step, &step).sqrt().min(length) })
    };
    pairs.into_iter().map(measure).collect()
}

/// The middle of some numbers; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
