//! Laws of the way back: coordinates, projections, nearest points.
use super::super::ROUNDING;
use super::super::differences::Volumes;
use super::super::inputs::{Inputs, turned};
use super::{Failure, Trial};
use candle_core::{D, Tensor};
use mflow_bijectors::laws::compare::{Limit, close};
use mflow_bijectors::laws::{Finding, differs, inside, of_feature, tensor};
use mflow_bijectors::{Diff, Domain, Stream, host};
use std::f64::consts::PI;

/// Points around the projection that are tried, at each distance.
const AROUND: usize = 16;
/// Points all over the manifold that are tried.
const ELSEWHERE: usize = 200;

/// Volumes of the tangents at `u`.
fn volumes(trial: &Trial<'_>, u: &Tensor, context: Option<&Tensor>) -> Result<Volumes, Failure> {
    let dual = trial.embedding.embed_with_jacobian(u, context)?;
    match dual.tangents() {
        Some(rows) => Volumes::of(rows),
        None => differs("the tangents of embed_with_jacobian", "none", "rows of the Jacobian"),
    }
}

/// The coordinates of an embedded point are those that it was embedded from.
pub(super) fn round_trip(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    if !trial.embedding.inverts() {
        return Ok(());
    }
    let context = inputs.context.as_ref();
    let [x, _] = trial.points(inputs)?;
    let found = trial.embedding.coordinates(&x, context)?;
    let steepness = volumes(trial, &inputs.u, context)?.steepness(&x)?;
    let exact = trial.options.tolerances.exact;
    let limit = Limit::new(exact + 64. * f64::EPSILON * steepness, ROUNDING);
    let found = turned(&found, &inputs.u, &trial.embedding.domain())?;
    close("the coordinates of embed(u)", &found, &inputs.u, limit)
}

/// The projection of a projection is that projection.
pub(super) fn idempotent(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (embedding, context) = (trial.embedding, inputs.context.as_ref());
    if !embedding.inverts() {
        return Ok(());
    }
    let [_, x] = trial.points(inputs)?;
    let u = embedding.coordinates(&x, context)?;
    let once = embedding.embed(&u, context)?;
    let twice = embedding.embed(&embedding.coordinates(&once, context)?, context)?;
    let steepness = volumes(trial, &u, context)?.there_and_back(&once)?;
    let exact = trial.options.tolerances.exact;
    let limit = Limit::new(exact + 64. * f64::EPSILON * steepness, ROUNDING);
    close("the projection of the projection", &twice, &once, limit)
}

/// What is left of `x` is orthogonal to the manifold, and no point that is tried is nearer.
pub(super) fn nearest(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (embedding, context) = (trial.embedding, inputs.context.as_ref());
    if !embedding.projects_to_nearest() {
        return Ok(());
    }
    let [_, x] = trial.points(inputs)?;
    let u = embedding.coordinates(&x, context)?;
    let projected = embedding.embed_with_jacobian(&u, context)?;
    let miss = (&x - projected.value())?;
    let Some(tangents) = projected.tangents() else {
        return differs("the tangents of embed_with_jacobian", "none", "rows of the Jacobian");
    };
    let along = tangents.matmul(&miss.unsqueeze(2)?)?;
    let reason = "the steps to the nearest point, of charts that have no closed form";
    let limit = Limit::new(trial.options.tolerances.difference, reason);
    close("tangents times what is left of x", &along, &along.zeros_like()?, limit)?;

    let left = host::values_f64(&miss.sqr()?.sum(D::Minus1)?)?;
    for (b, left) in left.into_iter().enumerate() {
        let tried = candidates(trial, &u.narrow(0, b, 1)?)?;
        let rows = tried.dim(0)?;
        let of_row = |t: &Tensor| t.narrow(0, b, 1)?.broadcast_as((rows, t.dim(1)?))?.contiguous();
        let context = context.map(of_row).transpose()?;
        let others = embedding.embed(&tried, context.as_ref())?;
        let squares = others.broadcast_sub(&x.narrow(0, b, 1)?)?.sqr()?.sum(D::Minus1)?;
        let squares = host::values_f64(&squares)?;
        let best = squares.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
        let Some((k, square)) = best else { continue };
        let exact = trial.options.tolerances.exact;
        if left > square + exact * (1. + square) {
            let at = host::values_f64(&tried.narrow(0, k, 1)?)?;
            return Err(Failure::Broken(Finding {
                what: format!("the distance of point {b} to its projection"),
                found: format!("{:?}", left.sqrt()),
                expected: format!("no more than {:?}, as at {at:?}", square.sqrt()),
                tolerance: format!("{exact:.1e} of the square: rounding in f64"),
            }));
        }
    }
    Ok(())
}

/// Coordinates around `u: [1, N]`, nearer and farther, and all over the domain.
fn candidates(trial: &Trial<'_>, u: &Tensor) -> Result<Tensor, Failure> {
    let (domain, n) = (trial.embedding.domain(), u.dim(1)?);
    let at = host::values_f64(u)?;
    let options = trial.options;
    let mut all = vec![];
    let mut stream = Stream::new(options.seed, "other points");
    for step in [1., 0.3, 0.1, 1e-2, 1e-3] {
        for (i, v) in stream.normal(AROUND * n).into_iter().enumerate() {
            let moved = at[i % n] + step * v;
            all.push(match of_feature(&domain, i % n) {
                Domain::Interval { low, high } => moved.clamp(*low, *high),
                Domain::Positive => moved.max(f64::MIN_POSITIVE),
                Domain::Angle => moved.clamp(-PI, PI),
                _ => moved,
            });
        }
    }
    let spread = 2. * options.spread;
    let far = stream.normal(ELSEWHERE * n).into_iter().enumerate();
    all.extend(far.map(|(i, v)| inside(&domain, i % n, v * spread, options.spread)));
    tensor(all, &[5 * AROUND + ELSEWHERE, n], &options.device)
}
