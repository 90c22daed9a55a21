//! Laws of derivatives: tangents, volumes, gradients, each beside central differences.
use super::super::BY_DIFFERENCES;
use super::super::differences::{STEP, Volumes, jacobian};
use super::super::inputs::{Inputs, turned};
use super::outputs::{of, outputs};
use super::{Failure, Trial};
use candle_core::{Tensor, Var};
use mflow_bijectors::laws::compare::{Limit, close, close_numbers};
use mflow_bijectors::{Stream, host};

/// The Jacobian of `embed` by differences.
fn differences(trial: &Trial<'_>, inputs: &Inputs) -> Result<Tensor, Failure> {
    let n = trial.embedding.manifold_dim();
    let context = inputs.context.as_ref();
    jacobian(&inputs.u, n, |u| Ok(trial.embedding.embed(u, context)?))
}

/// Points with tangents are the points, and the tangents are differences.
pub(super) fn tangents(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let [x, _] = trial.points(inputs)?;
    let all = outputs(trial.embedding, &inputs.u, &x, inputs.context.as_ref())?;
    let point = of(&all, "embed")?;
    for (name, found) in all.iter().filter(|(name, _)| name.contains(" of embed_with")) {
        let expected = if name.contains("volume of") { of(&all, "log_volume")? } else { point };
        close(name, found, expected, trial.exact())?;
    }
    let limit = Limit::new(trial.options.tolerances.difference, BY_DIFFERENCES);
    close("tangents", of(&all, "tangents")?, &differences(trial, inputs)?, limit)
}

/// The log-volume is that of the tangents, and that of differences.
pub(super) fn volume(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let [x, _] = trial.points(inputs)?;
    let all = outputs(trial.embedding, &inputs.u, &x, inputs.context.as_ref())?;
    let found = host::values_f64(of(&all, "log_volume")?)?;
    let expected = Volumes::of(&differences(trial, inputs)?)?;
    let limit = expected.limit(trial.options.tolerances.difference, &x)?;
    close_numbers("log_volume beside differences", &found, &expected.log, limit)?;
    let of_tangents = Volumes::of(of(&all, "tangents")?)?;
    // The same entries: what is lost is the rounding of a determinant.
    let size = trial.options.tolerances.exact * (1. + of_tangents.there_and_back(&x)?);
    let limit =
        Limit::new(size.min(limit.size), "rounding in f64, times how flat the tangents are");
    close_numbers("log_volume beside tangents", &found, &of_tangents.log, limit)
}

/// Gradients of points, volumes and coordinates are differences along a random direction. Coordinates that are found in steps may
/// come without a graph.
pub(super) fn gradients(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (embedding, context) = (trial.embedding, inputs.context.as_ref());
    let [_, x] = trial.points(inputs)?;
    gradient(trial, "embed", &inputs.u, &|u| Ok(embedding.embed(u, context)?))?;
    gradient(trial, "log_volume", &inputs.u, &|u| Ok(embedding.log_volume(u, context)?))?;
    let here = embedding.coordinates(&x, context)?;
    let domain = embedding.domain();
    let tracked = Var::from_tensor(&x.detach())?;
    if !embedding.coordinates(tracked.as_tensor(), context)?.track_op() {
        return Ok(());
    }
    gradient(trial, "coordinates", &x, &|x| {
        let u = embedding.coordinates(x, context)?;
        // Whole turns, as constants: both ways lead to the same angle.
        let turns = (turned(&u.detach(), &here, &domain)? - u.detach())?;
        Ok((u + turns)?)
    })
}

/// One output beside central differences along a direction.
fn gradient(
    trial: &Trial<'_>,
    name: &str,
    at: &Tensor,
    f: &dyn Fn(&Tensor) -> Result<Tensor, Failure>,
) -> Result<(), Failure> {
    let seed = trial.options.seed;
    let var = Var::from_tensor(&at.detach())?;
    let output = f(var.as_tensor())?;
    let random = |purpose: &str, like: &Tensor| {
        Stream::new(seed, purpose).normal_tensor(like.dims(), like.dtype(), like.device())
    };
    let weights = random("weights", &output)?;
    let along = random("along", at)?;
    let store = (&output * &weights)?.sum_all()?.backward()?;
    let found = match store.get(&var) {
        Some(gradient) => host::scalar(&(gradient * &along)?.sum_all()?)?,
        None => 0.,
    };
    let moved = |sign: f64| -> Result<Tensor, Failure> { f(&(at + (&along * (sign * STEP))?)?) };
    let slope = ((moved(1.)? - moved(-1.)?)? / (2. * STEP))?;
    let expected = host::scalar(&(slope * weights)?.sum_all()?)?;
    let limit = Limit::new(10. * trial.options.tolerances.difference, BY_DIFFERENCES);
    close_numbers(&format!("the gradient of {name}"), &[found], &[expected], limit)
}
