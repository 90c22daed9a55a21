//! Training of ratio estimators. Oracle: a simulator with a latent history whose ratio is known in closed form.
use crate::toy::{Toy, device, numbers};
use mflow_bijectors::{Activation, NetConfig, Stream};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{ModelConfig, standardize};
use mflow_train::{Loss, Phase, Rows, Schedule, Silent, Start, TrainConfig, WeightedLoss};
use std::sync::atomic::AtomicBool;

/// `z ~ N(θ, 1)`, `x = 5 + 3 (z + ε)` with `ε ~ N(0, 1)`, `θ ~ U(-1.5, 1.5)`, `θ_ref = 0`: the joint ratio and score know
/// `z`, which `x` does not tell.
struct Sample {
    x: Vec<f64>,
    theta: Vec<f64>,
    log_ratios: Vec<f64>,
    scores: Vec<f64>,
    labels: Vec<f64>,
}

impl Sample {
    fn new(rows: usize, seed: u64) -> Self {
        let mut stream = Stream::new(seed, "noisy normal");
        let (theta, noise) = (stream.uniform(rows, -1.5, 1.5), stream.normal(2 * rows));
        let labels: Vec<f64> = (0..rows).map(|i| f64::from(u8::from(i % 2 == 0))).collect();
        let z: Vec<f64> = (0..rows).map(|i| labels[i] * theta[i] + noise[2 * i]).collect();
        Self {
            x: z.iter().zip(noise.chunks(2)).map(|(z, e)| 5. + 3. * (z + e[1])).collect(),
            log_ratios: z.iter().zip(&theta).map(|(z, t)| t * z - t * t / 2.).collect(),
            scores: z.iter().zip(&theta).map(|(z, t)| z - t).collect(),
            theta,
            labels,
        }
    }
    /// `log N(x; θ) - log N(x; 0)`, of the variance 2 that `z + ε` has.
    fn exact(&self) -> impl Iterator<Item = f64> {
        self.x.iter().zip(&self.theta).map(|(x, t)| (t * (x - 5.) / 3. - t * t / 2.) / 2.)
    }
    fn rows(&self) -> Rows {
        let context = Some((self.theta.clone(), 1));
        Rows::new(self.x.clone(), 1, context, DType::F64, device()).unwrap()
    }
    /// Rows with all that there is; or with ratios that say no more than the labels.
    fn training(&self, joint: bool) -> Rows {
        let of_labels: Vec<f64> = self.labels.iter().map(|y| 100. * y - 50.).collect();
        let log_ratios = if joint { &self.log_ratios } else { &of_labels };
        let rows = self.rows().with_scores(self.scores.clone()).unwrap();
        rows.with_ratios(log_ratios, &self.labels).unwrap()
    }
}

fn toy(rows: usize, joint: bool, losses: Vec<WeightedLoss>) -> Toy {
    let sample = Sample::new(rows, 1);
    let net = NetConfig::new(32, 1).with_activation(Activation::Silu);
    let model = ModelConfig::ratio(1, 1)
        .with_networks(net)
        .with_normalization(standardize(&sample.x, 1).unwrap());
    let mut phase = Phase::new("likelihood", &["*"], losses, 40_000_usize.div_ceil(rows));
    (phase.batch_size, phase.ema) = (50, 0.99);
    phase.optimizer.set_learning_rate(5e-3);
    Toy { model, data: sample.training(joint), ..Toy::parabola(20, vec![phase]) }
}

/// Root mean square error of the log-ratio of a trained model, on other rows.
fn error(toy: &Toy) -> f64 {
    let (mut store, _) = toy.finish();
    let model = toy.model.build(&mut store, |_| false).unwrap();
    let test = Sample::new(4000, 2);
    let rows = test.rows();
    let found = model.log_prob(&rows.all().x, rows.all().context.as_ref()).unwrap();
    let squares = numbers(&found).into_iter().zip(test.exact()).map(|(a, b)| (a - b).powi(2));
    (squares.sum::<f64>() / 4000.).sqrt()
}

#[test]
fn ratios_are_learned_and_what_histories_tell_helps() {
    let alice = || vec![Loss::Ratio {}.weighted(1.)];
    let alices = || vec![Loss::Ratio {}.weighted(1.), Loss::Score {}.weighted(1.)];
    let exact: Vec<f64> = Sample::new(4000, 2).exact().collect();
    let spread = (exact.iter().map(|v| v * v).sum::<f64>() / 4000.).sqrt();
    assert!((0.6..0.9).contains(&spread), "what is to be learned: {spread}");
    let plain = error(&toy(300, false, alice()));
    let joint = error(&toy(300, true, alice()));
    let scores = error(&toy(300, true, alices()));
    assert!(joint < 0.6 * plain, "joint ratios: {joint}, labels alone: {plain}");
    assert!(scores < 0.9 * joint, "with scores {scores}, without {joint}");
    let many = error(&toy(4000, true, alices()));
    assert!(many < 0.05, "of many rows: {many}");
}

#[test]
fn scores_alone_train_a_ratio_up_to_a_function_of_x() {
    let toy = toy(4000, true, vec![Loss::Score {}.weighted(1.)]);
    let (mut store, _) = toy.finish();
    let model = toy.model.build(&mut store, |_| false).unwrap();
    let test = Sample::new(1000, 2);
    let rows = test.rows();
    let (x, theta) = (&rows.all().x, rows.all().context.as_ref().unwrap());
    let score = numbers(&model.score(x, theta).unwrap());
    // Rows from the reference would pull it to x/2 - θ, which is off by θ/2.
    let exact = test.x.iter().zip(&test.theta).map(|(x, t)| ((x - 5.) / 3. - t) / 2.);
    let squares: f64 = score.iter().zip(exact).map(|(a, b)| (a - b).powi(2)).sum();
    let error = (squares / 1000.).sqrt();
    assert!(error < 0.13, "{error}");
}

/// In single precision, where `exp(50)` squared is infinite.
#[test]
fn extreme_ratios_leave_all_finite() {
    for dtype in [DType::F32, DType::F64] {
        let n = 40;
        let sign = |i: usize| if i.is_multiple_of(2) { 1. } else { -1. };
        let log_ratios: Vec<f64> = (0..n).map(|i| 50. * sign(i)).collect();
        let labels: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i % 4 < 2))).collect();
        let x: Vec<f64> = (0..n).map(|i| 1e4 * sign(i)).collect();
        let data = Rows::new(x, 1, Some((vec![1.; n], 1)), dtype, device()).unwrap();
        let data = data.with_ratios(&log_ratios, &labels).unwrap();
        let toy = Toy { data, dtype, ..toy(n, true, vec![Loss::Ratio {}.weighted(1.)]) };
        let (store, record) = toy.finish();
        assert!(record.losses.iter().all(|loss| loss.is_finite()), "{:?}", record.losses);
        let last = record.losses.last().unwrap();
        // Whatever the labels say: rows of one sign are told from the others.
        assert!(*last < 1e-3 && record.losses[0] > 1., "{} to {last}", record.losses[0]);
        for parameter in store.parameters() {
            assert!(numbers(parameter.var.as_tensor()).iter().all(|v| v.is_finite()));
        }
    }
}

#[test]
fn its_schedule_is_the_likelihood() {
    let model = ModelConfig::ratio(3, 1);
    assert_eq!(Schedule::of(&model), Schedule::Likelihood);
    let config = Schedule::Likelihood.config(&model, 7).unwrap();
    let phase = &config.phases[0].phases()[0];
    assert_eq!((config.phases.len(), phase.epochs), (1, 7));
    assert_eq!(phase.losses, [Loss::Ratio {}.weighted(1.)]);
    assert_eq!(Schedule::recognize(&model, &config.phases), Some(Schedule::Likelihood));
    for schedule in [Schedule::Sequential, Schedule::Simultaneous, Schedule::Ot] {
        let message = schedule.config(&model, 7).unwrap_err().to_string();
        assert!(message.contains("`ratio` has none; it fits `likelihood`"), "{message}");
    }
    for start in Start::ALL {
        let obstacle = start.obstacle(&model, &config);
        assert_eq!(obstacle.is_none(), start == Start::Random, "{start}: {obstacle:?}");
    }
    let mut config = config;
    assert!(config.set_restarts(1).is_err(), "there is no manifold to find");
    let text = serde_json::to_string(&Loss::Ratio {}.weighted(1.)).unwrap();
    assert_eq!(text, r#"{"loss":"ratio","weight":1.0}"#);
}

#[test]
fn what_is_missing_is_asked_for() {
    let fit = |toy: &Toy| {
        let result = toy.train(&mut toy.store(), None, &mut Silent, &AtomicBool::new(false));
        result.unwrap_err().to_string()
    };
    let data = Sample::new(20, 1).rows();
    let toy = Toy { data, ..toy(20, true, vec![Loss::Ratio {}.weighted(1.)]) };
    let message = fit(&toy);
    assert!(message.contains("the joint log-ratio and the label of each row"), "{message}");
    let toy = Toy { config: TrainConfig::new(vec![of(Loss::likelihood())]), ..toy };
    assert!(fit(&toy).contains("its loss is `ratio`"), "{}", fit(&toy));
    let data = Sample::new(20, 1).training(true);
    let af = ModelConfig::af(1).with_context(1);
    let toy = Toy { data, model: af, config: TrainConfig::new(vec![of(Loss::Ratio {})]), ..toy };
    assert!(fit(&toy).contains("af has none"), "{}", fit(&toy));
}

fn of(loss: Loss) -> Phase {
    Phase::new("likelihood", &["*"], vec![loss.weighted(1.)], 1)
}

/// A batch keeps each ratio with its row, however it is cut: `shards` of other numbers give the same losses.
#[test]
fn shards_make_no_difference() {
    let losses = || vec![Loss::Ratio {}.weighted(1.), Loss::Score {}.weighted(1.)];
    let first = |shards: usize| {
        let mut toy = toy(100, true, losses());
        toy.config.shards = shards;
        let (store, record) = toy.finish();
        let t: Vec<Tensor> = store.parameters().map(|p| p.var.as_tensor().clone()).collect();
        (record.losses[..3].to_vec(), numbers(&t[0]))
    };
    let ((a, _), (b, _)) = (first(1), first(3));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-10), "{a:?}, {b:?}");
}
