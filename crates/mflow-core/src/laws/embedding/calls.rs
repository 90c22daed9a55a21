//! Laws of a call: what it depends on, what it refuses, and in which precision.
use super::super::inputs::{Inputs, turned};
use super::super::typed;
use super::outputs::outputs;
use super::{Failure, Trial};
use crate::Error;
use candle_core::{DType, Tensor};
use mflow_bijectors::laws::compare::{Limit, close, gap};
use mflow_bijectors::laws::{differs, tensor};
use mflow_bijectors::{Diff, host};

/// Rows among which some must show that a context counts: a map may be the identity in its tails.
const MANY: usize = 32;
/// More rows than the kernels take at once.
const LEAST: usize = 37;

/// A context counts where one is declared, in points or in coordinates, and nowhere else.
pub(super) fn context(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (embedding, inputs) = (trial.embedding, inputs.repeated(MANY)?);
    let [x, _] = trial.points(&inputs)?;
    let all = |context: Option<&Tensor>| outputs(embedding, &inputs.u, &x, context);
    let Some(context) = &inputs.context else {
        let any = Tensor::full(f64::NAN, (4, 2), x.device())?.to_dtype(DType::F32)?;
        for ((name, a), (_, b)) in all(None)?.iter().zip(&all(Some(&any))?) {
            let change = gap(a, b)?;
            if change > 0. {
                let what = format!("{name} with a context that was not declared");
                return differs(what, format!("a change of {change:.1e}"), "no change");
            }
        }
        return Ok(());
    };
    // Far from the first one, for each row.
    let other = all(Some(&context.affine(-1., 1.5)?))?;
    let mut change = 0_f64;
    for ((_, a), (_, b)) in all(Some(context))?.iter().zip(&other) {
        change = change.max(gap(a, b)?);
    }
    if change > 1e-6 {
        return Ok(());
    }
    differs(
        "points and coordinates with another context",
        format!("a change of {change:.1e}"),
        "a change",
    )
}

/// A row is mapped alone, in a batch of any size and at any place in it, and a batch of none is one.
pub(super) fn rows(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let all = inputs.repeated(LEAST)?;
    let [_, x] = trial.points(&all)?;
    let whole = outputs(trial.embedding, &all.u, &x, all.context.as_ref())?;
    for (start, len) in [(0, 0), (0, 1), (17, 1), (LEAST - 1, 1), (3, 8)] {
        let part = all.narrow(start, len)?;
        let x = x.narrow(0, start, len)?.contiguous()?;
        let part = outputs(trial.embedding, &part.u, &x, part.context.as_ref())?;
        for ((name, part), (_, whole)) in part.iter().zip(&whole) {
            let what = format!("{name} of {len} rows of {LEAST}");
            close(&what, part, &whole.narrow(0, start, len)?, trial.exact())?;
        }
    }
    Ok(())
}

/// With NaN in a coordinate, or in all features of a point, its row has NaN and the others are as they were.
pub(super) fn nan(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    const POISONED: usize = 1;
    let (embedding, inputs) = (trial.embedding, inputs.repeated(3)?);
    let context = inputs.context.as_ref();
    let [_, x] = trial.points(&inputs)?;
    let poison = |t: &Tensor, columns: &[usize]| -> Result<Tensor, Failure> {
        let mut values = host::values_f64(t)?;
        let n = t.dim(1)?;
        columns.iter().for_each(|k| values[POISONED * n + k] = f64::NAN);
        tensor(values, t.dims(), t.device())
    };
    let n = embedding.manifold_dim();
    let check = |what: &str, clean: Tensor, found: crate::Result<Tensor>| {
        let found = match found {
            Err(Error::NonFinite { .. }) => return Ok(()),
            other => other?,
        };
        let row = host::values_f64(&found.narrow(0, POISONED, 1)?)?;
        if !row.iter().any(|v| v.is_nan()) {
            return differs(format!("{what} of NaN"), format!("{row:?}"), "NaN in some feature");
        }
        for b in [0, 2] {
            let what = format!("{what} of another row than that of NaN");
            close(&what, &found.narrow(0, b, 1)?, &clean.narrow(0, b, 1)?, trial.exact())?;
        }
        Ok(())
    };
    for k in [0, n.saturating_sub(1)] {
        let bad = poison(&inputs.u, &[k])?;
        check("embed", embedding.embed(&inputs.u, context)?, embedding.embed(&bad, context))?;
    }
    // A projection may drop a feature, not all of them.
    let bad = poison(&x, &(0..embedding.data_dim()).collect::<Vec<_>>())?;
    let clean = embedding.coordinates(&x, context)?;
    check("coordinates", clean, embedding.coordinates(&bad, context))
}

/// What does not fit is refused by an error that says so.
pub(super) fn refusals(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (e, context) = (trial.embedding, inputs.context.as_ref());
    let [x, _] = trial.points(inputs)?;
    let refused = |what: &str, u: &Tensor, x: &Tensor, context: Option<&Tensor>| {
        typed(&format!("embed of {what}"), e.embed(u, context))?;
        let jacobian = e.embed_with_jacobian(u, context).map(|dual| dual.value().clone());
        typed(&format!("embed_with_jacobian of {what}"), jacobian)?;
        typed(&format!("log_volume of {what}"), e.log_volume(u, context))?;
        typed(&format!("coordinates of {what}"), e.coordinates(x, context))
    };
    let wide = |t: &Tensor| t.pad_with_zeros(1, 0, 1);
    refused("a column more", &wide(&inputs.u)?, &wide(&x)?, context)?;
    let flat = |t: &Tensor| t.flatten_all();
    refused("one dimension", &flat(&inputs.u)?, &flat(&x)?, context)?;
    let single = |t: &Tensor| t.to_dtype(DType::F32);
    refused("f32 for f64", &single(&inputs.u)?, &single(&x)?, context)?;
    if context.is_some() {
        // Of two maps one may do without.
        let (u, x) = (e.embed(&inputs.u, None), e.coordinates(&x, None));
        if let (Ok(_), Ok(_)) = (&u, &x) {
            return differs("a missing context", "a result", "a typed error");
        }
        for result in [u, x].into_iter().filter(Result::is_err) {
            typed("a missing context", result)?;
        }
    }
    Ok(())
}

/// The dtype is kept, and f32 is near f64.
pub(super) fn precision(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let Some(single) = trial.single else { return Ok(()) };
    let [_, x] = trial.points(inputs)?;
    let (inputs, x) = (inputs.each(|t| t.to_dtype(DType::F32))?, x.to_dtype(DType::F32)?);
    // The same numbers in f64: those that f32 can hold.
    let exact = inputs.each(|t| t.to_dtype(DType::F64))?;
    let wide = x.to_dtype(DType::F64)?;
    let expected = outputs(trial.embedding, &exact.u, &wide, exact.context.as_ref())?;
    let found = outputs(single, &inputs.u, &x, inputs.context.as_ref())?;
    let tolerances = trial.options.tolerances;
    for ((name, found), (_, expected)) in found.iter().zip(&expected) {
        if found.dtype() != DType::F32 {
            return differs(
                format!("the dtype of {name} in f32"),
                format!("{:?}", found.dtype()),
                "F32",
            );
        }
        let derived = name.contains("tangents") || name.contains("volume");
        let size = if derived { tolerances.single_derivative } else { tolerances.single };
        let mut found = found.to_dtype(DType::F64)?;
        if *name == "coordinates" {
            found = turned(&found, expected, &trial.embedding.domain())?;
        }
        close(&format!("{name} in f32"), &found, expected, Limit::new(size, "rounding in f32"))?;
    }
    Ok(())
}
