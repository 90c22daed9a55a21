//! The density of what a detector sees. Oracles: the resolution averaged over generated events, where it is wide enough for
//! that; identities between the density and joint scores and ratios, which come from the events alone.

use mflow_data::Simulator;
use mflow_data::wbf::{
    COORDINATES, Cuts, Detector, FeatureSet, FourVector, Generator, Settings, WeakBosonFusion,
};

use super::events::{WBF, rng};

/// The standard normal log-density of `(z - mean)/deviation`, per unit of z.
fn log_normal(z: f64, mean: f64, deviation: f64) -> f64 {
    let t = (z - mean) / deviation;
    -0.5 * t * t - deviation.ln() - 0.5 * std::f64::consts::TAU.ln()
}

fn turned(angle: f64) -> f64 {
    use std::f64::consts::{PI, TAU};
    (angle + PI).rem_euclid(TAU) - PI
}

/// `log p(z|v)` by hand, for photons and partons in this order.
fn resolution(
    detector: &Detector,
    z: &[f64; COORDINATES],
    photons: [FourVector; 2],
    partons: [FourVector; 2],
) -> f64 {
    let mut sum = 0.0;
    for (at, p) in [0, 3].into_iter().zip(photons) {
        let [a, b] = detector.photon_energy;
        sum += log_normal(z[at], p.pt().ln(), (a * a / p.e + b * b).sqrt());
        sum += log_normal(z[at + 1], p.eta(), detector.photon_direction);
        sum += log_normal(turned(z[at + 2] - p.phi()), 0.0, detector.photon_direction);
    }
    for (at, p) in [6, 10].into_iter().zip(partons) {
        let [a, b] = detector.jet_momentum;
        sum += log_normal(z[at], p.pt().ln(), (a * a / p.pt() + b * b).sqrt());
        sum += log_normal(z[at + 1], p.eta(), detector.jet_direction);
        sum += log_normal(turned(z[at + 2] - p.phi()), 0.0, detector.jet_direction);
        let [share, deviation] = detector.jet_mass;
        sum += log_normal(z[at + 3], (share * p.pt()).ln(), deviation);
    }
    sum
}

/// With a detector that sees little, a mean over events knows the density too: without cuts, so that all events count.
#[test]
fn densities_are_means_of_the_resolution_over_events() {
    let detector = Detector {
        photon_energy: [0.0, 0.6],
        photon_direction: 0.6,
        jet_momentum: [0.0, 0.6],
        jet_direction: 0.7,
        jet_mass: [0.12, 0.7],
    };
    let none = Cuts { jet_pt: 1e-9, photon_pt: 1e-9, ..Cuts::default() };
    let settings = Settings { cuts: none, detector, ..Settings::default() };
    let wbf = WeakBosonFusion::new(FeatureSet::Smooth, settings).with_points(5000);
    let theta = [0.4, -0.6];
    let generator = wbf.generator();
    let events = generator.events(60_000, |_| theta, &mut rng(1));
    let (mut sum, mut weights) = (0.0, 0.0);
    for seen in generator.events(20, |_| theta, &mut rng(2)) {
        let z = seen.coordinates;
        let mean = |of: &dyn Fn(&[FourVector; 2], &[FourVector; 2]) -> f64| {
            let each: Vec<f64> = events.iter().map(|e| of(&e.photons, &e.outgoing)).collect();
            let n = each.len() as f64;
            let mean = each.iter().sum::<f64>() / n;
            let variance = each.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n / n;
            (mean, variance.sqrt())
        };
        // Either photon may be the first, and either parton the first jet.
        let (expected, error) = mean(&|[a, b], [c, d]| {
            let ways = [
                ([*a, *b], [*c, *d]),
                ([*b, *a], [*c, *d]),
                ([*a, *b], [*d, *c]),
                ([*b, *a], [*d, *c]),
            ];
            ways.into_iter().map(|(a, j)| resolution(&detector, &z, a, j).exp()).sum()
        });
        let x = wbf.embed(&z);
        let (log_prob, own_error) = wbf.log_prob_with_error(&x, theta).unwrap()[0];
        let log_volume = wbf.log_volume(&z);
        let found = log_prob + log_volume;
        let difference = found - expected.ln();
        assert!(difference.abs() < 1.5, "{found} +- {own_error}, events {}", expected.ln());
        let weight = ((error / expected).powi(2) + own_error.powi(2)).recip();
        sum += weight * difference;
        weights += weight;
    }
    // Both errors are too small where few points count, so the bound is ours: a factor of 2 that is missing would be 0.7.
    let (mean, error) = (sum / weights, weights.sqrt().recip());
    assert!(error < 0.08 && mean.abs() < 0.3, "{mean} +- {error}");
}

/// Under θ the mean of `p(x|θ') / p(x|θ)` is 1, and so is that of the joint ratio; given x the mean of the joint score is the
/// score: for any function of x the means of both times the function agree.
#[test]
fn densities_agree_with_joint_scores_and_ratios() {
    let wbf = &*WBF;
    let (n, theta, other) = (1500, [0.1, 0.2], [0.3, -0.2]);
    let rows = theta.repeat(n);
    let joint = wbf.sample_joint(n, &rows, &rows, &mut rng(3)).unwrap();
    let likelihood = wbf.likelihood(&joint.x).unwrap();
    let at = |theta: [f64; 2]| likelihood.log_prob(&theta).unwrap();
    let (here, there) = (at(theta), at(other));
    let step = 1e-4;
    let score = |k: usize| -> Vec<f64> {
        let moved = |by: f64| {
            let mut theta = theta;
            theta[k] += by;
            at(theta)
        };
        moved(step).iter().zip(moved(-step)).map(|(a, b)| (a - b) / (2.0 * step)).collect()
    };
    let check = |what: &str, values: Vec<f64>, expected: f64| {
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        let error = (variance / n as f64).sqrt();
        assert!((mean - expected).abs() < 4.0 * error, "{what}: {mean} +- {error}, {expected}");
        error
    };
    let ratios = here.iter().zip(&there).map(|(a, b)| (b - a).exp()).collect();
    let error = check("ratio", ratios, 1.0);
    assert!(error < 0.1, "{error}");
    let d = wbf.data_dim();
    for k in 0..2 {
        let score = score(k);
        for feature in [0, 4, 12, 37, 39] {
            let differences = (0..n).map(|i| {
                let times = joint.x[i * d + feature];
                (joint.scores[2 * i + k] - score[i]) * times
            });
            check(&format!("score {k}, feature {feature}"), differences.collect(), 0.0);
        }
        // The joint score is noisier than the score, or there would be nothing to integrate over.
        let square = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
        let joint: Vec<f64> = joint.scores.iter().skip(k).step_by(2).copied().collect();
        assert!(square(&score) < 1.05 * square(&joint), "score {k}");
    }
}

#[test]
fn errors_of_densities_are_small_and_honest() {
    let wbf = &*WBF;
    let x = wbf.sample(100, &[0.2, 0.1].repeat(100), &mut rng(4)).unwrap();
    let found = wbf.log_prob_with_error(&x, [0.2, 0.1]).unwrap();
    let worst = found.iter().map(|(_, error)| *error).fold(0.0, f64::max);
    let mean = found.iter().map(|(_, error)| error).sum::<f64>() / 100.0;
    assert!(mean < 0.05 && worst < 0.5, "mean {mean}, worst {worst}");
    assert!(found.iter().all(|(log_prob, _)| log_prob.is_finite()));
}

#[test]
fn what_cuts_forbid_has_no_density() {
    let wbf = &*WBF;
    let event = wbf.generator().events(1, |_| [0.0, 0.0], &mut rng(5))[0];
    let mut z = event.coordinates;
    let density = |z: &[f64; COORDINATES]| wbf.log_prob(&wbf.embed(z), &[0.0, 0.0]).unwrap()[0];
    assert!(density(&z).is_finite());
    z[10] = 19.0_f64.ln();
    assert_eq!(density(&z), f64::NEG_INFINITY, "a jet of 19 GeV");
    z = event.coordinates;
    z[3] = z[0] + 0.1;
    assert_eq!(density(&z), f64::NEG_INFINITY, "photons out of order");
}

/// More points, and another detector, leave rates where they are: the total one knows no detector.
#[test]
fn rates_do_not_depend_on_how_they_are_integrated() {
    let settings = Settings {
        detector: Detector { jet_direction: 0.2, ..Detector::default() },
        ..Settings::default()
    };
    let generator = Generator::with_survey(settings, 24);
    for theta in [[0.0, 0.0], [0.5, 0.5], [-2.0, 1.0]] {
        let (a, a_error) = generator.total().at(theta);
        let (b, b_error) = WBF.generator().total().at(theta);
        let error = a_error.hypot(b_error);
        assert!((a - b).abs() < 5.0 * error && error < 0.02 * b, "{a} and {b} pb, +- {error}");
    }
}
