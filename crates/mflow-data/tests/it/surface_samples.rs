//! Samples of the polynomial surface against the moments in closed form.

use mflow_data::{PolynomialSurface, Simulator};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::files::assert_error;

const S: PolynomialSurface = PolynomialSurface;

/// Asserts that the mean of the values is this, within five standard errors.
#[track_caller]
fn assert_mean(what: &str, values: &[f64], expected: f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let error = (variance / n).sqrt();
    assert!(
        (mean - expected).abs() < 5.0 * error,
        "{what}: {mean} is not {expected}, standard error {error}"
    );
}

#[test]
fn samples_lie_on_the_surface_and_have_the_moments_of_the_mixture() {
    let n = 40_000;
    for (seed, theta) in [(1, -1.0), (2, 0.3), (3, 1.0)] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let x = S.sample(n, &vec![theta; n], &mut rng).expect("samples");
        let points = x.as_chunks::<3>().0;
        assert_eq!(points.len(), n, "as many as asked for");
        assert!(points.iter().all(|&x| S.vertical_distance(x) < 1e-13), "all on the surface");
        let z: Vec<_> = points.iter().map(|&x| S.chart(x)).collect();
        let sigma: f64 = 0.2 + 0.4 * (1.0 + theta);
        let moment = |f: &dyn Fn([f64; 2]) -> f64| z.iter().map(|&z| f(z)).collect::<Vec<_>>();
        assert_mean("E z0", &moment(&|z| z[0]), 0.2);
        assert_mean("E z1", &moment(&|z| z[1]), -0.2);
        // E z_k^2 = 0.6 (4 + 1) + 0.4 (sigma^2 + 1); E z0 z1 = -1, as both means have it.
        let second = 3.0 + 0.4 * (sigma.powi(2) + 1.0);
        assert_mean("E z0^2", &moment(&|z| z[0] * z[0]), second);
        assert_mean("E z1^2", &moment(&|z| z[1] * z[1]), second);
        assert_mean("E z0 z1", &moment(&|z| z[0] * z[1]), -1.0);
        // E (z0 - z1)^4 about the origin, of a Gaussian along (1, -1) with mean +-2 and variance
        // 2 s^2: m^4 + 6 m^2 v + 3 v^2.
        let fourth = |s: f64| 16.0 + 24.0 * 2.0 * s * s + 12.0 * s.powi(4);
        let expected = 0.6 * fourth(2.0) + 0.4 * fourth(sigma);
        assert_mean("E (z0 - z1)^4", &moment(&|z| (z[0] - z[1]).powi(4)), expected);
        // The third moment tells which component is which: m^3 + 3 m v.
        let third = |m: f64, s: f64| m.powi(3) + 6.0 * m * s * s;
        let expected = 0.6 * third(2.0, 2.0) + 0.4 * third(-2.0, sigma);
        assert_mean("E (z0 - z1)^3", &moment(&|z| (z[0] - z[1]).powi(3)), expected);
    }
}

#[test]
fn the_prior_is_uniform() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let theta = S.sample_prior(40_000, &mut rng);
    assert!(theta.iter().all(|t| (-1.0..=1.0).contains(t)), "all within [-1, 1]");
    assert_mean("E theta", &theta, 0.0);
    assert_mean("E theta^2", &theta.iter().map(|t| t * t).collect::<Vec<_>>(), 1.0 / 3.0);
    assert_mean("E theta^4", &theta.iter().map(|t| t.powi(4)).collect::<Vec<_>>(), 0.2);
    let mut rng: Box<dyn rand::Rng> = Box::new(rng);
    let x = S.sample(theta.len(), &theta, &mut rng).expect("the prior is within its support");
    assert_eq!(x.len(), 3 * theta.len(), "a point each");
}

#[test]
fn the_seed_decides_and_the_batch_is_checked() {
    let draw = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        S.sample(5, &[0.0; 5], &mut rng).expect("samples")
    };
    assert_eq!(draw(7), draw(7), "the same seed");
    assert_ne!(draw(7), draw(8), "another seed");
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    assert_error(S.sample(2, &[0.0], &mut rng), &["parameters", "2 rows of 1", "found 1"]);
    assert_error(S.sample(1, &[-1.01], &mut rng), &["row 0", "theta", "-1.01"]);
}

#[test]
fn joint_scores_and_ratios_are_those_of_the_density() {
    let n = 2000;
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let (parameters, hypotheses) = (S.sample_prior(n, &mut rng), S.sample_prior(n, &mut rng));
    // Away from the ends, where differences would leave the prior.
    let hypotheses: Vec<f64> = hypotheses.into_iter().map(|t| 0.99 * t).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let joint = S.sample_joint(n, &parameters, &hypotheses, &mut rng).expect("it knows z");
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    assert_eq!(joint.x, S.sample(n, &parameters, &mut rng).expect("samples"), "the same points");
    assert!(S.has_scores());
    let at = |by: f64| {
        let moved: Vec<f64> = hypotheses.iter().map(|t| t + by).collect();
        S.log_prob(&joint.x, &moved).expect("a density")
    };
    let (here, reference) = (at(0.0), S.log_prob(&joint.x, &vec![0.0; n]).expect("a density"));
    let (above, below) = (at(1e-6), at(-1e-6));
    for i in 0..n {
        let (ratio, score) = (here[i] - reference[i], (above[i] - below[i]) / 2e-6);
        assert!((joint.log_ratios[i] - ratio).abs() < 1e-7 * (1.0 + ratio.abs()), "row {i}");
        assert!((joint.scores[i] - score).abs() < 1e-5 * (1.0 + score.abs()), "row {i}: {score}");
    }
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    assert_error(S.sample_joint(2, &[0.0; 2], &[0.0], &mut rng), &["2 rows of 1", "found 1"]);
    assert_error(S.sample_joint(1, &[0.0], &[2.0], &mut rng), &["row 0", "theta", "2"]);
}
