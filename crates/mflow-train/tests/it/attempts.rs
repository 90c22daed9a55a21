//! The failure detector and restarts. Oracle: data whose geometry is known, and runs that do not
//! restart.
use crate::toy::{Record, Toy, bits, density, device, manifold};
use mflow_bijectors::Stream;
use mflow_core::candle::DType;
use mflow_train::{
    Attempt, EpochMetrics, Observer, Outcome, Phase, Progress, RowSource, Rows, RunDir, Silent,
};
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Default)]
struct Attempts {
    all: Vec<Attempt>,
    record: Record,
}

impl Observer for Attempts {
    fn batch(&mut self, progress: Progress<'_>) {
        self.record.batch(progress);
    }
    fn epoch(&mut self, metrics: &EpochMetrics) {
        self.record.epoch(metrics);
    }
    fn attempt(&mut self, attempt: &Attempt) {
        self.all.push(attempt.clone());
    }
}

/// A parabola that some seeds of the weights learn and others do not: two couplings can only bend the
/// plane along some permutations.
fn toy(weights: u64, restarts: usize) -> Toy {
    let mut phase = manifold(40);
    (phase.batch_size, phase.restarts) = (50, restarts);
    phase.optimizer.set_learning_rate(0.01);
    Toy { weights, ..Toy::parabola(400, vec![phase]) }
}

fn run(toy: &Toy) -> Attempts {
    let mut attempts = Attempts::default();
    toy.train(&mut toy.store(), None, &mut attempts, &AtomicBool::new(false)).unwrap();
    attempts
}

/// Mean square distance to the projection over the rows of `data`, in units of the normalised data.
fn error(toy: &Toy, store: &mut mflow_bijectors::ParamStore, data: &Rows) -> f64 {
    let model = toy.model.build(store, |_| false).unwrap();
    let x = &data.all().x;
    let difference = (model.project(x, None).unwrap() - x).unwrap();
    let scale = &toy.model.normalization().unwrap().scale;
    let squares = crate::toy::numbers(&difference).into_iter().enumerate();
    let sum: f64 = squares.map(|(i, v)| (v / scale[i % scale.len()]).powi(2)).sum();
    (sum / data.rows() as f64).sqrt()
}

#[test]
fn a_manifold_that_was_not_found_is_reported() {
    for (weights, found) in [(0, false), (1, false), (3, false), (4, true), (5, false), (6, true)] {
        let attempts = run(&toy(weights, 0)).all;
        let [attempt] = &attempts[..] else { panic!("one attempt: {attempts:?}") };
        assert_eq!(attempt.failed, !found, "weights {weights}: {attempt:?}");
        assert_eq!((attempt.attempt, attempt.updates), (0, 320), "its cost: {attempt:?}");
    }
}

#[test]
fn the_error_and_the_limit_are_of_validation_rows_only() {
    let validation = Toy::parabola(300, Vec::<Phase>::new()).data;
    let toy = Toy { validation: Some(validation.clone()), ..toy(4, 0) };
    let mut attempts = Attempts::default();
    let mut store = toy.store();
    toy.train(&mut store, None, &mut attempts, &AtomicBool::new(false)).unwrap();
    let expected = error(&toy, &mut store, &validation);
    let found = attempts.all[0].error;
    assert!((found / expected - 1.).abs() < 1e-9, "{found}, expected {expected}");
    // Other data to train on, the same limit.
    let other = Toy { data: Toy::parabola(200, Vec::<Phase>::new()).data, ..toy };
    assert_eq!(run(&other).all[0].limit, attempts.all[0].limit, "of the same validation rows");
}

#[test]
fn failed_phases_are_started_anew_from_other_weights() {
    let mut toy = toy(0, 8);
    toy.config.phases.push(density(2).into());
    let (mut attempts, mut store) = (Attempts::default(), toy.store());
    toy.train(&mut store, None, &mut attempts, &AtomicBool::new(false)).unwrap();
    let all = &attempts.all;
    let (last, failed) = all.split_last().unwrap();
    assert!(!last.failed && !failed.is_empty(), "at last it is found: {all:?}");
    assert!(failed.iter().all(|a| a.failed), "and not before: {all:?}");
    assert_eq!(
        all.iter().map(|a| a.attempt).collect::<Vec<_>>(),
        (0..all.len()).collect::<Vec<_>>()
    );
    let errors: Vec<f64> = all.iter().map(|a| a.error).collect();
    let distinct = errors.windows(2).all(|pair| pair[0] != pair[1]);
    assert!(distinct, "each from its own start: {errors:?}");
    let lines = |n: usize| {
        attempts.record.epochs.iter().filter(|e| e.phase == "manifold" && e.attempt == n).count()
    };
    assert!((0..failed.len()).all(|n| lines(n) == 40), "each attempt is on record");
    assert_eq!(attempts.record.epochs.last().unwrap().phase, "density", "and training goes on");
}

#[test]
fn the_best_of_attempts_that_all_fail_is_kept() {
    let mut toy = toy(0, 2);
    let phase = &mut toy.config.phases[0].phases_mut()[0];
    phase.epochs = 2;
    let validation = toy.data.clone();
    let toy = Toy { validation: Some(validation.clone()), ..toy };
    let (mut attempts, mut store) = (Attempts::default(), toy.store());
    toy.train(&mut store, None, &mut attempts, &AtomicBool::new(false)).unwrap();
    let all = attempts.all;
    assert_eq!((all.len(), all.iter().all(|a| a.failed)), (3, true), "{all:?}");
    let best = all.iter().map(|a| a.error).fold(f64::INFINITY, f64::min);
    assert!(best < all[2].error, "the last is not the best, or the test shows nothing: {all:?}");
    let kept = error(&toy, &mut store, &validation);
    assert!((kept / best - 1.).abs() < 1e-9, "kept {kept}, best {best}");
}

#[test]
fn noise_is_not_taken_for_a_failure() {
    // A plane with much more noise across it than curvature: the best fit has the error of the noise.
    let mut stream = Stream::new(1, "noise");
    let (t, e) = (stream.normal(600), stream.normal(600));
    let x: Vec<f64> = t.iter().zip(&e).flat_map(|(t, e)| [*t, 0.03 * e]).collect();
    let mut toy = Toy::parabola(
        4,
        vec![{
            let mut phase = manifold(20);
            phase.optimizer.set_learning_rate(0.01);
            phase
        }],
    );
    toy.model.sizes.normalization = None;
    toy.data = Rows::new(x.clone(), 2, None, DType::F64, device()).unwrap();
    toy.validation = Some(toy.data.clone());
    for weights in [0, 4] {
        let attempt = run(&Toy { weights, ..toy_of(&toy) }).all[0].clone();
        let limit = attempt.limit.unwrap();
        assert!((limit - 0.045).abs() < 0.007, "one and a half times the noise: {attempt:?}");
        assert_eq!(attempt.failed, attempt.error > limit, "{attempt:?}");
    }
    let good = run(&Toy { weights: 4, ..toy_of(&toy) }).all[0].clone();
    assert!(!good.failed && good.error > 0.02, "a fit to the noise: {good:?}");
}

fn toy_of(toy: &Toy) -> Toy {
    Toy {
        model: toy.model.clone(),
        data: toy.data.clone(),
        validation: toy.validation.clone(),
        config: toy.config.clone(),
        ..*toy
    }
}

#[test]
fn restarts_need_an_error_to_judge_by() {
    let mut phase = density(1);
    phase.restarts = 2;
    let toy = Toy::parabola(40, vec![phase]);
    let stop = AtomicBool::new(false);
    let error = toy.train(&mut toy.store(), None, &mut Silent, &stop).unwrap_err().to_string();
    assert!(error.contains("`train.phases[0].restarts` must be 0 where no loss is"), "{error}");
}

#[test]
fn too_few_rows_tell_nothing() {
    let attempt = run(&Toy::parabola(40, vec![manifold(1)])).all[0].clone();
    assert_eq!((attempt.limit, attempt.failed), (None, false), "{attempt:?}");
    assert!(run(&Toy::parabola(400, vec![density(1)])).all.is_empty(), "no manifold, no attempt");
}

/// Raises the flag after some batches, and counts them.
struct Stop<'a> {
    batches: usize,
    stop: &'a AtomicBool,
}

impl Observer for Stop<'_> {
    fn batch(&mut self, _: Progress<'_>) {
        self.batches = self.batches.saturating_sub(1);
        if self.batches == 0 {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn stopped_in_any_attempt_a_run_ends_at_the_same_bits() {
    let mut toy = toy(0, 1);
    toy.config.phases[0].phases_mut()[0].epochs = 3;
    toy.config.phases.push(density(1).into());
    let folder = tempfile::tempdir().unwrap();
    let whole = RunDir::open(&folder.path().join("whole"), false).unwrap();
    let mut store = toy.store();
    toy.train(&mut store, Some(&whole), &mut Silent, &AtomicBool::new(false)).unwrap();
    let expected = (bits(&store, ""), whole.metrics().unwrap());
    let attempts = whole.attempts().unwrap();
    let updates: Vec<u64> = attempts.iter().map(|a| a.updates).collect();
    assert_eq!(updates, [24, 24], "two attempts of 24 updates, and 4 more: {attempts:?}");
    for after in [1, 7, 8, 9, 23, 24, 25, 32, 47, 48, 49, 51] {
        let path = folder.path().join(format!("after {after}"));
        let stop = AtomicBool::new(false);
        {
            let run = RunDir::open(&path, false).unwrap();
            let mut observer = Stop { batches: usize::try_from(after).unwrap(), stop: &stop };
            let mut store = toy.store();
            let outcome = toy.train(&mut store, Some(&run), &mut observer, &stop).unwrap();
            assert_eq!(outcome, Outcome::Interrupted, "after {after}");
        }
        let run = RunDir::open(&path, true).unwrap();
        let mut store = toy.store();
        toy.train(&mut store, Some(&run), &mut Silent, &AtomicBool::new(false)).unwrap();
        assert_eq!(bits(&store, ""), expected.0, "after {after}: weights");
        assert_eq!(run.metrics().unwrap(), expected.1, "after {after}: metrics");
        let again = run.attempts().unwrap();
        let errors = |a: &[Attempt]| a.iter().map(|a| a.error).collect::<Vec<_>>();
        assert_eq!(errors(&again), errors(&attempts), "after {after}: attempts");
    }
}
