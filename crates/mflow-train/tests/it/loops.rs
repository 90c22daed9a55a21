//! A closed curve in space. Oracle: its density, which is known in closed form, so that a seam would be seen
//! wherever it is.
use crate::device::has_kernels;
use crate::learning::{quick, reconstruction_errors};
use crate::toy::{Toy, density, device, manifold, numbers, small_flow};
use mflow_bijectors::{LinearKind, Stream};
use mflow_core::candle::Tensor;
use mflow_core::{Model, ModelConfig};
use std::f64::consts::{PI, TAU};

/// Noise in each direction.
const NOISE: f64 = 0.02;
/// Points of the curve that are looked at.
const STEPS: usize = 600;

/// `t = s + 0.6 sin s` of a uniform `s`.
fn place(s: f64) -> f64 {
    s + 0.6 * s.sin()
}

/// Points around the curve; its model is one of circles.
fn toy(manifold_rate: f64, density_rate: f64) -> Toy {
    let s = Stream::new(2, "along the loop").uniform(6000, -PI, PI);
    let t: Vec<f64> = s.into_iter().map(place).collect();
    let phases = vec![quick(manifold(40), manifold_rate), quick(density(30), density_rate)];
    Toy::loop_in_space(&t, NOISE, phases)
}

fn at(i: usize) -> f64 {
    TAU * i as f64 / STEPS as f64 - PI
}

/// Points of the curve, `[STEPS, 3]`.
fn curve() -> Tensor {
    let points = (0..STEPS).map(|i| place(at(i)));
    let points = points.flat_map(|t| [2. * t.cos(), 1. + t.sin(), 0.4 * (2. * t).sin()]);
    Tensor::from_vec(points.collect::<Vec<f64>>(), (STEPS, 3), device()).unwrap()
}

/// The log-density per length at `s`.
fn truth(s: f64) -> f64 {
    let t = place(s);
    let speed = (2. * t.sin()).hypot(t.cos()).hypot(0.8 * (2. * t).cos());
    -TAU.ln() - (1. + 0.6 * s.cos()).ln() - speed.ln()
}

/// The largest distances from the truth that may be.
struct Bounds {
    error: f64,
    mean: f64,
    worst: f64,
    jump: f64,
}

/// Distance from the data and density along the curve.
fn check(toy: &Toy, model: &dyn Model, bounds: &Bounds) {
    // What lies across the curve are two of the three parts of the noise. The projection is not quite the
    // nearest point, so that some noise along the curve counts as well.
    let (error, expected) = (reconstruction_errors(toy, model), NOISE * (0.5 * PI).sqrt());
    let ratio = error / expected;
    assert!((0.9..bounds.error).contains(&ratio), "mean distance {error}, of noise {expected}");
    let found = numbers(&model.log_prob(&curve(), None).unwrap());
    let gaps: Vec<f64> = (0..STEPS).map(|i| (found[i] - truth(at(i))).abs()).collect();
    let mean = gaps.iter().sum::<f64>() / STEPS as f64;
    let worst = gaps.iter().copied().fold(0., f64::max);
    let jump = (0..STEPS).map(|i| (found[i] - found[(i + 1) % STEPS]).abs()).fold(0., f64::max);
    assert!(
        mean < bounds.mean && worst < bounds.worst,
        "log-density off by {mean} on average, {worst} at most"
    );
    assert!(jump < bounds.jump, "neighbours differ by {jump} at most");
}

#[test]
fn a_closed_curve_is_learned_without_a_seam() {
    let toy = toy(0.01, 0.02);
    let (mut store, _) = toy.finish();
    let model = toy.model.build(&mut store, |_| false).unwrap();
    // Other rounding, another local minimum.
    let mean = if has_kernels() { 0.1 } else { 0.12 };
    let bounds = Bounds { error: 1.45, mean, worst: 0.4, jump: 0.1 };
    check(&toy, model.as_ref(), &bounds);
    // The coordinates have their seam somewhere on the curve.
    let u = numbers(&model.coordinates(&curve(), None).unwrap());
    let seams = (0..STEPS).filter(|&i| (u[i] - u[(i + 1) % STEPS]).abs() > PI).count();
    assert_eq!(seams, 1, "once around");
}

#[test]
fn charts_cover_a_closed_curve() {
    let mut toy = toy(0.005, 0.005);
    let mut outer = small_flow();
    (outer.layers, outer.hidden, outer.linear) = (3, 16, LinearKind::Lu);
    let atlas = ModelConfig::atlas(3, 1, 4)
        .with_outer(outer)
        .with_inner(small_flow())
        .with_normalization(toy.model.normalization().unwrap().clone());
    toy.model = atlas.place_charts(&numbers(&toy.data.all().x)).unwrap();
    let (mut store, record) = toy.finish();
    let model = toy.model.build(&mut store, |_| false).unwrap();
    let bounds = Bounds { error: 1.5, mean: 0.1, worst: 0.45, jump: 0.2 };
    check(&toy, model.as_ref(), &bounds);
    // Every chart has its part of the curve, and they meet.
    let u = numbers(&model.coordinates(&curve(), None).unwrap());
    let charts: Vec<f64> = u.chunks(2).map(|u| u[1]).collect();
    for chart in 0..4 {
        let share = charts.iter().filter(|c| **c == f64::from(chart)).count() as f64 / STEPS as f64;
        assert!((0.05..0.6).contains(&share), "chart {chart} has a share of {share}");
    }
    let ends = (0..STEPS).filter(|&i| charts[i] != charts[(i + 1) % STEPS]).count();
    assert!((4..=8).contains(&ends), "{ends} ends of charts");
    // Rows of validation are given to charts as those of training are: no gap but that of other rows.
    let last = record.epochs.last().unwrap();
    let gap = last.validation_loss - last.train_loss;
    assert!(gap.abs() < 0.1, "losses {} and {}", last.train_loss, last.validation_loss);
}
