//! Laws of reverse mode: every gradient is a difference, a graph can be used twice, and kernels agree with compositions.
use super::compare::{Limit, close, gap, largest};
use super::evaluate::{Probe, evaluate, gradients, losses};
use super::finding::{Failure, Finding, differs};
use super::{Forms, Inputs, Trial};
use crate::{Stream, host};
use candle_core::{DType, Tensor, Var};

/// With respect to points, their tangents, the context, its tangents and every parameter, along single entries of every named
/// piece and along random directions: gradients are central differences.
pub(super) fn differences(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    const STEP: f64 = 1e-6;
    let map = trial.forms.map.as_ref();
    // The cost grows with rows, and each of them is alike.
    let inputs = inputs.narrow(0, inputs.count().min(4))?;
    for probe in [None, Some(Probe::X), Some(Probe::CONTEXT), Some(Probe::ALL)] {
        if inputs.context.is_none() && probe == Some(Probe::CONTEXT) {
            continue;
        }
        let (inputs, vars) = inputs.tracked()?;
        let variables = trial.forms.variables(vars);
        let run = || losses(map, trial.direction, &inputs, probe);
        let mut analytic = vec![];
        for (name, loss) in run()? {
            analytic.push((name, gradients(&loss, &variables)?));
        }
        for (v, (name, var)) in variables.iter().enumerate() {
            let old = host::values_f64(var)?;
            let set = |sign: f64, along: &[f64]| -> Result<(), Failure> {
                let new: Vec<f64> =
                    old.iter().zip(along).map(|(o, a)| o + sign * STEP * a).collect();
                let new = Tensor::from_vec(new, var.dims(), &candle_core::Device::Cpu)?;
                Ok(var.set(&host::place(&new, var.dtype(), var.device())?)?)
            };
            let values = || -> Result<Vec<f64>, Failure> {
                run()?.iter().map(|(_, loss)| Ok(host::scalar(loss)?)).collect()
            };
            for along in directions(trial, name, var)? {
                set(1., &along)?;
                let up = values();
                set(-1., &along)?;
                let down = values();
                set(0., &along)?;
                let (up, down) = (up?, down?);
                for ((output, gradients), (up, down)) in analytic.iter().zip(up.iter().zip(&down)) {
                    let gradient = &gradients[v];
                    let found: f64 = gradient.iter().zip(&along).map(|(g, a)| g * a).sum();
                    let expected = (up - down) / (2. * STEP);
                    let allowed = trial.by_differences().size * (1. + largest(gradient));
                    let gap = (found - expected).abs();
                    if gap > allowed || gap.is_nan() {
                        return Err(Failure::Broken(Finding {
                            what: format!(
                                "the gradient of {output} in {name} along a direction, {probe:?}"
                            ),
                            found: format!("{found:?}"),
                            expected: format!("{expected:?}, by central differences"),
                            tolerance: format!("{allowed:.1e}: {}", trial.by_differences().reason),
                        }));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Two random unit vectors, and unit vectors along some entries of every named piece of a variable.
fn directions(trial: &Trial<'_>, name: &str, var: &Var) -> Result<Vec<Vec<f64>>, Failure> {
    let n = var.elem_count();
    let mut all: Vec<Vec<f64>> = (0..2)
        .map(|i| {
            let v = Stream::new(11, &format!("direction {i}")).normal(n);
            let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-300);
            v.into_iter().map(|x| x / norm).collect()
        })
        .collect();
    let mut stream = Stream::new(3, name);
    let mut units = |start: usize, len: usize| {
        for k in stream.permutation(len).into_iter().take(trial.options.entries) {
            all.push((0..n).map(|i| f64::from(i == start + k)).collect());
        }
    };
    let of_var = |p: &&crate::Parameter| p.name == name && p.var.id() == var.id();
    match trial.forms.store.parameters().find(of_var) {
        Some(parameter) => {
            let mut start = 0;
            for (_, piece) in parameter.to_named(var.as_tensor())? {
                units(start, piece.elem_count());
                start += piece.elem_count();
            }
        }
        None => units(0, n),
    }
    Ok(all)
}

/// A second backward through one graph, where kernels have to evaluate again, is the first.
pub(super) fn repeat(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    for probe in [None, Some(Probe::ALL)] {
        let (inputs, vars) = inputs.tracked()?;
        let variables = trial.forms.variables(vars);
        for (output, loss) in losses(trial.forms.map.as_ref(), trial.direction, &inputs, probe)? {
            let (first, second) = (gradients(&loss, &variables)?, gradients(&loss, &variables)?);
            if first != second {
                let what = format!("the gradient of {output} by a second `backward`, {probe:?}");
                return differs(
                    what,
                    format!("{second:?}"),
                    format!("that of the first, {first:?}"),
                );
            }
        }
    }
    Ok(())
}

/// Kernels equal the compositions that stand beside them: values, log-dets, tangents, log-det tangents, and their gradients.
pub(super) fn routes(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    if trial.subject.config().is_none() {
        return Ok(());
    }
    let t = trial.options.tolerances;
    compare(trial, trial.forms, inputs, [t.exact, 10. * t.exact], "rounding in f64")?;
    let limits = [t.single, t.single_derivative];
    trial.single.map_or(Ok(()), |single| {
        compare(trial, single, &inputs.to(DType::F32)?, limits, "rounding in f32")
    })
}

fn compare(
    trial: &Trial<'_>,
    forms: &Forms,
    inputs: &Inputs,
    [of_values, of_derivatives]: [f64; 2],
    reason: &'static str,
) -> Result<(), Failure> {
    let direction = trial.direction;
    let limit = |name: &str| {
        let is_derivative = name.contains("tangents");
        Limit::new(if is_derivative { of_derivatives } else { of_values }, reason)
    };
    let mut probes = vec![None];
    probes.extend(Probe::every(inputs.context.is_some()).into_iter().map(Some));
    for probe in probes {
        // Nothing tracked: the kernels that keep no graph.
        let fused = evaluate(forms.frozen.as_ref(), direction, inputs, probe)?;
        let plain = evaluate(forms.frozen_composed.as_ref(), direction, inputs, probe)?;
        for ((name, a), (_, b)) in fused.iter().zip(&plain) {
            close(&format!("{name} of the kernel, no graph, {probe:?}"), a, b, limit(name))?;
        }
        // Everything tracked.
        let (inputs, vars) = inputs.tracked()?;
        let fused = evaluate(forms.map.as_ref(), direction, &inputs, probe)?;
        let plain = evaluate(forms.composed.as_ref(), direction, &inputs, probe)?;
        for ((name, a), (_, b)) in fused.iter().zip(&plain) {
            close(&format!("{name} of the kernel, tracked, {probe:?}"), a, b, limit(name))?;
        }
        let variables = forms.variables(vars);
        let fused = losses(forms.map.as_ref(), direction, &inputs, probe)?;
        let plain = losses(forms.composed.as_ref(), direction, &inputs, probe)?;
        for ((output, a), (_, b)) in fused.iter().zip(&plain) {
            let (a, b) = (gradients(a, &variables)?, gradients(b, &variables)?);
            for ((name, _), (a, b)) in variables.iter().zip(a.iter().zip(&b)) {
                let scale = 1. + largest(b);
                let gap = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0., f64::max) / scale;
                if gap > of_derivatives || !a.iter().chain(b).all(|v| v.is_finite()) {
                    return Err(Failure::Broken(Finding {
                        what: format!("the gradient of {output} in {name}, {probe:?}"),
                        found: format!("{a:?} by the kernel"),
                        expected: format!("{b:?} by tensor operations"),
                        tolerance: format!("{of_derivatives:.1e} times 1 + the largest: {reason}"),
                    }));
                }
            }
        }
    }
    Ok(())
}

/// A frozen map sees what happens to its parameters, and tracks nothing.
pub(super) fn frozen(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let forms = trial.forms;
    if !trial.subject.is_rebuilt() {
        return Ok(());
    }
    for probe in [None, Some(Probe::X), Some(Probe::ALL)] {
        let trained = || evaluate(forms.map.as_ref(), trial.direction, inputs, probe);
        let frozen = || evaluate(forms.frozen.as_ref(), trial.direction, inputs, probe);
        let before = frozen()?;
        if let Some((name, _)) = before.iter().find(|(_, t)| t.track_op()) {
            let what = format!("the graph of the {name} of a frozen map, {probe:?}");
            return differs(what, "one", "none");
        }
        let mut old = vec![];
        for p in forms.store.parameters() {
            let copy = p.var.as_tensor().copy()?;
            // Not by a factor: to that a reflection is blind.
            let step =
                Stream::new(11, &p.name).normal_tensor(copy.dims(), copy.dtype(), copy.device())?;
            p.var.set(&(&copy + (step * 0.1)?)?)?;
            old.push((p, copy));
        }
        let after = (frozen(), trained());
        for (p, old) in &old {
            p.var.set(old)?;
        }
        let (frozen, trained) = (after.0?, after.1?);
        let limit = Limit::new(trial.options.tolerances.exact, "rounding in f64");
        for ((name, a), (_, b)) in frozen.iter().zip(&trained) {
            close(&format!("{name} of the frozen map after a step, {probe:?}"), a, b, limit)?;
        }
        let first = frozen.first().zip(before.first());
        let change = first.map_or(Ok(0.), |((_, a), (_, b))| gap(a, b))?;
        if !(old.is_empty() || trial.options.identity || change > 1e-6) {
            let found = format!("a change of {change:.1e}");
            return differs("the value of a frozen map after a step", found, "a change");
        }
    }
    Ok(())
}
