//! Laws of a call: what it depends on, and what it does not.
use super::compare::{Limit, close, gap};
use super::evaluate::{Probe, evaluate};
use super::finding::{Failure, differs};
use super::inputs::tensor;
use super::{Inputs, Trial};
use crate::Dual;
use candle_core::{DType, Tensor};

/// A context counts where the signature declares one, in the value and in the log-det, and nowhere else.
pub(super) fn context(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let direction = trial.direction;
    for (route, map) in trial.routes() {
        let Some(context) = &inputs.context else {
            let none = map.map(direction, &inputs.x, None)?;
            let device = inputs.x.device();
            let any = tensor(vec![f64::NAN; 8], &[4, 2], device)?.to_dtype(DType::F32)?;
            let some = map.map(direction, &inputs.x, Some(&any))?;
            let change =
                gap(&none.value, &some.value)? + gap(&none.log_abs_det, &some.log_abs_det)?;
            if change > 0. {
                let what = format!("the result with a context that was not declared, {route}");
                return differs(what, format!("a change of {change:.1e}"), "no change");
            }
            let rows = Tensor::zeros((4, 9, 2), DType::F32, device)?;
            let x = Dual::new(inputs.x.clone(), inputs.x_rows.clone())?;
            let _ = map.push(direction, &x, Some(&Dual::new(any, rows)?))?;
            continue;
        };
        // Far from the first one, for each row.
        let other = context.affine(-1., 1.5)?;
        let a = map.map(direction, &inputs.x, Some(context))?;
        let b = map.map(direction, &inputs.x, Some(&other))?;
        let options = trial.options;
        for (what, change, expected) in [
            ("value", gap(&a.value, &b.value)?, !options.identity),
            (
                "log-det",
                gap(&a.log_abs_det, &b.log_abs_det)?,
                !options.identity && !options.constant_log_det,
            ),
        ] {
            if (change > 1e-6) != expected {
                let say = |changes: bool| if changes { "a change" } else { "no change" };
                let what = format!("the {what} with another context, {route}");
                let found = format!("{} of {change:.1e}", say(change > 1e-6));
                return differs(what, found, say(expected));
            }
        }
    }
    Ok(())
}

/// A row is mapped alone, in a batch of any size and at any place in it, and a batch of none is one.
pub(super) fn rows(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let forms = trial.forms;
    // More rows than the kernels take at once.
    const LEAST: usize = 37;
    let n = inputs.count();
    let all = inputs.repeated(LEAST.div_ceil(n))?;
    let total = all.count();
    let limit = Limit::new(trial.options.tolerances.exact, "rounding in f64");
    let parts = [(0, 0), (0, 1), (17, 1), (total - 1, 1), (3, 8), (8, total - 8)];
    for probe in [None, Some(Probe::X), Some(Probe::ALL)] {
        for (kind, map) in
            [("tracked", &forms.map), ("frozen", &forms.frozen), ("composed", &forms.composed)]
        {
            let whole = evaluate(map.as_ref(), trial.direction, &all, probe)?;
            for (start, len) in parts {
                let part =
                    evaluate(map.as_ref(), trial.direction, &all.narrow(start, len)?, probe)?;
                for ((name, whole), (_, part)) in whole.iter().zip(&part) {
                    let what = format!("{name} of {len} rows of {total}, {kind}, {probe:?}");
                    close(&what, part, &whole.narrow(0, start, len)?, limit)?;
                }
            }
        }
    }
    Ok(())
}

/// The dtype is kept, and f32 is near f64.
pub(super) fn precision(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let Some(single) = trial.single else { return Ok(()) };
    let (forms, tolerances) = (trial.forms, trial.options.tolerances);
    let inputs = inputs.to(DType::F32)?;
    // The same numbers in f64: those that f32 can hold.
    let exact = inputs.to(DType::F64)?;
    for probe in [None, Some(Probe::X), Some(Probe::ALL)] {
        let expected = evaluate(forms.map.as_ref(), trial.direction, &exact, probe)?;
        let maps =
            [("frozen", &single.frozen), ("tracked", &single.map), ("composed", &single.composed)];
        for (kind, map) in maps {
            let found = evaluate(map.as_ref(), trial.direction, &inputs, probe)?;
            for ((name, found), (_, expected)) in found.iter().zip(&expected) {
                let what = format!("{name} in f32, {kind}, {probe:?}");
                if (found.dtype(), expected.dtype()) != (DType::F32, DType::F64) {
                    let dtypes = format!("{:?} and {:?}", found.dtype(), expected.dtype());
                    return differs(
                        format!("the dtypes of {what}, and in f64"),
                        dtypes,
                        "F32 and F64",
                    );
                }
                let is_derivative = name.contains("tangents");
                let size =
                    if is_derivative { tolerances.single_derivative } else { tolerances.single };
                let limit = Limit::new(size, "rounding in f32");
                close(&what, &found.to_dtype(DType::F64)?, expected, limit)?;
            }
        }
    }
    Ok(())
}
