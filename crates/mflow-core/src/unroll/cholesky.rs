//! Linear equations with a symmetric positive matrix.
use super::spectrum::{add, dot};
use std::cmp::Ordering;

/// The lower triangle of a symmetric matrix without the zeros at the start of its rows: row `i` ends at the
/// diagonal, and the columns before its first number are 0.
pub(super) type Lower = Vec<Vec<f64>>;

/// The factor `L` of `A = L Lᵀ`, which has its zeros where `A` has them at the start of rows (George & Liu, *Computer
/// Solution of Large Sparse Positive Definite Systems*, chapter 4).
pub(super) struct Cholesky(Lower);

impl Cholesky {
    /// The factor of `a`; none if `a` is not positive definite.
    pub(super) fn of(mut a: Lower) -> Option<Self> {
        for i in 0..a.len() {
            let (above, rest) = a.split_at_mut(i);
            let row = &mut rest[0];
            let start = i + 1 - row.len();
            for j in start..i {
                let other = &above[j];
                let end = other.len() - 1;
                let from = start.max(j - end);
                let known = &row[from - start..j - start];
                let product = dot(known, &other[end - known.len()..end]);
                row[j - start] = (row[j - start] - product) / other[end];
            }
            let last = row.len() - 1;
            let pivot = row[last];
            let left = pivot - dot(&row[..last], &row[..last]);
            if left.partial_cmp(&(1e-14 * pivot)) != Some(Ordering::Greater) {
                return None;
            }
            row[last] = left.sqrt();
        }
        Some(Self(a))
    }

    /// The factor of a full matrix `[d, d]`, of which only the lower triangle is read.
    pub(super) fn dense(a: &[f64], d: usize) -> Option<Self> {
        Self::of((0..d).map(|i| a[i * d..=i * d + i].to_vec()).collect())
    }

    /// `A⁻¹ b`.
    pub(super) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for (i, row) in self.0.iter().enumerate() {
            let last = row.len() - 1;
            x[i] = (x[i] - dot(&row[..last], &x[i - last..i])) / row[last];
        }
        for (i, row) in self.0.iter().enumerate().rev() {
            let last = row.len() - 1;
            x[i] /= row[last];
            let value = x[i];
            add(&mut x[i - last..i], -value, &row[..last]);
        }
        x
    }
}

#[cfg(test)]
mod tests {
    //! Oracle: the product of a matrix that is written out with the solution.
    use super::*;

    #[test]
    fn a_solution_solves() {
        // The last row is shorter than the one before it, and no row is full.
        let lower =
            vec![vec![4.], vec![1., 5.], vec![2., -1., 6.], vec![3., 0.5, 7.], vec![-1., 8.]];
        let at = |i: usize, j: usize| {
            let row = &lower[i.max(j)];
            (i.min(j) + row.len()).checked_sub(i.max(j) + 1).map_or(0., |place| row[place])
        };
        let b = [1., -2., 0.5, 3., 4.];
        let x = Cholesky::of(lower.clone()).unwrap().solve(&b);
        for (i, b) in b.iter().enumerate() {
            let product: f64 = (0..5).map(|j| at(i, j) * x[j]).sum();
            assert!((product - b).abs() < 1e-14, "row {i}: {product}");
        }
        assert!(Cholesky::dense(&[1., 0., 2., 4.], 2).is_none());
    }
}
