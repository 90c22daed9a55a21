//! Gradients, in particular: they reach every part, and nothing of what is frozen. That they are differences is a law.
use crate::cases::{Case, DIRECTIONS, Subject, random, small};
use crate::numbers::{gap_in_all, numbers};
use mflow_bijectors::candle::{Tensor, Var};
use mflow_bijectors::laws::{self, Inputs, Probe};
use mflow_bijectors::{Bijector, Direction, Mask};

/// Parameters, and where there are any tracked inputs, by name.
pub(crate) fn variables(subject: &Subject, inputs: Vec<(String, Var)>) -> Vec<(String, Var)> {
    let parameters = subject.store.parameters().map(|p| (p.name.clone(), p.var.clone()));
    parameters.chain(inputs).collect()
}

/// [`laws::losses`] of what cannot fail.
pub(crate) fn losses(
    map: &dyn Bijector,
    direction: Direction,
    inputs: &Inputs,
    probe: Option<Probe>,
) -> Vec<(&'static str, Tensor)> {
    laws::losses(map, direction, inputs, probe).unwrap()
}

/// [`laws::gradients`] of what cannot fail.
pub(crate) fn gradients(loss: &Tensor, variables: &[(String, Var)]) -> Vec<Vec<f64>> {
    laws::gradients(loss, variables).unwrap()
}

#[test]
fn gradients_reach_every_part_of_a_coupling() {
    let case = Case::coupling(small(3, Mask::Even).with_context(2));
    let subject = Subject::new(&case);
    for direction in DIRECTIONS {
        let (inputs, vars) = random(&case, direction, 5).tracked().unwrap();
        let parameter = subject.store.parameters().next().unwrap();
        for (output, loss) in losses(subject.map.as_ref(), direction, &inputs, Some(Probe::ALL)) {
            let store = loss.backward().unwrap();
            for (name, piece) in parameter.to_named(store.get(&parameter.var).unwrap()).unwrap() {
                let largest = numbers(&piece).iter().fold(0_f64, |m, v| m.max(v.abs()));
                assert!(largest > 1e-6, "{direction:?}: {output} depends on {name}");
            }
            for (name, var) in &vars {
                let depends = store.get(var).is_some();
                let expected = !name.contains("tangents") || output.contains("tangents");
                assert!(depends || !expected, "{direction:?}: {output} depends on {name}");
            }
        }
    }
}

#[test]
fn what_is_frozen_gets_no_gradient() {
    let case = Case::coupling(small(3, Mask::Even).with_context(2));
    let subject = Subject::new(&case);
    let (inputs, vars) = random(&case, Direction::Forward, 5).tracked().unwrap();
    let untracked = random(&case, Direction::Forward, 5);
    for direction in DIRECTIONS {
        for probe in [None, Some(Probe::X), Some(Probe::ALL)] {
            for (output, loss) in losses(subject.frozen.as_ref(), direction, &untracked, probe) {
                assert!(!loss.track_op(), "{direction:?}: nothing of {output} is tracked");
            }
            // Gradients still pass through a frozen layer to its inputs, and are the same.
            let through = losses(subject.frozen.as_ref(), direction, &inputs, probe);
            let trained = losses(subject.map.as_ref(), direction, &inputs, probe);
            for ((output, a), (_, b)) in through.iter().zip(&trained) {
                let (a, b) = (gradients(a, &vars), gradients(b, &vars));
                for ((name, _), (a, b)) in vars.iter().zip(a.iter().zip(&b)) {
                    let gap = gap_in_all(a, b);
                    assert!(
                        gap <= 1e-12,
                        "{direction:?}: {output} by {name} through a frozen layer"
                    );
                }
            }
        }
    }
    let frozen = losses(subject.frozen.as_ref(), Direction::Forward, &inputs, None);
    let store = frozen[0].1.backward().unwrap();
    for parameter in subject.store.parameters() {
        let none = store.get(&parameter.var).is_none();
        assert!(none, "{:?} is frozen and has no gradient", parameter.name);
    }
}
