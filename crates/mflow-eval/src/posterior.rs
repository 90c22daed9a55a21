//! The posterior of parameters given observed rows, by the likelihood of a model, or by its likelihood ratios.
use crate::mcmc::{DifferentiableTarget, Target};
use crate::metrics::Evaluated;
use crate::{Error, Result};
use mflow_bijectors::host;
use mflow_core::candle::{D, DType, Device, Tensor, Var};
use mflow_core::{Density, Model};
use mflow_data::{Likelihood, Prior, Simulator};

/// `log p(theta | x_1 ... x_n) = sum_i log p(x_i | theta) + log p(theta) + constant`, with a prior
/// in which parameters are independent.
///
/// Where the model's manifold does not depend on the context, neither do the coordinates `u_i` of
/// the rows nor the volume of the manifold there, which then cancels in differences: the sum is
/// one of [`Model::coordinate_log_prob`], and a step of a chain costs a pass through h alone. (Brehmer &
/// Cranmer 2020 do so too.)
#[derive(Debug)]
pub struct Posterior<'a> {
    model: &'a dyn Model,
    prior: Vec<Prior>,
    rows: Rows,
}

/// What the likelihood is evaluated at.
#[derive(Debug)]
enum Rows {
    /// Data, `[n, D]`, by the density of the model.
    Data(Tensor),
    /// Coordinates on the manifold, `[n, N]`, without its volume.
    Coordinates(Tensor),
}

impl<'a> Posterior<'a> {
    /// Of the rows `x`, `[n, D]`, with the volume of the manifold left out where it cancels.
    ///
    /// # Errors
    /// If there is no parameter, or the model has no likelihood, or not one context feature for each parameter.
    pub fn new(of: Evaluated<'a>, prior: &[Prior], x: &[f64]) -> Result<Self> {
        let mut posterior = Self::with_volume(of, prior, x)?;
        let signature = of.model.signature();
        if let (Rows::Data(x), false, Some(Density::Manifold)) =
            (&posterior.rows, signature.conditional_manifold, signature.density)
        {
            let anywhere: Vec<f64> = prior.iter().map(|p| p.quantile(0.5)).collect();
            let context = of.context(&anywhere.repeat(x.dim(0)?))?;
            posterior.rows = Rows::Coordinates(of.model.coordinates(x, context.as_ref())?.detach());
        }
        Ok(posterior)
    }

    /// The same with the whole density, volume included: slower, and the same up to a constant.
    ///
    /// # Errors
    /// As [`Posterior::new`].
    pub fn with_volume(of: Evaluated<'a>, prior: &[Prior], x: &[f64]) -> Result<Self> {
        let signature = of.model.signature();
        if prior.is_empty() {
            let (expected, found) = ("parameters with a prior".to_owned(), "none".to_owned());
            return Err(Error::Model { what: "posterior", expected, found });
        }
        let (found, expected) = (signature.context_dim.unwrap_or(0), prior.len());
        if found != expected || signature.density.is_none() {
            let expected = format!("a likelihood given {expected} context features");
            let found = match signature.density {
                Some(_) => format!("{found} context features"),
                None => "no likelihood".to_owned(),
            };
            return Err(Error::Model { what: "posterior", expected, found });
        }
        let x = of.tensor(x, signature.data_dim)?;
        Ok(Self { model: of.model, prior: prior.to_vec(), rows: Rows::Data(x) })
    }
}

impl Target for Posterior<'_> {
    fn dim(&self) -> usize {
        self.prior.len()
    }

    fn log_prob(&self, theta: &[f64]) -> Result<f64> {
        match self.log_probs(theta)?[..] {
            [log_prob] => Ok(log_prob),
            _ => Err(Error::Rows { cols: self.dim(), found: theta.len() }),
        }
    }

    /// Every row of data beside every row of parameters, some of these at a time.
    fn log_probs(&self, thetas: &[f64]) -> Result<Vec<f64>> {
        if !thetas.len().is_multiple_of(self.dim()) {
            return Err(Error::Rows { cols: self.dim(), found: thetas.len() });
        }
        let rows = self.rows.count()?;
        let at_once = (ROWS_AT_ONCE / rows.max(1)).max(1) * self.dim();
        let blocks = thetas.chunks(at_once).map(|some| self.block(some, rows));
        Ok(blocks.collect::<Result<Vec<_>>>()?.concat())
    }
}

/// The score of the model, summed over rows: of the density of coordinates, or of the whole one with the
/// volume. One pass forward and one back give value and gradient.
impl DifferentiableTarget for Posterior<'_> {
    fn log_prob_and_gradient(&self, theta: &[f64], gradient: &mut [f64]) -> Result<f64> {
        if let Some(found) = [theta.len(), gradient.len()].into_iter().find(|n| *n != self.dim()) {
            return Err(Error::Rows { cols: self.dim(), found });
        }
        gradient.fill(0.);
        if !self.contains(theta) {
            return Ok(f64::NEG_INFINITY);
        }
        let context = Var::from_tensor(&self.context(&[theta], self.rows.count()?)?)?;
        // The sums in f64, as those of values: on the host, as not every device has double precision.
        let each = host::tensor(&self.log_likelihoods(&context, 1)?)?;
        let sum = each.to_dtype(DType::F64)?.sum_all()?;
        if let Some(score) = sum.backward()?.get(&context) {
            let score = host::tensor(score)?.to_dtype(DType::F64)?.sum(0)?;
            gradient.copy_from_slice(&score.to_vec1::<f64>()?);
        }
        for ((gradient, prior), theta) in gradient.iter_mut().zip(&self.prior).zip(theta) {
            *gradient += prior.gradient(*theta);
        }
        Ok(sum.to_scalar::<f64>()? + self.log_prior(theta))
    }
}

/// Rows of data that the model is given in one batch.
const ROWS_AT_ONCE: usize = 1000;

impl Rows {
    fn count(&self) -> Result<usize> {
        let (Self::Data(x) | Self::Coordinates(x)) = self;
        Ok(x.dim(0)?)
    }
}

impl Posterior<'_> {
    /// Whether the prior is not 0.
    fn contains(&self, theta: &[f64]) -> bool {
        self.prior.iter().zip(theta).all(|(p, t)| p.contains(*t))
    }

    /// The logarithm of the prior, up to a constant.
    fn log_prior(&self, theta: &[f64]) -> f64 {
        self.prior.iter().zip(theta).map(|(p, t)| p.log_prob(*t)).sum()
    }

    /// Each of `thetas` for each of `rows` rows of data, `[n * rows, P]`: parameters change slowly, rows fast.
    fn context(&self, thetas: &[&[f64]], rows: usize) -> Result<Tensor> {
        let signature = self.model.signature();
        let values: Vec<f64> = thetas.iter().flat_map(|theta| theta.repeat(rows)).collect();
        let shape = (thetas.len() * rows, self.dim());
        let values = Tensor::from_vec(values, shape, &Device::Cpu)?;
        Ok(host::place(&values, signature.dtype, &signature.device)?)
    }

    /// The log-likelihood of each row of data beside each of `n` rows of parameters, `[n * rows]`.
    fn log_likelihoods(&self, context: &Tensor, n: usize) -> Result<Tensor> {
        Ok(match &self.rows {
            Rows::Data(x) => self.model.log_prob(&x.repeat((n, 1))?, Some(context))?,
            Rows::Coordinates(u) => {
                self.model.coordinate_log_prob(&u.repeat((n, 1))?, Some(context))?
            }
        })
    }

    /// The log-posteriors at each of `thetas`, `[n, P]`, given all `rows` rows together, where the prior is not 0.
    fn block(&self, thetas: &[f64], rows: usize) -> Result<Vec<f64>> {
        let all = thetas.chunks(self.dim());
        let inside: Vec<&[f64]> = all.clone().filter(|theta| self.contains(theta)).collect();
        if inside.is_empty() {
            return Ok(all.map(|_| f64::NEG_INFINITY).collect());
        }
        let n = inside.len();
        let each = self.log_likelihoods(&self.context(&inside, rows)?, n)?;
        // The sums in f64: differences of sums are what counts.
        let sums = host::tensor(&each)?.to_dtype(DType::F64)?.reshape((n, rows))?.sum(D::Minus1)?;
        let mut sums = sums.to_vec1::<f64>()?.into_iter();
        let of = |theta| match self.contains(theta) {
            true => sums.next().unwrap_or(f64::NAN) + self.log_prior(theta),
            false => f64::NEG_INFINITY,
        };
        Ok(all.map(of).collect())
    }
}

/// The posterior given observed rows by the density of a simulator: exact, or as well as that is known.
#[derive(Debug)]
pub struct TruePosterior<'a> {
    prior: Vec<Prior>,
    likelihood: Box<dyn Likelihood + 'a>,
}

impl<'a> TruePosterior<'a> {
    /// Of the rows `x`, `[n, D]`.
    ///
    /// # Errors
    /// Those of the simulator.
    pub fn new(simulator: &'a dyn Simulator, x: &'a [f64]) -> Result<Self> {
        Ok(Self { prior: simulator.priors(), likelihood: simulator.likelihood(x)? })
    }

    /// The same where the density is an integral by chance, integrated anew; none where it has a formula.
    ///
    /// # Errors
    /// Those of the simulator.
    pub fn again(simulator: &'a dyn Simulator, x: &'a [f64]) -> Result<Option<Self>> {
        let likelihood = simulator.likelihood_again(x)?;
        Ok(likelihood.map(|likelihood| Self { prior: simulator.priors(), likelihood }))
    }
}

impl Target for TruePosterior<'_> {
    fn dim(&self) -> usize {
        self.prior.len()
    }

    fn log_prob(&self, theta: &[f64]) -> Result<f64> {
        let log_prior: f64 = self.prior.iter().zip(theta).map(|(p, t)| p.log_prob(*t)).sum();
        if log_prior == f64::NEG_INFINITY {
            return Ok(log_prior);
        }
        Ok(self.likelihood.log_prob(theta)?.iter().sum::<f64>() + log_prior)
    }
}
