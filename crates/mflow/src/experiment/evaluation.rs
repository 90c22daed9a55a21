//! What is measured of a fitted model: what its simulator and its capabilities allow.
use super::optional::evaluate_optional;
use super::{EvaluationConfig, ExperimentConfig, Split};
use crate::Result;
use mflow_bijectors::Stream;
use mflow_core::{Density, Model};
use mflow_data::wbf::WeakBosonFusion;
use mflow_data::{GaussianOnSphere, Lorenz, PolynomialSurface, Simulator};
use mflow_eval::Estimate;
use mflow_eval::metrics::{
    Evaluated, chart_kl, circle_samples, closure_of_samples, excess_volume, log_densities,
    log_likelihood_gap, lorenz_section_tv, manifold_distance, observable_distances, outlier_auc,
    reconstruction_error, reconstruction_errors, sample_distance,
};
use std::collections::BTreeMap;

/// The metrics of a model by name, and how exactly it inverts, if it has a projection.
pub(super) struct Evaluation {
    pub(super) metrics: BTreeMap<String, Estimate>,
    pub(super) round_trip_error: Option<f64>,
}

/// Rows of test data that the tangents of a model are compared at.
const EXCESS_ROWS: usize = 500;

/// Whether a model has a density on its manifold: all of R^D is none.
pub(crate) fn has_manifold_density(model: &dyn Model) -> bool {
    let signature = model.signature();
    signature.density.is_some() && signature.manifold_dim < signature.data_dim
}

/// Measure all there is.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "rows that are there, of a simulator with features and parameters"
)]
pub(super) fn evaluate(
    config: &ExperimentConfig,
    simulator: &dyn Simulator,
    of: Evaluated<'_>,
) -> Result<Evaluation> {
    if !of.model.signature().is_generative() {
        let metrics = super::ratio::evaluate(config, simulator, of)?;
        return Ok(Evaluation { metrics, round_trip_error: None });
    }
    let EvaluationConfig { samples, parameter, .. } = config.evaluation;
    let stream = |purpose: &str| Stream::new(config.seed, purpose);
    let (x, parameters) = super::test_data(config, simulator)?;
    let mut metrics = BTreeMap::new();
    let mut put = |name: &str, estimate: Estimate| metrics.insert(name.to_owned(), estimate);
    put("reconstruction_error", reconstruction_error(of, &x, &parameters)?);
    if has_manifold_density(of.model) && simulator.is_tractable() {
        put("log_likelihood_gap", log_likelihood_gap(of, simulator, &x, &parameters)?);
    }
    let signature = of.model.signature();
    let of_one_chart = |dim| (signature.manifold_dim, signature.charts) == (dim, 1);
    match simulator.name() {
        PolynomialSurface::NAME => {
            let surface = PolynomialSurface;
            let distance = manifold_distance(of, &surface, samples, &mut stream("model samples"))?;
            put("manifold_distance", distance.vertical);
            put("manifold_distance_euclidean", distance.euclidean);
            if of_one_chart(surface.manifold_dim()) {
                let stream = &mut stream("chart samples");
                put("kl_chart", chart_kl(of, &surface, parameter, samples, stream)?);
            }
        }
        name if name == GaussianOnSphere::CIRCLE.name() => {
            let on_manifold = circle_samples(of, samples, false, &mut stream("model samples"))?;
            put("manifold_distance", on_manifold.distance);
            put("true_log_prob", on_manifold.true_log_prob);
            if of.model.sample_noise(1, &mut stream("noise"))?.is_some() {
                let around = circle_samples(of, samples, true, &mut stream("model samples"))?;
                put("manifold_distance_with_noise", around.distance);
                put("true_log_prob_with_noise", around.true_log_prob);
            }
        }
        name if name == Lorenz.name() && of_one_chart(2) => {
            let [left, right] = lorenz_section_tv(of)?;
            put("lorenz_section_tv_left", left);
            put("lorenz_section_tv_right", right);
        }
        WeakBosonFusion::NAME => {
            let collisions = &WeakBosonFusion::default();
            let stream = &mut stream("model samples");
            let distance = sample_distance(of, collisions, samples, &mut stream.clone())?;
            put("manifold_distance", distance);
            put("closure", closure_of_samples(of, collisions, samples, stream)?);
            if has_manifold_density(of.model) {
                let rows = EXCESS_ROWS.min(parameters.len() / collisions.parameter_dim());
                let (x, parameters) = (
                    &x[..rows * collisions.data_dim()],
                    &parameters[..rows * collisions.parameter_dim()],
                );
                put("excess_volume", excess_volume(of, collisions, x, parameters)?);
            }
            let theta = vec![parameter; collisions.parameter_dim()];
            let found = observable_distances(of, collisions, &x, &theta, stream)?;
            let plain =
                |value| Estimate { value, standard_error: None, count: parameters.len() / 2 };
            put("ks_jets_mass", plain(found.jets_mass));
            put("ks_delta_phi", plain(found.delta_phi));
            put("ks_floor", plain(found.floor));
        }
        _ if simulator.is_tractable() => {
            let distance = sample_distance(of, simulator, samples, &mut stream("model samples"))?;
            put("manifold_distance", distance);
        }
        _ => {}
    }
    if simulator.is_tractable() {
        let (_, outliers) = super::outlier_data(config, simulator)?;
        let theta = vec![parameter; simulator.parameter_dim()];
        let auc = outlier_auc(of, &x, &outliers, &theta)?;
        let plain = |value: f64| Estimate {
            value,
            standard_error: None,
            count: x.len() / simulator.data_dim(),
        };
        put("outlier_auc_reconstruction", plain(auc.reconstruction_error));
        put("outlier_auc_published", plain(auc.published));
        if let Some(log_prob) = auc.log_prob {
            put("outlier_auc_log_prob", plain(log_prob));
        }
    }
    evaluate_optional(config, simulator, of, &x, &mut put)?;
    let round_trip_error = Some(round_trip_error(of, &x, &parameters)?);
    Ok(Evaluation { metrics, round_trip_error })
}

/// Measure what held-out rows tell by themselves: the error, and the mean log-density of each kind that the model has. The
/// kinds have names of their own, since they cannot be compared. Rows with weights count by them; in the error, which says
/// where they lie, by their sizes.
pub(super) fn evaluate_held_out(split: &Split, of: Evaluated<'_>) -> Result<Evaluation> {
    let Split { test, weights, .. } = split;
    let weights = weights.as_ref().map(|weights| weights.test.as_slice());
    let sizes = weights.map(|weights| weights.iter().map(|w| w.abs()).collect::<Vec<_>>());
    let mean = |values: &[f64], weights: Option<&[f64]>| match weights {
        Some(weights) => Estimate::weighted_mean(values, weights),
        None => Estimate::mean(values),
    };
    let mut metrics = BTreeMap::new();
    let mut put = |name: &str, estimate: Estimate| metrics.insert(name.to_owned(), estimate);
    let errors = reconstruction_errors(of, test, &[])?;
    put("reconstruction_error", mean(&errors, sizes.as_deref())?);
    if has_manifold_density(of.model) {
        let log_prob = log_densities(of, Density::Manifold, test, &[])?;
        put("test_log_prob", mean(&log_prob, weights)?);
    }
    if of.model.signature().density == Some(Density::Ambient) {
        let log_prob = log_densities(of, Density::Ambient, test, &[])?;
        put("test_log_prob_ambient", mean(&log_prob, weights)?);
    }
    Ok(Evaluation { metrics, round_trip_error: Some(round_trip_error(of, test, &[])?) })
}

/// A projected point is on the manifold: projecting it again must not move it, where the model has an
/// exact inverse.
pub(super) fn round_trip_error(of: Evaluated<'_>, x: &[f64], parameters: &[f64]) -> Result<f64> {
    let model: &dyn Model = of.model;
    let (x, context) = (of.tensor(x, model.signature().data_dim)?, of.context(parameters)?);
    let moved = of.by_rows(&x, context.as_ref(), |x, c| {
        model.reconstruction_error(&model.project(x, c)?, c)
    })?;
    Ok(moved.into_iter().fold(0., f64::max))
}
