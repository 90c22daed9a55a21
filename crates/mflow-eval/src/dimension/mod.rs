//! How many dimensions the manifold has that rows lie on: estimates as curves over neighbourhood sizes, and a
//! recommendation.
//!
//! Any estimate from distances depends on the neighbourhoods that it looks at. In small ones, noise fills all
//! columns and the estimate rises towards their number; in large ones, a manifold that is curved or folded takes more
//! room than it has dimensions, and one that ends has fewer neighbours than it should. So each estimator gives a
//! [`DimensionCurve`], and the recommendation says which part of it was believed.

mod estimators;
mod figure;
mod levels;
mod prepared;
mod recommendation;
mod regions;

use crate::statistics::{LARGEST, Sample};
use crate::{Error, Result};
use estimators::curves;
use levels::{levels, shuffled};
use mflow_train::Pool;
use prepared::Prepared;
use recommendation::recommend;
use serde::Serialize;

pub use figure::draw_dimension;

/// Below this number of different rows nothing is estimated.
const LEAST_ROWS: usize = 16;

/// An estimator of dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DimensionEstimator {
    /// [`crate::statistics::two_nn`]: the ratio of the distances to two neighbours, in every row, every second row,
    /// every fourth and so on: the block analysis of Facco et al. (2017), figure 3.
    TwoNn,
    /// [`crate::statistics::levina_bickel`], with the mean of MacKay and Ghahramani.
    LevinaBickel,
    /// [`crate::statistics::correlation_dimension`]: how fast the number of neighbours grows with the distance.
    Correlation,
    /// [`crate::statistics::local_pca`]: the principal components of a neighbourhood that are not small.
    LocalPca,
}

impl DimensionEstimator {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::TwoNn, Self::LevinaBickel, Self::Correlation, Self::LocalPca];

    /// Its name in tables and figures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TwoNn => "TwoNN",
            Self::LevinaBickel => "Levina-Bickel",
            Self::Correlation => "correlation",
            Self::LocalPca => "local PCA",
        }
    }
}

/// An estimate from neighbourhoods of one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DimensionPoint {
    /// Rows of the whole table in a neighbourhood, about.
    pub neighbours: usize,
    /// The median distance to the last of them, in units of the spread of the rows: the root of their summed
    /// variances.
    pub distance: f64,
    /// The estimate.
    pub dimension: f64,
    /// Its standard error, from estimates that leave out one region of the rows after the other. None where there are
    /// too few rows.
    pub standard_error: Option<f64>,
}

/// What an estimator says, by the size of neighbourhoods, the smallest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DimensionCurve {
    /// The estimator.
    pub estimator: DimensionEstimator,
    /// Its estimates.
    pub points: Vec<DimensionPoint>,
}

/// Estimates of the dimension of rows, and what to make of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DimensionStudy {
    /// Rows of the table.
    pub rows: usize,
    /// Columns of the table.
    pub columns: usize,
    /// Rows that differ from each other.
    pub distinct_rows: usize,
    /// Columns with one value only, from 0. They have no part in the estimates.
    pub constant_columns: Vec<usize>,
    /// One for each estimator that could say anything.
    pub curves: Vec<DimensionCurve>,
    /// The dimension to try first; none if the rows cannot say.
    pub recommended: Option<usize>,
    /// Why, in words.
    pub because: String,
    /// What else is to be known of the rows, in words.
    pub notes: Vec<String>,
}

/// How [`DimensionStudy::of`] looks at rows.
#[derive(Clone, Copy, Debug)]
pub struct DimensionConfig {
    /// Whether each column is divided by its standard deviation first.
    pub standardize: bool,
    /// Which rows are looked at, of many.
    pub seed: u64,
}

impl DimensionStudy {
    /// Estimates from `x: [n, D]`.
    ///
    /// Neighbours are those among all rows, and for larger neighbourhoods those among every second row, every fourth
    /// and so on; they are looked for around 2500 rows at most, fewer where `n D` is large. Equal rows count once. Rows
    /// that say nothing are no error: then nothing is recommended, and `because` says why.
    ///
    /// # Errors
    /// What neighbours cannot be found among: squares of distances that are not finite.
    pub fn of(x: Sample<'_>, config: DimensionConfig, pool: &Pool) -> Result<Self> {
        let prepared = Prepared::of(x, config.standardize);
        let mut study = Self {
            rows: x.count(),
            columns: x.dim(),
            distinct_rows: prepared.count(),
            constant_columns: prepared.constant.clone(),
            curves: vec![],
            recommended: None,
            because: String::new(),
            notes: prepared.notes(x, config.standardize),
        };
        if study.constant_columns.len() == study.columns {
            "all rows are equal: they are one point, and have no dimension"
                .clone_into(&mut study.because);
        } else if study.distinct_rows < LEAST_ROWS {
            study.because = format!(
                "there are too few rows: expected at least {LEAST_ROWS} that differ, found {}",
                study.distinct_rows
            );
        } else {
            let sample = Sample::new(&prepared.values, prepared.cols)?;
            if sample.rows().flatten().any(|v| v.abs() > LARGEST) {
                return Err(Error::Distances { largest: LARGEST });
            }
            let rows = shuffled(sample, config.seed);
            let sample = Sample::new(&rows, prepared.cols)?;
            study.curves = curves(&levels(sample, pool), sample, pool);
            recommend(&mut study, prepared.cols);
        }
        Ok(study)
    }
}
