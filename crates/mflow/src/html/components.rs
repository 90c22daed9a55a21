//! Principal components, to look at data of many dimensions.
use mflow_bijectors::Stream;

/// Directions in `R^D` with the share of the variance along each.
pub(super) struct Components {
    /// Mean of the rows, `[D]`.
    pub(super) mean: Vec<f64>,
    /// Orthonormal, `[D]` each, the one of most variance first.
    pub(super) axes: Vec<Vec<f64>>,
    /// Share of the variance of the rows along each axis.
    pub(super) share: Vec<f64>,
}

/// Rounds of the iteration: directions that are still mixed after these differ little in their variance.
const ROUNDS: usize = 60;

impl Components {
    /// The first `k` principal components of `rows`, `[n, D]`, by orthogonal iteration: `V <- orth(Xᵀ X V)`.
    pub(super) fn of(rows: &[f64], d: usize, k: usize) -> Self {
        let n = (rows.len() / d) as f64;
        let mut mean = vec![0.; d];
        for row in rows.chunks_exact(d) {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / n);
        }
        let x: Vec<f64> = rows.iter().zip(mean.iter().cycle()).map(|(x, m)| x - m).collect();
        let mut stream = Stream::new(0, "principal components");
        let mut axes: Vec<Vec<f64>> = (0..k.min(d)).map(|_| stream.normal(d)).collect();
        orthonormalize(&mut axes);
        for _ in 0..ROUNDS {
            for axis in &mut axes {
                let mut next = vec![0.; d];
                for row in x.chunks_exact(d) {
                    let along = dot(row, axis);
                    next.iter_mut().zip(row).for_each(|(v, x)| *v += along * x);
                }
                *axis = next;
            }
            orthonormalize(&mut axes);
        }
        let total = dot(&x, &x);
        let variance = |axis: &Vec<f64>| {
            x.chunks_exact(d).map(|row| dot(row, axis)).map(|v| v * v).sum::<f64>()
        };
        let share = axes.iter().map(|axis| variance(axis) / total).collect();
        Self { mean, axes, share }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gram and Schmidt's process; directions without variance become zero.
fn orthonormalize(axes: &mut [Vec<f64>]) {
    for i in 0..axes.len() {
        let (before, rest) = axes.split_at_mut(i);
        let Some(axis) = rest.first_mut() else { return };
        let size = dot(axis, axis).sqrt();
        for other in before {
            let along = dot(axis, other);
            axis.iter_mut().zip(other.iter()).for_each(|(a, o)| *a -= along * o);
        }
        let norm = dot(axis, axis).sqrt();
        // What is left is rounding error.
        let scale = if norm > 1e-12 * size { 1. / norm } else { 0. };
        axis.iter_mut().for_each(|a| *a *= scale);
    }
}

#[cfg(test)]
mod tests {
    use super::Components;

    #[test]
    fn components_of_a_box_are_its_axes() {
        // The corners of a box with sides along (3, 4)/5, (-4, 3)/5 and e3, off the origin.
        let sides = [[0.6, 0.8, 0., 0.], [-0.8, 0.6, 0., 0.], [0., 0., 1., 0.]];
        let half = [1., 4., 2.];
        let mut rows = vec![];
        for corner in 0..8 {
            let sign = |k: usize| if corner >> k & 1 == 0 { 1. } else { -1. };
            let at = |j: usize| (0..3).map(|k| sign(k) * half[k] * sides[k][j]).sum::<f64>();
            rows.extend((0..4).map(|j| 7. + at(j)));
        }
        let found = Components::of(&rows, 4, 3);
        for (axis, side) in found.axes.iter().zip([sides[1], sides[2], sides[0]]) {
            let along: f64 = axis.iter().zip(side).map(|(a, s)| a * s).sum();
            assert!((along.abs() - 1.).abs() < 1e-9, "{axis:?} is along {side:?}");
        }
        for (share, expected) in found.share.iter().zip([16. / 21., 4. / 21., 1. / 21.]) {
            assert!((share - expected).abs() < 1e-12, "{share} and {expected}");
        }
        assert!(found.mean.iter().all(|m| (m - 7.).abs() < 1e-12), "{:?}", found.mean);
    }
}
