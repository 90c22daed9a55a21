//! Sets of points whose masses are in proportion to weights.
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use mflow_bijectors::host;

/// Some points, for [`crate::sinkhorn`]. A tensor alone is points of equal weights.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    /// The points, `[B, D]`.
    pub x: &'a Tensor,
    /// Their weights, `[B]`, in any unit and not negative; none are equal ones.
    pub weights: Option<&'a Tensor>,
}

impl<'a> From<&'a Tensor> for Points<'a> {
    fn from(x: &'a Tensor) -> Self {
        Self { x, weights: None }
    }
}

/// A set of points at work.
pub(crate) struct Cloud {
    /// `[B, D]`.
    pub(crate) points: Tensor,
    weights: Option<CloudWeights>,
}

struct CloudWeights {
    /// Relative to their mean, `[B]`.
    relative: Tensor,
    /// Their logarithms, `-inf` of points without weight: what a potential over `ε` gains.
    log: Tensor,
}

impl Cloud {
    pub(crate) fn new(Points { x, weights }: Points<'_>) -> Result<Self> {
        let points = x.detach();
        let Some(weights) = weights else { return Ok(Self { points, weights: None }) };
        let mut values = host::values_f64(weights)?;
        check_weights(&values, points.dim(0)?)?;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter_mut().for_each(|w| *w /= mean);
        let place = |values: Vec<f64>| -> Result<Tensor> {
            let t = Tensor::from_vec(values, points.dim(0)?, &Device::Cpu)?;
            Ok(host::place(&t, points.dtype(), points.device())?)
        };
        let log = place(values.iter().map(|w| w.ln()).collect())?;
        // A point without weight stands where another one is: it must not tell how far the points spread.
        let other = values.iter().position(|w| *w > 0.).unwrap_or(0);
        let points = match values.contains(&0.) {
            false => points.clone(),
            true => {
                let at = |(i, w): (usize, &f64)| u32::try_from(if *w > 0. { i } else { other });
                let index: Result<Vec<u32>, _> = values.iter().enumerate().map(at).collect();
                let index = index.map_err(|_| Error::Data {
                    what: "points of a divergence",
                    expected: format!("at most {}", u32::MAX),
                    found: values.len().to_string(),
                })?;
                points.index_select(&Tensor::from_vec(index, values.len(), points.device())?, 0)?
            }
        };
        let relative = place(values)?;
        Ok(Self { points, weights: Some(CloudWeights { relative, log }) })
    }

    /// Around another origin.
    pub(crate) fn around(self, centre: &Tensor) -> Result<Self> {
        Ok(Self { points: self.points.broadcast_sub(centre)?.contiguous()?, ..self })
    }

    /// What other points see of these where there is no potential yet.
    pub(crate) fn at_rest(&self) -> Result<Tensor> {
        match &self.weights {
            Some(weights) => Ok(weights.log.clone()),
            None => {
                let points = &self.points;
                Ok(Tensor::zeros(points.dim(0)?, points.dtype(), points.device())?)
            }
        }
    }

    /// What other points see of these: `g/ε`, and the logarithm of the weights relative to their mean.
    pub(crate) fn dual(&self, potential: &Tensor, epsilon: f64) -> Result<Tensor> {
        let dual = (potential / epsilon)?;
        match &self.weights {
            Some(weights) => Ok((dual + &weights.log)?),
            None => Ok(dual),
        }
    }

    /// The weighted mean of numbers `[B]`.
    pub(crate) fn mean(&self, numbers: Tensor) -> Result<f64> {
        let numbers = match &self.weights {
            Some(weights) => (numbers * &weights.relative)?,
            None => numbers,
        };
        Ok(host::scalar(&numbers.mean_all()?)?)
    }

    /// Rows `[B, D]` times their weights.
    pub(crate) fn weigh_rows(&self, rows: Tensor) -> Result<Tensor> {
        match &self.weights {
            Some(weights) => Ok(rows.broadcast_mul(&weights.relative.unsqueeze(1)?)?),
            None => Ok(rows),
        }
    }
}

fn check_weights(weights: &[f64], points: usize) -> Result<()> {
    let what = "weights of a divergence";
    let refuse = |expected: String, found| Err(Error::Data { what, expected, found });
    if weights.len() != points {
        return refuse(format!("{points} values, one a point"), weights.len().to_string());
    }
    let bad = weights.iter().enumerate().find(|(_, w)| !(w.is_finite() && **w >= 0.));
    if let Some((row, w)) = bad {
        return refuse("finite numbers, not below 0".to_owned(), format!("{w} in row {row}"));
    }
    match weights.iter().any(|w| *w > 0.) {
        true => Ok(()),
        false => refuse("one above 0, at least".to_owned(), "0 in every row".to_owned()),
    }
}
