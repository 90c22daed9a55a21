//! Laws of values: the way there and back, the Jacobian, tangents, angles.
use super::compare::{Limit, close, close_numbers, largest, log_abs_det};
use super::evaluate::{Probe, evaluate};
use super::finding::{Failure, Finding};
use super::inputs::{TANGENTS, side};
use super::{Inputs, Trial};
use crate::{Bijector, Direction, host};
use candle_core::{DType, Tensor};

/// Step of central differences.
const STEP: f64 = 1e-6;

/// What a way back may lose at all.
const ROUNDING: &str = "rounding in f64, times how steep the way back is";

/// The way back of the way there is the identity. What it loses is the rounding of `y` times the steepness of the way back.
pub(super) fn round_trip(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    there_and_back(trial, inputs, |what, [back, _], [x, _], limit| close(what, back, x, limit))
}

/// The log-det of the way back is the opposite of that of the way there.
pub(super) fn inverse_log_det(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    there_and_back(trial, inputs, |what, [_, back], [_, there], limit| {
        close(&format!("log-det of the {what}"), back, &there.neg()?, limit)
    })
}

fn there_and_back(
    trial: &Trial<'_>,
    inputs: &Inputs,
    compare: impl Fn(&str, [&Tensor; 2], [&Tensor; 2], Limit) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (direction, c) = (trial.direction, inputs.context.as_ref());
    for (route, map) in trial.routes() {
        let there = map.map(direction, &inputs.x, c)?;
        let back = map.map(direction.reversed(), &there.value, c)?;
        let steepness = steepness(trial, inputs, &there.value)?;
        let exact = trial.options.tolerances.exact;
        let limit = Limit::new(exact + 8. * f64::EPSILON * steepness, ROUNDING);
        let found = [&back.value, &back.log_abs_det];
        compare(&format!("way back, {route}"), found, [&inputs.x, &there.log_abs_det], limit)?;
    }
    Ok(())
}

/// The largest `1 + |y|` times the largest derivative of the way back there.
fn steepness(trial: &Trial<'_>, inputs: &Inputs, y: &Tensor) -> Result<f64, Failure> {
    let back = trial.direction.reversed();
    let jacobian = jacobian(trial.forms.frozen.as_ref(), back, inputs, y)?;
    Ok((1. + largest(&host::values_f64(y)?)) * largest(&jacobian))
}

/// Tangents of the identity at `x`: the Jacobian, transposed, `[B, D, D]` row-major.
pub(super) fn jacobian(
    map: &dyn Bijector,
    direction: Direction,
    inputs: &Inputs,
    x: &Tensor,
) -> Result<Vec<f64>, Failure> {
    let inputs = Inputs { x: x.clone(), x_rows: identity(map, direction, x)?, ..inputs.clone() };
    let outputs = evaluate(map, direction, &inputs, Some(Probe::X))?;
    let tangents = outputs.into_iter().find(|(name, _)| *name == "tangents");
    tangents.map_or_else(|| Ok(vec![]), |(_, t)| Ok(host::values_f64(&t)?))
}

/// Identity tangents at `x`, `[B, D, ..shape]`.
fn identity(map: &dyn Bijector, direction: Direction, x: &Tensor) -> Result<Tensor, Failure> {
    let (_, shape) = side(map.signature(), direction);
    let (b, d) = (x.dim(0)?, shape.iter().product::<usize>());
    let eye = Tensor::eye(d, x.dtype(), x.device())?.unsqueeze(0)?;
    let eye = eye.broadcast_as((b, d, d))?.contiguous()?;
    Ok(eye.reshape([&[b, d], shape].concat())?)
}

/// The log-det is that of the full Jacobian, by tangents and by central differences.
pub(super) fn log_det(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (direction, forms) = (trial.direction, trial.forms);
    let d = trial.size();
    let there = forms.map.map(direction, &inputs.x, inputs.context.as_ref())?;
    let log_det = host::values_f64(&there.log_abs_det)?;
    // `error` is that of an entry of a Jacobian.
    let check = |what: &str, jacobian: &[f64], limit: Limit, error: f64| {
        for (b, (found, j)) in log_det.iter().zip(jacobian.chunks_exact(d * d)).enumerate() {
            let (expected, least) = log_abs_det(j, d);
            let size = limit.size + d as f64 * error / least;
            let what = format!("log-det of point {b} beside the Jacobian by {what}");
            close_numbers(&what, &[*found], &[expected], Limit { size, ..limit })?;
        }
        Ok(())
    };
    let exact = Limit::new(trial.options.tolerances.exact, "rounding in f64");
    for (what, map) in [("tangents, frozen", &forms.frozen), ("tangents, tracked", &forms.map)] {
        let jacobian = jacobian(map.as_ref(), direction, inputs, &inputs.x)?;
        check(what, &jacobian, exact, 16. * f64::EPSILON * largest(&jacobian))?;
    }
    let mut differences = vec![0.; inputs.count() * d * d];
    let eye = Tensor::eye(d, DType::F64, inputs.x.device())?;
    for k in 0..d {
        let (_, shape) = side(forms.map.signature(), direction);
        let unit = eye.narrow(0, k, 1)?.reshape([&[1], shape].concat())?;
        let [column, _] = difference(trial, inputs, Some(&unit), None)?;
        for (b, column) in host::values_f64(&column)?.chunks_exact(d).enumerate() {
            differences[(b * d + k) * d..][..d].copy_from_slice(column);
        }
    }
    let error = f64::EPSILON / STEP * (1. + largest(&host::values_f64(&there.value)?));
    check("central differences", &differences, trial.by_differences(), error)
}

/// Central differences of value and log-det along directions of points and context.
fn difference(
    trial: &Trial<'_>,
    inputs: &Inputs,
    along_x: Option<&Tensor>,
    along_context: Option<&Tensor>,
) -> Result<[Tensor; 2], Failure> {
    let moved = |sign: f64| -> Result<_, Failure> {
        let go = |t: &Tensor, along: Option<&Tensor>| -> candle_core::Result<Tensor> {
            along.map_or_else(|| Ok(t.clone()), |v| t.broadcast_add(&(v * (sign * STEP))?))
        };
        let context = inputs.context.as_ref().map(|c| go(c, along_context)).transpose()?;
        Ok(trial.forms.map.map(trial.direction, &go(&inputs.x, along_x)?, context.as_ref())?)
    };
    let (up, down) = (moved(1.)?, moved(-1.)?);
    let slope = |a: Tensor, b: Tensor| (a - b)? / (2. * STEP);
    Ok([slope(up.value, down.value)?, slope(up.log_abs_det, down.log_abs_det)?])
}

/// Tangents of value and log-det are central differences: along points, along the context, and along both at once.
pub(super) fn tangents(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let forms = trial.forms;
    let maps = [("frozen", &forms.frozen), ("tracked", &forms.map), ("composed", &forms.composed)];
    for probe in Probe::every(inputs.context.is_some()) {
        for k in 0..TANGENTS {
            let row = |t: &Tensor| t.narrow(1, k, 1)?.squeeze(1);
            let along_x = probe.x.then(|| row(&inputs.x_rows)).transpose()?;
            let along_c = inputs.context_rows.as_ref().filter(|_| probe.context);
            let along_c = along_c.map(row).transpose()?;
            let expected = difference(trial, inputs, along_x.as_ref(), along_c.as_ref())?;
            for (kind, map) in maps {
                let outputs = evaluate(map.as_ref(), trial.direction, inputs, Some(probe))?;
                let tangents = outputs.iter().filter(|(name, _)| name.contains("tangents"));
                for ((name, found), expected) in tangents.zip(&expected) {
                    let what = format!("{name}, {kind}, along {probe:?}, row {k}");
                    close(&what, &row(found)?, expected, trial.by_differences())?;
                }
            }
        }
    }
    Ok(())
}

/// Pulling back what was pushed forward gives the tangents that it was.
pub(super) fn pull_back(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let direction = trial.direction;
    for (kind, map) in [("frozen", &trial.forms.frozen), ("tracked", &trial.forms.map)] {
        for probe in [Probe::X, Probe::ALL] {
            let there = evaluate(map.as_ref(), direction, inputs, Some(probe))?;
            let of = |name: &str| {
                let found = there.iter().find(|(known, _)| *known == name);
                found.map_or_else(|| inputs.x.clone(), |(_, t)| t.clone())
            };
            let pushed = Inputs { x: of("value"), x_rows: of("tangents"), ..inputs.clone() };
            let steepness = steepness(trial, inputs, &pushed.x)?;
            let limit = trial.options.tolerances.exact + 64. * f64::EPSILON * steepness;
            let limit = Limit::new(10. * limit, ROUNDING);
            let back = evaluate(map.as_ref(), direction.reversed(), &pushed, Some(probe))?;
            for (name, found) in &back {
                let what = format!("{name} pulled back, {kind}, with {probe:?}");
                match *name {
                    "tangents" => close(&what, found, &inputs.x_rows, limit)?,
                    "log-det tangents" => close(&what, found, &of(name).neg()?, limit)?,
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// What says to be conformal has `J Jᵀ = λ² I` with `ln λ = log|det J| / D`.
pub(super) fn conformal(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let map = trial.forms.map.as_ref();
    if !map.signature().conformal {
        return Ok(());
    }
    let d = trial.size();
    let jacobian = jacobian(map, trial.direction, inputs, &inputs.x)?;
    let log_det = map.map(trial.direction, &inputs.x, inputs.context.as_ref())?.log_abs_det;
    for (j, log_det) in jacobian.chunks_exact(d * d).zip(host::values_f64(&log_det)?) {
        let square = (2. * log_det / d as f64).exp();
        for a in 0..d {
            for b in 0..d {
                let dot: f64 = (0..d).map(|k| j[a * d + k] * j[b * d + k]).sum();
                let expected = if a == b { square } else { 0. };
                let limit = 10. * trial.options.tolerances.exact * (1. + square);
                if (dot - expected).abs() > limit || dot.is_nan() {
                    return Err(Failure::Broken(Finding {
                        what: format!("rows {a} and {b} of the Jacobian, their product"),
                        found: format!("{dot:?}"),
                        expected: format!("{expected:?}"),
                        tolerance: format!("{limit:.1e}: rounding in f64"),
                    }));
                }
            }
        }
    }
    Ok(())
}
