//! All that a model says of some inputs, and what it must be able to say.
use super::super::inputs::Inputs;
use super::{Failure, Trial};
use crate::model::{Density, Model};
use crate::{Error, Result as ModelResult};
use candle_core::Tensor;
use mflow_bijectors::laws::compare::gap;
use mflow_bijectors::laws::differs;
use mflow_bijectors::{Stream, host};

/// A result by the name of its method and the shape that is documented for a row of it; `None` of what the model has not.
pub(super) type Output = (&'static str, Vec<usize>, Option<Tensor>);

/// What a model has not is no mistake.
pub(super) fn supported<T>(result: ModelResult<T>) -> Result<Option<T>, Failure> {
    match result {
        Ok(t) => Ok(Some(t)),
        Err(Error::Unsupported { .. }) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Every method at latents, data and contexts.
pub(super) fn outputs(
    model: &dyn Model,
    latent: &Tensor,
    x: &Tensor,
    context: Option<&Tensor>,
) -> Result<Vec<Output>, Failure> {
    let s = model.signature();
    let (d, n, wide, b) = (s.data_dim, s.manifold_dim, s.latent_dim(), x.dim(0)?);
    // The same for each row, wherever in a batch it is.
    let noise = Stream::new(5, "noise").normal_tensor(&[1, s.noise_dim], s.dtype, &s.device)?;
    let noise = match b {
        0 => host::zeros((0, s.noise_dim), s.dtype, &s.device)?,
        _ => noise.broadcast_as((b, s.noise_dim))?.contiguous()?,
    };
    let u = supported(model.coordinates(x, context))?;
    let of_u = match &u {
        Some(u) => supported(model.coordinate_log_prob(u, context))?,
        None => None,
    };
    let latents = supported(model.latents(x, context))?;
    let all_latents = match &latents {
        Some(t) => t.dims().get(1).copied().unwrap_or(0),
        None => 0,
    };
    let mut all = vec![
        ("log_prob", vec![], supported(model.log_prob(x, context))?),
        ("project", vec![d], supported(model.project(x, context))?),
        ("encode", vec![wide], supported(model.encode(x, context))?),
        ("coordinates", vec![wide], u),
        ("latents", vec![all_latents], latents),
        ("coordinate_log_prob", vec![], of_u),
        ("reconstruction_error", vec![], supported(model.reconstruction_error(x, context))?),
        ("surrogate_log_prob", vec![], supported(model.surrogate_log_prob(x, context, &noise))?),
        ("decode", vec![d], supported(model.decode(latent, context))?),
        ("decode_jacobian", vec![n, d], supported(model.decode_jacobian(latent, context))?),
        ("latent_log_prob", vec![], supported(model.latent_log_prob(latent))?),
    ];
    if let Some(context) = context {
        let c = context.dim(1)?;
        all.push(("score", vec![c], supported(model.score(x, context))?));
        if let Some((.., Some(u))) = all.iter().find(|(name, ..)| *name == "coordinates") {
            let score = supported(model.coordinate_score(u, context))?;
            all.push(("coordinate_score", vec![c], score));
        }
    }
    let both = supported(model.project_with_log_prob(x, context))?;
    let (projection, log_prob) = both.map(|p| (p.projection, p.log_prob)).unzip();
    all.push(("the projection of project_with_log_prob", vec![d], projection));
    all.push(("the density of project_with_log_prob", vec![], log_prob));
    Ok(all)
}

/// The output of this name, of what the model has.
pub(super) fn of<'a>(outputs: &'a [Output], name: &str) -> Option<&'a Tensor> {
    outputs.iter().find(|(known, ..)| *known == name).and_then(|(.., t)| t.as_ref())
}

/// Shapes are those documented, and what the signature declares is there.
pub(super) fn capabilities(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (model, context) = (trial.model, inputs.context.as_ref());
    let signature = model.signature();
    let [_, x] = trial.points(inputs)?;
    let all = outputs(model, &inputs.u, &x, context)?;
    for (name, row, found) in &all {
        let Some(found) = found else { continue };
        let expected = [&[inputs.count()], row.as_slice()].concat();
        if found.dims() != expected {
            let found = format!("{:?}", found.dims());
            return differs(format!("the shape of {name}"), found, format!("{expected:?}"));
        }
    }
    let say = |has: bool| if has { "a result" } else { "none" };
    let expect = |name: &str, expected: bool, why: &str| {
        let found = of(&all, name).is_some();
        if found == expected {
            return Ok(());
        }
        differs(format!("{name}, {why}"), say(found), say(expected))
    };
    expect("log_prob", signature.density.is_some(), "by the density of the signature")?;
    for name in ["project", "encode", "coordinates", "decode", "decode_jacobian"] {
        expect(name, signature.is_generative(), "of what is generative and of nothing else")?;
    }
    let Some(kind) = signature.density else { return Ok(()) };
    let Some(log_prob) = of(&all, "log_prob") else { return Ok(()) };
    if gap(log_prob, &model.log_density(kind, &x, context)?)? > 0. {
        return differs(format!("log_density of {kind:?}"), "another number", "log_prob");
    }
    // An estimator of ratios has no manifold.
    if kind == Density::Ratio
        && supported(model.log_density(Density::Manifold, &x, context))?.is_some()
    {
        return differs("the density on the manifold", "a result", "none: there is no manifold");
    }
    Ok(())
}
