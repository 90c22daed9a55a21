//! What a report shows of runs whose rows are images.
use crate::experiment::ImageData;
use crate::pictures::{Originals, Picture, SHOWN, pictures};
use crate::{Finished, FinishedFit, Result};
use mflow_eval::metrics::Evaluated;
use mflow_train::Pool;

/// Rows of fewer pixels a side are tables.
const LEAST: usize = 4;

/// Pictures of these runs, one below the other in this order, beside images of the first one; none if rows are no images, or
/// images of different shapes.
pub(super) fn of_images(runs: &[&Finished], pool: &Pool) -> Result<Vec<Picture>> {
    let Some(first) = runs.first() else { return Ok(vec![]) };
    let dims = |run: &&Finished| run.model().signature().data_dim;
    if runs.iter().any(|run| dims(run) != dims(first) || !run.model().signature().is_generative()) {
        return Ok(vec![]);
    }
    let models: Vec<_> = runs.iter().map(|run| Evaluated { model: run.model(), pool }).collect();
    match first {
        Finished::Experiment(run) => match ImageData::open(&run.config, SHOWN)? {
            Some(data) => pictures(&models, data.originals(run.config.seed)),
            None => Ok(vec![]),
        },
        Finished::Fit(fit) => match shape(fit) {
            Some(shape) => {
                let context = zeros(fit);
                let white =
                    if fit.points.iter().all(|v| (0. ..=1.).contains(v)) { 1. } else { 255. };
                let (values, context, seed) = (&fit.points, &context, fit.config.seed);
                pictures(&models, Originals { shape, values, context, white, seed })
            }
            None => Ok(vec![]),
        },
    }
}

/// `[H, W, C]` of rows that can be seen as images.
fn shape(fit: &FinishedFit) -> Option<[usize; 3]> {
    let [height, width, channels] = match *fit.row_shape.as_deref()? {
        [height, width] => [height, width, 1],
        [height, width, channels] => [height, width, channels],
        _ => return None,
    };
    let is_image = height.min(width) >= LEAST && matches!(channels, 1 | 3);
    (is_image && !fit.points.is_empty()).then_some([height, width, channels])
}

/// A fit does not keep the contexts of its rows: all is drawn at 0.
fn zeros(fit: &FinishedFit) -> Vec<f64> {
    let signature = fit.model.signature();
    vec![0.; signature.context_dim.unwrap_or(0) * (fit.points.len() / signature.data_dim)]
}
