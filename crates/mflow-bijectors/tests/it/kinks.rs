//! The ReLU: smooth pieces are covered by the table of laws; here it sits exactly on its kink.
use crate::cases::{Case, DIRECTIONS, Inputs, Probe, Subject, evaluate, net, small};
use crate::gradients::{gradients, losses, variables};
use crate::numbers::{close, gap_in_all, numbers};
use mflow_bijectors::candle::Tensor;
use mflow_bijectors::{Activation, Mask};
use std::collections::BTreeMap;

fn case() -> Case {
    let net = net(12, 2, Activation::Relu);
    Case::coupling(small(3, Mask::Even).with_context(2).with_net(net))
}

/// Zero every tensor whose name contains one of `parts`.
fn clear(subject: &Subject, parts: &[&str]) {
    let zero = |(name, t): (String, Tensor)| {
        let hit = parts.iter().any(|part| name.contains(part));
        let t = if hit { t.zeros_like().unwrap() } else { t };
        (name, t)
    };
    let named: BTreeMap<_, _> = subject.store.to_named().unwrap().into_iter().map(zero).collect();
    subject.store.assign(&named).unwrap();
}

#[test]
fn the_derivative_at_the_kink_is_zero() {
    let case = case();
    let subject = Subject::new(&case);
    // Every hidden layer is exactly 0, so that no derivative passes through a block.
    clear(&subject, &["initial", "bias"]);
    for direction in DIRECTIONS {
        for probe in [None, Some(Probe::X), Some(Probe::ALL)] {
            let (inputs, vars) = Inputs::random(&case, direction, 5).tracked();
            let variables = variables(&subject, vars);
            let fused = losses(subject.map.as_ref(), direction, &inputs, probe);
            let plain = losses(subject.composed.as_ref(), direction, &inputs, probe);
            for ((output, a), (_, b)) in fused.iter().zip(&plain) {
                let (a, b) = (gradients(a, &variables), gradients(b, &variables));
                for ((name, _), (a, b)) in variables.iter().zip(a.iter().zip(&b)) {
                    let gap = gap_in_all(a, b);
                    assert!(
                        gap < 1e-11,
                        "{direction:?}, {probe:?}: {output} by {name:?}: {gap:.1e}"
                    );
                }
            }
        }
        let inputs = Inputs::random(&case, direction, 5);
        let value = losses(subject.map.as_ref(), direction, &inputs, None).remove(0).1;
        let parameter = subject.store.parameters().next().unwrap();
        let gradient = value.backward().unwrap();
        let pieces = parameter.to_named(gradient.get(&parameter.var).unwrap()).unwrap();
        for (name, piece) in pieces {
            let largest = numbers(&piece).iter().fold(0_f64, |m, v| m.max(v.abs()));
            let dead = name.contains("linear.0");
            assert_eq!(
                largest == 0.,
                dead || name.contains("context")
                    || name.contains("linear.1.weight")
                    || name == "net.final.weight",
                "{direction:?}: gradient of {name} at the kink"
            );
        }
    }
}

#[test]
fn kernels_and_compositions_agree_near_the_kink() {
    let case = case();
    let subject = Subject::new(&case);
    clear(&subject, &["net.initial.bias", "linear.0.bias"]);
    for direction in DIRECTIONS {
        let mut inputs = Inputs::random(&case, direction, 5);
        // Kept features and context of some rows are 0: their first hidden layer is on the kink.
        let rows = Tensor::from_vec(vec![0_u32, 1, 0, 1, 1], (5, 1), inputs.x.device()).unwrap();
        let rows = rows.to_dtype(inputs.x.dtype()).unwrap();
        inputs.x = inputs.x.broadcast_mul(&rows).unwrap();
        inputs.context = inputs.context.map(|c| c.broadcast_mul(&rows).unwrap());
        for probe in [Probe::X, Probe::ALL] {
            let fused = evaluate(subject.frozen.as_ref(), direction, &inputs, Some(probe));
            let plain = evaluate(subject.composed.as_ref(), direction, &inputs, Some(probe));
            for ((output, a), (_, b)) in fused.iter().zip(&plain) {
                close(&format!("{direction:?}, {probe:?}: {output}"), a, b, 1e-11);
            }
        }
    }
}
