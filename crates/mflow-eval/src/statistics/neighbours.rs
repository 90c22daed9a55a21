//! Nearest neighbours by brute force: exact, in any dimension.
use super::sample::{Sample, squared_distance};

/// The squared distance of a neighbour, and its row.
pub(crate) type Near = (f64, usize);

/// Of each row, its `k` nearest other rows with their squared distances, the nearest first; of equally
/// near ones the earlier.
pub(super) fn nearest(x: Sample<'_>, k: usize) -> Vec<Vec<Near>> {
    let all: Vec<usize> = (0..x.count()).collect();
    all.iter().map(|&row| nearest_among(x, row, &all, k)).collect()
}

/// Of a row, the `k` nearest others of the rows `among`, in the same order.
pub(crate) fn nearest_among(x: Sample<'_>, row: usize, among: &[usize], k: usize) -> Vec<Near> {
    let order = |a: &Near, b: &Near| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    let mut all = vec![];
    for &other in among.iter().filter(|other| **other != row) {
        all.push((squared_distance(x.row(row), x.row(other)), other));
    }
    if k < all.len() {
        all.select_nth_unstable_by(k, order);
        all.truncate(k);
    }
    all.sort_unstable_by(order);
    all
}

/// How many others of the rows `among` have at most this squared distance from a row.
pub(crate) fn count_within(x: Sample<'_>, row: usize, among: &[usize], square: f64) -> usize {
    let others = among.iter().filter(|other| **other != row);
    others.filter(|other| squared_distance(x.row(row), x.row(**other)) <= square).count()
}
