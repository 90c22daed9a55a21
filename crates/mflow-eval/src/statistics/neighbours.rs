//! Nearest neighbours by brute force: exact, in any dimension.
use super::sample::{Sample, squared_distance};

/// Of each row, its `k` nearest other rows with their squared distances, the nearest first; of equally
/// near ones the earlier.
pub(super) fn nearest(x: Sample<'_>, k: usize) -> Vec<Vec<(f64, usize)>> {
    let of = |(i, row): (usize, &[f64])| {
        let others = x.rows().enumerate().filter(|(j, _)| *j != i);
        let mut all: Vec<(f64, usize)> =
            others.map(|(j, other)| (squared_distance(row, other), j)).collect();
        let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if k < all.len() {
            all.select_nth_unstable_by(k, order);
            all.truncate(k);
        }
        all.sort_unstable_by(order);
        all
    };
    x.rows().enumerate().map(of).collect()
}
