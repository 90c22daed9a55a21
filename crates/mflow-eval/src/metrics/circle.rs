//! Samples of a model against the Gaussian on a circle.
use super::Evaluated;
use crate::{Error, Estimate, Result};
use mflow_bijectors::Stream;
use mflow_data::{GaussianOnSphere, Simulator};

/// How near the samples of a model are to the circle, and how likely they are under the truth. As
/// published: Brehmer & Cranmer (2020), section 4.A.
#[derive(Clone, Copy, Debug)]
pub struct CircleSamples {
    /// `| |x| - 1 |`, clipped at 1.
    pub distance: Estimate,
    /// The true log-density of the plane at the samples, in nats, clipped at -100.
    pub true_log_prob: Estimate,
}

/// Clip of distances, as published.
const FARTHEST: f64 = 1.;
/// Clip of log-densities, as published.
const LEAST: f64 = -100.;

/// Draw `samples` points and judge them: on the manifold of the model, or with `noise` from the density
/// around it, where the model has one.
///
/// # Errors
/// If the model is not one of points in the plane without a context, or cannot be evaluated.
pub fn circle_samples(
    of: Evaluated<'_>,
    samples: usize,
    noise: bool,
    stream: &mut Stream,
) -> Result<CircleSamples> {
    let signature = of.model.signature();
    if signature.data_dim != 2 || signature.context_dim.is_some() {
        let expected = "an unconditional model of 2 features".to_owned();
        let found = format!("{} features", signature.data_dim);
        return Err(Error::Model { what: "circle_samples", expected, found });
    }
    let x = match noise {
        true => of.model.sample(samples, None, stream)?,
        false => of.model.decode(&of.model.sample_latent(samples, stream)?, None)?,
    };
    let x = of.by_rows(&x, None, |x, _| Ok(x.clone()))?;
    let circle = GaussianOnSphere::CIRCLE;
    let distance: Vec<f64> = circle.distance(&x)?.into_iter().map(|d| d.min(FARTHEST)).collect();
    let log_probs = circle.ambient_log_prob(&x, &[])?;
    let log_probs: Vec<f64> = log_probs.into_iter().map(|log| log.max(LEAST)).collect();
    Ok(CircleSamples {
        distance: Estimate::mean(&distance)?,
        true_log_prob: Estimate::mean(&log_probs)?,
    })
}
