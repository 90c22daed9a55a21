//! How many dimensions the manifold of some data has: what a fit is told, and what it asks.
use super::candidates::UPDATES;
use super::columns::ColumnFacts;
use super::request::{Ask, FitRequest};
use super::shape::start_from;
use super::units::DataUnits;
use super::{Kind, News};
use crate::{Error, Result};
use mflow_eval::statistics::Sample;
use mflow_eval::{DimensionConfig, DimensionEstimator, DimensionStudy};
use mflow_train::{Candidate, Pool, RowSource, Start, Trials};
use std::sync::atomic::AtomicBool;

/// Neighbourhoods of no more than this share of the columns are those of a manifold. Estimates of a density that fills all
/// columns are above: of normal rows in up to 20 columns, above 0.85.
const SHARE: f64 = 0.75;

/// The dimension of the manifold on or near which rows lie that an ambient density is to be fitted to, if there is one: such
/// a density has no bound there. Rows that fill all columns, and rows that are too few to tell, have none.
///
/// `facts` are those of `x: [rows, D]`.
///
/// # Errors
/// If neighbours cannot be found among the rows.
#[expect(
    clippy::indexing_slicing,
    reason = "not beyond the last of the points, and two candidates or more"
)]
pub fn manifold_below(x: &[f64], facts: &ColumnFacts, pool: &Pool) -> Result<Option<usize>> {
    let d = facts.columns;
    if let Some(rank) = facts.rank.filter(|rank| *rank < d) {
        return Ok(Some(rank.max(1)));
    }
    let config = DimensionConfig { standardize: true, seed: 0 };
    let study = DimensionStudy::of(Sample::new(x, d)?, config, pool)?;
    // In the smallest neighbourhoods noise and the curvature of a manifold are seen apart. Those of local components must
    // have more rows than columns.
    let of = |estimator, position: usize| {
        let curve = study.curves.iter().find(|curve| curve.estimator == estimator)?;
        let last = curve.points.len().checked_sub(1)?;
        Some(curve.points[position.min(last)].dimension)
    };
    let small = |estimate: Option<f64>| estimate.is_some_and(|n| n <= SHARE * d as f64);
    let is_thin = small(of(DimensionEstimator::TwoNn, 0))
        && small(of(DimensionEstimator::LevinaBickel, 0))
        && small(of(DimensionEstimator::LocalPca, 1));
    Ok(study.recommended.filter(|n| is_thin && *n < d))
}

impl FitRequest {
    /// The same request with the dimension that the rows `x: [rows, D]` recommend, where it is left to them
    /// ([`Ask::Auto`]); any other request as it is. `tell` hears what they say.
    ///
    /// # Errors
    /// If the rows do not say, or fill all columns.
    pub fn with_dimension_of(
        self,
        x: &[f64],
        columns: usize,
        pool: &Pool,
        tell: &mut dyn FnMut(News),
    ) -> Result<Self> {
        if self.manifold_dim != Ask::Auto {
            return Ok(self);
        }
        let config = DimensionConfig { standardize: true, seed: self.seed.unwrap_or(0) };
        let study = DimensionStudy::of(Sample::new(x, columns)?, config, pool)?;
        let refuse = |reason| Error::Request { field: "manifold_dim", reason };
        match study.recommended {
            None => Err(refuse(format!(
                "expected a number, as the rows recommend none: {}",
                study.because
            ))),
            Some(n) if n >= columns => Err(refuse(format!(
                "expected a number below {columns}, as the rows seem to fill all {columns} columns, for which the model \
                 `af` is: {}",
                study.because
            ))),
            Some(n) => {
                tell(News::Dimension { dimension: n, because: study.because });
                Ok(Self { manifold_dim: Ask::For(n), ..self })
            }
        }
    }

    /// Compare the errors of short runs with one dimension less, with as many as this request has, and with one more: of the
    /// kind of model that it asks for, an M-flow if it asks for none, from a flat start where that is possible. `tell` hears
    /// the errors. None if `stop` was raised.
    ///
    /// # Errors
    /// If a model cannot be trained.
    #[expect(
        clippy::indexing_slicing,
        reason = "not beyond the last of the points, and two candidates or more"
    )]
    pub fn compare_dimensions(
        &self,
        units: &DataUnits,
        data: &dyn RowSource,
        validation: Option<&dyn RowSource>,
        pool: &Pool,
        tell: &mut dyn FnMut(News),
        stop: &AtomicBool,
    ) -> Result<Option<()>> {
        let (Some(&n), d) = (self.manifold_dim.value(), units.data_dim()) else {
            return Ok(Some(()));
        };
        let (mut dims, mut candidates) = (vec![], vec![]);
        let (mut seed, mut dtype) = (0, super::DTypeName::F32);
        for m in (n.saturating_sub(1).max(1)..=n + 1).filter(|m| *m < d) {
            let asked = self.with(Some(self.model.unwrap_or(Kind::MFlow)), self.chart.clone());
            let mut config = Self { manifold_dim: Ask::For(m), ..asked }.resolve(units)?;
            config.train.shards = pool.workers();
            if Start::Flat.check(&config.model, &config.train).is_ok() {
                (config.model, config.train) =
                    start_from(Start::Flat, config.model, config.train, data)?;
            }
            (seed, dtype) = (config.seed, config.dtype);
            candidates.push(Candidate {
                name: m.to_string(),
                model: config.model,
                train: config.train,
            });
            dims.push(m);
        }
        if candidates.len() < 2 {
            return Ok(Some(()));
        }
        let trials = Trials { data, validation, dtype: dtype.into(), seed, pool, updates: UPDATES };
        let model = candidates[0].model.name().to_owned();
        let Some(choice) = trials.choose(&candidates, |_| (), stop)? else { return Ok(None) };
        let errors = dims.into_iter().zip(choice.trials.iter().map(|trial| trial.error)).collect();
        tell(News::Dimensions { model, errors });
        Ok(Some(()))
    }
}
