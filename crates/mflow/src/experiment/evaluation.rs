//! What is measured of a fitted model: what its simulator and its capabilities allow.
use super::{EvaluationConfig, ExperimentConfig};
use crate::{Error, Result};
use mflow_bijectors::Stream;
use mflow_core::Model;
use mflow_data::{Circle, PolynomialSurface, Simulator};
use mflow_eval::Estimate;
use mflow_eval::metrics::{
    Evaluated, chart_kl, circle_samples, log_likelihood_gap, manifold_distance,
    reconstruction_error,
};
use std::collections::BTreeMap;

/// The metrics of a model by name, and how exactly it inverts.
pub(super) struct Evaluation {
    pub(super) metrics: BTreeMap<String, Estimate>,
    pub(super) round_trip_error: f64,
}

/// Whether a model has a density on its manifold: all of R^D is none.
pub(crate) fn has_manifold_density(model: &dyn Model) -> bool {
    let signature = model.signature();
    signature.density.is_some() && signature.manifold_dim < signature.data_dim
}

/// Measure all there is.
pub(super) fn evaluate(
    config: &ExperimentConfig,
    simulator: &dyn Simulator,
    of: Evaluated<'_>,
) -> Result<Evaluation> {
    let EvaluationConfig { samples, parameter, .. } = config.evaluation;
    let stream = |purpose: &str| Stream::new(config.seed, purpose);
    let (x, parameters) = super::test_data(config, simulator)?;
    let mut metrics = BTreeMap::new();
    let mut put = |name: &str, estimate: Estimate| metrics.insert(name.to_owned(), estimate);
    put("reconstruction_error", reconstruction_error(of, &x, &parameters)?);
    if has_manifold_density(of.model) {
        put("log_likelihood_gap", log_likelihood_gap(of, simulator, &x, &parameters)?);
    }
    match simulator.name() {
        PolynomialSurface::NAME => {
            let surface = PolynomialSurface;
            let distance = manifold_distance(of, &surface, samples, &mut stream("model samples"))?;
            put("manifold_distance", distance.vertical);
            put("manifold_distance_euclidean", distance.euclidean);
            if of.model.signature().manifold_dim == surface.manifold_dim() {
                let stream = &mut stream("chart samples");
                put("kl_chart", chart_kl(of, &surface, parameter, samples, stream)?);
            }
        }
        Circle::NAME => {
            let on_manifold = circle_samples(of, samples, false, &mut stream("model samples"))?;
            put("manifold_distance", on_manifold.distance);
            put("true_log_prob", on_manifold.true_log_prob);
            if of.model.sample_noise(1, &mut stream("noise"))?.is_some() {
                let around = circle_samples(of, samples, true, &mut stream("model samples"))?;
                put("manifold_distance_with_noise", around.distance);
                put("true_log_prob_with_noise", around.true_log_prob);
            }
        }
        other => {
            let reason = format!("must be a simulator whose metrics exist, found `{other}`");
            return Err(Error::Config { field: "data.simulator", reason });
        }
    }
    Ok(Evaluation { metrics, round_trip_error: round_trip_error(of, &x, &parameters)? })
}

/// A projected point is on the manifold: projecting it again must not move it, where the model has an
/// exact inverse.
fn round_trip_error(of: Evaluated<'_>, x: &[f64], parameters: &[f64]) -> Result<f64> {
    let model: &dyn Model = of.model;
    let (x, context) = (of.tensor(x, model.signature().data_dim)?, of.context(parameters)?);
    let moved = of.by_rows(&x, context.as_ref(), |x, c| {
        model.reconstruction_error(&model.project(x, c)?, c)
    })?;
    Ok(moved.into_iter().fold(0., f64::max))
}
