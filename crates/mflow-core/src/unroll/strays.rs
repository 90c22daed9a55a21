//! Rows that the graph leaves alone where a manifold thins out, joined to it one after the other.
//!
//! Far out on a spiral whose rows become ever rarer, a row is as far from the next one as from the turn below. Its
//! neighbours are on both, so its own tangent plane is wrong and its edges are refused. But the tangent plane at the
//! last row that is on the graph is right, and says where the manifold goes on.
use super::graph::{Graph, LONELY, Pair};
use super::neighbours::Nearest;
use super::rows::{Rows, squared_distance};
use super::tangent::Tangent;
use crate::Result;

/// Rows among which the one is looked for that a stray joins, at most: the turn below may be full of nearer ones.
const SEEN: usize = 2048;
/// If more than this share of the rows are strays, the manifold does not just thin out.
const FEW: f64 = 0.01;
/// How many times as long as the last way along the manifold the next one may be.
const GROWTH: f64 = 3.;

/// Edges that join strays, the nodes that are not `on_piece`, to pieces. The nearest one joins first, with the strays
/// that it has edges to; others may then join them. The tangent planes of those that join become the right ones.
///
/// A stray joins a node from which the way to it goes more along the tangent plane than away from it, that has no
/// neighbour nearer to it, and whose longest edge is not shorter than a tenth of the way; or, if that node has joined
/// itself, whose own way is not shorter than a third.
pub(super) fn joins(
    rows: Rows<'_>,
    nearest: &Nearest<'_>,
    planes: &mut [Tangent],
    graph: &Graph,
    on_piece: &[bool],
) -> Result<Vec<Pair>> {
    let left: Vec<usize> = (0..rows.len()).filter(|&node| !on_piece[node]).collect();
    if left.len() as f64 > FEW * rows.len() as f64 {
        return Ok(vec![]);
    }
    let longest = |node: usize| graph.at(node).iter().fold(0_f64, |most, e| most.max(e.length));
    let mut state = State {
        rows,
        graph,
        on_piece: on_piece.to_vec(),
        reach: (0..rows.len()).map(|node| LONELY * longest(node)).collect(),
        joined: vec![vec![]; rows.len()],
    };
    let found = left.iter().map(|&node| nearest.of(rows.row(node), SEEN.min(rows.len())));
    let found = found.collect::<Result<Vec<_>>>()?;
    let mut near: Vec<_> = left.into_iter().zip(found).collect();
    let mut pairs = vec![];
    loop {
        let best = near.iter().filter_map(|(stray, found)| {
            let fits = |&&(to, length): &&(usize, f64)| state.goes_on(to, *stray, length);
            found.iter().find(fits).map(|&(to, length)| (*stray, to, length))
        });
        let Some((stray, to, length)) = best.min_by(|a, b| a.2.total_cmp(&b.2)) else { break };
        // The plane through the stray and the surroundings of the node that it joins.
        let mut members = state.next_to(to);
        members.extend([to, stray]);
        planes[stray] = Tangent::of(rows, &members, graph.dim());
        for node in state.join(stray, to, length) {
            let mut members = state.next_to(node);
            members.push(node);
            planes[node] = Tangent::of(rows, &members, graph.dim());
        }
        near.retain(|(node, _)| !state.on_piece[*node]);
        pairs.push((stray.min(to), stray.max(to), length));
    }
    Ok(pairs)
}

/// How far the joining has come.
struct State<'a> {
    rows: Rows<'a>,
    graph: &'a Graph,
    on_piece: Vec<bool>,
    /// How long a way from each node may be.
    reach: Vec<f64>,
    /// Nodes next to each node by ways that were added.
    joined: Vec<Vec<usize>>,
}

impl State<'_> {
    /// The nodes next to one, on the graph or by ways that were added.
    fn next_to(&self, node: usize) -> Vec<usize> {
        let edges = self.graph.at(node).iter().map(|edge| edge.to);
        edges.chain(self.joined[node].iter().copied()).collect()
    }

    /// Whether the manifold may go on from a node to a stray.
    fn goes_on(&self, to: usize, stray: usize, length: f64) -> bool {
        if !self.on_piece[to] || length > self.reach[to] {
            return false;
        }
        let target = self.rows.row(stray);
        let nearer =
            |&node: &usize| squared_distance(self.rows.row(node), target) < length * length;
        let mut members = self.next_to(to);
        if members.iter().any(nearer) {
            return false;
        }
        // Not the plane of the nearest rows: some of them may be on the turn below.
        members.push(to);
        Tangent::of(self.rows, &members, self.graph.dim()).goes_along(self.rows.row(to), target)
    }

    /// Adds a way. All strays on the graph with this one are then on the piece too: these others are returned.
    fn join(&mut self, stray: usize, to: usize, length: f64) -> Vec<usize> {
        self.joined[stray].push(to);
        self.joined[to].push(stray);
        let (mut open, mut others) = (vec![stray], vec![]);
        while let Some(node) = open.pop() {
            if !self.on_piece[node] {
                self.on_piece[node] = true;
                self.reach[node] = self.reach[node].max(GROWTH * length);
                open.extend(self.graph.at(node).iter().map(|edge| edge.to));
                others.extend((node != stray).then_some(node));
            }
        }
        others
    }
}
