//! The distance to the polynomial surface against brute force.

use mflow_data::{PolynomialSurface, Simulator};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const S: PolynomialSurface = PolynomialSurface;

/// The smallest distance from x to points of a grid on the surface that is refined thrice about
/// its best points; it starts fine enough to see every valley.
fn brute_force(x: [f64; 3]) -> f64 {
    let distance = |z: [f64; 2]| {
        let on = S.embed(z);
        (0..3).map(|k| (x[k] - on[k]).powi(2)).sum::<f64>().sqrt()
    };
    let foot = S.chart(x);
    let mut centres = vec![foot];
    let mut half = S.vertical_distance(x).max(1e-6);
    let mut best = f64::INFINITY;
    for (level, keep) in [20, 10, 5, 1].into_iter().enumerate() {
        let cells = if level == 0 { 150 } else { 20 };
        let step = 2.0 * half / f64::from(cells);
        let mut found: Vec<(f64, [f64; 2])> = Vec::new();
        for centre in &centres {
            for i in 0..=cells {
                for j in 0..=cells {
                    let z = [
                        centre[0] - half + f64::from(i) * step,
                        centre[1] - half + f64::from(j) * step,
                    ];
                    found.push((distance(z), z));
                }
            }
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        best = best.min(found[0].0);
        // The best points that are not neighbours of better ones.
        centres.clear();
        for (_, z) in found {
            if centres.len() < keep
                && centres.iter().all(|c| (c[0] - z[0]).hypot(c[1] - z[1]) > 3.0 * step)
            {
                centres.push(z);
            }
        }
        half = 2.0 * step;
    }
    best
}

/// A point of the surface, moved by Gaussian-like noise of this size.
fn noisy(rng: &mut dyn Rng, size: f64) -> [f64; 3] {
    let z = [0, 1].map(|_| 8.0 * rng.random::<f64>() - 4.0);
    S.embed(z).map(|x| x + size * (2.0 * rng.random::<f64>() - 1.0))
}

#[test]
fn it_is_that_of_brute_force() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut steeper = 0;
    for (size, count) in [(0.01, 40), (0.3, 40), (1.0, 40), (4.0, 60)] {
        for _ in 0..count {
            let x = noisy(&mut rng, size);
            let distance = S.distance(&x).expect("one point")[0];
            let vertical = S.vertical_distance(x);
            assert!(distance <= vertical, "{x:?}: {distance} above the vertical {vertical}");
            steeper += usize::from(distance < 0.9 * vertical);
            let brute = brute_force(x);
            assert!(distance <= brute + 1e-12, "{x:?}: {distance} above brute force's {brute}");
            // The last grid's step, squared, is what brute force may miss.
            assert!(brute - distance < 1e-3 * distance, "{x:?}: {distance}, brute force {brute}");
        }
    }
    assert!(steeper > 50, "the two distances differ often enough to matter: {steeper}");
}

#[test]
fn along_a_normal_it_is_the_length() {
    // Within the radius of curvature, a point displaced along the normal has its foot there.
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for length in [0.0, 1e-9, 1e-4, 0.02, 0.1] {
        for _ in 0..50 {
            let z = [0, 1].map(|_| 10.0 * rng.random::<f64>() - 5.0);
            let [fx, fy] = S.height_jet(z).gradient;
            let norm = (1.0 + fx * fx + fy * fy).sqrt();
            let upright = [-fx / norm, -fy / norm, 1.0 / norm];
            let on = S.embed(z);
            let x = [0, 1, 2].map(|i| {
                let row = PolynomialSurface::ROTATION[i];
                on[i] + length * (0..3).map(|k| row[k] * upright[k]).sum::<f64>()
            });
            let distance = S.distance(&x).expect("one point")[0];
            assert!((distance - length).abs() < 1e-12, "{z:?}: {distance}, not {length}");
        }
    }
}

#[test]
fn far_away_the_surface_is_a_plane() {
    // Where the surface has died out it is the plane below.
    let r = PolynomialSurface::ROTATION;
    for upright in [[60.0, -80.0, 3.0], [1e8, 2e8, -7.0], [1e200, 0.0, 1.0]] {
        let x = r.map(|row| (0..3).map(|k| row[k] * upright[k]).sum::<f64>());
        let distance = S.distance(&x).expect("one point")[0];
        let vertical = S.vertical_distance(x);
        assert!((distance - vertical).abs() <= 1e-12 * vertical, "{distance}, {vertical}");
    }
    // Far above it the nearest point is known from brute force over a fine grid only.
    for height in [20.0, -30.0, 500.0] {
        let x = [0, 1, 2].map(|i| height * r[i][2] + 0.5 * r[i][0]);
        let (distance, brute) = (S.distance(&x).expect("one point")[0], brute_force(x));
        assert!(distance <= brute + 1e-12, "{height}: {distance} above {brute}");
        assert!(brute - distance < 1e-3 * distance, "{height}: {distance}, brute force {brute}");
    }
}

#[test]
fn it_does_not_change_with_the_batch() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let points: Vec<[f64; 3]> = (0..20).map(|_| noisy(&mut rng, 2.0)).collect();
    let together = S.distance(&points.concat()).expect("distances");
    for (point, distance) in points.iter().zip(together) {
        assert_eq!(S.distance(point).expect("one point"), [distance], "{point:?}");
    }
}
