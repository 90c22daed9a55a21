//! Trials of candidates. Oracle: candidates that learn and such that cannot.
use crate::toy::{Record, Toy, density, manifold};
use mflow_core::candle::DType;
use mflow_train::{Attempt, Candidate, Choice, Pool, RunDir, Stage, TRIAL, TrainConfig, Trials};
use std::sync::atomic::AtomicBool;

/// A parabola that is learned at some rates.
fn candidate(name: &str, toy: &Toy, rate: f64) -> Candidate {
    let mut phase = manifold(40);
    phase.batch_size = 50;
    phase.optimizer.set_learning_rate(rate);
    let stages: Vec<Stage> = vec![phase.into(), density(40).into()];
    let mut train = TrainConfig::new(stages);
    train.shards = 2;
    Candidate { name: name.to_owned(), model: toy.model.clone(), train }
}

fn choose(toy: &Toy, candidates: &[Candidate]) -> mflow_train::Result<Option<Choice>> {
    let pool = Pool::new(1).unwrap();
    let (data, validation) = (&toy.data, toy.validation.as_ref().map(|v| v as _));
    // The seed of weights from which a parabola is found.
    let (dtype, seed, updates) = (DType::F64, toy.weights, 320);
    let trials = Trials { data, validation, dtype, seed, pool: &pool, updates };
    trials.choose(candidates, |_| {}, &AtomicBool::new(false))
}

fn toy() -> Toy {
    Toy::parabola(400, vec![manifold(1)])
}

#[test]
fn the_candidate_that_finds_the_manifold_wins_wherever_it_stands() {
    let toy = toy();
    let (still, learns) = (candidate("still", &toy, 1e-9), candidate("learns", &toy, 0.01));
    for (order, winner) in [([&still, &learns], 1), ([&learns, &still], 0)] {
        let choice = choose(&toy, &order.map(Clone::clone)).unwrap().unwrap();
        assert_eq!(choice.winner, winner, "{choice:?}");
        let [a, b] = &choice.trials[..] else { panic!("two trials: {choice:?}") };
        for (i, (trial, candidate)) in [a, b].into_iter().zip(order).enumerate() {
            assert_eq!((trial.stage.as_str(), trial.attempt), (TRIAL, i), "{trial:?}");
            assert_eq!(trial.start.as_ref(), Some(&candidate.name), "{trial:?}");
            assert_eq!(trial.failed, i != winner, "{trial:?}");
            assert!(trial.updates > 200 && trial.updates <= 320, "the budget: {trial:?}");
        }
        let errors = |choice: &Choice| choice.trials.iter().map(|t| t.error).collect::<Vec<_>>();
        let again = choose(&toy, &order.map(Clone::clone)).unwrap().unwrap();
        assert_eq!(errors(&choice), errors(&again), "the same bits");
    }
}

#[test]
fn of_equal_candidates_the_first_wins_and_one_alone_needs_no_trial() {
    let toy = toy();
    let (a, b) = (candidate("a", &toy, 0.01), candidate("b", &toy, 0.011));
    let choice = choose(&toy, &[a.clone(), b.clone()]).unwrap().unwrap();
    assert_eq!(choice.winner, 0, "{choice:?}");
    let choice = choose(&toy, &[b, a.clone()]).unwrap().unwrap();
    assert_eq!(choice.winner, 0, "{choice:?}");
    let alone = choose(&toy, &[a]).unwrap().unwrap();
    assert_eq!((alone.winner, alone.trials.len()), (0, 0), "no trial");
    let error = choose(&toy, &[]).unwrap_err().to_string();
    assert!(error.contains("nothing to choose"), "{error}");
}

#[test]
fn a_candidate_that_diverges_loses_and_all_that_do_are_an_error() {
    let toy = toy();
    let wild = |name: &str| {
        let mut wild = candidate(name, &toy, 1e30);
        wild.train.phases.iter_mut().flat_map(Stage::phases_mut).for_each(|p| p.clip_norm = 0.);
        wild
    };
    let choice = choose(&toy, &[wild("wild"), candidate("tame", &toy, 0.01)]).unwrap().unwrap();
    assert_eq!(choice.winner, 1, "{choice:?}");
    let infinite = &choice.trials[0];
    assert!(infinite.error.is_infinite(), "{infinite:?}");
    // A file has it as null, and gives it back.
    let text = serde_json::to_string(&choice.trials).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Attempt>>(&text).unwrap(), choice.trials);
    let error = choose(&toy, &[wild("a"), wild("b")]).unwrap_err().to_string();
    assert!(error.contains("none") && error.contains("diverged"), "{error}");
}

#[test]
fn raised_a_flag_ends_the_trials() {
    let toy = toy();
    let pool = Pool::new(1).unwrap();
    let data = &toy.data;
    let trials =
        Trials { data, validation: None, dtype: DType::F64, seed: 1, pool: &pool, updates: 100 };
    let both = [candidate("a", &toy, 0.01), candidate("b", &toy, 0.01)];
    let stopped = trials.choose(&both, |_| {}, &AtomicBool::new(true)).unwrap();
    assert!(stopped.is_none(), "no choice: {stopped:?}");
}

#[test]
fn a_run_keeps_the_trials_before_it_as_its_first_attempts() {
    let toy = toy();
    let both = [candidate("a", &toy, 0.01), candidate("b", &toy, 1e-9)];
    let choice = choose(&toy, &both).unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::open(&folder.path().join("run"), false).unwrap();
    run.write_trials(&choice.trials).unwrap();
    let stop = AtomicBool::new(false);
    toy.train(&mut toy.store(), Some(&run), &mut Record::default(), &stop).unwrap();
    let found = run.attempts().unwrap();
    assert_eq!(found[..2], choice.trials[..], "as they were");
    let own: Vec<&Attempt> = found[2..].iter().collect();
    assert!(own.len() == 1 && own[0].stage == "manifold" && own[0].start.is_none(), "{own:?}");
}
