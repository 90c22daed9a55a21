//! Manifolds that end, that are in pieces, or of two dimensions at once. Oracles: integrals over chords
//! and strips, counts of samples, brute force.

use mflow_bijectors::Stream;
use mflow_data::{Arcs, Helix, LineAndPlane, LinearSubspace, SCurve, Simulator};
use std::f64::consts::{PI, TAU};

const STEPS: u32 = 2000;

/// The middles of `n` equal steps from `low` to `high`.
fn middles(low: f64, high: f64, n: u32) -> impl Iterator<Item = f64> {
    (0..n).map(move |k| low + (high - low) * (f64::from(k) + 0.5) / f64::from(n))
}

/// The integral of the density along a curve, by its chords.
fn along<const D: usize>(
    of: &dyn Simulator,
    (low, high): (f64, f64),
    curve: impl Fn(f64) -> [f64; D],
) -> f64 {
    let half = 0.5 * (high - low) / f64::from(STEPS);
    let chord = |t: f64| {
        let pair = curve(t - half).into_iter().zip(curve(t + half));
        pair.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
    };
    let at: Vec<f64> = middles(low, high, STEPS).collect();
    let x: Vec<f64> = at.iter().flat_map(|&t| curve(t)).collect();
    let log_prob = of.log_prob(&x, &[]).unwrap();
    at.iter().zip(log_prob).map(|(&t, log_prob)| chord(t) * log_prob.exp()).sum()
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() < tolerance, "{found}, expected {expected}");
}

#[test]
fn densities_integrate_to_one() {
    let helix = |t: f64| [t.cos(), t.sin(), t / 6.0];
    close(along(&Helix, (0.0, 3.0 * TAU), helix), 1.0, 1e-5);
    // Strips across the sheet.
    for s in [0.1, 1.9] {
        let strip = |t: f64| [t.sin(), s, t.signum() * (t.cos() - 1.0)];
        close(2.0 * along(&SCurve, (-1.5 * PI, 1.5 * PI), strip), 1.0, 1e-5);
    }
}

#[test]
fn each_part_has_half_of_the_probability() {
    for side in [1.0, -1.0] {
        close(along(&Arcs, (-1.0, 1.0), |t| [t, side * (1.0 + 0.5 * t * t)]), 0.5, 1e-5);
    }
    close(along(&LineAndPlane, (-1.5, 1.5), |t| [0.0, 0.0, t]), 0.5, 1e-9);
    for u in [-0.9, 0.0, 0.4] {
        close(2.0 * along(&LineAndPlane, (-1.0, 1.0), |v| [u, v, 0.0]), 0.5, 1e-9);
    }
}

#[test]
fn rows_have_the_density_of_their_own_part() {
    let n = 40_000;
    let x = LineAndPlane.sample(n, &[], &mut Stream::new(1, "parts")).unwrap();
    assert!(LineAndPlane.distance(&x).unwrap().iter().all(|d| *d == 0.0), "on the parts");
    let log_prob = LineAndPlane.log_prob(&x, &[]).unwrap();
    let mut counts = [0_u32; 8];
    for (x, log_prob) in x.chunks(3).zip(log_prob) {
        let on_line = x[2] != 0.0;
        close(log_prob, if on_line { -6_f64.ln() } else { -8_f64.ln() }, 1e-15);
        // Four parts of the line, four quarters of the square: each with an eighth of the rows.
        let cell = if on_line {
            assert_eq!(x[..2], [0.0, 0.0], "on the line");
            [-0.75, 0.0, 0.75].iter().filter(|end| x[2] > **end).count()
        } else {
            4 + usize::from(x[0] > 0.0) + 2 * usize::from(x[1] > 0.0)
        };
        counts[cell] += 1;
    }
    let error = (n as f64 / 8.0 * 7.0 / 8.0).sqrt();
    for count in counts {
        close(f64::from(count), n as f64 / 8.0, 4.0 * error);
    }
}

#[test]
fn nearest_points_of_line_and_plane_are_those_of_brute_force() {
    let line = middles(-1.5, 1.5, 300).map(|t| [0.0, 0.0, t]);
    let square = middles(-1.0, 1.0, 200)
        .flat_map(|u| middles(-1.0, 1.0, 200).map(move |v| [u, v, 0.0]).collect::<Vec<_>>());
    let all: Vec<[f64; 3]> = line.chain(square).collect();
    let x = Stream::new(2, "parts").uniform(300, -2.5, 2.5);
    let projected = LineAndPlane.project(&x).unwrap();
    assert_eq!(LineAndPlane.project(&projected).unwrap(), projected, "idempotent");
    for (x, found) in x.chunks(3).zip(LineAndPlane.distance(&x).unwrap()) {
        let square = |y: &[f64; 3]| (0..3).map(|d| (x[d] - y[d]).powi(2)).sum::<f64>();
        let brute = all.iter().map(square).fold(f64::INFINITY, f64::min).sqrt();
        // A cell is 0.01 wide.
        assert!(found <= brute && brute < found + 0.008, "{x:?}: {found}, by force {brute}");
    }
    assert!(LineAndPlane.log_prob(&x, &[]).unwrap().iter().all(|l| l.is_finite()), "off both");
}

#[test]
fn what_lies_beyond_is_nearest_to_the_end() {
    let check = |of: &dyn Simulator, x: &[f64], expected: &[f64]| {
        let found = of.project(x).unwrap();
        let moved = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(moved < 1e-7, "{}: {found:?}, expected {expected:?}", of.name());
        assert!(of.log_prob(x, &[]).unwrap()[0].is_finite(), "{}: a density there", of.name());
    };
    check(&Helix, &[1.0, 0.0, -5.0], &[1.0, 0.0, 0.0]);
    check(&Helix, &[1.0, 0.1, 9.0], &[1.0, 0.0, PI]);
    check(&SCurve, &[-1.1, 2.5, -0.8], &[-1.0, 2.0, -1.0]);
    check(&SCurve, &[1.3, -3.0, 0.5], &[1.0, 0.0, 1.0]);
    // In the middle of the S, where both circles would pass, the sheet is the only one.
    check(&SCurve, &[0.0, 1.0, 0.0], &[0.0, 1.0, 0.0]);
    check(&Arcs, &[3.0, -2.0], &[1.0, -1.5]);
    check(&Arcs, &[-1.4, 1.7], &[-1.0, 1.5]);
    check(&Arcs, &[0.0, -0.1], &[0.0, -1.0]);
    check(&LineAndPlane, &[0.1, 0.2, 7.0], &[0.0, 0.0, 1.5]);
    check(&LineAndPlane, &[-5.0, 0.2, 0.3], &[-1.0, 0.2, 0.0]);
    check(&LineAndPlane, &[0.0, 0.0, 0.0], &[0.0, 0.0, 0.0]);
}

#[test]
fn the_subspace_has_the_variances_and_the_entropy_it_says() {
    let n = 40_000;
    let x = LinearSubspace.sample(n, &[], &mut Stream::new(3, "parts")).unwrap();
    let total = x.iter().map(|x| x * x).sum::<f64>() / n as f64;
    // 4 + 1 + 1/4, with the deviation sqrt(2 (16 + 1 + 1/16) / n).
    close(total, 5.25, 4.0 * (2.0 * 17.0625 / n as f64).sqrt());
    // The logarithms of the widths sum to 0; a log density has the variance 3/2.
    let mean = LinearSubspace.log_prob(&x, &[]).unwrap().iter().sum::<f64>() / n as f64;
    close(mean, -1.5 * (1.0 + TAU.ln()), 4.0 * (1.5 / n as f64).sqrt());
}
