//! Laws of codes and projections: what decodes, encodes and projects agrees.
use super::super::ROUNDING;
use super::super::differences::jacobian as by_differences;
use super::super::embedding as manifolds;
use super::super::inputs::{Inputs, turned};
use super::outputs::supported;
use super::{Failure, Trial};
use candle_core::D;
use mflow_bijectors::laws::compare::{Limit, close};

/// Decoding a code projects, embedding coordinates does, and where a model inverts a latent comes back.
pub(super) fn codes(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    if !trial.is_generative() {
        return Ok(());
    }
    let (model, context) = (trial.model, inputs.context.as_ref());
    let [on, x] = trial.points(inputs)?;
    let code = model.encode(&x, context)?;
    let projected = model.project(&x, context)?;
    let limit = trial.there_and_back(&code, &projected, context)?;
    close("decode(encode(x))", &model.decode(&code, context)?, &projected, limit)?;
    if let Some(embedding) = model.embedding() {
        let embedded = embedding.embed(&model.coordinates(&x, context)?, context)?;
        close("embed(coordinates(x))", &embedded, &projected, trial.exact())?;
    }
    if model.inverts() && !trial.is_mixed() {
        let steepness = trial.volumes(&inputs.u, context)?.steepness(&on)?;
        let size = trial.options.tolerances.exact + 64. * f64::EPSILON * steepness;
        let back = model.encode(&on, context)?;
        let back = turned(&back, &inputs.u, &model.signature().latent_domain)?;
        close("encode(decode(ũ))", &back, &inputs.u, Limit::new(size, ROUNDING))?;
    }
    Ok(())
}

/// The projection is idempotent where a model inverts; the error is the distance to it; together with the density it is the same.
pub(super) fn projection(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    if !trial.is_generative() {
        return Ok(());
    }
    let (model, context) = (trial.model, inputs.context.as_ref());
    let [_, x] = trial.points(inputs)?;
    let projected = model.project(&x, context)?;
    if model.inverts() {
        let code = model.encode(&projected, context)?;
        let limit = trial.there_and_back(&code, &projected, context)?;
        let again = model.project(&projected, context)?;
        close("the projection of the projection", &again, &projected, limit)?;
    }
    let distance = (&x - &projected)?.sqr()?.sum(D::Minus1)?.sqrt()?;
    let error = model.reconstruction_error(&x, context)?;
    close("reconstruction_error", &error, &distance, trial.exact())?;
    let Some(both) = supported(model.project_with_log_prob(&x, context))? else { return Ok(()) };
    close("the projection with the density", &both.projection, &projected, trial.exact())?;
    let log_prob = model.log_prob(&x, context)?;
    close("the density with the projection", &both.log_prob, &log_prob, trial.exact())
}

/// The rows of `decode_jacobian` are differences of `decode`.
pub(super) fn jacobian(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    if !trial.is_generative() {
        return Ok(());
    }
    let (model, context) = (trial.model, inputs.context.as_ref());
    let n = model.signature().manifold_dim;
    let found = model.decode_jacobian(&inputs.u, context)?;
    let expected = by_differences(&inputs.u, n, |u| Ok(model.decode(u, context)?))?;
    close("decode_jacobian", &found, &expected, trial.by_differences())
}

/// The embedding, if the manifold is the image of one, keeps its laws. What it refuses is left out: a model checks arguments first.
pub(super) fn manifold(trial: &Trial<'_>, _: &Inputs) -> Result<(), Failure> {
    let Some(embedding) = trial.model.embedding() else { return Ok(()) };
    let without = [manifolds::Law::Refusals];
    manifolds::check_part(embedding, &without, &trial.options.of())
}
