//! What is learned from weighted rows. Oracle: the density that the weights describe, within the statistical error of as
//! many rows as they are worth.
use crate::toy::{Toy, device, manifold, small_flow};
use mflow_bijectors::{Stream, host};
use mflow_core::candle::DType;
use mflow_core::{Model, ModelConfig, standardize_weighted};
use mflow_train::{Loss, LrSchedule, Phase, Rows, TrainConfig, effective_sample_size};

/// Fit an ambient flow to weighted rows of the plane by likelihood.
fn learned(x: Vec<f64>, weights: &[f64], epochs: usize) -> Box<dyn Model> {
    let mut phase = Phase::new("density", &["*"], vec![Loss::likelihood().weighted(1.)], epochs);
    (phase.batch_size, phase.ema) = (200, 0.99);
    phase.lr_schedule = LrSchedule::Cosine;
    phase.optimizer.set_learning_rate(0.01);
    let normalization = standardize_weighted(&x, 2, weights).unwrap();
    let model = ModelConfig::af(2).with_inner(small_flow()).with_normalization(normalization);
    let data = Rows::new(x, 2, None, DType::F64, device()).unwrap().with_weights(weights).unwrap();
    let mut config = TrainConfig::new(vec![phase]);
    config.shards = 1;
    let toy = Toy { model, data, config, ..Toy::parabola(4, vec![manifold(1)]) };
    let (mut store, _) = toy.finish();
    toy.model.build(&mut store, |_| false).unwrap()
}

fn samples(model: &dyn Model, rows: usize) -> Vec<[f64; 2]> {
    let latent = model.sample_latent(rows, &mut Stream::new(7, "samples")).unwrap();
    let x = host::values_f64(&model.decode(&latent, None).unwrap()).unwrap();
    x.chunks(2).map(|row| [row[0], row[1]]).collect()
}

fn log_normal(x: f64, mean: f64, deviation: f64) -> f64 {
    let z = (x - mean) / deviation;
    -0.5 * z * z - deviation.ln() - 0.5 * (2. * std::f64::consts::PI).ln()
}

/// A narrow normal distribution from draws of a wide one elsewhere.
#[test]
fn importance_weights_make_the_density_that_of_the_target() {
    let (rows, at) = (6000, [(1., 0.5), (-0.5, 0.8)]);
    let x: Vec<f64> = Stream::new(1, "wide").normal(2 * rows).iter().map(|v| 1.5 * v).collect();
    let of_row = |row: &[f64]| -> f64 {
        let pairs = row.iter().zip(at);
        pairs.map(|(x, (m, s))| log_normal(*x, m, s) - log_normal(*x, 0., 1.5)).sum()
    };
    let weights: Vec<f64> = x.chunks(2).map(|row| of_row(row).exp()).collect();
    let effective = effective_sample_size(&weights);
    assert!(effective > 1000. && effective < 2000., "rows that are left: {effective}");
    let model = learned(x, &weights, 40);
    let drawn = samples(model.as_ref(), 20_000);
    // Five standard errors of the weighted rows, and those of the samples.
    let error = 5. * (1. / effective + 1. / 2e4_f64).sqrt();
    for (j, (mean, deviation)) in at.into_iter().enumerate() {
        let found = drawn.iter().map(|row| row[j]).sum::<f64>() / 2e4;
        let square = drawn.iter().map(|row| (row[j] - found).powi(2)).sum::<f64>() / 2e4;
        assert!((found - mean).abs() < deviation * error, "mean {found}, of the target {mean}");
        let spread = square.sqrt();
        assert!((spread / deviation - 1.).abs() < error, "{spread}, of the target {deviation}");
    }
    // Over draws of the target, less its entropy: the divergence of the model from it.
    let mut target = Stream::new(2, "target").normal(2 * 4000);
    for (i, v) in target.iter_mut().enumerate() {
        *v = at[i % 2].0 + at[i % 2].1 * *v;
    }
    let truth: f64 = target
        .chunks(2)
        .map(|row| row.iter().zip(at).map(|(x, (m, s))| log_normal(*x, m, s)).sum::<f64>())
        .sum();
    let t = mflow_core::candle::Tensor::from_vec(target, (4000, 2), device()).unwrap();
    let log_prob: f64 = host::values_f64(&model.log_prob(&t, None).unwrap()).unwrap().iter().sum();
    let divergence = (truth - log_prob) / 4000.;
    assert!(divergence.abs() < 0.05, "{divergence} nats from the target");
}

/// Two bumps, of which rows with a negative weight take a part of one away.
#[test]
fn negative_weights_take_density_away() {
    let bump = |name: &str, rows: usize, at: f64| -> Vec<f64> {
        let z = Stream::new(1, name).normal(2 * rows);
        z.chunks(2).flat_map(|z| [at + 0.5 * z[0], z[1]]).collect()
    };
    let (plus, minus) = (3000, 1500);
    let x = [bump("left", plus, -1.5), bump("right", plus, 1.5), bump("less", minus, 1.5)].concat();
    let weights = [vec![1.; 2 * plus], vec![-1.; minus]].concat();
    let model = learned(x, &weights, 40);
    let drawn = samples(model.as_ref(), 20_000);
    let right = drawn.iter().filter(|row| row[0] > 0.).count() as f64 / 2e4;
    // A third; by their sizes it would be three fifths. Counts scatter by their square roots.
    let expected = (plus - minus) as f64 / (2 * plus - minus) as f64;
    let error = 5. * ((plus + minus) as f64).sqrt() / (2 * plus - minus) as f64;
    assert!(error < 0.1, "an error that tells: {error}");
    assert!((right - expected).abs() < error, "{right} of the samples, expected {expected}");
    for (side, mean) in [(-1., -1.5), (1., 1.5)] {
        let of: Vec<f64> = drawn.iter().map(|r| r[0]).filter(|x| x * side > 0.).collect();
        let found = of.iter().sum::<f64>() / of.len() as f64;
        assert!((found - mean).abs() < 0.1, "the bump at {mean} is at {found}");
    }
}
