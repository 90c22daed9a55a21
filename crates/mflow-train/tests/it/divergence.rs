//! Losses that are not finite. Oracle: weights poisoned on purpose, and absurd learning rates.
use crate::toy::{Record, Toy, density, manifold};
use mflow_core::candle::DType;
use mflow_train::{Error, LrSchedule, Phase, RunDir, Silent};
use std::sync::atomic::AtomicBool;

/// Train with all weights of `group` set to NaN.
fn poisoned(group: &str, phase: Phase) -> Error {
    let toy = Toy::parabola(50, vec![phase]);
    let mut store = toy.store();
    toy.model.build(&mut store, |_| true).unwrap();
    for parameter in store.parameters().filter(|p| p.name.starts_with(group)) {
        let nan = (parameter.var.as_tensor() * f64::NAN).unwrap();
        parameter.var.set(&nan).unwrap();
    }
    toy.train(&mut store, None, &mut Silent, &AtomicBool::new(false)).unwrap_err()
}

#[test]
fn a_loss_that_is_nan_names_its_place() {
    for (group, phase) in [
        ("outer", manifold(2)),
        ("inner", density(2)),
        ("outer", density(2)), // coordinates found once are NaN already
        ("outer", Phase::new("both", &["outer", "inner"], crate::toy::likelihood(), 1)),
    ] {
        let name = phase.name.clone();
        let error = poisoned(group, phase);
        let expected = format!(
            "training diverged: the training loss is NaN in phase `{name}`, epoch 1, batch 1; a \
             smaller learning rate or clip_norm may help"
        );
        assert_eq!(error.to_string(), expected, "{group} poisoned");
        assert!(matches!(error, Error::Diverged { epoch: 1, batch: 1, .. }), "{error:?}");
    }
}

/// A first update that throws the weights out of the world.
fn absurd(batch_size: usize) -> Toy {
    let mut phase = manifold(3);
    phase.optimizer.set_learning_rate(1e300);
    (phase.batch_size, phase.clip_norm, phase.lr_schedule) = (batch_size, 0., LrSchedule::Constant);
    Toy::parabola(50, vec![phase])
}

#[test]
fn an_absurd_learning_rate_is_noticed_at_the_next_batch() {
    let toy = absurd(20);
    let mut record = Record::default();
    let error =
        toy.train(&mut toy.store(), None, &mut record, &AtomicBool::new(false)).unwrap_err();
    let Error::Diverged { phase, epoch, batch, .. } = &error else { panic!("{error:?}") };
    assert_eq!((phase.as_str(), *epoch, *batch), ("manifold", 1, 2), "the place: {error}");
    assert_eq!(record.losses.len(), 1, "one batch was done");
    assert!(record.losses[0].is_finite(), "and it was finite");
}

#[test]
fn a_validation_loss_that_is_not_finite_is_batch_zero() {
    let toy = absurd(1000);
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::open(folder.path(), false).unwrap();
    let error =
        toy.train(&mut toy.store(), Some(&run), &mut Silent, &AtomicBool::new(false)).unwrap_err();
    let Error::Diverged { epoch, batch, quantity, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*epoch, *batch, *quantity), (1, 0, "the validation loss"), "the place: {error}");
    let bad = folder.path().join("checkpoint.safetensors");
    assert!(!bad.exists(), "no checkpoint of weights that diverged");
}

#[test]
fn a_gradient_that_overflows_is_noticed_before_the_update() {
    // A finite loss whose gradient is not: in f32, with a weight near the largest number.
    let mut phase = manifold(1);
    phase.losses[0].weight = 2e37;
    let toy = Toy::parabola(50, vec![phase]);
    let data = crate::toy::numbers(&toy.data.all().x);
    let data = mflow_train::Rows::new(data, 2, None, DType::F32, crate::toy::device()).unwrap();
    let toy = Toy { data, dtype: DType::F32, ..toy };
    let mut store = toy.store();
    toy.model.build(&mut store, |_| true).unwrap();
    // Steep conditioners make the gradient large where the loss is not.
    for parameter in store.parameters() {
        let large = (parameter.var.as_tensor() * 20.).unwrap();
        parameter.var.set(&large).unwrap();
    }
    let before = crate::toy::bits(&store, "");
    let error = toy.train(&mut store, None, &mut Silent, &AtomicBool::new(false)).unwrap_err();
    let Error::Diverged { batch, quantity, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*batch, *quantity), (1, "the gradient norm"), "the place: {error}");
    assert_eq!(crate::toy::bits(&store, ""), before, "the weights are as they were");
}
