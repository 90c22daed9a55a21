//! How far the learned manifold is from the true one.
use super::Evaluated;
use crate::{Error, Estimate, Result};
use mflow_bijectors::Stream;
use mflow_data::{PolynomialSurface, Simulator};

/// Mean distance of a model's samples to the true manifold, measured in two ways.
#[derive(Clone, Copy, Debug)]
pub struct ManifoldDistance {
    /// `|x'_3 - f(z)|`, the vertical offset in the rotated frame, clipped at 10: as published
    /// (Brehmer & Cranmer 2020, section 4.B). It is no less than the Euclidean distance.
    pub vertical: Estimate,
    /// The Euclidean distance to the nearest point of the manifold, clipped at 10.
    pub euclidean: Estimate,
}

/// Clip of distances, as published: one sample far out must not hide all others.
const CLIP: f64 = 10.;

/// Draw `samples` points, their parameters from the prior, and measure them. Data units.
///
/// # Errors
/// If the model is not one of points in three dimensions or cannot be evaluated.
pub fn manifold_distance(
    of: Evaluated<'_>,
    surface: &PolynomialSurface,
    samples: usize,
    stream: &mut Stream,
) -> Result<ManifoldDistance> {
    let x = model_samples(of, surface, samples, stream)?;
    let vertical = x.as_chunks().0.iter().map(|&x| surface.vertical_distance(x).min(CLIP));
    let euclidean = surface.distance(&x)?.into_iter().map(|d| d.min(CLIP));
    Ok(ManifoldDistance {
        vertical: Estimate::mean(&vertical.collect::<Vec<_>>())?,
        euclidean: Estimate::mean(&euclidean.collect::<Vec<_>>())?,
    })
}

/// Draw `samples` points, their parameters from the prior, and measure the mean Euclidean distance to the
/// nearest point of the true manifold, clipped at 10. Data units.
///
/// # Errors
/// If the model is not one of the simulator's points or cannot be evaluated, or the simulator does not
/// know nearest points.
pub fn sample_distance(
    of: Evaluated<'_>,
    simulator: &dyn Simulator,
    samples: usize,
    stream: &mut Stream,
) -> Result<Estimate> {
    let x = model_samples(of, simulator, samples, stream)?;
    let distance = of.pool.install(|| simulator.distance(&x))?.into_iter().map(|d| d.min(CLIP));
    Estimate::mean(&distance.collect::<Vec<_>>())
}

/// Samples of the model on its manifold, parameters from the prior: `[samples, D]`.
pub(super) fn model_samples(
    of: Evaluated<'_>,
    simulator: &dyn Simulator,
    samples: usize,
    stream: &mut Stream,
) -> Result<Vec<f64>> {
    let found = of.model.signature().data_dim;
    if found != simulator.data_dim() {
        let expected = format!("a model of {} features", simulator.data_dim());
        let found = found.to_string();
        return Err(Error::Model { what: "manifold_distance", expected, found });
    }
    let parameters = simulator.sample_prior(samples, stream);
    let context = of.context(&parameters)?;
    let latent = of.model.sample_latent(samples, stream)?;
    of.by_rows(&latent, context.as_ref(), |z, c| of.model.decode(z, c))
}

/// Mean Euclidean norm `|x - project(x)|` over test data `x: [rows, D]`, with parameters `[rows, P]`.
/// Data units.
///
/// # Errors
/// If the model cannot be evaluated or a result is not finite.
pub fn reconstruction_error(of: Evaluated<'_>, x: &[f64], parameters: &[f64]) -> Result<Estimate> {
    Estimate::mean(&reconstruction_errors(of, x, parameters)?)
}

/// The norm of each row that [`reconstruction_error`] is the mean of, `[rows]`, in data units.
///
/// # Errors
/// If the model cannot be evaluated or a result is not finite.
pub fn reconstruction_errors(of: Evaluated<'_>, x: &[f64], parameters: &[f64]) -> Result<Vec<f64>> {
    let (x, context) = (of.tensor(x, of.model.signature().data_dim)?, of.context(parameters)?);
    of.by_rows(&x, context.as_ref(), |x, c| of.model.reconstruction_error(x, c))
}
