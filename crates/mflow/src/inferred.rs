//! What chains say of the parameters behind an observed set: a table, warnings, a figure.
use crate::Result;
use mflow_bijectors::Stream;
use mflow_core::Model;
use mflow_data::Prior;
use mflow_eval::figures::{Corner, corner_svg, draw_corner};
use mflow_eval::metrics::Evaluated;
use mflow_eval::{
    ChainConfig, LEAST_EFFECTIVE_SAMPLE_SIZE, ParameterSummary, Posterior, PosteriorSample,
    R_HAT_LIMIT, sample_posterior, to_digits_of,
};
use mflow_train::Pool;
use rand::Rng;
use std::fmt;
use std::path::Path;

/// Sample the posterior of the parameters that are the context of `model`, given the observed rows `x: [n, D]`, which are number
/// `index` of the sets of this `seed`.
///
/// # Errors
/// If the model has no likelihood given these parameters, or the chains cannot be run.
pub fn infer(
    model: &dyn Model,
    priors: &[Prior],
    x: &[f64],
    config: &ChainConfig,
    (seed, index): (u64, usize),
    pool: &Pool,
) -> Result<PosteriorSample> {
    let posterior = Posterior::new(Evaluated { model, pool }, priors, x)?;
    let seed = Stream::new(seed, &format!("posterior of set {index}")).next_u64();
    Ok(sample_posterior(&posterior, priors, config, seed, pool)?)
}

/// The posterior given an observed set.
#[derive(Clone, Debug, PartialEq)]
pub struct InferredSet {
    /// What was observed: a file, or rows of one.
    pub title: String,
    /// Name of each parameter.
    pub names: Vec<String>,
    /// Prior of each parameter.
    pub priors: Vec<Prior>,
    /// The true parameters, if they are known.
    pub truth: Option<Vec<f64>>,
    /// The chains that were run.
    pub config: ChainConfig,
    /// Their draws.
    pub sample: PosteriorSample,
}

/// The columns of [`InferredSet::cells`].
pub(crate) const HEAD: [&str; 8] = [
    "Parameter",
    "Mean",
    "Standard deviation",
    "5 %",
    "50 %",
    "95 %",
    "R-hat",
    "Effective sample size",
];

impl InferredSet {
    /// Draw the corner plot into the PNG or SVG file `path`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn draw(&self, path: &Path) -> Result<()> {
        Ok(draw_corner(&self.corner(&self.bounds()), path)?)
    }

    /// The corner plot as the text of an SVG.
    pub(crate) fn svg(&self) -> Result<String> {
        Ok(corner_svg(&self.corner(&self.bounds()))?)
    }

    fn bounds(&self) -> Vec<Option<[f64; 2]>> {
        let bounds = |prior: &Prior| match *prior {
            Prior::Uniform { low, high } => Some([low, high]),
            Prior::Normal { .. } => None,
        };
        self.priors.iter().map(bounds).collect()
    }

    fn corner<'a>(&'a self, bounds: &'a [Option<[f64; 2]>]) -> Corner<'a> {
        let truth = self.truth.as_deref();
        Corner { samples: &self.sample.samples, names: &self.names, bounds, truth }
    }

    /// What is wrong with the chains, and what to do about it; nothing if they can be trusted.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let [chains, draws, _] = self.sample.shape;
        let mut all = vec![];
        for (name, parameter) in self.names.iter().zip(&self.sample.parameters) {
            let ParameterSummary { r_hat, effective_sample_size: size, .. } = *parameter;
            if r_hat.is_nan() {
                all.push(format!(
                    "{name}: the chains have not moved. Check that the prior has room for the posterior, or try \
                     --sampler slice."
                ));
            } else if r_hat > R_HAT_LIMIT {
                all.push(format!(
                    "{name}: R-hat is {r_hat:.3}, above {R_HAT_LIMIT}: the chains have not converged. Try --burn-in \
                     {} --draws {}. If R-hat stays high, look at the chains in posterior.html: the posterior may \
                     have several modes.",
                    2 * self.config.lengths.burn_in.max(250),
                    2 * draws
                ));
            }
            if size < LEAST_EFFECTIVE_SAMPLE_SIZE {
                all.push(format!(
                    "{name}: the effective sample size is {size:.0}, below {LEAST_EFFECTIVE_SAMPLE_SIZE}: quantiles \
                     are rough. Try --draws {}.",
                    enough_draws(draws, size)
                ));
            }
        }
        if self.sample.divergences > 0 {
            all.push(format!(
                "{} of {} draws diverged: the chains may miss a part of the posterior. Compare with --sampler \
                 slice; if the model is in single precision, also try --dtype f64.",
                self.sample.divergences,
                chains * draws
            ));
        }
        all
    }

    /// The table of parameters, without its head: a row for each.
    pub(crate) fn cells(&self) -> Vec<[String; 8]> {
        let row = |(name, of): (&String, &ParameterSummary)| {
            let number = |x: f64| to_digits_of(x, of.std, 3);
            let [lower, median, upper] = of.quantiles.map(number);
            let (r_hat, size) =
                (format!("{:.3}", of.r_hat), format!("{:.0}", of.effective_sample_size));
            [name.clone(), number(of.mean), number(of.std), lower, median, upper, r_hat, size]
        };
        self.names.iter().zip(&self.sample.parameters).map(row).collect()
    }
}

/// Draws of each chain that make the effective sample size large enough, with a fifth to spare, in hundreds.
#[expect(clippy::cast_possible_truncation, reason = "a float cast to usize saturates")]
fn enough_draws(draws: usize, size: f64) -> usize {
    let factor = 1.2 * LEAST_EFFECTIVE_SAMPLE_SIZE / size.max(1.);
    ((draws as f64 * factor / 100.).ceil() as usize).saturating_mul(100)
}

/// The table of parameters, as text.
impl fmt::Display for InferredSet {
    #[expect(clippy::indexing_slicing, reason = "cells of the eight columns")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["parameter", "mean", "std", "5 %", "50 %", "95 %", "R-hat", "ESS"];
        let cells = self.cells();
        let rows = || cells.iter().map(|row| row.each_ref().map(String::as_str));
        let all = std::iter::once(head).chain(rows());
        let width = |k: usize| all.clone().map(|row| row[k].chars().count()).max().unwrap_or(0);
        let widths: [usize; 8] = std::array::from_fn(width);
        for (i, row) in all.clone().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "  {:<width$}", row[0], width = widths[0])?;
            for (cell, width) in row[1..].iter().zip(&widths[1..]) {
                write!(f, "  {cell:>width$}")?;
            }
        }
        Ok(())
    }
}
