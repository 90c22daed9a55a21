//! Rows that judge, of which some have no weight.
use super::{TIMES, close, real, repeated, toy_of};
use crate::toy::{Toy, density, device, manifold, numbers};
use mflow_bijectors::Stream;
use mflow_core::candle::DType;
use mflow_train::{
    Attempt, Candidate, Compare, EpochMetrics, Error, Keep, Loss, Observer, Phase, Pool, Progress,
    RowSource, Rows, Silent, TrainConfig, Trials,
};
use std::sync::atomic::AtomicBool;

/// Remembers attempts.
#[derive(Default)]
struct Attempts(Vec<Attempt>);

impl Observer for Attempts {
    fn batch(&mut self, _: Progress<'_>) {}
    fn epoch(&mut self, _: &EpochMetrics) {}
    fn attempt(&mut self, attempt: &Attempt) {
        self.0.push(attempt.clone());
    }
}

#[test]
fn rows_without_weight_do_not_judge_a_manifold() {
    let mut phase = manifold(2);
    phase.keep = Keep::Last;
    let toy = Toy::parabola(200, vec![phase]);
    let error = |validation: Rows| {
        let (data, model, config) = (toy.data.clone(), toy.model.clone(), toy.config.clone());
        let validation = Some(validation);
        let toy = Toy { data, model, config, validation, ..toy_of(&toy) };
        let mut attempts = Attempts::default();
        toy.train(&mut toy.store(), None, &mut attempts, &AtomicBool::new(false)).unwrap();
        attempts.0[0].error
    };
    let mut x = numbers(&toy.data.all().x);
    let plain = error(toy.data.clone());
    x.extend([50., -50., 80., 3.]);
    let with_strays = || Rows::new(x.clone(), 2, None, DType::F64, device()).unwrap();
    let weights: Vec<f64> = (0..202).map(|i| if i < 200 { 1. } else { 0. }).collect();
    let weighted = error(with_strays().with_weights(&weights).unwrap());
    assert!((weighted / plain - 1.).abs() < 1e-12, "{weighted}, without them {plain}");
    assert!(error(with_strays()) > 2. * plain, "they tell");
    // A row with a negative weight is on the manifold too.
    let signed: Vec<f64> = (0..200).map(|i| if i % 3 == 0 { -1. } else { 1. }).collect();
    let by_size = error(toy.data.clone().with_weights(&signed).unwrap());
    assert!((by_size / plain - 1.).abs() < 1e-12, "{by_size}, by size {plain}");
}

/// Of held-out rows, whose mean weight is not that of all rows.
#[test]
fn the_error_that_judges_a_manifold_is_a_weighted_mean() {
    let mut phase = manifold(2);
    phase.keep = Keep::Last;
    let weights: Vec<f64> = Stream::new(1, "weights").uniform(200, -1., 4.);
    let toy = Toy::parabola(200, vec![phase]);
    let toy = Toy { data: toy.data.clone().with_weights(&weights).unwrap(), ..toy };
    let (mut store, mut attempts) = (toy.store(), Attempts::default());
    toy.train(&mut store, None, &mut attempts, &AtomicBool::new(false)).unwrap();
    let model = toy.model.build(&mut store, |_| false).unwrap();
    let held_out = &Stream::new(toy.seed, "validation split").permutation(200)[..20];
    let x = toy.data.gather(held_out).unwrap().x;
    let moved = numbers(&(model.project(&x, None).unwrap() - &x).unwrap());
    let scale = &toy.model.normalization().unwrap().scale;
    let of_row = |d: &[f64]| (d[0] / scale[0]).powi(2) + (d[1] / scale[1]).powi(2);
    let sizes: Vec<f64> = held_out.iter().map(|i| weights[*i].abs()).collect();
    let square: f64 = moved.chunks(2).zip(&sizes).map(|(d, w)| w * of_row(d)).sum();
    let expected = (square / sizes.iter().sum::<f64>()).sqrt();
    let found = attempts.0[0].error;
    assert!((found / expected - 1.).abs() < 1e-10, "{found}, expected {expected}");
}

#[test]
fn trials_train_on_weights() {
    let toy = Toy::parabola(60, vec![manifold(1)]);
    let times: Vec<usize> = (0..60).map(|i| TIMES[i % 12]).collect();
    let errors = |data: Rows| -> Vec<f64> {
        let candidate = |rate: f64| {
            let mut phase = manifold(5);
            phase.batch_size = 1000;
            phase.optimizer.set_learning_rate(rate);
            let train = TrainConfig::new(vec![phase]);
            Candidate { name: rate.to_string(), model: toy.model.clone(), train }
        };
        let (pool, validation) = (Pool::new(1).unwrap(), Some(&toy.data as &dyn RowSource));
        let (dtype, seed, updates) = (DType::F64, toy.weights, 5);
        let trials = Trials { data: &data, validation, dtype, seed, pool: &pool, updates };
        let both = [candidate(0.01), candidate(0.02)];
        let choice = trials.choose(&both, |_| {}, &AtomicBool::new(false)).unwrap().unwrap();
        choice.trials.iter().map(|t| t.error).collect()
    };
    let found = errors(toy.data.clone().with_weights(&real(&times)).unwrap());
    close("errors", &found, &errors(repeated(&toy.data, &times)), 1e-8);
    assert!((found[0] - errors(toy.data.clone())[0]).abs() > 1e-4, "weights tell");
}

/// A divergence is validated batch by batch: those without weight do not count.
#[test]
fn batches_of_a_divergence_count_by_their_weight() {
    let sink = Loss::Sinkhorn { blur: 0.5, scaling: 0.8, compare: Compare::X };
    let mut phase = Phase::new("all", &["*"], vec![sink.weighted(1.)], 1);
    phase.batch_size = 20;
    let toy = Toy::parabola(60, vec![phase]);
    let loss = |validation: Rows| {
        let (data, model, config) = (toy.data.clone(), toy.model.clone(), toy.config.clone());
        let validation = Some(validation);
        Toy { data, model, config, validation, ..toy_of(&toy) }.finish().1.epochs[0].validation_loss
    };
    let first: Vec<usize> = (0..60).map(|i| usize::from(i < 20)).collect();
    let weighted = loss(toy.data.clone().with_weights(&real(&first)).unwrap());
    close("first batch", &[weighted], &[loss(repeated(&toy.data, &first))], 1e-10);
    // A batch without weight teaches nothing and does no harm.
    let data = toy.data.clone().with_weights(&real(&first)).unwrap();
    let (model, mut config) = (toy.model.clone(), toy.config.clone());
    config.phases[0].phases_mut()[0].batch_size = 2;
    let validation = Some(data.clone());
    let (_, record) = Toy { data, model, config, validation, ..toy_of(&toy) }.finish();
    assert!(record.losses.contains(&0.), "some batches have no weight");
    assert!(record.losses.iter().all(|l| l.is_finite()), "{:?}", record.losses);
}

#[test]
fn a_share_of_the_rows_without_weight_is_refused() {
    // One trains, one validates.
    let toy = Toy::parabola(2, vec![density(1)]);
    for weights in [[1., 0.], [0., 1.]] {
        let data = toy.data.clone().with_weights(&weights).unwrap();
        let (model, config) = (toy.model.clone(), toy.config.clone());
        let toy = Toy { data, model, config, ..toy_of(&toy) };
        let error =
            toy.train(&mut toy.store(), None, &mut Silent, &AtomicBool::new(false)).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, Error::Data { .. }), "{error:?}");
        assert!(
            message.contains("weights of the") && message.contains("expected a positive sum"),
            "{message}"
        );
    }
}
