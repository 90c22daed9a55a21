//! How well a model tells points off the manifold from data.
use super::Evaluated;
use crate::Result;
use crate::statistics::auc;

/// Areas under the ROC curve between data and outliers: 0.5 for a score that says nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutlierAuc {
    /// By the log-density, which should be higher for data; none for a model without one.
    pub log_prob: Option<f64>,
    /// By the reconstruction error, which should be lower for data.
    pub reconstruction_error: f64,
    /// The greater one of both, each turned round where it is below 0.5: what Brehmer & Cranmer (2020) list.
    /// It chooses with the truth in hand, so it is no score to be had in practice.
    pub published: f64,
}

/// Scores by which outliers may be told from data.
#[derive(Clone, Debug, PartialEq)]
pub struct OutlierScores {
    /// Log-densities of data and of outliers; none for a model without one.
    pub log_prob: Option<[Vec<f64>; 2]>,
    /// Reconstruction errors of data and of outliers.
    pub reconstruction_error: [Vec<f64>; 2],
}

/// Of the rows `data` and `outliers`, `[rows, D]`, all given the parameters `theta`, `[P]`.
///
/// # Errors
/// If the model cannot be evaluated.
pub fn outlier_scores(
    of: Evaluated<'_>,
    data: &[f64],
    outliers: &[f64],
    theta: &[f64],
) -> Result<OutlierScores> {
    let model = of.model;
    let both = [data, outliers].concat();
    let x = of.tensor(&both, model.signature().data_dim)?;
    let context = of.context(&theta.repeat(x.dim(0)?))?;
    let rows = data.len() / model.signature().data_dim.max(1);
    let cut = |mut scores: Vec<f64>| {
        let outliers = scores.split_off(rows);
        [scores, outliers]
    };
    let errors = of.by_rows(&x, context.as_ref(), |x, c| model.reconstruction_error(x, c))?;
    let log_prob = match model.signature().density {
        None => None,
        Some(_) => Some(of.by_rows(&x, context.as_ref(), |x, c| model.log_prob(x, c))?),
    };
    Ok(OutlierScores { log_prob: log_prob.map(cut), reconstruction_error: cut(errors) })
}

/// Of the rows `data` and `outliers`, `[rows, D]`, all given the parameters `theta`, `[P]`.
///
/// # Errors
/// If the model cannot be evaluated.
pub fn outlier_auc(
    of: Evaluated<'_>,
    data: &[f64],
    outliers: &[f64],
    theta: &[f64],
) -> Result<OutlierAuc> {
    let scores = outlier_scores(of, data, outliers, theta)?;
    let [errors, of_outliers] = &scores.reconstruction_error;
    let reconstruction_error = auc(of_outliers, errors)?;
    let log_prob = scores.log_prob.map(|[data, outliers]| auc(&data, &outliers)).transpose()?;
    let turned = |auc: f64| auc.max(1. - auc);
    let published = log_prob.map_or(0., turned).max(turned(reconstruction_error));
    Ok(OutlierAuc { log_prob, reconstruction_error, published })
}
