//! Coordinates of rows that are not in the graph, from those of their nearest neighbours that are.
use super::cholesky::Cholesky;
use super::rows::Rows;
use super::spectrum::dot;
use super::tangent::Tangent;

/// The coordinates `[n]` of `x`: of its `near` neighbours among `rows` with coordinates `u: [rows, n]`, the affine
/// map of least squares from their tangent plane to `u`, at `x`. It reaches no further than the neighbours do, so
/// that an outlier stays next to them.
pub(super) fn interpolate(
    x: &[f64],
    near: &[usize],
    rows: Rows<'_>,
    u: &[f64],
    n: usize,
) -> Vec<f64> {
    let m = near.len() as f64;
    let plane = Tangent::of(rows, near, n);
    let places: Vec<Vec<f64>> =
        near.iter().map(|&i| plane.along(&plane.mean, rows.row(i))).collect();
    let mut middle = vec![0.; n];
    for &i in near {
        middle.iter_mut().zip(&u[i * n..(i + 1) * n]).for_each(|(mean, v)| *mean += v / m);
    }
    let mut place = plane.along(&plane.mean, x);
    let length = |v: &[f64]| dot(v, v).sqrt();
    let reach = places.iter().fold(0_f64, |reach, place| reach.max(length(place)));
    let far = length(&place);
    if far > reach {
        place.iter_mut().for_each(|v| *v *= reach / far);
    }
    // (TᵀT + ε)⁻¹ t weighs the neighbours; ε is for planes in which nothing spreads along an axis.
    let mut scatter = vec![0.; n * n];
    for t in &places {
        for a in 0..n {
            for b in 0..n {
                scatter[a * n + b] += t[a] * t[b];
            }
        }
    }
    (0..n).for_each(|a| scatter[a * n + a] += 1e-9 * reach * reach + f64::MIN_POSITIVE);
    if let Some(factor) = Cholesky::dense(&scatter, n) {
        let slope = factor.solve(&place);
        for (t, &i) in places.iter().zip(near) {
            let weight = dot(t, &slope);
            // The weights sum to 0, as the places do.
            middle.iter_mut().zip(&u[i * n..(i + 1) * n]).for_each(|(u, v)| *u += weight * v);
        }
    }
    middle
}
