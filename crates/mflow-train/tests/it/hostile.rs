//! Files, configs and arguments that nobody would write on purpose: an error or a result, never a panic.
use crate::mutations::mutations;
use crate::survival::survives;
use crate::toy::{StopAfter, Toy, density, device, manifold};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{read_tensors, write_tensors};
use mflow_train::{
    Batch, Candidate, Pool, RowSource, Rows, RunDir, Schedule, Silent, TrainConfig, Trials,
    effective_sample_size,
};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Two phases of two epochs of three batches, and restarts.
fn toy() -> Toy {
    let small = |mut phase: mflow_train::Phase| {
        phase.batch_size = 20;
        phase
    };
    let mut first = small(manifold(2));
    first.restarts = 1;
    Toy::parabola(60, vec![first, small(density(2))])
}

/// A run that was stopped after so many batches.
fn stopped(toy: &Toy, folder: &Path, batches: usize) {
    let run = RunDir::open(folder, false).unwrap();
    let stop = AtomicBool::new(false);
    let mut observer = StopAfter { batches, stop: &stop };
    toy.train(&mut toy.store(), Some(&run), &mut observer, &stop).unwrap();
}

/// Whether a run goes on from its checkpoint.
fn goes_on(toy: &Toy, folder: &Path) -> mflow_train::Result<mflow_train::Outcome> {
    let run = RunDir::open(folder, true).unwrap();
    toy.train(&mut toy.store(), Some(&run), &mut Silent, &AtomicBool::new(false))
}

#[test]
fn a_checkpoint_that_stands_nowhere_is_refused() {
    let toy = toy();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    stopped(&toy, folder.path(), 4);
    let file = read_tensors(&path).unwrap();
    let state: Value = serde_json::from_str(&file.metadata["state"]).unwrap();
    let mut metadata: std::collections::BTreeMap<_, _> = file.metadata.into_iter().collect();
    metadata.remove("checksum");
    let mut with = |state: &Value| {
        metadata.insert("state".to_owned(), state.to_string());
        write_tensors(&path, &file.tensors, metadata.clone()).unwrap();
        goes_on(&toy, folder.path())
    };
    for (place, value) in [
        ("/position/round", json!(1_u64 << 40)),
        ("/position/attempt", json!(3)),
        ("/phases/0/validation", json!([])),
        ("/phases", json!([state["phases"][0], state["phases"][0]])),
        ("/phases/0/updates", json!(u64::MAX)),
    ] {
        let mut changed = state.clone();
        *changed.pointer_mut(place).unwrap() = value;
        let message = with(&changed).unwrap_err().to_string();
        assert!(
            message.contains("checkpoint") && message.contains("never comes"),
            "{place}: {message}"
        );
    }
    for (what, changed) in mutations(&state) {
        survives(&what, || with(&changed).is_ok());
    }
    with(&state).expect("the checkpoint as it was");
}

#[test]
fn no_number_of_a_schedule_makes_it_panic() {
    let toy = toy();
    for schedule in [Schedule::Sequential, Schedule::Alternating, Schedule::Simultaneous] {
        let config = json!(schedule.config(&toy.model, 3).unwrap());
        for (what, changed) in mutations(&config) {
            survives(&format!("{schedule:?} with {what}"), || {
                let Ok(changed) = serde_json::from_value::<TrainConfig>(changed) else { return };
                let _ = changed.validate();
                for epochs in [0, 1, 7, usize::MAX] {
                    changed.clone().set_epochs(epochs);
                }
                let _ = (changed.check_weights(&[]), changed.check_weights(&[f64::NAN, 1.]));
            });
        }
    }
    for epochs in [0, 1, usize::MAX] {
        survives("a schedule", || Schedule::Sequential.config(&toy.model, epochs).is_ok());
    }
}

#[test]
fn candidates_that_cannot_be_trained_are_refused() {
    let toy = toy();
    let pool = Pool::new(1).unwrap();
    let mut train = toy.config.clone();
    train.phases.iter_mut().flat_map(|stage| stage.phases_mut()).for_each(|p| p.batch_size = 0);
    let candidate = |name: &str| Candidate {
        name: name.to_owned(),
        model: toy.model.clone(),
        train: train.clone(),
    };
    let trials = Trials {
        data: &toy.data,
        validation: None,
        dtype: DType::F64,
        seed: 1,
        pool: &pool,
        updates: usize::MAX,
    };
    let never = AtomicBool::new(false);
    let found = trials.choose(&[candidate("a"), candidate("b")], |_| (), &never);
    let message = found.unwrap_err().to_string();
    assert!(message.contains("batch_size"), "{message}");
}

#[test]
fn rows_that_are_none_are_refused() {
    for (values, dim) in [(0, 0), (0, 2), (3, 2), (4, usize::MAX), (4, 0)] {
        survives("rows", || Rows::new(vec![1.; values], dim, None, DType::F64, device()).is_ok());
    }
    let rows = Rows::new(vec![1.; 4], 2, None, DType::F64, device()).unwrap();
    assert!(rows.gather(&[2]).is_err() && rows.gather(&[usize::MAX]).is_err(), "no such row");
    for weights in [&[][..], &[1.], &[0.; 2], &[f64::NAN; 2], &[-1.; 2], &[f64::MAX; 2], &[1., -1.]]
    {
        survives("weights", || {
            (rows.clone().with_weights(weights).is_ok(), effective_sample_size(weights))
        });
    }
    let scalar = Tensor::zeros((), DType::F64, device()).unwrap();
    assert_eq!(Batch::new(scalar, None).rows(), 0, "a number alone is no row");
}
