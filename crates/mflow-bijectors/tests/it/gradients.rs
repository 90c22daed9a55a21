//! Laws of reverse mode: every gradient is a difference, and a graph can be used twice.
use crate::cases::{Case, DIRECTIONS, Inputs, Probe, Subject, evaluate, small};
use crate::numbers::{gap_in_all, normal, numbers, tensor};
use mflow_bijectors::candle::{Tensor, Var};
use mflow_bijectors::{Bijector, Direction, Mask, Stream};

/// Parameters, and where there are any tracked inputs, by name.
pub(crate) fn variables(subject: &Subject, inputs: Vec<(String, Var)>) -> Vec<(String, Var)> {
    let parameters = subject.store.parameters().map(|p| (p.name.clone(), p.var.clone()));
    parameters.chain(inputs).collect()
}

/// One scalar per output: its product with fixed noise.
pub(crate) fn losses(
    map: &dyn Bijector,
    direction: Direction,
    inputs: &Inputs,
    probe: Option<Probe>,
) -> Vec<(&'static str, Tensor)> {
    let weigh = |(name, t): (&'static str, Tensor)| {
        let w = normal(name, t.dims()).to_dtype(t.dtype()).unwrap();
        (name, (t * w).unwrap().sum_all().unwrap())
    };
    evaluate(map, direction, inputs, probe).into_iter().map(weigh).collect()
}

/// Gradients of a scalar; zeros where it does not depend on a variable.
pub(crate) fn gradients(loss: &Tensor, variables: &[(String, Var)]) -> Vec<Vec<f64>> {
    let store = loss.backward().unwrap();
    let of = |v: &Var| match store.get(v) {
        Some(g) => {
            assert_eq!(g.dims(), v.dims(), "a gradient has the shape of its variable");
            assert_eq!(g.dtype(), v.dtype(), "and its dtype");
            numbers(g)
        }
        None => vec![0.; v.elem_count()],
    };
    variables.iter().map(|(_, v)| of(v)).collect()
}

/// Law 7: with respect to x, its tangents, the context, its tangents and every parameter tensor,
/// along single entries of every named piece and along random directions.
pub(crate) fn are_differences(at: &str, case: &Case, subject: &Subject, direction: Direction) {
    let map = subject.map.as_ref();
    for probe in [None, Some(Probe::X), Some(Probe::CONTEXT), Some(Probe::ALL)] {
        if case.context == 0 && probe == Some(Probe::CONTEXT) {
            continue;
        }
        let (inputs, vars) = Inputs::random(case, direction, 4).tracked();
        let variables = variables(subject, vars);
        let run = || losses(map, direction, &inputs, probe);
        let analytic: Vec<(&str, Vec<Vec<f64>>)> =
            run().iter().map(|(name, loss)| (*name, gradients(loss, &variables))).collect();
        for (v, (name, var)) in variables.iter().enumerate() {
            let old = numbers(var);
            let scale = |g: &[f64]| 1. + g.iter().fold(0_f64, |m, x| m.max(x.abs()));
            for along in directions(subject, name, var, case.entries) {
                let step = 1e-6;
                let moved = |sign: f64| {
                    let new = old.iter().zip(&along).map(|(o, a)| o + sign * step * a).collect();
                    var.set(&tensor(new, var.dims())).unwrap();
                    run().iter().map(|(_, l)| l.to_scalar::<f64>().unwrap()).collect::<Vec<_>>()
                };
                let (up, down) = (moved(1.), moved(-1.));
                var.set(&tensor(old.clone(), var.dims())).unwrap();
                for ((output, gradients), (up, down)) in analytic.iter().zip(up.iter().zip(&down)) {
                    let gradient = &gradients[v];
                    let found: f64 = gradient.iter().zip(&along).map(|(g, a)| g * a).sum();
                    let expected = (up - down) / (2. * step);
                    let gap = (found - expected).abs() / scale(gradient);
                    assert!(
                        gap <= case.tolerance.difference,
                        "{at}, {probe:?}: gradient of {output} with respect to {name:?}: \
                         {found} along a direction where differences give {expected}"
                    );
                }
            }
        }
    }
}

/// Two random unit vectors, and unit vectors along some entries of every named piece of a variable.
fn directions(subject: &Subject, name: &str, var: &Var, entries: usize) -> Vec<Vec<f64>> {
    let n = var.elem_count();
    let mut all: Vec<Vec<f64>> = (0..2)
        .map(|i| {
            let v = numbers(&normal(&format!("direction {i}"), &[n]));
            let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-300);
            v.into_iter().map(|x| x / norm).collect()
        })
        .collect();
    let mut unit = |i: usize| all.push((0..n).map(|k| f64::from(k == i)).collect());
    let mut stream = Stream::new(3, name);
    let count = entries;
    let mut entries = |start: usize, len: usize| {
        let picks = stream.permutation(len);
        picks.into_iter().take(count).for_each(|k| unit(start + k));
    };
    match subject.store.parameters().find(|p| p.name == name && p.var.id() == var.id()) {
        Some(parameter) => {
            let mut start = 0;
            for (_, piece) in parameter.to_named(var.as_tensor()).unwrap() {
                entries(start, piece.elem_count());
                start += piece.elem_count();
            }
            assert_eq!(start, n, "the pieces of {name} cover it");
        }
        None => entries(0, n),
    }
    all
}

/// Law 11: a second backward through one graph, where kernels have to evaluate again.
pub(crate) fn repeat(at: &str, case: &Case, subject: &Subject, direction: Direction) {
    for probe in [None, Some(Probe::ALL)] {
        let (inputs, vars) = Inputs::random(case, direction, 5).tracked();
        let variables = variables(subject, vars);
        for (output, loss) in losses(subject.map.as_ref(), direction, &inputs, probe) {
            let (first, second) = (gradients(&loss, &variables), gradients(&loss, &variables));
            assert!(first == second, "{at}, {probe:?}: second gradient of {output} is the first");
        }
    }
}

#[test]
fn gradients_reach_every_part_of_a_coupling() {
    let case = Case::coupling(small(3, Mask::Even).with_context(2));
    let subject = Subject::new(&case);
    for direction in DIRECTIONS {
        let (inputs, vars) = Inputs::random(&case, direction, 5).tracked();
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
    let (inputs, vars) = Inputs::random(&case, Direction::Forward, 5).tracked();
    let untracked = Inputs::random(&case, Direction::Forward, 5);
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
