//! How crumpled a learned manifold is.
use super::Evaluated;
use crate::{Error, Estimate, Result};
use mflow_data::Simulator;

/// Step along a tangent by which the projection onto the true tangent space is found. The error is of the order of its square
/// times the curvature's; features are of the order of 1.
const STEP: f64 = 1e-4;

/// The mean over test data `x: [rows, D]` on the true manifold, with parameters `[rows, P]`, of
/// `log vol(T) - log vol(P T) = -Σ log cos α_i`, in nats. `T` are the tangents of the model at the projection of a row, `P`
/// projects onto the tangent space of the true manifold at the row, and `α_i` are the principal angles between the two (Björck & Golub 1973).
///
/// It is 0 if they are parallel. A model that is near the true manifold everywhere may still be crumpled, and its area larger;
/// its log-density is then too small by so much, which is a part of [`log_likelihood_gap`](super::log_likelihood_gap).
///
/// # Errors
/// If the model has no manifold of one chart or cannot be evaluated, or the simulator does not know nearest points.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "the lengths of rows and tangents were compared, and a model has a feature or more"
)]
pub fn excess_volume(
    of: Evaluated<'_>,
    simulator: &dyn Simulator,
    x: &[f64],
    parameters: &[f64],
) -> Result<Estimate> {
    let (n, d) = (of.model.signature().manifold_dim, of.model.signature().data_dim);
    let (points, context) = (of.tensor(x, d)?, of.context(parameters)?);
    let tangents = of.by_rows(&points, context.as_ref(), |x, c| {
        of.model.decode_jacobian(&of.model.encode(x, c)?, c)
    })?;
    if d != simulator.data_dim() || n * x.len() != tangents.len() {
        let expected = format!("a manifold of one chart in {} dimensions", simulator.data_dim());
        let found = format!("{:?}", of.model.signature());
        return Err(Error::Model { what: "excess_volume", expected, found });
    }
    let one = |row: usize| {
        let tangents = &tangents[row * n * d..(row + 1) * n * d];
        excess(&x[row * d..(row + 1) * d], tangents, |x| Ok(simulator.project(x)?))
    };
    let all = of.pool.map(x.len() / d, one).into_iter().collect::<Result<Vec<_>>>()?;
    Estimate::mean(&all)
}

/// `-Σ log cos α_i` between tangents at `x` and a manifold through `x`, by the nearest points of `x` moved along each.
fn excess(
    x: &[f64],
    tangents: &[f64],
    project: impl Fn(&[f64]) -> Result<Vec<f64>>,
) -> Result<f64> {
    let (axes, _) = orthonormal(tangents.chunks_exact(x.len()).map(<[f64]>::to_vec));
    let moved = |sign: f64| -> Result<Vec<f64>> {
        let along = |axis: &Vec<f64>| -> Vec<f64> {
            x.iter().zip(axis).map(|(x, a)| x + sign * STEP * a).collect()
        };
        project(&axes.iter().flat_map(along).collect::<Vec<_>>())
    };
    let (above, below) = (moved(1.)?, moved(-1.)?);
    let slopes: Vec<f64> = above.iter().zip(&below).map(|(a, b)| (a - b) / (2. * STEP)).collect();
    Ok(-orthonormal(slopes.chunks_exact(x.len()).map(<[f64]>::to_vec)).1)
}

/// An orthonormal basis of what vectors span, and the logarithm of their volume, by Gram and Schmidt.
fn orthonormal(vectors: impl Iterator<Item = Vec<f64>>) -> (Vec<Vec<f64>>, f64) {
    let mut axes: Vec<Vec<f64>> = vec![];
    let mut log_volume = 0.;
    for mut v in vectors {
        // The second time for what rounding has left.
        for _ in 0..2 {
            for axis in &axes {
                let along: f64 = v.iter().zip(axis).map(|(v, a)| v * a).sum();
                v.iter_mut().zip(axis).for_each(|(v, a)| *v -= along * a);
            }
        }
        let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        log_volume += length.ln();
        v.iter_mut().for_each(|v| *v /= length);
        axes.push(v);
    }
    (axes, log_volume)
}

#[cfg(test)]
mod tests {
    //! Oracle: planes, whose angle is that of their normals, and the surface of the sphere.
    use super::excess;

    /// A plane spanned by two oblique vectors; its normal is `(a, b, c)`.
    const TANGENTS: [f64; 6] = [2., 1., 0.5, -1., 0.3, 3.];

    fn normal() -> [f64; 3] {
        let [a, b, c, d, e, f] = TANGENTS;
        let n = [b * f - c * e, c * d - a * f, a * e - b * d];
        let length = n.iter().map(|n| n * n).sum::<f64>().sqrt();
        n.map(|n| n / length)
    }

    #[test]
    fn between_planes_it_is_the_angle_of_the_normals() {
        // The nearest point of the plane x_3 = 0.7.
        let flat = |x: &[f64]| Ok(x.chunks_exact(3).flat_map(|x| [x[0], x[1], 0.7]).collect());
        let found = excess(&[0.2, -1., 0.7], &TANGENTS, flat).unwrap();
        let expected = -normal()[2].abs().ln();
        assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
    }

    #[test]
    fn on_a_sphere_it_is_the_angle_to_the_radius() {
        let round = |x: &[f64]| {
            let of = |x: &[f64]| {
                let r = x.iter().map(|x| x * x).sum::<f64>().sqrt();
                [x[0] / r, x[1] / r, x[2] / r]
            };
            Ok(x.chunks_exact(3).flat_map(of).collect())
        };
        let x = [0.48, -0.6, 0.64];
        let found = excess(&x, &TANGENTS, round).unwrap();
        let cos: f64 = x.iter().zip(normal()).map(|(x, n)| x * n).sum();
        let expected = -cos.abs().ln();
        assert!((found - expected).abs() < 1e-7, "{found}, expected {expected}");
    }
}
