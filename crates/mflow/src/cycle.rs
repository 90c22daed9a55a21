//! How far the density of a model with an encoder of its own can be trusted.
use crate::Result;
use mflow_bijectors::{Stream, host};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{Error as CoreError, Model};
use mflow_train::Pool;
use std::fmt;

/// Samples by which it is measured where nobody says how many.
pub const SAMPLES: usize = 1000;

/// A sample comes back if its distance from where it started is below this share of the spread of all samples, the root of
/// their summed variances, ..
const OF_SPREAD: f64 = 1e-3;
/// .. and the distance of its latents below this: the log-density of standard normal latents, within three deviations, is
/// then off by 0.03 nats at most.
const OF_LATENTS: f64 = 1e-2;
/// With fewer samples that come back, the density is not called exact.
const MOST: f64 = 0.99;

/// Distances between samples of a model and where encoder and decoder put them; see [`Model::cycle_error`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Cycle {
    /// How many samples.
    pub samples: usize,
    /// Mean and largest, in data units.
    pub data: [f64; 2],
    /// Mean and largest, in units of the latents; none of an atlas.
    pub latents: Option<[f64; 2]>,
    /// The share of the samples that come back to where they started.
    pub share: f64,
}

/// Whether a model has a density of data that is exact only as far as its encoder is.
pub fn depends_on_encoder(model: &dyn Model) -> bool {
    model.signature().density.is_some() && !model.inverts()
}

impl Cycle {
    /// Of `samples` samples, with a row of `context: [samples, C]` each.
    ///
    /// # Errors
    /// If the context does not fit the model, or a sample is not finite.
    #[expect(
        clippy::indexing_slicing,
        reason = "rows of the points with an error or two behind them"
    )]
    pub fn measure(
        model: &dyn Model,
        context: Option<&Tensor>,
        samples: usize,
        pool: &Pool,
    ) -> Result<Self> {
        let latents = model.sample_latent(samples, &mut Stream::new(0, "info"))?;
        // A row has the sample, then what is measured of it.
        let found = pool.by_rows(
            &model.signature().device,
            samples,
            |range| -> Result<Tensor, CoreError> {
                let context = context.map(|c| c.narrow(0, range.start, range.len())).transpose()?;
                let u = latents.narrow(0, range.start, range.len())?;
                let x = model.decode(&u, context.as_ref())?;
                let error = model.cycle_error(&u, context.as_ref())?;
                let errors: Vec<Tensor> =
                    [Some(error.data), error.latent].into_iter().flatten().collect();
                Ok(Tensor::cat(&[x, Tensor::stack(&errors, 1)?], 1)?)
            },
        )?;
        let d = model.signature().data_dim;
        let found = host::tensor(&found).and_then(|t| t.to_dtype(DType::F64)?.to_vec2::<f64>());
        let found = found.map_err(CoreError::from)?;
        let column = |j: usize| found.iter().map(move |row| row[j]);
        let spread = (0..d).map(|j| variance(column(j))).sum::<f64>().sqrt();
        let has_latents = found.first().is_some_and(|row| row.len() > d + 1);
        let comes_back = |row: &&Vec<f64>| {
            row[d] <= OF_SPREAD * spread && row.get(d + 1).is_none_or(|error| *error <= OF_LATENTS)
        };
        let back = found.iter().filter(comes_back).count();
        Ok(Self {
            samples,
            data: mean_and_largest(column(d)),
            latents: has_latents.then(|| mean_and_largest(column(d + 1))),
            share: back as f64 / samples.max(1) as f64,
        })
    }

    /// Whether the density may be called exact: nearly all samples come back.
    pub fn is_exact(&self) -> bool {
        self.share >= MOST
    }

    /// In a sentence, for how many samples the density is exact.
    pub fn verdict(&self) -> String {
        let (percent, samples) = (100. * self.share, self.samples);
        match self.is_exact() {
            true => format!(
                "The density is exact where encoder and decoder invert each other: at {percent:.1} % of {samples} samples."
            ),
            false => format!(
                "The density is NOT exact: encoder and decoder invert each other at only {percent:.1} % of {samples} samples."
            ),
        }
    }
}

fn mean_and_largest(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let count = values.clone().count().max(1) as f64;
    // A NaN is the largest of all.
    [values.clone().sum::<f64>() / count, values.max_by(f64::total_cmp).unwrap_or(f64::NAN)]
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    values.map(|v| (v - mean).powi(2)).sum::<f64>() / count
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data: [mean, largest], latents, .. } = self;
        write!(
            f,
            "{}\n  Decoded and encoded again, the samples come back with a mean distance of {mean:.1e}, the largest \
             {largest:.1e}, in data units",
            self.verdict()
        )?;
        match latents {
            Some([mean, largest]) => {
                write!(f, ";\n  their latents with {mean:.1e} and {largest:.1e}.")
            }
            None => write!(f, ".\n  A chart that lies double is not seen by that."),
        }
    }
}
