//! The law of what is refused.
use super::super::inputs::Inputs;
use super::super::typed;
use super::{Failure, Trial};
use crate::model::Model;
use crate::{Error, Result as ModelResult};
use candle_core::{DType, Tensor};
use mflow_bijectors::laws::{differs, tensor};
use mflow_bijectors::{Stream, host};

type Call = fn(&dyn Model, &Tensor, Option<&Tensor>) -> ModelResult<Tensor>;

/// Every method by name, the name of its argument, whether that is data, and its call.
const METHODS: [(&str, &str, bool, Call); 9] = [
    ("log_prob", "x", true, |m, x, c| m.log_prob(x, c)),
    ("project", "x", true, |m, x, c| m.project(x, c)),
    ("encode", "x", true, |m, x, c| m.encode(x, c)),
    ("coordinates", "x", true, |m, x, c| m.coordinates(x, c)),
    ("latents", "x", true, |m, x, c| m.latents(x, c)),
    ("reconstruction_error", "x", true, |m, x, c| m.reconstruction_error(x, c)),
    ("surrogate_log_prob", "x", true, |m, x, c| {
        let s = m.signature();
        let rows = x.dims().first().copied().unwrap_or(0);
        let noise =
            Stream::new(5, "noise").normal_tensor(&[rows, s.noise_dim], s.dtype, &s.device)?;
        m.surrogate_log_prob(x, c, &noise)
    }),
    ("decode", "latent", false, |m, u, c| m.decode(u, c)),
    ("decode_jacobian", "latent", false, |m, u, c| m.decode_jacobian(u, c)),
];

/// Values that are not finite are refused by row and column, shapes by the argument, contexts and dtypes by errors that say so.
pub(super) fn refusals(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    const ROWS: usize = 4;
    let (model, inputs) = (trial.model, inputs.repeated(ROWS)?);
    let context = inputs.context.as_ref();
    let [_, x] = trial.points(&inputs)?;
    let n = model.signature().manifold_dim;
    for (name, arg, of_data, call) in METHODS {
        let fits = if of_data { &x } else { &inputs.u };
        match call(model, fits, context) {
            Err(Error::Unsupported { .. }) => continue,
            other => drop(other?),
        }
        let (columns, last) = (fits.dim(1)?, if of_data { fits.dim(1)? } else { n } - 1);
        for bad in [f64::NAN, f64::INFINITY] {
            let mut values = host::values_f64(fits)?;
            values[2 * columns + last] = bad;
            let result = call(model, &tensor(values, fits.dims(), fits.device())?, context);
            let what = format!("{name} of {bad} at row 2, column {last}");
            refused(
                &what,
                result,
                &|e| matches!(e, Error::NonFinite { arg: a, row: 2, column, .. } if *a == arg && *column == last),
            )?;
        }
        let wide = fits.pad_with_zeros(1, 0, 1)?;
        for wrong in [wide, fits.flatten_all()?] {
            let what = format!("{name} of shape {:?}", wrong.dims());
            refused(
                &what,
                call(model, &wrong, context),
                &|e| matches!(e, Error::Shape { arg: a, .. } if *a == arg),
            )?;
        }
        typed(&format!("{name} in f32"), call(model, &fits.to_dtype(DType::F32)?, context))?;
        contexts(name, context, &|c| call(model, fits, c), fits)?;
    }
    Ok(())
}

/// A context that is missing, that nobody asked for, of other sizes, or not finite.
fn contexts(
    name: &str,
    context: Option<&Tensor>,
    call: &dyn Fn(Option<&Tensor>) -> ModelResult<Tensor>,
    fits: &Tensor,
) -> Result<(), Failure> {
    let of_shape = |e: &Error| matches!(e, Error::Shape { arg: "context", .. });
    let Some(context) = context else {
        let any = fits.zeros_like()?;
        return refused(
            &format!("{name} with a context nobody asked for"),
            call(Some(&any)),
            &of_shape,
        );
    };
    let missing =
        |e: &Error| matches!(e, Error::Bijector(mflow_bijectors::Error::MissingContext { .. }));
    refused(&format!("{name} without a context"), call(None), &missing)?;
    let fewer = context.narrow(0, 0, 1)?;
    refused(&format!("{name} with the context of one row"), call(Some(&fewer)), &of_shape)?;
    let wide = context.pad_with_zeros(1, 0, 1)?;
    refused(&format!("{name} with a wide context"), call(Some(&wide)), &of_shape)?;
    let bad = (context.zeros_like()? / 0.)?;
    refused(&format!("{name} with NaN in the context"), call(Some(&bad)), &|e| {
        matches!(e, Error::NonFinite { arg: "context", row: 0, column: 0, .. })
    })
}

/// Broken unless the error is the expected one.
fn refused(
    what: &str,
    result: ModelResult<Tensor>,
    expected: &dyn Fn(&Error) -> bool,
) -> Result<(), Failure> {
    match result {
        Err(error) if expected(&error) => Ok(()),
        Err(error) => differs(what, format!("the error {error:?}"), "one that names the argument"),
        Ok(t) => differs(what, format!("a result of shape {:?}", t.dims()), "an error"),
    }
}
