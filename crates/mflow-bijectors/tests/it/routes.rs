//! Laws of the two routes: kernels equal the compositions that stand beside them.
use crate::cases::{Case, Inputs, Probe, Subject, evaluate};
use crate::gradients::{gradients, losses, variables};
use crate::numbers::{close, gap_in_all, normal};
use mflow_bijectors::Direction;
use mflow_bijectors::candle::DType;

/// Law 10: values, log-dets, tangents, log-det tangents, and all their gradients.
pub(crate) fn agree(at: &str, case: &Case, subject: &Subject, direction: Direction) {
    let t = case.tolerance;
    compare(&format!("{at}, f64"), case, subject, direction, DType::F64, [t.exact, 10. * t.exact]);
    let single = subject.single(case);
    let limits = [t.single, t.single_derivative];
    compare(&format!("{at}, f32"), case, &single, direction, DType::F32, limits);
}

fn compare(
    at: &str,
    case: &Case,
    subject: &Subject,
    direction: Direction,
    dtype: DType,
    [of_values, of_derivatives]: [f64; 2],
) {
    let mut probes = vec![None];
    probes.extend(Probe::every(case).into_iter().map(Some));
    for probe in probes {
        // Nothing tracked: the kernels that keep no graph.
        let inputs = Inputs::random(case, direction, 19).to(dtype);
        let fused = evaluate(subject.frozen.as_ref(), direction, &inputs, probe);
        let plain = evaluate(subject.frozen_composed.as_ref(), direction, &inputs, probe);
        for (i, ((output, a), (_, b))) in fused.iter().zip(&plain).enumerate() {
            let limit = if i < 2 { of_values } else { of_derivatives };
            close(&format!("{at}, {probe:?}: {output} of the kernel, no graph"), a, b, limit);
        }
        // Everything tracked.
        let (inputs, vars) = inputs.tracked();
        let fused = evaluate(subject.map.as_ref(), direction, &inputs, probe);
        let plain = evaluate(subject.composed.as_ref(), direction, &inputs, probe);
        for (i, ((output, a), (_, b))) in fused.iter().zip(&plain).enumerate() {
            let limit = if i < 2 { of_values } else { of_derivatives };
            close(&format!("{at}, {probe:?}: {output} of the kernel, tracked"), a, b, limit);
        }
        let variables = variables(subject, vars);
        let fused = losses(subject.map.as_ref(), direction, &inputs, probe);
        let plain = losses(subject.composed.as_ref(), direction, &inputs, probe);
        for ((output, a), (_, b)) in fused.iter().zip(&plain) {
            let (a, b) = (gradients(a, &variables), gradients(b, &variables));
            for ((name, _), (a, b)) in variables.iter().zip(a.iter().zip(&b)) {
                let gap = gap_in_all(a, b);
                assert!(
                    gap <= of_derivatives,
                    "{at}, {probe:?}: gradient of {output} by {name:?}: gap {gap:.2e}"
                );
            }
        }
    }
}

/// Law 12: a frozen layer sees what happens to its parameters, and tracks nothing.
pub(crate) fn frozen_layers_share(at: &str, case: &Case, subject: &Subject, direction: Direction) {
    let inputs = Inputs::random(case, direction, 5);
    for probe in [None, Some(Probe::X), Some(Probe::ALL)] {
        let trained = || evaluate(subject.map.as_ref(), direction, &inputs, probe);
        let frozen = || evaluate(subject.frozen.as_ref(), direction, &inputs, probe);
        let before = frozen();
        for (output, t) in &before {
            assert!(!t.track_op(), "{at}, {probe:?}: {output} of a frozen layer is not tracked");
        }
        let old: Vec<_> =
            subject.store.parameters().map(|p| (p, p.var.as_tensor().copy().unwrap())).collect();
        for (p, old) in &old {
            // Not by a factor: to that a reflection is blind.
            let step = (normal(&p.name, old.dims()) * 0.1).unwrap();
            p.var.set(&(old + step).unwrap()).unwrap();
        }
        let (frozen, trained) = (frozen(), trained());
        for (p, old) in &old {
            p.var.set(old).unwrap();
        }
        for ((output, a), (_, b)) in frozen.iter().zip(&trained) {
            let what = format!("{at}, {probe:?}: {output}, frozen and trained, after a step");
            close(&what, a, b, case.tolerance.exact);
        }
        let change = crate::numbers::gap(&frozen[0].1, &before[0].1);
        assert!(
            old.is_empty() || case.identity || change > 1e-6,
            "{at}: a frozen layer sees new parameters"
        );
    }
}
