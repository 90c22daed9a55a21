//! Posteriors by an estimator of likelihood ratios. Oracle: the normal posterior in closed form.
use mflow_bijectors::{Activation, NetConfig, ParamStore, Stream};
use mflow_core::candle::{DType, Device};
use mflow_core::{Model, ModelConfig, standardize};
use mflow_data::Prior;
use mflow_eval::Posterior;
use mflow_eval::mcmc::{DifferentiableTarget, Target};
use mflow_eval::metrics::Evaluated;
use mflow_train::{Loss, Outcome, Phase, Pool, Rows, Silent, TrainConfig, Trainer};
use std::sync::atomic::AtomicBool;

/// `z ~ N(θ, 1)`, `x = (sinh z, 2 - z)`, which tells `z`: `log p(x|θ) - log p(x|0) = θ z - θ²/2`.
fn point(z: f64) -> [f64; 2] {
    [z.sinh(), 2. - z]
}

/// An estimator trained for a moment, on hypotheses from -3 to 3.
fn estimator(pool: &Pool) -> Box<dyn Model> {
    let rows = 4000;
    let mut stream = Stream::new(1, "rows");
    let (theta, noise) = (stream.uniform(rows, -3., 3.), stream.normal(rows));
    let labels: Vec<f64> = (0..rows).map(|i| f64::from(u8::from(i % 2 == 0))).collect();
    let z: Vec<f64> = (0..rows).map(|i| labels[i] * theta[i] + noise[i]).collect();
    let x: Vec<f64> = z.iter().copied().flat_map(point).collect();
    let log_ratios: Vec<f64> = z.iter().zip(&theta).map(|(z, t)| t * z - t * t / 2.).collect();
    let scores = z.iter().zip(&theta).map(|(z, t)| z - t).collect();
    let net = NetConfig::new(48, 1).with_activation(Activation::Silu);
    let model =
        ModelConfig::ratio(2, 1).with_networks(net).with_normalization(standardize(&x, 2).unwrap());
    let data = Rows::new(x, 2, Some((theta, 1)), DType::F64, &Device::Cpu).unwrap();
    let data = data.with_scores(scores).unwrap().with_ratios(&log_ratios, &labels).unwrap();
    let losses = vec![Loss::Ratio {}.weighted(1.), Loss::Score {}.weighted(1.)];
    let mut phase = Phase::new("likelihood", &["*"], losses, 25);
    (phase.batch_size, phase.ema) = (50, 0.99);
    phase.optimizer.set_learning_rate(5e-3);
    let config = TrainConfig::new(vec![phase]);
    let mut store = ParamStore::new(1, DType::F64, &Device::Cpu);
    let mut trainer = Trainer {
        model: &model,
        store: &mut store,
        data: &data,
        validation: None,
        config: &config,
        seed: 1,
        pool,
        run: None,
    };
    let outcome = trainer.run(&mut Silent, &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome, Outcome::Finished, "nobody stops it");
    model.build(&mut store, |_| false).unwrap()
}

#[test]
fn posteriors_are_those_of_the_likelihood() {
    let pool = Pool::new(2).unwrap();
    let model = estimator(&pool);
    let of = Evaluated { model: model.as_ref(), pool: &pool };
    let (mean, std) = (0.5, 0.8);
    let prior = [Prior::Normal { mean, std }];
    for (set, truth) in [-1., 0.4, 1.3].into_iter().enumerate() {
        let n = 5;
        let noise = Stream::new(2, &format!("set {set}")).normal(n);
        let z: Vec<f64> = noise.iter().map(|e| truth + e).collect();
        let x: Vec<f64> = z.iter().copied().flat_map(point).collect();
        let posterior = Posterior::new(of, &prior, &x).unwrap();
        let precision = n as f64 + 1. / (std * std);
        let exact_mean = (z.iter().sum::<f64>() + mean / (std * std)) / precision;
        let exact_std = precision.sqrt().recip();
        // By sums over a fine grid.
        let grid: Vec<f64> = (0..400).map(|i| -3. + 6. * f64::from(i) / 399.).collect();
        let log = posterior.log_probs(&grid).unwrap();
        let top = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = log.iter().map(|l| (l - top).exp()).collect();
        let total: f64 = weights.iter().sum();
        let moment = |f: &dyn Fn(f64) -> f64| {
            grid.iter().zip(&weights).map(|(t, w)| w * f(*t)).sum::<f64>() / total
        };
        let found = moment(&|t| t);
        let found_std = moment(&|t| (t - found) * (t - found)).sqrt();
        let off = (found - exact_mean) / exact_std;
        assert!(off.abs() < 0.15, "set {set}: mean {found}, exactly {exact_mean} ± {exact_std}");
        assert!((found_std / exact_std - 1.).abs() < 0.1, "set {set}: {found_std}, {exact_std}");
        // Samplers that ask for gradients get those of the same function.
        let at = |t: f64| posterior.log_prob(&[t]).unwrap();
        let mut gradient = [0.];
        let value = posterior.log_prob_and_gradient(&[0.3], &mut gradient).unwrap();
        let difference = (at(0.3 + 1e-5) - at(0.3 - 1e-5)) / 2e-5;
        assert!((value - at(0.3)).abs() < 1e-9);
        assert!((gradient[0] - difference).abs() < 1e-5, "{gradient:?}, {difference}");
    }
}

#[test]
fn without_the_right_parameters_there_is_none() {
    let pool = Pool::new(1).unwrap();
    let mut store = ParamStore::new(1, DType::F64, &Device::Cpu);
    let model = ModelConfig::ratio(2, 2).build(&mut store, |_| false).unwrap();
    let of = Evaluated { model: model.as_ref(), pool: &pool };
    let prior = [Prior::Normal { mean: 0., std: 1. }];
    let error = Posterior::new(of, &prior, &[0.; 4]).unwrap_err();
    assert!(error.to_string().contains("2 context features"), "{error}");
}
