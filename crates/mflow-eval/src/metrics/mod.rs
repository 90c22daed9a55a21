//! Metrics of a model on test data and against the truth: each with its standard error.
mod calibration;
mod chart_kl;
mod circle;
mod collisions;
mod decoded;
mod excess_volume;
mod image_samples;
mod likelihood;
mod manifold;
mod outliers;
mod posterior_kl;
mod posteriors;
mod score;
mod section;
mod two_samples;

pub use calibration::{CalibrationConfig, PosteriorCalibration, calibration};
pub use chart_kl::chart_kl;
pub use circle::{CircleSamples, circle_samples};
pub use collisions::{ObservableDistances, closure_of_samples, observable_distances};
pub use decoded::{Decoded, decoded};
pub use excess_volume::excess_volume;
pub use image_samples::{ImageDistances, ImageSamples, image_samples};
pub use likelihood::{log_densities, log_likelihood, log_likelihood_gap, log_ratio_error};
pub use manifold::{
    ManifoldDistance, manifold_distance, reconstruction_error, reconstruction_errors,
    sample_distance,
};
pub use outliers::{OutlierAuc, OutlierScores, outlier_auc, outlier_scores};
pub use posteriors::{PosteriorConfig, Posteriors, observed_set, posteriors};
pub use score::score_error;
pub use section::{
    LORENZ_SLAB, SECTION_CELLS, Section, lorenz_section_tv, lorenz_sections, total_variation,
};
pub use two_samples::{TwoSamples, two_samples};

use crate::Result;
use mflow_bijectors::host;
use mflow_core::Model;
use mflow_core::candle::{DType, Device, Tensor};
use mflow_train::Pool;
use std::ops::Range;

/// A model with the threads that evaluate it.
#[derive(Clone, Copy, Debug)]
pub struct Evaluated<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// The threads.
    pub pool: &'a Pool,
}

impl Evaluated<'_> {
    /// Row-major numbers as a tensor `[rows, cols]` of the model's dtype and device.
    ///
    /// # Errors
    /// If the length is no multiple of `cols`.
    pub fn tensor(&self, values: &[f64], cols: usize) -> Result<Tensor> {
        let signature = self.model.signature();
        let t = Tensor::from_slice(values, (values.len() / cols.max(1), cols), &Device::Cpu)?;
        Ok(host::place(&t, signature.dtype, &signature.device)?)
    }

    /// `rows` context rows from parameters `[rows, P]`; none if the model is unconditional.
    ///
    /// # Errors
    /// If the length does not fit.
    pub fn context(&self, parameters: &[f64]) -> Result<Option<Tensor>> {
        self.model.signature().context_dim.map(|c| self.tensor(parameters, c)).transpose()
    }

    /// Evaluate `f(rows of x, rows of the context)` block by block, as row-major f64.
    ///
    /// # Errors
    /// As `f`.
    pub fn by_rows(
        &self,
        x: &Tensor,
        context: Option<&Tensor>,
        f: impl Fn(&Tensor, Option<&Tensor>) -> mflow_core::Result<Tensor> + Sync + Send,
    ) -> Result<Vec<f64>> {
        let block = |r: Range<usize>| -> mflow_core::Result<Tensor> {
            let context = context.map(|c| c.narrow(0, r.start, r.len())).transpose()?;
            f(&x.narrow(0, r.start, r.len())?, context.as_ref())
        };
        let all = self.pool.by_rows(x.device(), x.dim(0)?, block)?;
        Ok(all.flatten_all()?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec1()?)
    }
}
