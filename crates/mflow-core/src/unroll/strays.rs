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

/// The edge by which a stray joins the graph.
#[derive(Clone, Copy)]
struct Join {
    stray: usize,
    to: usize,
    length: f64,
}

/// Edges that join strays, the nodes that are not `on_piece`, to pieces. The nearest one joins first, others may then
/// join it. The tangent planes of those that join become the right ones.
///
/// A stray joins a node from which the way to it goes more along the tangent plane than away from it, that has no
/// neighbour nearer to it, and whose longest edge is not shorter than a tenth of the way.
pub(super) fn joins(
    rows: Rows<'_>,
    nearest: &Nearest<'_>,
    planes: &mut [Tangent],
    graph: &Graph,
    on_piece: &[bool],
) -> Result<Vec<Pair>> {
    let mut on_piece = on_piece.to_vec();
    let left: Vec<usize> = (0..rows.len()).filter(|&node| !on_piece[node]).collect();
    if left.len() as f64 > FEW * rows.len() as f64 {
        return Ok(vec![]);
    }
    let found = left.iter().map(|&node| nearest.of(rows.row(node), SEEN.min(rows.len())));
    let found = found.collect::<Result<Vec<_>>>()?;
    let mut near: Vec<_> = left.into_iter().zip(found).collect();
    // What joined, by node: whereto, and how far.
    let mut joined: Vec<Join> = vec![];
    loop {
        let best = near.iter().filter_map(|(stray, found)| {
            let fits = |&&(to, length): &&(usize, f64)| {
                on_piece[to] && goes_on(rows, graph, &joined, Join { stray: *stray, to, length })
            };
            found.iter().find(fits).map(|&(to, length)| Join { stray: *stray, to, length })
        });
        let Some(join) = best.min_by(|a, b| a.length.total_cmp(&b.length)) else { break };
        // The plane through the stray and the surroundings of the node that it joins.
        let around = next_to(graph, &joined, join.to);
        let mut members: Vec<usize> = around.into_iter().map(|(other, _)| other).collect();
        members.extend([join.to, join.stray]);
        planes[join.stray] = Tangent::of(rows, &members, graph.dim());
        on_piece[join.stray] = true;
        near.retain(|(stray, _)| *stray != join.stray);
        joined.push(join);
    }
    Ok(joined.into_iter().map(|j| (j.stray.min(j.to), j.stray.max(j.to), j.length)).collect())
}

/// The neighbours of a node on the graph, strays that joined it, and what it joined; each with its distance.
fn next_to(graph: &Graph, joined: &[Join], node: usize) -> Vec<(usize, f64)> {
    let edges = graph.at(node).iter().map(|edge| (edge.to, edge.length));
    let joins = joined.iter().filter_map(|join| match node {
        _ if node == join.stray => Some((join.to, join.length)),
        _ if node == join.to => Some((join.stray, join.length)),
        _ => None,
    });
    edges.chain(joins).collect()
}

/// Whether the manifold may go on from the node of a join to its stray.
fn goes_on(rows: Rows<'_>, graph: &Graph, joined: &[Join], by: Join) -> bool {
    let Join { stray, to, length } = by;
    let (from, target) = (rows.row(to), rows.row(stray));
    let next_to = next_to(graph, joined, to);
    let nearer = |other: usize| squared_distance(rows.row(other), target) < length * length;
    if next_to.iter().any(|&(other, _)| nearer(other)) {
        return false;
    }
    let longest = next_to.iter().fold(0_f64, |longest, (_, length)| longest.max(*length));
    if length > LONELY * longest {
        return false;
    }
    // Not the plane of the nearest rows: some of them may be on the turn below.
    let mut members: Vec<usize> = next_to.into_iter().map(|(other, _)| other).collect();
    members.push(to);
    Tangent::of(rows, &members, graph.dim()).goes_along(from, target)
}
