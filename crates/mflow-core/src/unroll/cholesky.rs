//! Linear equations with a symmetric positive matrix.

/// The factor `L` of `A = L Lᵀ`.
pub(super) struct Cholesky {
    factor: Vec<f64>,
    d: usize,
}

impl Cholesky {
    /// That of `a: [d, d]`, of which the lower triangle is read; none if it is not positive definite.
    pub(super) fn of(mut a: Vec<f64>, d: usize) -> Option<Self> {
        for i in 0..d {
            let (above, rest) = a.split_at_mut(i * d);
            let row = &mut rest[..d];
            for j in 0..i {
                let other = &above[j * d..(j + 1) * d];
                row[j] = (row[j] - super::spectrum::dot(&row[..j], &other[..j])) / other[j];
            }
            let pivot = row[i];
            let left = pivot - super::spectrum::dot(&row[..i], &row[..i]);
            if !(left > 1e-14 * pivot) {
                return None;
            }
            row[i] = left.sqrt();
        }
        Some(Self { factor: a, d })
    }

    /// `A⁻¹ b`.
    pub(super) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        let row = |i: usize| &self.factor[i * self.d..(i + 1) * self.d];
        for i in 0..self.d {
            x[i] = (x[i] - super::spectrum::dot(&row(i)[..i], &x[..i])) / row(i)[i];
        }
        for i in (0..self.d).rev() {
            x[i] /= row(i)[i];
            let value = x[i];
            super::spectrum::add(&mut x[..i], -value, &row(i)[..i]);
        }
        x
    }
}
