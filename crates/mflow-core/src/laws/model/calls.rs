//! Laws of a call: gradients, contexts, batches, precision.
use super::super::differences::jacobian;
use super::super::inputs::{Inputs, turned};
use super::outputs::{Output, of, outputs, supported};
use super::{Failure, Trial};
use candle_core::{DType, Tensor};
use mflow_bijectors::Stream;
use mflow_bijectors::laws::compare::{Limit, close, gap};
use mflow_bijectors::laws::differs;

/// Rows among which some must show that a context counts: a map may be the identity in its tails.
const MANY: usize = 32;
/// More rows than the kernels take at once.
const LEAST: usize = 37;

/// Gradients in data and context are differences of the log-density, and so are the scores.
pub(super) fn gradients(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (model, context) = (trial.model, inputs.context.as_ref());
    let [_, x] = trial.points(inputs)?;
    let column = |t: Tensor| t.unsqueeze(1);
    // The volume is a second derivative of sorts: ten times what a value may be off.
    let limit = trial.by_differences();
    let limit = Limit { size: 10. * limit.size, ..limit };
    if supported(model.log_prob(&x, context))?.is_some() {
        let of_x = |x: &Tensor| Ok(column(model.log_prob(x, context)?)?);
        let expected = jacobian(&x, x.dim(1)?, of_x)?.squeeze(2)?;
        let found = model.log_prob_gradient(&x, context)?;
        close("the gradient of log_prob in x", &found.x, &expected, limit)?;
        if let Some(context) = context {
            let of_context = |c: &Tensor| Ok(column(model.log_prob(&x, Some(c))?)?);
            let expected = jacobian(context, context.dim(1)?, of_context)?.squeeze(2)?;
            let Some(of_context) = found.context else {
                return differs("the gradient of log_prob in the context", "none", "one");
            };
            close("the gradient of log_prob in the context", &of_context, &expected, limit)?;
            if let Some(score) = supported(model.score(&x, context))? {
                close("score", &score, &expected, limit)?;
            }
        }
    }
    let (Some(context), true) = (context, trial.is_generative()) else { return Ok(()) };
    let u = model.coordinates(&x, Some(context))?;
    if let Some(score) = supported(model.coordinate_score(&u, context))? {
        let of_context = |c: &Tensor| Ok(column(model.coordinate_log_prob(&u, Some(c))?)?);
        let expected = jacobian(context, context.dim(1)?, of_context)?.squeeze(2)?;
        close("coordinate_score", &score, &expected, limit)?;
    }
    Ok(())
}

/// Another context changes something, and the projection if the manifold is declared to depend on it.
pub(super) fn context(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (model, inputs) = (trial.model, inputs.repeated(MANY)?);
    let Some(context) = &inputs.context else { return Ok(()) };
    let [_, x] = trial.points(&inputs)?;
    // Far from the first one, for each row.
    let other = context.affine(-1., 1.5)?;
    let all = outputs(model, &inputs.u, &x, Some(context))?;
    let changed = outputs(model, &inputs.u, &x, Some(&other))?;
    let mut most = 0_f64;
    for ((_, _, a), (_, _, b)) in all.iter().zip(&changed) {
        if let (Some(a), Some(b)) = (a, b) {
            most = most.max(gap(a, b)?);
        }
    }
    if most <= 1e-6 {
        return differs(
            "anything with another context",
            format!("a change of {most:.1e}"),
            "a change",
        );
    }
    let (Some(a), Some(b)) = (of(&all, "project"), of(&changed, "project")) else { return Ok(()) };
    let change = gap(a, b)?;
    let declared = model.signature().conditional_manifold;
    if !declared && change > 1e-9 {
        let found = format!("a change of {change:.1e}");
        return differs("the projection with another context", found, "none: it is not declared");
    }
    Ok(())
}

/// Both have the same outputs, and all of them are near.
fn compare(
    kind: &str,
    trial: &Trial<'_>,
    (found, expected): (&[Output], &[Output]),
    limit: impl Fn(&str) -> Limit,
    part: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
) -> Result<(), Failure> {
    let signature = trial.model.signature();
    for ((name, _, found), (_, _, expected)) in found.iter().zip(expected) {
        let what = format!("{name} {kind}");
        match (found, expected) {
            (Some(found), Some(expected)) => {
                let (mut found, expected) = (found.to_dtype(DType::F64)?, part(expected)?);
                // Angles have a seam, which rounding may cross.
                let domain = match (*name, trial.model.embedding()) {
                    ("encode", _) => Some(signature.latent_domain.clone()),
                    ("coordinates", Some(embedding)) => Some(embedding.domain()),
                    _ => None,
                };
                if let Some(domain) = domain.filter(|_| found.dims() == expected.dims()) {
                    found = turned(&found, &expected, &domain)?;
                }
                close(&what, &found, &expected, limit(name))?;
            }
            (None, None) => {}
            (found, _) => {
                let say = |has: bool| if has { "a result" } else { "none" };
                return differs(what, say(found.is_some()), say(found.is_none()));
            }
        }
    }
    Ok(())
}

/// A row is computed alone, in a batch of any size and at any place in it, and a batch of none is one.
pub(super) fn rows(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (model, all) = (trial.model, inputs.repeated(LEAST)?);
    let [_, x] = trial.points(&all)?;
    let whole = outputs(model, &all.u, &x, all.context.as_ref())?;
    for (start, len) in [(0, 0), (0, 1), (17, 1), (3, 8)] {
        let part = all.narrow(start, len)?;
        let x = x.narrow(0, start, len)?.contiguous()?;
        let found = outputs(model, &part.u, &x, part.context.as_ref())?;
        let kind = format!("of {len} rows of {LEAST}");
        let limit = |_: &str| trial.exact();
        compare(&kind, trial, (&found, &whole), limit, |t| t.narrow(0, start, len))?;
    }
    let none = all.narrow(0, 0)?.context;
    if trial.is_generative() {
        let mut stream = Stream::new(1, "nothing");
        let drawn = model.sample(0, none.as_ref(), &mut stream)?;
        let expected = [0, model.signature().data_dim];
        if drawn.dims() != expected {
            let found = format!("{:?}", drawn.dims());
            return differs("the shape of no samples", found, format!("{expected:?}"));
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
    let expected = outputs(trial.model, &exact.u, &wide, exact.context.as_ref())?;
    let found = outputs(single, &inputs.u, &x, inputs.context.as_ref())?;
    for (name, _, found) in &found {
        let Some(found) = found.as_ref().filter(|t| t.dtype() != DType::F32) else { continue };
        return differs(
            format!("the dtype of {name} in f32"),
            format!("{:?}", found.dtype()),
            "F32",
        );
    }
    let tolerances = trial.options.tolerances;
    let limit = |_: &str| Limit::new(tolerances.single_derivative, "rounding in f32");
    compare("in f32", trial, (&found, &expected), limit, |t| Ok(t.clone()))
}
