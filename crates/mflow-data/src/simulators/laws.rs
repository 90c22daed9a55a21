//! What holds for every simulator with a chart. Oracles: the sampler against the density, finite
//! differences, brute force.

use std::f64::consts::PI;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::charted::{Charted, jacobian};
use super::{
    Arcs, GaussianOnSphere, Helix, Hyperboloid, KleinBottle, LinearSubspace, Moons, PlanarArm,
    ProjectedGaussian, RobotArm, SCurve, SphereMixture, SwissRoll, ThinSpiral, Torus,
    VonMisesCircle,
};
use crate::simulator::Simulator;

const SAMPLES: usize = 40_000;

/// A line of the table: `samples_fit_the_density`, then what only thin manifolds fulfil.
macro_rules! laws {
    ($($name:ident: $simulator:expr, $theta:expr, $area:expr;)*) => {$(
        mod $name {
            use super::*;
            #[test]
            fn samples_fit_the_density() {
                super::samples_fit_the_density(&$simulator, &$theta, &$area);
            }
            #[test]
            fn the_density_per_area_has_the_volume_of_differences() {
                super::density_per_area(&$simulator, &$theta);
            }
            #[test]
            fn projections_are_nearest_points() {
                super::projections(&$simulator, &$theta);
            }
        }
    )*};
}

laws! {
    circle: GaussianOnSphere::CIRCLE, [], [(0.5, 2.0)];
    conditional_circle: GaussianOnSphere::CONDITIONAL_CIRCLE, [0.7], [(1.0, 3.0)];
    sphere: GaussianOnSphere::SPHERE, [], [(1.2, 1.9), (0.8, 2.0)];
    conditional_sphere: GaussianOnSphere::CONDITIONAL_SPHERE, [-0.6], [(1.2, 1.9), (0.3, 1.5)];
    von_mises: VonMisesCircle::NARROW, [], [(-0.5, 0.4)];
    von_mises_wide: VonMisesCircle::WIDE, [], [(-2.0, 3.0)];
    projected_gaussian: ProjectedGaussian, [], [(1.0, 2.5), (-3.0, 1.0)];
    sphere_mixture: SphereMixture, [], [(0.5, 1.1), (1.0, 2.0)];
    torus: Torus, [], [(-1.0, 1.0), (-0.5, 1.0)];
    klein_bottle: KleinBottle, [], [(1.0, 4.0), (-1.0, 1.5)];
    hyperboloid: Hyperboloid, [], [(-1.0, 1.0), (0.0, 1.5)];
    swiss_roll: SwissRoll, [], [(5.0, 9.0), (-10.0, 5.0)];
    thin_spiral: ThinSpiral, [], [(1.0, 8.0)];
    s_curve: SCurve, [], [(-2.0, 3.0), (0.5, 1.5)];
    helix: Helix, [], [(3.0, 12.0)];
    linear_subspace: LinearSubspace, [], [(-1.0, 2.0), (-0.5, 1.0), (-0.5, 0.5)];
    arcs: Arcs, [], [(-2.8, -1.3)];
    moons: Moons, [], [(-0.2, 0.2), (0.65, 0.8)];
    planar_arm: PlanarArm, [], [(0.2, 1.0), (0.5, 1.1), (-0.8, -0.2)];
    robot_arm: RobotArm, [],
        [(-0.3, 0.2), (0.6, 1.0), (1.0, 1.4), (-0.2, 0.3), (1.0, 1.4), (-0.2, 0.2)];
}

fn stream() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(5)
}

/// The z of samples: of the chart where that has a formula, so that all z of a point are one.
fn samples<C: Charted>(of: &C, theta: &[f64], n: usize) -> Vec<Vec<f64>> {
    let mut rng = stream();
    let draw = |_| {
        let z = of.draw(theta, &mut rng);
        of.chart(&of.embed(&z)).unwrap_or(z)
    };
    (0..n).map(draw).collect()
}

/// The mean of `1 / p(z)` over samples within an area is the size of the area.
fn samples_fit_the_density<C: Charted>(of: &C, theta: &[f64], area: &[(f64, f64)]) {
    let inside = |z: &[f64]| z.iter().zip(area).all(|(z, side)| (side.0..side.1).contains(z));
    let weight = |z: &Vec<f64>| {
        if inside(z) { (-of.log_prob_chart(z, theta)).exp() } else { 0.0 }
    };
    let weights: Vec<f64> = samples(of, theta, SAMPLES).iter().map(weight).collect();
    let n = SAMPLES as f64;
    let mean = weights.iter().sum::<f64>() / n;
    let error = (weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / n / n).sqrt();
    let expected: f64 = area.iter().map(|side| side.1 - side.0).product();
    assert!(error < 0.05 * expected, "an area of the bulk: {mean} +- {error}");
    assert!((mean - expected).abs() < 4.0 * error, "{mean} +- {error}, expected {expected}");
}

/// The density per area is that of the chart over the volume of the parallelepiped that finite
/// differences of the embedding span, a square root of a Gram determinant.
fn density_per_area<C: Charted>(of: &C, theta: &[f64]) {
    let (d, n) = of.dims();
    for z in samples(of, theta, 20) {
        let x = of.embed(&z);
        let difference = |j: usize| -> Vec<f64> {
            let moved = |by: f64| {
                let mut z = z.clone();
                z[j] += by;
                of.embed(&z)
            };
            let (up, down) = (moved(1e-5), moved(-1e-5));
            up.iter().zip(down).map(|(a, b)| (a - b) / 2e-5).collect()
        };
        let columns: Vec<Vec<f64>> = (0..n).map(difference).collect();
        let exact = jacobian(of, &z);
        for i in 0..d {
            for j in 0..n {
                assert!((exact[i][j] - columns[j][i]).abs() < 1e-7, "J[{i}, {j}] at {z:?}");
            }
        }
        let expected = of.log_prob_chart(&z, theta) - gram_schmidt(columns).ln();
        let found = of.log_prob(&x, theta).unwrap()[0];
        assert!((found - expected).abs() < 1e-6, "{found}, expected {expected} at {z:?}");
    }
}

/// The volume that vectors span: the product of their lengths after each loses its part along those
/// before.
fn gram_schmidt(mut vectors: Vec<Vec<f64>>) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut volume = 1.0;
    for j in 0..vectors.len() {
        for k in 0..j {
            let along = dot(&vectors[j], &vectors[k]) / dot(&vectors[k], &vectors[k]);
            let other = vectors[k].clone();
            vectors[j].iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
        }
        volume *= dot(&vectors[j], &vectors[j]).sqrt();
    }
    volume
}

/// A projection is on the manifold, at a right angle to it, no further away than any point of a sample,
/// and its own projection; a point of the manifold stays where it is.
fn projections<C: Charted>(of: &C, theta: &[f64]) {
    let (d, _) = of.dims();
    let mut rng = stream();
    let on: Vec<f64> = samples(of, theta, 30).iter().flat_map(|z| of.embed(z)).collect();
    let off = |x: &[f64], rng: &mut ChaCha8Rng| -> Vec<f64> {
        use rand::RngExt;
        x.iter().map(|x| x + 0.1 * (2.0 * rng.random::<f64>() - 1.0)).collect()
    };
    assert!(of.distance(&on).unwrap().iter().all(|d| *d < 1e-9), "on the manifold");
    let off = off(&on, &mut rng);
    let projected = of.project(&off).unwrap();
    let again = of.project(&projected).unwrap();
    assert!(projected.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-9), "idempotent");
    let others = samples(of, theta, 5000);
    let others: Vec<Vec<f64>> = others.iter().map(|z| of.embed(z)).collect();
    let squared = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    for (x, nearest) in off.chunks(d).zip(projected.chunks(d)) {
        let distance = squared(x, nearest);
        assert!(others.iter().all(|y| squared(x, y) >= distance - 1e-12), "{x:?}: nearer ones");
        // Tangents at the projection.
        let z = super::nearest::Nearest::new(of).chart(nearest);
        let rows = jacobian(of, &z);
        let residual: Vec<f64> = x.iter().zip(nearest).map(|(a, b)| a - b).collect();
        for j in 0..z.len() {
            let column: Vec<f64> = rows.iter().map(|row| row[j]).collect();
            let dot = |a: &[f64]| a.iter().zip(&column).map(|(a, b)| a * b).sum::<f64>();
            let (along, length) = (dot(&residual), dot(&column).sqrt());
            // Where the manifold ends, x may lie beyond the edge.
            let beyond = ends(of, &z, j, along.signum());
            let is_right = along.abs() < 1e-6 * length.max(1e-3);
            assert!(is_right || beyond, "{x:?}: {along} along {j}");
        }
    }
}

/// Whether the manifold ends at z in this direction of the j-th coordinate.
fn ends<C: Charted>(of: &C, z: &[f64], j: usize, direction: f64) -> bool {
    let mut beyond = z.to_vec();
    beyond[j] += 1e-6 * direction;
    of.clamp(&mut beyond);
    beyond[j] == z[j]
}

#[test]
fn the_von_mises_normaliser_is_bessels_function() {
    // I_0(1) and I_0(8), Abramowitz and Stegun, table 9.8 (I_0(8) = 427.5641157).
    let log_prob = |kappa| super::directional::log_von_mises(0.0, 0.0, kappa);
    let expected = |kappa: f64, bessel: f64| kappa - (2.0 * PI * bessel).ln();
    assert!((log_prob(1.0) - expected(1.0, 1.266_065_877_752_008)).abs() < 1e-14);
    assert!((log_prob(8.0) - expected(8.0, 427.564_115_721_804_74)).abs() < 1e-13);
}
