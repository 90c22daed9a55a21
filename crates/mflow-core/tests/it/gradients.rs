//! Gradients of the density with respect to parameters. Oracle: central differences.
use crate::numbers::{close, device, numbers, tensor};
use crate::subject::{Case, Subject};
use mflow_bijectors::ParamStore;
use mflow_core::Model;
use mflow_core::candle::{DType, Tensor};

const ROWS: usize = 5;
const STEP: f64 = 1e-5;

/// A weighted sum over rows, so that no row's gradient hides behind another's.
fn weighted(log_prob: &Tensor) -> Tensor {
    let weights = (0..ROWS).map(|i| 1. - 0.4 * i as f64).collect();
    (log_prob * tensor(weights, &[ROWS])).unwrap().sum_all().unwrap()
}

fn cases() -> [Case; 4] {
    [
        Case::new(3, 2).scaled(),
        Case::new(3, 1).with_context(2),
        Case::new(3, 2).with_context(2).with_conditional_manifold().scaled(),
        Case::new(6, 3),
    ]
}

fn value(subject: &Subject, x: &Tensor, context: Option<&Tensor>) -> f64 {
    numbers(&weighted(&subject.model.log_prob(x, context).unwrap()))[0]
}

#[test]
fn with_respect_to_parameters() {
    for case in cases() {
        let subject = case.build();
        let (x, context) = (subject.data(ROWS), subject.context(ROWS));
        let context = context.as_ref();
        let total = weighted(&subject.model.log_prob(&x, context).unwrap());
        let gradients = total.backward().unwrap();
        let mut groups = [0, 0];
        for parameter in subject.store.parameters() {
            groups[usize::from(parameter.name.starts_with("inner."))] += 1;
            let start = numbers(parameter.var.as_tensor());
            let gradient = gradients.get(&parameter.var).map(numbers);
            let gradient = gradient.unwrap_or_else(|| panic!("{}: no gradient", parameter.name));
            // A few elements, spread over weights and biases of all layers.
            let places: Vec<usize> =
                (0..12).map(|k| (k * start.len() / 12 + k) % start.len()).collect();
            let difference = |&i: &usize| {
                let moved = |by: f64| {
                    let mut values = start.clone();
                    values[i] += by;
                    parameter.var.set(&tensor(values, &[start.len()])).unwrap();
                    value(&subject, &x, context)
                };
                (moved(STEP) - moved(-STEP)) / (2. * STEP)
            };
            let expected: Vec<f64> = places.iter().map(difference).collect();
            parameter.var.set(&tensor(start.clone(), &[start.len()])).unwrap();
            let found: Vec<f64> = places.iter().map(|&i| gradient[i]).collect();
            close(&format!("{case:?}: {}", parameter.name), &found, &expected, 1e-5);
            let moves = gradient.iter().any(|g| g.abs() > 1e-6);
            assert!(moves, "{case:?}: {} has a gradient", parameter.name);
        }
        assert!(groups.iter().all(|g| *g >= 3), "{case:?}: parameters per group: {groups:?}");
    }
}

#[test]
fn a_frozen_build_has_no_graph_and_shares_the_storage() {
    let mut subject = Case::new(3, 2).scaled().build();
    let x = subject.data(ROWS);
    let of = |model: &dyn Model| model.log_prob(&x, None).unwrap();
    assert!(of(subject.model.as_ref()).track_op(), "a trained build tracks");
    let frozen = subject.config.build(&mut subject.store, |_| false).unwrap();
    assert!(!of(frozen.as_ref()).track_op(), "a frozen build does not");
    assert!(!frozen.project(&x, None).unwrap().track_op(), "nor does its projection");
    // Kernels that keep nothing for a backward pass sum in another order.
    close("frozen", &numbers(&of(frozen.as_ref())), &numbers(&of(subject.model.as_ref())), 1e-12);
    let before = numbers(&of(frozen.as_ref()));
    for parameter in subject.store.parameters() {
        parameter.var.set(&(parameter.var.as_tensor() * 0.5).unwrap()).unwrap();
    }
    let after = numbers(&of(frozen.as_ref()));
    assert_ne!(before, after, "a change of the store is a change of the frozen build");
    close("both follow", &after, &numbers(&of(subject.model.as_ref())), 1e-12);
}

#[test]
fn freezing_one_group_leaves_the_gradient_of_the_other() {
    let mut subject = Case::new(3, 2).with_context(2).build();
    let (x, context) = (subject.data(ROWS), subject.context(ROWS));
    let all = weighted(&subject.model.log_prob(&x, context.as_ref()).unwrap()).backward().unwrap();
    for group in ["outer", "inner"] {
        let model =
            subject.config.build(&mut subject.store, |name| name.starts_with(group)).unwrap();
        let some = weighted(&model.log_prob(&x, context.as_ref()).unwrap()).backward().unwrap();
        for parameter in subject.store.parameters() {
            let found = some.get(&parameter.var).map(numbers);
            if parameter.name.starts_with(group) {
                let expected = numbers(all.get(&parameter.var).unwrap());
                let what = format!("{group} alone: {}", parameter.name);
                close(&what, &found.unwrap(), &expected, 1e-10);
            } else {
                assert!(found.is_none(), "{group} alone: {} is frozen", parameter.name);
            }
        }
    }
}

#[test]
fn groups_are_the_first_parts_of_names() {
    let mut store = ParamStore::new(1, DType::F32, device());
    Case::new(3, 2).config().build(&mut store, |_| true).unwrap();
    for parameter in store.parameters() {
        let group = parameter.name.split('.').next().unwrap();
        assert!(["outer", "inner"].contains(&group), "{} is in a group", parameter.name);
    }
}
