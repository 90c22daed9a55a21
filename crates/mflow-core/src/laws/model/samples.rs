//! Laws of samples: where they lie, how they are distributed, what they are drawn by.
use super::super::inputs::Inputs;
use super::density::judge;
use super::{Failure, Trial};
use candle_core::Tensor;
use mflow_bijectors::laws::compare::close;
use mflow_bijectors::laws::differs;
use mflow_bijectors::{Domain, Stream, host};
use std::f64::consts::TAU;

/// Samples of the model, all with one context.
fn draw(
    trial: &Trial<'_>,
    context: &Option<Tensor>,
    rows: usize,
    seed: u64,
) -> Result<Tensor, Failure> {
    let context = context.as_ref().map(|c| c.broadcast_as((rows, c.dim(1)?))?.contiguous());
    let context = context.transpose()?;
    Ok(trial.model.sample(rows, context.as_ref(), &mut Stream::new(seed, "samples"))?)
}

/// Samples of a model that draws on its manifold are their own projections, and their latents have the density that
/// [`Model::latent_log_prob`](crate::Model::latent_log_prob) says: the mean of any density over it is 1.
pub(super) fn samples(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let model = trial.model;
    if !trial.is_generative() || !model.inverts() {
        return Ok(());
    }
    let signature = model.signature();
    let (options, rows) = (trial.options, trial.options.draws.max(1));
    let first = inputs.narrow(0, 1)?.context;
    let x = draw(trial, &first, rows, options.seed)?;
    let context = first.as_ref().map(|c| c.broadcast_as((rows, c.dim(1)?))?.contiguous());
    let context = context.transpose()?;
    let code = model.encode(&x, context.as_ref())?;
    if model.sample_noise(1, &mut Stream::new(1, "noise"))?.is_none() {
        let limit = trial.there_and_back(&code, &x, context.as_ref())?;
        let projected = model.project(&x, context.as_ref())?;
        close("the projection of samples", &projected, &x, limit)?;
    }
    if trial.is_mixed() {
        return Ok(());
    }
    let angles = signature.latent_domain == Domain::Angle;
    let of_model = host::values_f64(&model.latent_log_prob(&code)?)?;
    let code = host::values_f64(&code)?;
    // One that is off centre and one that is narrow: the first sees means that are wrong, the second widths.
    for (centre, width) in [(0.3, 0.9), (0., 0.8)] {
        let log_density = |v: f64| match angles {
            true => (1. + 0.5 * (v - 2. * centre).cos()).ln() - TAU.ln(),
            false => -0.5 * (((v - centre) / width).powi(2) + TAU.ln()) - f64::ln(width),
        };
        let weights = code.chunks(signature.manifold_dim).zip(&of_model);
        let weights =
            weights.map(|(u, p)| (u.iter().map(|v| log_density(*v)).sum::<f64>() - p).exp());
        let what = "the mean of another density over that of latents, at samples,";
        judge(what, &weights.collect::<Vec<_>>())?;
    }
    Ok(())
}

/// One seed gives the same bits, another one other samples.
pub(super) fn seeds(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    if !trial.is_generative() {
        return Ok(());
    }
    let first = inputs.narrow(0, 1)?.context;
    let of = |seed| -> Result<Vec<u64>, Failure> {
        let x = host::values_f64(&draw(trial, &first, 5, seed)?)?;
        Ok(x.into_iter().map(f64::to_bits).collect())
    };
    if of(3)? != of(3)? {
        return differs("two draws with one seed", "different bits", "the same bits");
    }
    if of(3)? == of(4)? {
        return differs("draws with two seeds", "the same bits", "different ones");
    }
    Ok(())
}
