//! What a fit is worth on rows that it was not trained on: the first thing that its user wants to know.
use super::{FitConfig, evenly};
use crate::Result;
use mflow_bijectors::host;
use mflow_core::candle::Tensor;
use mflow_core::{Density, Model, PrincipalAxes};
use mflow_eval::Estimate;
use mflow_eval::metrics::Evaluated;
use mflow_eval::statistics::percentiles;
use mflow_train::{Pool, RowSource, RunDir, validation_split};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Name of the file in the run directory of a fit with its [`HeldOut`], as JSON.
pub const HELD_OUT_FILE: &str = "held_out.json";

/// Rows that are looked at, at most.
const ROWS: usize = 10_000;
/// Columns up to which principal components are compared with: their time grows with the third power.
const COLUMNS: usize = 256;
/// An outlier is further from the quartiles than so many times their distance: Tukey's far fence.
const FENCE: f64 = 3.;
/// Rows for quartiles, at least.
const LEAST: usize = 20;
/// A manifold that is better than principal components by less than this factor found nothing.
const NO_BETTER: f64 = 0.9;
/// More outliers than this share, and at least [`SOME`], are worth a look.
const MANY: f64 = 0.02;
/// See [`MANY`].
const SOME: usize = 5;

/// Where the held-out rows are.
#[derive(Clone, Debug)]
pub struct HeldOutRows<'a> {
    source: &'a dyn RowSource,
    rows: Vec<usize>,
    /// The other rows of the same source, which were trained on.
    others: Vec<usize>,
    chose_weights: bool,
}

impl<'a> HeldOutRows<'a> {
    /// The rows by which a fit with `config` chose its weights: those of `validation`, or the part of `data` that it held out.
    pub fn of_validation(
        data: &'a dyn RowSource,
        validation: Option<&'a dyn RowSource>,
        config: &FitConfig,
    ) -> Self {
        let (others, rows) = match validation {
            Some(validation) => (vec![], (0..validation.rows()).collect()),
            None => validation_split(data.rows(), config.train.validation_fraction, config.seed),
        };
        Self { source: validation.unwrap_or(data), rows, others, chose_weights: true }
    }

    /// Rows that had no part in the fit.
    pub fn apart(source: &'a dyn RowSource) -> Self {
        let rows = (0..source.rows()).collect();
        Self { source, rows, others: vec![], chose_weights: false }
    }
}

/// At most `most` of `rows`, evenly spread.
#[expect(clippy::indexing_slicing, reason = "rows below their number, and units of all columns")]
fn some(rows: &[usize], most: usize) -> Vec<usize> {
    evenly(rows.len(), most).map(|i| rows[i]).collect()
}

/// What held-out rows say of a fitted model. A part is none where the model has no such thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Rows that were looked at.
    pub rows: usize,
    /// Whether training used them to choose among its epochs: then the numbers flatter it a little.
    pub chose_weights: bool,
    /// Mean distance from the manifold, in data units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconstruction_error: Option<Estimate>,
    /// The same for the plane of as many principal components of the rows that were trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal_error: Option<Estimate>,
    /// Mean log-density in nats, of the kind that the model has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_prob: Option<Estimate>,
    /// Rows far from the others by their distance from the manifold or by their log-density.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outliers: Option<usize>,
    /// Rows with a distance or density that is not finite; they are not in the means.
    pub not_finite: usize,
    /// What to try or to look at next.
    pub next: Vec<String>,
}

impl HeldOut {
    /// What the rows say of `model`, which was fitted to `data`.
    ///
    /// A row is called an outlier if the logarithm of its distance from the manifold is above the upper quartile of all by
    /// more than 3 times the distance between the quartiles, or its log-density as far below the lower one: Tukey's far
    /// fence. Fewer than 20 rows tell no outliers.
    ///
    /// # Errors
    /// If a row cannot be read or the model not be evaluated.
    #[expect(
        clippy::indexing_slicing,
        reason = "rows below their number, and units of all columns"
    )]
    pub fn measure(
        model: &dyn Model,
        held_out: &HeldOutRows<'_>,
        data: &dyn RowSource,
        pool: &Pool,
    ) -> Result<Self> {
        let HeldOutRows { source, rows, others, chose_weights } = held_out;
        let (signature, of) = (model.signature(), Evaluated { model, pool });
        let batch = source.gather(&some(rows, ROWS))?;
        let place = |t: &Tensor| host::place(t, signature.dtype, &signature.device);
        let x = place(&batch.x).map_err(mflow_core::Error::from)?;
        let context =
            batch.context.as_ref().map(place).transpose().map_err(mflow_core::Error::from)?;
        let context = context.filter(|_| signature.context_dim.is_some());
        let (n, d) = (signature.manifold_dim, signature.data_dim);
        let has_manifold = signature.is_generative() && n < d;
        let by_rows =
            |f: &(dyn Fn(&Tensor, Option<&Tensor>) -> mflow_core::Result<Tensor> + Sync)| {
                of.by_rows(&x, context.as_ref(), f)
            };
        let errors = match has_manifold {
            true => Some(by_rows(&|x, c| model.reconstruction_error(x, c))?),
            false => None,
        };
        let densities = match signature.density {
            Some(kind) if kind != Density::Ratio => {
                Some(by_rows(&|x, c| model.log_density(kind, x, c))?)
            }
            _ => None,
        };
        let principal = match has_manifold && d <= COLUMNS {
            true => {
                let trained_on = match others.is_empty() {
                    true => (0..data.rows()).collect(),
                    false => others.clone(),
                };
                let plane = data.gather(&some(&trained_on, ROWS))?.x;
                Some(principal_errors(&values(&plane)?, &values(&batch.x)?, d, n))
            }
            false => None,
        };
        let finite = |i: usize| {
            let is_finite = |of: &Option<Vec<f64>>| of.as_ref().is_none_or(|of| of[i].is_finite());
            is_finite(&errors) && is_finite(&densities)
        };
        let count = batch.rows();
        let weights = batch.weights.as_ref().map(values).transpose()?;
        // Where the manifold lies is a matter of the size of a weight, what is likely one of its sign.
        let mean = |of: &Option<Vec<f64>>, signed: bool| -> Result<Option<Estimate>> {
            let Some(of) = of else { return Ok(None) };
            let kept: Vec<usize> = (0..of.len()).filter(|&i| of[i].is_finite()).collect();
            let all: Vec<f64> = kept.iter().map(|&i| of[i]).collect();
            let Some(weights) = &weights else {
                return Ok(if all.is_empty() { None } else { Some(Estimate::mean(&all)?) });
            };
            let count = |&i: &usize| if signed { weights[i] } else { weights[i].abs() };
            let weights: Vec<f64> = kept.iter().map(count).collect();
            // Rows that add up to nothing have no mean.
            let has_mean = weights.iter().sum::<f64>() > 0.;
            Ok(if has_mean { Some(Estimate::weighted_mean(&all, &weights)?) } else { None })
        };
        let mut found = Self {
            rows: count,
            chose_weights: *chose_weights,
            reconstruction_error: mean(&errors, false)?,
            principal_error: mean(&principal, false)?,
            log_prob: mean(&densities, true)?,
            outliers: outliers(errors.as_deref(), densities.as_deref(), count),
            not_finite: (0..count).filter(|&i| !finite(i)).count(),
            next: vec![],
        };
        found.next = found.advice();
        Ok(found)
    }

    /// Write it to [`HELD_OUT_FILE`].
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, run: &RunDir) -> Result<()> {
        let path = run.file(HELD_OUT_FILE);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| crate::Error::Run { path: path.clone(), reason: e.to_string() })?;
        Ok(mflow_core::write_atomically(&path, |file| file.write_all(&text))?)
    }

    /// Whether the manifold is no better than a plane.
    fn is_no_better(&self) -> bool {
        match (&self.reconstruction_error, &self.principal_error) {
            (Some(error), Some(plane)) => error.value > NO_BETTER * plane.value,
            _ => false,
        }
    }

    /// What to do about what was found.
    fn advice(&self) -> Vec<String> {
        let mut next = vec![];
        if self.not_finite > 0 {
            next.push(format!(
                "{} rows have no finite distance or density: look at them, they may be far from all that was trained on",
                self.not_finite
            ));
        }
        // A plane is the manifold of data that lie in one, and no error is then its own.
        let is_small = |e: &Estimate| e.value.abs() < 1e-9;
        if self.is_no_better() && !self.principal_error.as_ref().is_some_and(is_small) {
            next.push(
                "the manifold is no better than principal components: try more epochs, another dimension, or leave the \
                 choice of the model to trials"
                    .to_owned(),
            );
        }
        let are_many = |n: &usize| *n >= SOME && *n as f64 > MANY * self.rows as f64;
        if let Some(outliers) = self.outliers.filter(are_many) {
            next.push(format!(
                "{outliers} of {} rows are far from the others: score them, and look at the columns in which they differ",
                self.rows
            ));
        }
        next
    }
}

impl fmt::Display for HeldOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = match self.chose_weights {
            true => "which also chose the epochs",
            false => "which had no part in the fit",
        };
        write!(f, "on {} held-out rows, {which}:", self.rows)?;
        if let Some(error) = &self.reconstruction_error {
            write!(f, "\n  reconstruction error {error}")?;
            if let Some(plane) = &self.principal_error {
                write!(f, ", that of as many principal components {plane}")?;
            }
        }
        if let Some(log_prob) = &self.log_prob {
            write!(f, "\n  mean log_prob {log_prob} nats")?;
        }
        if let Some(outliers) = self.outliers {
            write!(f, "\n  outliers: {outliers}")?;
        }
        for next in &self.next {
            write!(f, "\n  {next}")?;
        }
        Ok(())
    }
}

fn values(t: &Tensor) -> Result<Vec<f64>> {
    Ok(host::values_f64(t).map_err(mflow_core::Error::from)?)
}

/// The distances of rows of `x: [rows, d]` from the plane of `n` principal components of `fitted: [rows, d]`, each column in
/// units of its deviation when the plane is found, the distances in data units.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "rows below their number, and units of all columns"
)]
fn principal_errors(fitted: &[f64], x: &[f64], d: usize, n: usize) -> Vec<f64> {
    let Ok(units) = mflow_core::standardize(fitted, d) else { return vec![] };
    let standardized = |x: &[f64]| -> Vec<f64> {
        let value = |(i, v): (usize, &f64)| (v - units.shift[i % d]) / units.scale[i % d];
        x.iter().enumerate().map(value).collect()
    };
    let axes = PrincipalAxes::of(&standardized(fitted), d).axes;
    let distance = |row: &[f64]| {
        let mut rest = row.to_vec();
        for axis in axes.iter().take(n) {
            let along: f64 = row.iter().zip(axis).map(|(a, b)| a * b).sum();
            rest.iter_mut().zip(axis).for_each(|(r, a)| *r -= along * a);
        }
        rest.iter().zip(&units.scale).map(|(r, s)| (r * s).powi(2)).sum::<f64>().sqrt()
    };
    standardized(x).chunks_exact(d).map(distance).collect()
}

/// How many rows are outliers by their distances or their log-densities; none if that cannot be told.
fn outliers(errors: Option<&[f64]>, densities: Option<&[f64]>, count: usize) -> Option<usize> {
    if count < LEAST || (errors.is_none() && densities.is_none()) {
        return None;
    }
    let far_above = |values: Vec<f64>| -> Vec<bool> {
        let Some([lower, upper]) = percentiles(values.iter().copied(), [25., 75.]) else {
            return vec![false; count];
        };
        values.iter().map(|v| *v > upper + FENCE * (upper - lower)).collect()
    };
    // A distance of 0 is near, whatever the others are.
    let logs = errors.map(|of| of.iter().map(|v| v.max(f64::MIN_POSITIVE).ln()).collect());
    let unlikely = densities.map(|of| of.iter().map(|v| -v).collect());
    let by_error = logs.map_or_else(|| vec![false; count], far_above);
    let by_density = unlikely.map_or_else(|| vec![false; count], far_above);
    Some(by_error.iter().zip(&by_density).filter(|(a, b)| **a || **b).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mflow_bijectors::Stream;

    #[test]
    fn distances_from_a_plane_are_in_data_units() {
        // On y = 2 x, at distance 1 to both sides; the units of the columns differ.
        let line: Vec<f64> = (0..50_u32).flat_map(|i| [f64::from(i), 2. * f64::from(i)]).collect();
        let off = 5_f64.sqrt();
        let x = [10. - 2. / off, 20. + 1. / off, 7., 14.];
        let errors = principal_errors(&line, &x, 2, 1);
        assert!((errors[0] - 1.).abs() < 0.3 && errors[1] < 1e-9, "{errors:?}");
        let none = principal_errors(&line, &x, 2, 2);
        assert!(none.iter().all(|e| *e < 1e-9), "{none:?}");
    }

    #[test]
    fn outliers_are_far_from_the_quartiles() {
        let mut z = Stream::new(5, "outliers").normal(1000);
        assert_eq!(outliers(None, Some(&z), 1000), Some(0), "a normal distribution has none");
        (z[3], z[4]) = (-40., 40.);
        assert_eq!(outliers(None, Some(&z), 1000), Some(1), "a high density is no outlier");
        let mut errors: Vec<f64> = z.iter().map(|v| v.abs().min(4.) + 0.1).collect();
        errors[9] = 1e4;
        errors[10] = 0.;
        assert_eq!(outliers(Some(&errors), Some(&z), 1000), Some(2), "by either");
        assert_eq!(outliers(Some(&errors[..10]), None, 10), None, "too few to tell");
    }
}
