//! Joint scores and ratios. Oracles: plain samples, differences of densities, integrals of densities that are 1.

use mflow_bijectors::Stream;
use mflow_data::{Error, Simulator, simulator_by_name, simulator_names};

fn stream() -> Stream {
    Stream::new(4, "joint")
}

/// All simulators that tell joint scores.
fn with_scores() -> Vec<Box<dyn Simulator>> {
    let all = simulator_names().into_iter().map(|name| simulator_by_name(name).unwrap());
    let found: Vec<_> = all.filter(|simulator| simulator.has_scores()).collect();
    assert!(found.len() >= 2, "conditional circle and sphere");
    found
}

/// Mean and its standard error.
fn mean(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    (mean, (variance / n).sqrt())
}

#[test]
fn the_points_are_those_of_a_plain_sample() {
    for simulator in with_scores() {
        let parameters = simulator.sample_prior(40, &mut stream());
        let expected = simulator.sample(40, &parameters, &mut stream()).unwrap();
        // Whatever the hypotheses.
        let hypotheses = simulator.default_parameters().repeat(40);
        for at in [&parameters, &hypotheses] {
            let joint = simulator.sample_joint(40, &parameters, at, &mut stream()).unwrap();
            assert_eq!(joint.x, expected, "{}", simulator.name());
            assert_eq!(joint.scores.len(), 40 * simulator.parameter_dim());
            assert_eq!(joint.log_ratios.len(), 40);
        }
    }
}

/// `E[d log p(z | theta) / d theta]` and, with points at the reference, `E[p(z | theta) / p(z | reference)] - 1`
/// vanish.
#[test]
fn scores_have_the_mean_0_and_ratios_the_mean_1() {
    const ROWS: usize = 20_000;
    for simulator in with_scores() {
        let name = simulator.name();
        let p = simulator.parameter_dim();
        let reference = simulator.default_parameters().repeat(ROWS);
        let at = simulator.sample_prior(1, &mut stream()).repeat(ROWS);
        let joint = simulator.sample_joint(ROWS, &at, &at, &mut stream()).unwrap();
        for i in 0..p {
            let (mean, error) = mean(joint.scores.iter().skip(i).step_by(p).copied());
            assert!(error > 0. && mean.abs() < 4. * error, "{name}: score {mean} +- {error}");
        }
        let joint = simulator.sample_joint(ROWS, &reference, &at, &mut stream()).unwrap();
        let (mean, error) = mean(joint.log_ratios.iter().map(|ratio| ratio.exp()));
        assert!((mean - 1.).abs() < 4. * error, "{name}: ratio {mean} +- {error}");
        let joint = simulator.sample_joint(9, &at[..9 * p], &reference[..9 * p], &mut stream());
        assert_eq!(joint.unwrap().log_ratios, [0.; 9], "{name}: at the reference");
    }
}

#[test]
fn scores_are_differences_of_log_ratios() {
    const ROWS: usize = 50;
    for simulator in with_scores() {
        let (name, p) = (simulator.name(), simulator.parameter_dim());
        let parameters = simulator.sample_prior(ROWS, &mut stream());
        let at = simulator.default_parameters();
        let joint = |at: &[f64]| {
            simulator.sample_joint(ROWS, &parameters, &at.repeat(ROWS), &mut stream()).unwrap()
        };
        let scores = joint(&at).scores;
        for i in 0..p {
            let [low, high] = simulator.priors()[i].range();
            let step = 1e-6 * (high - low);
            let moved = |by: f64| {
                let mut at = at.clone();
                at[i] += by;
                joint(&at).log_ratios
            };
            let (up, down) = (moved(step), moved(-step));
            for (row, (up, down)) in up.iter().zip(&down).enumerate() {
                let (expected, found) = ((up - down) / (2. * step), scores[row * p + i]);
                let close = (found - expected).abs() < 1e-5 * expected.abs().max(1.);
                assert!(close, "{name}, parameter {i}, row {row}: {found}, expected {expected}");
            }
        }
    }
}

/// The angle is all but given by the point: the joint score is that of the density of points.
#[test]
fn the_score_of_an_angle_is_that_of_its_point() {
    const ROWS: usize = 200;
    for name in ["conditional-circle", "conditional-sphere"] {
        let simulator = simulator_by_name(name).unwrap();
        let theta = vec![0.3; ROWS];
        let joint = simulator.sample_joint(ROWS, &theta, &theta, &mut stream()).unwrap();
        let moved = |by: f64| simulator.log_prob(&joint.x, &vec![0.3 + by; ROWS]).unwrap();
        let (up, down) = (moved(1e-4), moved(-1e-4));
        let mut compared = 0;
        for (row, score) in joint.scores.iter().enumerate() {
            let expected = (up[row] - down[row]) / 2e-4;
            // In units of the width, pi/4; further out another turn may lead to the same point.
            if (score * std::f64::consts::FRAC_PI_4).abs() < 2.5 {
                assert!((score - expected).abs() < 1e-3, "{name}: {score}, expected {expected}");
                compared += 1;
            }
        }
        assert!(compared > 190, "{name}: {compared} points");
    }
}

#[test]
fn what_is_not_known_is_an_error() {
    let circle = simulator_by_name("conditional-circle").unwrap();
    let error = circle.sample_joint(1, &[0.], &[7.], &mut stream()).unwrap_err().to_string();
    assert!(error.contains("from -1 to 1") && error.contains("found 7"), "{error}");
    let error = circle.sample_joint(2, &[0., 0.], &[0.], &mut stream()).unwrap_err().to_string();
    assert!(error.contains("2 rows of 1 values, found 1"), "{error}");
    for name in ["torus", "circle", "lorenz"] {
        let simulator = simulator_by_name(name).unwrap();
        assert!(!simulator.has_scores(), "{name}");
        let at = simulator.default_parameters();
        let error = simulator.sample_joint(1, &at, &at, &mut stream()).unwrap_err();
        assert!(matches!(error, Error::Intractable { what: "joint score", .. }), "{name}: {error}");
    }
}
