//! How far the density of a model with an encoder of its own can be trusted.
use super::evaluate::by_rows;
use super::output::values;
use anyhow::Result;
use mflow::bijectors::Stream;
use mflow::core::Model;
use mflow::core::candle::Tensor;
use mflow::train::Pool;
use std::fmt;

/// Samples by which it is measured where nobody says how many.
pub(super) const SAMPLES: usize = 1000;

/// Distances between samples of a model and where encoder and decoder put them; see [`Model::cycle_error`].
#[derive(Debug)]
pub(super) struct Cycle {
    samples: usize,
    /// Mean and largest, in data units.
    data: [f64; 2],
    /// Mean and largest, in units of the latents.
    latents: Option<[f64; 2]>,
}

/// Whether a model has a density of data that is exact only as far as its encoder is.
pub(super) fn depends_on_encoder(model: &dyn Model) -> bool {
    model.signature().density.is_some() && !model.inverts()
}

impl Cycle {
    /// Of `samples` samples, with a row of context each.
    pub(super) fn measure(
        model: &dyn Model,
        context: Option<&Tensor>,
        samples: usize,
        pool: &Pool,
    ) -> Result<Self> {
        let latents = model.sample_latent(samples, &mut Stream::new(0, "info"))?;
        let errors = by_rows(pool, &latents, context, |u, c| {
            let found = model.cycle_error(u, c)?;
            let columns: Vec<Tensor> =
                [Some(found.data), found.latent].into_iter().flatten().collect();
            Ok(Tensor::stack(&columns, 1)?)
        })?;
        let columns = errors.dim(1)?;
        let summary = |j: usize| -> Result<[f64; 2]> {
            let values = values(&errors.narrow(1, j, 1)?.contiguous()?)?;
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            // A NaN is the largest of all.
            Ok([mean, values.into_iter().max_by(f64::total_cmp).unwrap_or(f64::NAN)])
        };
        let latents = (columns > 1).then(|| summary(1)).transpose()?;
        Ok(Self { samples, data: summary(0)?, latents })
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, data: [mean, largest], latents } = self;
        write!(
            f,
            "The density is exact where encoder and decoder invert each other. On {samples} samples,\n  \
             decoded and encoded again, the mean distance is {mean:.1e}, the largest {largest:.1e}, in data units"
        )?;
        match latents {
            Some([mean, largest]) => {
                write!(f, ";\n  of their latents {mean:.1e} and {largest:.1e}.")
            }
            None => write!(f, "."),
        }
    }
}
