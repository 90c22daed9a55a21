//! What is measured of a model of images.
use super::ImagesConfig;
use super::data::ImageData;
use super::features::{BLACK, Named, WHITE};
use crate::Result;
use crate::experiment::ExperimentConfig;
use crate::experiment::evaluation::{Evaluation, has_manifold_density, round_trip_error};
use mflow_bijectors::{Stream, host};
use mflow_core::candle::{DType, Device, Tensor};
use mflow_core::{Density, Generator, NearestConfig};
use mflow_eval::Estimate;
use mflow_eval::metrics::{Evaluated, image_samples, log_densities, reconstruction_errors};
use mflow_eval::statistics::Sample;
use std::collections::BTreeMap;

/// Test images whose exact density is computed: each costs as many images as the manifold has dimensions.
const DENSITIES: usize = 200;
/// Latents that the search for the nearest point starts from.
const STARTS: usize = 4;

/// Measure all there is.
pub(in crate::experiment) fn evaluate_images(
    config: &ExperimentConfig,
    images: &ImagesConfig,
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
    let samples = generated(config, data, of, config.evaluation.samples)?;
    compare(config, data, &samples, &mut put)?;
    if let Some(generator) = &images.generator {
        let generator = Generator::load(generator, DType::F32, &Device::Cpu)?;
        let rows = config.evaluation.nearest;
        let distance =
            |x: &[f64]| distances(&generator, &x[..x.len().min(rows * data.dim())], data.dim());
        put("manifold_distance".into(), Estimate::mean(&distance(&samples)?)?);
        put("manifold_distance_floor".into(), Estimate::mean(&distance(&data.test)?)?);
    }
    if let Some(context) = &images.context
        && of.model.signature().density.is_some()
        && let Some(log_posterior) = data.log_posterior(of, context.truth)?
    {
        let plain = |value| Estimate { value, standard_error: None, count: context.count };
        put("log_posterior".into(), plain(log_posterior));
        if let Some(exact) = context.exact {
            put("log_posterior_of_truth".into(), plain(exact));
        }
    }
    let round_trip_error = Some(round_trip_error(of, &data.test, parameters)?);
    Ok(Evaluation { metrics, round_trip_error })
}

/// So many images that the model draws, at the parameters of the test images if there are some: bytes, as the others are.
pub(crate) fn generated(
    config: &ExperimentConfig,
    data: &ImageData,
    of: Evaluated<'_>,
    rows: usize,
) -> Result<Vec<f64>> {
    let parameters = data.test_parameters();
    let parameters: Vec<f64> = match parameters.is_empty() {
        true => vec![],
        false => parameters.iter().copied().cycle().take(rows).collect(),
    };
    let (model, context) = (of.model, of.context(&parameters)?);
    let latent = model.sample_latent(rows, &mut Stream::new(config.seed, "model samples"))?;
    let x = match model.sample_noise(rows, &mut Stream::new(config.seed, "sample noise"))? {
        None => of.by_rows(&latent, context.as_ref(), |u, c| model.decode(u, c))?,
        Some(noise) => {
            let n = latent.dims()[1];
            let both = Tensor::cat(&[&latent, &noise], 1).map_err(mflow_core::Error::from)?;
            of.by_rows(&both, context.as_ref(), |both, c| {
                let part = |start, len| both.narrow(1, start, len)?.contiguous();
                let noise = part(n, both.dim(1)? - n)?;
                model.decode_noisy(&part(0, n)?, &noise, c)
            })?
        }
    };
    Ok(x.into_iter().map(|v| v.round().clamp(BLACK, WHITE)).collect())
}

/// Distances of samples in all features that the experiment names.
fn compare<T>(
    config: &ExperimentConfig,
    data: &ImageData,
    samples: &[f64],
    put: &mut impl FnMut(String, Estimate) -> T,
) -> Result<()> {
    let sample = |x| Sample::new(x, data.dim());
    for name in &config.evaluation.features {
        let features = Named::parse(name)?.features(&config.evaluation, data)?;
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

/// Distances of rows from the images of a generator.
fn distances(generator: &Generator, x: &[f64], dim: usize) -> Result<Vec<f64>> {
    let x = Tensor::from_slice(x, (x.len() / dim, dim), &Device::Cpu)
        .map_err(mflow_core::Error::from)?;
    let x = host::place(&x, DType::F32, &Device::Cpu).map_err(mflow_core::Error::from)?;
    let config = NearestConfig::default();
    Ok(generator.nearest(&x, &config.with_starts(STARTS, config.drawn))?.distances)
}
