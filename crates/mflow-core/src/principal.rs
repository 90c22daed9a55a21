//! Principal axes of points.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "points are rows by d, and matrices d by d; entries are numbered only where there are some"
)]
use faer::{Mat, Side};

/// Where points lie, and along which axes they spread.
#[derive(Clone, Debug, PartialEq)]
pub struct PrincipalAxes {
    /// The mean of the points, `[D]`.
    pub mean: Vec<f64>,
    /// The sums over the points of their squared distances from the mean along each axis, the largest first,
    /// `[D]`.
    pub squares: Vec<f64>,
    /// The axes, of length 1 and orthogonal, in the order of `squares`; each is `[D]`.
    pub axes: Vec<Vec<f64>>,
}

impl PrincipalAxes {
    /// [`PrincipalAxes::squares`] of `points: [rows, d]`, row-major, without those that are 0 because the rows are fewer
    /// than the columns: `[min(rows, d)]`. Of few rows it takes far less time than the axes.
    pub fn squares_of(points: &[f64], d: usize) -> Vec<f64> {
        let rows = points.len() / d.max(1);
        if rows >= d {
            return Self::of(points, d).squares;
        }
        let centred = Mat::from_fn(rows, d, |i, j| points[i * d + j]);
        let mean: Vec<f64> = centred.col_iter().map(|column| column.sum() / rows as f64).collect();
        let centred = Mat::from_fn(rows, d, |i, j| centred[(i, j)] - mean[j]);
        // The products of rows have the same eigenvalues as those of columns.
        let products = &centred * centred.transpose();
        let gram = (0..rows * rows).map(|e| products[(e / rows, e % rows)]).collect();
        let (mut values, _) = eigen(gram, rows);
        values.sort_by(|a, b| b.total_cmp(a));
        values.iter().map(|v| v.max(0.)).collect()
    }

    /// Those of `points: [rows, d]`, row-major; of no points, the mean is NaN.
    pub fn of(points: &[f64], d: usize) -> Self {
        let rows = points.chunks_exact(d.max(1));
        let count = rows.len() as f64;
        let mut mean = vec![0.; d];
        for row in rows.clone() {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += v);
        }
        mean.iter_mut().for_each(|m| *m /= count);
        let mut scatter = vec![0.; d * d];
        let mut centred = vec![0.; d];
        for row in rows {
            centred.iter_mut().zip(row.iter().zip(&mean)).for_each(|(c, (v, m))| *c = v - m);
            for i in 0..d {
                for j in 0..d {
                    scatter[i * d + j] += centred[i] * centred[j];
                }
            }
        }
        let (values, vectors) = eigen(scatter, d);
        let mut order: Vec<usize> = (0..d).collect();
        order.sort_by(|&i, &j| values[j].total_cmp(&values[i]));
        let axis = |&i: &usize| (0..d).map(|row| vectors[row * d + i]).collect();
        Self {
            mean,
            squares: order.iter().map(|&i| values[i].max(0.)).collect(),
            axes: order.iter().map(axis).collect(),
        }
    }
}

/// Above this size Jacobi's rotations take too long.
const SMALL: usize = 64;

/// Eigenvalues of a symmetric matrix `a: [d, d]`, and its eigenvectors as the columns of `[d, d]`; NaN where a number is not
/// finite.
pub(crate) fn eigen(a: Vec<f64>, d: usize) -> (Vec<f64>, Vec<f64>) {
    if d <= SMALL {
        return rotated(a, d);
    }
    match Mat::from_fn(d, d, |i, j| a[i * d + j]).self_adjoint_eigen(Side::Lower) {
        Ok(found) => {
            let values = found.S().column_vector().iter().copied().collect();
            let vectors = found.U();
            (values, (0..d * d).map(|e| vectors[(e / d, e % d)]).collect())
        }
        Err(_) => (vec![f64::NAN; d], vec![f64::NAN; d * d]),
    }
}

/// [`eigen`] by Jacobi rotations (Golub & Van Loan, *Matrix Computations*, algorithm 8.5.2): to rounding, and the same
/// signs on all machines.
fn rotated(mut a: Vec<f64>, d: usize) -> (Vec<f64>, Vec<f64>) {
    /// More sweeps than any matrix takes: convergence is quadratic.
    const SWEEPS: usize = 30;
    let mut vectors: Vec<f64> = (0..d * d).map(|e| f64::from(e / d == e % d)).collect();
    for _ in 0..SWEEPS {
        let off: f64 =
            (0..d * d).filter(|e| e / d != e % d).map(|e| a[e] * a[e]).sum::<f64>().sqrt();
        let scale: f64 = a.iter().map(|v| v * v).sum::<f64>().sqrt();
        if off <= f64::EPSILON * scale {
            break;
        }
        for p in 0..d {
            for q in p + 1..d {
                if let Some((c, s)) = rotation(&a, d, p, q) {
                    turn_columns(&mut a, d, (p, q), (c, s));
                    turn_rows(&mut a, d, (p, q), (c, s));
                    turn_columns(&mut vectors, d, (p, q), (c, s));
                }
            }
        }
    }
    ((0..d).map(|i| a[i * d + i]).collect(), vectors)
}

/// Cosine and sine of the turn of the axes `p` and `q` by which `a[p, q]` vanishes; none if it has.
fn rotation(a: &[f64], d: usize, p: usize, q: usize) -> Option<(f64, f64)> {
    let off = a[p * d + q];
    if off == 0. {
        return None;
    }
    let tau = (a[q * d + q] - a[p * d + p]) / (2. * off);
    // At tau = 0 either sign is right; that of a zero is 1.
    let t = tau.signum() / (tau.abs() + tau.hypot(1.));
    let c = 1. / t.hypot(1.);
    Some((c, t * c))
}

fn turn_columns(a: &mut [f64], d: usize, (p, q): (usize, usize), (c, s): (f64, f64)) {
    for k in 0..d {
        let (x, y) = (a[k * d + p], a[k * d + q]);
        (a[k * d + p], a[k * d + q]) = (c * x - s * y, s * x + c * y);
    }
}

fn turn_rows(a: &mut [f64], d: usize, (p, q): (usize, usize), (c, s): (f64, f64)) {
    for k in 0..d {
        let (x, y) = (a[p * d + k], a[q * d + k]);
        (a[p * d + k], a[q * d + k]) = (c * x - s * y, s * x + c * y);
    }
}

#[cfg(test)]
mod tests {
    //! Oracles: matrices and points whose axes are known.
    use super::*;

    /// A product of two rotations, by rows.
    fn turned() -> [[f64; 3]; 3] {
        let ((s, c), (t, e)) = (0.7_f64.sin_cos(), 1.9_f64.sin_cos());
        [[c, -s, 0.], [s * e, c * e, -t], [s * t, c * t, e]]
    }

    #[test]
    fn eigenvalues_of_a_rotated_diagonal_are_its_entries_and_eigenvectors_the_axes() {
        let (q, values) = (turned(), [5., 2., -1.]);
        let mut a = vec![0.; 9];
        for i in 0..3 {
            for j in 0..3 {
                a[i * 3 + j] = (0..3).map(|k| q[i][k] * values[k] * q[j][k]).sum();
            }
        }
        let (found, vectors) = eigen(a, 3);
        for (k, expected) in values.into_iter().enumerate() {
            let at = (0..3).find(|&i| (found[i] - expected).abs() < 1e-12).unwrap();
            let product: f64 = (0..3).map(|row| vectors[row * 3 + at] * q[row][k]).sum();
            assert!((product.abs() - 1.).abs() < 1e-12, "axis {k}: {product}");
        }
    }

    /// Oracle: the axes of all columns, of which the rest are 0.
    #[test]
    fn squares_of_few_rows_are_those_of_all_columns() {
        let (rows, d) = (5, 70);
        let wave = |e: usize| (0.7 * e as f64).sin() + (0.013 * (e * e) as f64).cos();
        let points: Vec<f64> = (0..rows * d).map(wave).collect();
        let (few, all) = (PrincipalAxes::squares_of(&points, d), PrincipalAxes::of(&points, d));
        assert_eq!(few.len(), rows);
        for (k, expected) in all.squares.iter().enumerate() {
            let found = few.get(k).copied().unwrap_or(0.);
            assert!((found - expected).abs() < 1e-10 * all.squares[0], "{k}: {found} {expected}");
        }
    }

    /// Oracle: the rotations.
    #[test]
    fn a_large_matrix_has_the_eigenvalues_and_axes_that_rotations_find() {
        let d = SMALL + 6;
        let wave = |i: usize, j: usize| (1. + 0.3 * (i + j) as f64 + 0.01 * (i * j) as f64).sin();
        let a: Vec<f64> = (0..d * d).map(|e| wave(e / d, e % d)).collect();
        let sorted = |(values, vectors): (Vec<f64>, Vec<f64>)| {
            let mut order: Vec<usize> = (0..d).collect();
            order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
            let column = |&i: &usize| (0..d).map(|row| vectors[row * d + i]).collect::<Vec<f64>>();
            let values: Vec<f64> = order.iter().map(|&i| values[i]).collect();
            (values, order.iter().map(column).collect::<Vec<_>>())
        };
        let (found, expected) = (sorted(eigen(a.clone(), d)), sorted(rotated(a, d)));
        for k in [0, d - 1] {
            assert!((found.0[k] - expected.0[k]).abs() < 1e-10, "{} {}", found.0[k], expected.0[k]);
            let product: f64 = found.1[k].iter().zip(&expected.1[k]).map(|(a, b)| a * b).sum();
            assert!((product.abs() - 1.).abs() < 1e-8, "axis {k}: {product}");
        }
    }

    #[test]
    fn axes_of_a_turned_box_are_those_of_the_box() {
        let (q, half, middle) = (turned(), [3., 0.5, 1.], [1., -2., 4.]);
        let mut points = vec![];
        for corner in 0..8 {
            let along = |k: usize| if corner >> k & 1 == 1 { half[k] } else { -half[k] };
            points.extend(
                (0..3).map(|i| middle[i] + (0..3).map(|k| q[i][k] * along(k)).sum::<f64>()),
            );
        }
        let found = PrincipalAxes::of(&points, 3);
        for (k, (axis, square)) in [(0, 72.), (2, 8.), (1, 2.)].into_iter().enumerate() {
            assert!((found.squares[k] - square).abs() < 1e-12, "{:?}", found.squares);
            let product: f64 = (0..3).map(|i| found.axes[k][i] * q[i][axis]).sum();
            assert!((product.abs() - 1.).abs() < 1e-12, "axis {k}: {product}");
        }
        for (mean, expected) in found.mean.iter().zip(middle) {
            assert!((mean - expected).abs() < 1e-12, "{:?}", found.mean);
        }
    }
}
