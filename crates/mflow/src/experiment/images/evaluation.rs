//! What is measured of a model of images.
use super::data::ImageData;
use super::features::Named;
use super::{BLACK, WHITE};
use crate::Result;
use crate::experiment::ExperimentConfig;
use crate::experiment::evaluation::{Evaluation, has_manifold_density, round_trip_error};
use mflow_bijectors::Stream;
use mflow_core::Density;
use mflow_core::candle::Tensor;
use mflow_eval::Estimate;
use mflow_eval::metrics::{Evaluated, image_samples, log_densities, reconstruction_errors};
use mflow_eval::statistics::Sample;
use std::collections::BTreeMap;

/// Test images whose exact density is computed: each costs as many images as the manifold has dimensions.
const DENSITIES: usize = 200;

/// Measure all there is.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "not more than is there, of images with a pixel or more, and tensors with two axes"
)]
pub(in crate::experiment) fn evaluate_images(
    config: &ExperimentConfig,
    data: &ImageData,
    of: Evaluated<'_>,
) -> Result<Evaluation> {
    let mut metrics = BTreeMap::new();
    let mut put = |name: String, estimate: Estimate| metrics.insert(name, estimate);
    let parameters = data.test_parameters();
    let errors = reconstruction_errors(of, &data.test, parameters)?;
    put("reconstruction_error".into(), Estimate::mean(&errors)?);
    let some = DENSITIES.min(errors.len());
    let first = (&data.test[..some * data.dim()], &parameters[..some.min(parameters.len())]);
    if has_manifold_density(of.model) {
        let log_prob = log_densities(of, Density::Manifold, first.0, first.1)?;
        put("test_log_prob".into(), Estimate::mean(&log_prob)?);
    }
    if of.model.signature().density == Some(Density::Ambient) {
        let log_prob = log_densities(of, Density::Ambient, first.0, first.1)?;
        put("test_log_prob_ambient".into(), Estimate::mean(&log_prob)?);
    }
    let samples = generated(config, data, of)?;
    compare(config, data, &samples, of.pool.threads(), &mut put)?;
    if let Some(manifold) = &data.manifold
        && config.evaluation.nearest > 0
    {
        let rows = config.evaluation.nearest * data.dim();
        let distance = |x: &[f64]| manifold.distances(&x[..x.len().min(rows)], data.dim());
        put("manifold_distance".into(), Estimate::mean(&distance(&samples)?)?);
        let floor = match manifold.known_distances(&data.test, data.dim())? {
            Some(known) => known,
            None => distance(&data.test)?,
        };
        put("manifold_distance_floor".into(), Estimate::mean(&floor)?);
    }
    if let Some(context) = &data.context
        && of.model.signature().density.is_some()
    {
        let count = context.observed.len() / data.dim();
        let plain = |value| Estimate { value, standard_error: None, count };
        put("log_posterior".into(), plain(context.log_posterior(of, data.dim())?));
        if let Some(exact) = context.exact {
            put("log_posterior_of_truth".into(), plain(exact));
        }
    }
    let round_trip_error = Some(round_trip_error(of, &data.test, parameters)?);
    Ok(Evaluation { metrics, round_trip_error })
}

/// Images that the model draws, at the parameters of the test images if there are some: bytes, as the others are.
fn generated(config: &ExperimentConfig, data: &ImageData, of: Evaluated<'_>) -> Result<Vec<f64>> {
    let rows = config.evaluation.samples;
    let parameters: Vec<f64> = match data.test_parameters() {
        [] => vec![],
        parameters => parameters.iter().copied().cycle().take(rows).collect(),
    };
    let x = drawn(of, config.seed, rows, &parameters)?;
    Ok(x.into_iter().map(|v| v.round().clamp(BLACK, WHITE)).collect())
}

/// Rows that the model draws by the streams of this seed, each at its context, `[rows, C]`.
#[expect(
    clippy::indexing_slicing,
    reason = "not more than is there, of images with a pixel or more, and tensors with two axes"
)]
pub(crate) fn drawn(
    of: Evaluated<'_>,
    seed: u64,
    rows: usize,
    context: &[f64],
) -> Result<Vec<f64>> {
    let (model, context) = (of.model, of.context(context)?);
    let latent = model.sample_latent(rows, &mut Stream::new(seed, "model samples"))?;
    match model.sample_noise(rows, &mut Stream::new(seed, "sample noise"))? {
        None => Ok(of.by_rows(&latent, context.as_ref(), |u, c| model.decode(u, c))?),
        Some(noise) => {
            let n = latent.dims()[1];
            let both = Tensor::cat(&[&latent, &noise], 1).map_err(mflow_core::Error::from)?;
            Ok(of.by_rows(&both, context.as_ref(), |both, c| {
                let part = |start, len| both.narrow(1, start, len)?.contiguous();
                let noise = part(n, both.dim(1)? - n)?;
                model.decode_noisy(&part(0, n)?, &noise, c)
            })?)
        }
    }
}

/// Distances of samples in all features that the experiment names.
fn compare<T>(
    config: &ExperimentConfig,
    data: &ImageData,
    samples: &[f64],
    threads: usize,
    put: &mut impl FnMut(String, Estimate) -> T,
) -> Result<()> {
    let sample = |x| Sample::new(x, data.dim());
    for name in &config.evaluation.features {
        let features = Named::parse(name)?.features(&config.evaluation, data, threads)?;
        let found = image_samples(
            features.as_ref(),
            sample(samples)?,
            sample(&data.train)?,
            sample(&data.test)?,
        )?;
        for (distances, suffix) in [(found.generated, ""), (found.floor, "_floor")] {
            put(format!("frechet_{name}{suffix}"), distances.frechet.distance);
            put(format!("kernel_{name}{suffix}"), distances.kernel);
            put(format!("precision_{name}{suffix}"), distances.coverage.precision);
            put(format!("recall_{name}{suffix}"), distances.coverage.recall);
        }
    }
    Ok(())
}
