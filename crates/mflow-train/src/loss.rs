//! Losses, as data.
use crate::guide::Guide;
use crate::points::Points;
use crate::shards::Pool;
use crate::sinkhorn::{SinkhornConfig, sinkhorn};
use crate::source::Batch;
use crate::weights::{Mass, Weighing, weighted_sum};
use crate::{Error, Result};
use candle_core::Tensor;
use mflow_bijectors::{Diff, host};
use mflow_core::{Density, Model, ModelConfig, Projected};
use serde::{Deserialize, Serialize};

/// What a phase minimises.
///
/// # Weighted rows
/// Where rows have weights `w` ([`crate::Rows::with_weights`]), a mean over rows of `l` is `Σ w l/Σ w` over all rows that
/// train, or over all that validate. A batch of `B` rows contributes `(1/B) Σ w l`, in units in which the mean weight of all
/// rows that train is 1: an unbiased estimate. Integer weights do what repeated rows do.
///
/// Negative weights, as of Monte Carlo events at next-to-leading order, depend on the loss:
///
/// | losses | a negative weight |
/// | --- | --- |
/// | `likelihood`, `coordinate_likelihood`, `score` | counts with its sign: an expectation under the difference of two densities |
/// | `reconstruction`, `latent_norm`, `guided` | counts by its size: the row lies on the manifold too |
/// | `surrogate`, `ratio`, `sinkhorn` | is refused: of a bound, of a classifier and of transport it makes no sense |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "loss", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Loss {
    /// Mean over rows and features of the distance between `x` and its projection, in units of the
    /// normalised data. Brehmer & Cranmer (2020), eq. 10. It says where the manifold lies, so weights count by their size.
    Reconstruction {
        /// How it is measured.
        #[serde(default)]
        distance: Distance,
    },
    /// Mean over rows of `-log p_u(u)`, the density of the coordinates: the likelihood with the manifold
    /// held fixed (eq. 11; the volume term is constant then).
    CoordinateLikelihood {
        /// Units of the logarithm.
        #[serde(default)]
        unit: Unit,
    },
    /// Mean over rows of `-log p(x)`, the density that the model defines; for a density on a manifold with
    /// the exact gradient of its volume.
    Likelihood {
        /// Units of the logarithm.
        #[serde(default)]
        unit: Unit,
    },
    /// Mean over rows of minus the surrogate that a model without a tractable likelihood is trained on,
    /// [`Model::surrogate_log_prob`].
    Surrogate {
        /// Units of the logarithm.
        #[serde(default)]
        unit: Unit,
    },
    /// Mean over rows and latents of the squares of [`Model::latents`]: keeps them where splines bend.
    LatentNorm {},
    /// Mean over rows and context features of `(d log p/dc - t)²`, with the joint score `t` of each row
    /// that the data come with. SCANDAL: Brehmer, Louppe, Pavez & Cranmer (2020), *Mining gold from
    /// implicit models*, arXiv 1805.12244.
    ///
    /// Rows of a ratio estimator with the label 0 count as 0 in the mean: their `x` were drawn at the reference, and
    /// the mean of a joint score over the histories of such an `x` is not the score at `c`.
    Score {},
    /// Mean over rows of the improved cross-entropy of a ratio estimator, in nats,
    ///
    /// ```text
    /// -[s* log s + (1 - s*) log(1 - s)],    s = r̂/(1 + r̂),    s* = r/(1 + r)
    /// ```
    ///
    /// with `log r̂ = ` [`Model::log_prob`] and the joint ratio `r` of each row that the data come with; see
    /// [`crate::Rows::with_ratios`]. ALICE, and with [`Loss::Score`] beside it ALICES: Stoye, Brehmer, Louppe, Pavez &
    /// Cranmer (2018), *Likelihood-free inference with an improved cross-entropy estimator*, arXiv 1808.00973.
    Ratio {},
    /// Mean over rows and features of `|f⁻¹(x) - (u, 0)|² + |f(u, 0) - x|²`, the second term in units of the
    /// normalised data, with coordinates `u` of each row that were found before the training. It gives a folded
    /// manifold a start; see [`crate::Start`]. The first term teaches the projection, the second the manifold. A
    /// model with encoder and decoder networks has these in the place of `f⁻¹` and `f`.
    Guided {
        /// Where the coordinates come from.
        by: Guide,
    },
    /// The Sinkhorn divergence between a batch and as many samples of the model on its manifold, in units
    /// of the normalised data; see [`SinkhornConfig`]. The weights of the rows, divided by their sum, are the masses of the
    /// points. Samples have equal masses, but those at the contexts of rows have the masses of these.
    Sinkhorn {
        /// The published value is 0.05.
        #[serde(default = "default_blur")]
        blur: f64,
        /// The published value is 0.7.
        #[serde(default = "default_scaling")]
        scaling: f64,
        /// What is compared.
        #[serde(default)]
        compare: Compare,
    },
}

fn default_blur() -> f64 {
    SinkhornConfig::default().blur
}
fn default_scaling() -> f64 {
    SinkhornConfig::default().scaling
}

/// A distance between numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Distance {
    /// `d²`.
    #[default]
    Squared,
    /// `d²/(2 beta)` up to `|d| = beta`, `|d| - beta/2` beyond: less is made of outliers.
    SmoothL1 {
        /// Where the square ends.
        beta: f64,
    },
}

/// Units of a negative log-likelihood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Nats.
    #[default]
    Nats,
    /// Bits per dimension: nats divided by `ln 2` times the dimension of the density, `N` on a manifold
    /// and `D` off it.
    BitsPerDim,
}

/// What a divergence between conditional samples compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Compare {
    /// Points, whatever their contexts: as published.
    #[default]
    X,
    /// Points and contexts together: a sample is to be near data of the same context.
    XAndContext,
}

/// A loss with its weight in the sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightedLoss {
    /// Which loss.
    #[serde(flatten)]
    pub loss: Loss,
    /// Its factor.
    pub weight: f64,
}

/// What the rows of a batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// Points of the data space.
    Data,
    /// Coordinates on a manifold that does not move during the phase.
    Coordinates,
}

impl Loss {
    /// The squared reconstruction error.
    pub fn reconstruction() -> Self {
        Self::Reconstruction { distance: Distance::Squared }
    }
    /// The likelihood of the coordinates, in nats.
    pub fn coordinate_likelihood() -> Self {
        Self::CoordinateLikelihood { unit: Unit::Nats }
    }
    /// The likelihood, in nats.
    pub fn likelihood() -> Self {
        Self::Likelihood { unit: Unit::Nats }
    }
    /// The surrogate of the likelihood, in nats.
    pub fn surrogate() -> Self {
        Self::Surrogate { unit: Unit::Nats }
    }
    /// The published Sinkhorn divergence.
    pub fn sinkhorn() -> Self {
        let SinkhornConfig { blur, scaling, .. } = SinkhornConfig::default();
        Self::Sinkhorn { blur, scaling, compare: Compare::X }
    }
    /// This loss with its weight.
    pub fn weighted(self, weight: f64) -> WeightedLoss {
        WeightedLoss { loss: self, weight }
    }

    /// The name, as in a file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reconstruction { .. } => "reconstruction",
            Self::CoordinateLikelihood { .. } => "coordinate_likelihood",
            Self::Likelihood { .. } => "likelihood",
            Self::Surrogate { .. } => "surrogate",
            Self::LatentNorm {} => "latent_norm",
            Self::Score {} => "score",
            Self::Ratio {} => "ratio",
            Self::Guided { .. } => "guided",
            Self::Sinkhorn { .. } => "sinkhorn",
        }
    }

    /// What the weight of a row does in it.
    pub(crate) fn weighing(&self) -> Weighing {
        match self {
            Self::CoordinateLikelihood { .. } | Self::Likelihood { .. } | Self::Score {} => {
                Weighing::Signed
            }
            Self::Reconstruction { .. } | Self::LatentNorm {} | Self::Guided { .. } => {
                Weighing::Size
            }
            Self::Surrogate { .. } | Self::Ratio {} | Self::Sinkhorn { .. } => {
                Weighing::NonNegative
            }
        }
    }

    /// Whether the loss needs no more of a data point than its coordinates, in a model whose manifold
    /// depends on a context or not.
    pub(crate) fn needs_only_coordinates(&self, conditional_manifold: bool) -> bool {
        match self {
            Self::CoordinateLikelihood { .. } => true,
            // The volume of the manifold has no part in the score, unless it depends on the context.
            Self::Score {} => !conditional_manifold,
            _ => false,
        }
    }

    /// Where the coordinates come from that the loss asks for.
    pub(crate) fn guide(&self) -> Option<Guide> {
        match self {
            Self::Guided { by } => Some(*by),
            _ => None,
        }
    }

    /// The Sinkhorn divergence among the losses: it takes the whole batch.
    pub(crate) fn divergence(&self) -> Option<(SinkhornConfig, Compare)> {
        match self {
            Self::Sinkhorn { blur, scaling, compare } => {
                Some((SinkhornConfig::new(*blur, *scaling), *compare))
            }
            _ => None,
        }
    }

    pub(crate) fn validate(&self, path: &str) -> Result<()> {
        match self {
            Self::Reconstruction { distance: Distance::SmoothL1 { beta } }
                if !(*beta > 0. && beta.is_finite()) =>
            {
                let reason = format!("must be positive and finite, found {beta}");
                Err(Error::config(format!("{path}.distance.smooth_l1.beta"), reason))
            }
            Self::Sinkhorn { blur, scaling, .. } => {
                SinkhornConfig::new(*blur, *scaling).validate(path)
            }
            _ => Ok(()),
        }
    }

    /// What the loss is a mean of, for each row of a shard; none of a divergence, which is no mean over rows.
    fn of_rows(&self, of: &Shard<'_>, shared: Option<&Projected>) -> Result<Option<OfRows>> {
        let Shard { model, kind, batch, .. } = *of;
        let context = batch.context.as_ref();
        let signature = model.signature();
        let nll = |log_prob: Tensor, unit: Unit, dim: usize| {
            let scale = match unit {
                Unit::Nats => 1.,
                Unit::BitsPerDim => 1. / (std::f64::consts::LN_2 * dim as f64),
            };
            OfRows { values: log_prob, factor: -scale }
        };
        let mean = |values: Tensor, of: usize| OfRows { values, factor: 1. / of as f64 };
        Ok(Some(match (self, kind) {
            (Self::Reconstruction { distance }, _) => {
                let projection = match shared {
                    Some(shared) => shared.projection.clone(),
                    None => model.project(&batch.x, context)?,
                };
                let difference = (projection - &batch.x)?;
                let difference = of.scale.normalize(&difference)?;
                let errors = match distance {
                    Distance::Squared => difference.sqr()?,
                    Distance::SmoothL1 { beta } => smooth_l1(&difference, *beta)?,
                };
                mean(errors, signature.data_dim)
            }
            (Self::CoordinateLikelihood { unit }, RowKind::Coordinates) => {
                let log_prob = model.coordinate_log_prob(&batch.x, context)?;
                nll(log_prob, *unit, signature.manifold_dim)
            }
            (Self::CoordinateLikelihood { unit }, RowKind::Data) => {
                let u = model.coordinates(&batch.x, context)?;
                nll(model.coordinate_log_prob(&u, context)?, *unit, signature.manifold_dim)
            }
            (Self::Likelihood { .. }, _) if signature.density == Some(Density::Ratio) => {
                // A ratio can grow without end: it is no density that sums to 1.
                let reason = "must not have `likelihood` for `ratio`, which has no density; its loss is `ratio`";
                return Err(Error::config("losses", reason));
            }
            (Self::Likelihood { unit }, _) => {
                let dim = match signature.density {
                    Some(Density::Manifold) => signature.manifold_dim,
                    _ => signature.data_dim,
                };
                let log_prob = match shared {
                    Some(shared) => shared.log_prob.clone(),
                    None => model.log_prob(&batch.x, context)?,
                };
                nll(log_prob, *unit, dim)
            }
            (Self::Surrogate { unit }, _) => {
                let surrogate = model.surrogate_log_prob(&batch.x, context, of.noise()?)?;
                nll(surrogate, *unit, signature.data_dim)
            }
            (Self::LatentNorm {}, _) => {
                let latents = model.latents(&batch.x, context)?;
                mean(latents.sqr()?, latents.dim(1)?)
            }
            (Self::Score {}, _) => {
                let (Some(context), Some(expected)) = (context, &batch.score) else {
                    let expected = "the joint score of each row, and a context".to_owned();
                    let found = "none".to_owned();
                    return Err(Error::Data { what: "score", expected, found });
                };
                let score = match kind {
                    RowKind::Data => model.score(&batch.x, context)?,
                    RowKind::Coordinates => model.coordinate_score(&batch.x, context)?,
                };
                let squares = (score - expected)?.sqr()?;
                let squares = match batch.label()? {
                    Some(label) => squares.broadcast_mul(&label)?,
                    None => squares,
                };
                mean(squares, expected.dim(1)?)
            }
            (Self::Ratio {}, _) => {
                let Some(joint) = batch.log_ratio()? else {
                    let expected = "the joint log-ratio and the label of each row".to_owned();
                    let found = "none".to_owned();
                    return Err(Error::Data { what: "ratio", expected, found });
                };
                let log_ratio = model.log_density(Density::Ratio, &batch.x, context)?;
                mean(cross_entropy(&log_ratio, &joint)?, 1)
            }
            (Self::Guided { .. }, _) => {
                let (Some(u), Some(embedding)) = (&batch.guide, model.embedding()) else {
                    let expected =
                        "coordinates of each row, and a manifold of one chart".to_owned();
                    let found = "none".to_owned();
                    return Err(Error::Data { what: "guide", expected, found });
                };
                let latents = model.latents(&batch.x, context)?;
                let across = latents.dim(1)? - signature.manifold_dim;
                let of_latents = (latents - u.pad_with_zeros(1, 0, across)?)?.sqr()?.sum(1)?;
                let difference = (embedding.embed(u, context)? - &batch.x)?;
                let of_points = of.scale.normalize(&difference)?.sqr()?.sum(1)?;
                mean((of_latents + of_points)?, signature.data_dim)
            }
            (Self::Sinkhorn { .. }, _) => return Ok(None),
        }))
    }
}

/// What a loss is a mean of.
struct OfRows {
    /// `[B]`, or `[B, K]` where a row has the sum of `K` of them.
    values: Tensor,
    /// Of all of them.
    factor: f64,
}

/// `-[s* log s + (1 - s*) log(1 - s)]` of `s = r̂/(1 + r̂)` and `s* = r/(1 + r)`, element-wise.
fn cross_entropy(log_ratio: &Tensor, joint: &Tensor) -> Result<Tensor> {
    // -log s and -log(1 - s) are softplus functions of ∓log r̂: nothing is infinite, however large the ratios.
    let (is_at_context, is_at_reference) = (joint.sigmoid()?, joint.neg()?.sigmoid()?);
    let (below, above) = (log_ratio.neg()?.softplus()?, log_ratio.softplus()?);
    Ok(((is_at_context * below)? + (is_at_reference * above)?)?)
}

/// `d²/(2β)` up to `|d| = β`, `|d| - β/2` beyond.
fn smooth_l1(difference: &Tensor, beta: f64) -> Result<Tensor> {
    let size = difference.abs()?;
    // With c = min(|d|, β) both cases are c (|d| - c/2)/β: a product whose gradient is right on both sides.
    let near = size.minimum(beta)?;
    Ok(((&near * (&size - (&near * 0.5)?)?)? / beta)?)
}

/// The scale of the data's normalisation, as a tensor.
#[derive(Debug)]
pub(crate) struct Scale {
    /// `1 / scale`, `[D]`; none without normalisation.
    inverse: Option<Tensor>,
}

impl Scale {
    pub(crate) fn new(config: &ModelConfig, model: &dyn Model) -> Result<Self> {
        let signature = model.signature();
        let tensor = config.normalization().map(|n| {
            let inverse: Vec<f64> = n.scale.iter().map(|s| s.recip()).collect();
            let inverse = Tensor::from_vec(inverse, n.scale.len(), &candle_core::Device::Cpu)?;
            inverse.to_dtype(signature.dtype)?.to_device(&signature.device)
        });
        Ok(Self { inverse: tensor.transpose()? })
    }

    /// Differences `[B, D]` in units of the normalised data.
    pub(crate) fn normalize(&self, difference: &Tensor) -> Result<Tensor> {
        Ok(match &self.inverse {
            Some(inverse) => difference.broadcast_mul(inverse)?,
            None => difference.clone(),
        })
    }
}

/// Rows of a batch, with all that losses need beside them.
#[derive(Clone, Copy)]
pub(crate) struct Shard<'a> {
    pub(crate) model: &'a dyn Model,
    pub(crate) kind: RowKind,
    pub(crate) scale: &'a Scale,
    pub(crate) batch: &'a Batch,
    /// Standard normal numbers, `[rows, noise_dim]`, if the model asks for some.
    pub(crate) noise: Option<&'a Tensor>,
}

impl Shard<'_> {
    fn noise(&self) -> Result<&Tensor> {
        // A model that asks for none takes any: the rows themselves are at hand.
        Ok(self.noise.unwrap_or(&self.batch.x))
    }

    /// The losses that are means over rows, each times its factor, added up. Rows count by their weights, and their sum is
    /// divided by `mass`: summed over the shards of rows that together weigh as much, it is the mean loss. None if there is
    /// no such loss.
    pub(crate) fn total(&self, losses: &[WeightedLoss], mass: Mass) -> Result<Option<Tensor>> {
        let has = |is: fn(&Loss) -> bool| losses.iter().any(|w| is(&w.loss));
        let joint = has(|l| matches!(l, Loss::Reconstruction { .. }))
            && has(|l| matches!(l, Loss::Likelihood { .. }));
        let (x, context) = (&self.batch.x, self.batch.context.as_ref());
        let shared = joint.then(|| self.model.project_with_log_prob(x, context)).transpose()?;
        let mut total: Option<Tensor> = None;
        for WeightedLoss { loss, weight } in losses {
            let Some(OfRows { values, factor }) = loss.of_rows(self, shared.as_ref())? else {
                continue;
            };
            let weighing = loss.weighing();
            let sum = (weighted_sum(&values, self.batch.weights.as_ref(), weighing)? * factor)?;
            let term = (sum * (weight / mass.for_loss(weighing)))?;
            total = Some(match total {
                Some(sum) => (sum + term)?,
                None => term,
            });
        }
        Ok(total)
    }
}

/// The Sinkhorn divergence of samples `[B, D]` from a batch, with its gradient with respect to them. 0 from rows without
/// weight, which are no distribution.
pub(crate) fn divergence(
    config: &SinkhornConfig,
    compare: Compare,
    scale: &Scale,
    samples: &Tensor,
    batch: &Batch,
    pool: &Pool,
) -> Result<(f64, Tensor)> {
    let weights = batch.weights.as_ref();
    if let Some(weights) = weights
        && host::scalar(&weights.sum_all()?)? == 0.
    {
        return Ok((0., samples.zeros_like()?));
    }
    let mut pair = [scale.normalize(samples)?, scale.normalize(&batch.x)?];
    let d = samples.dim(1)?;
    if let (Compare::XAndContext, Some(context)) = (compare, &batch.context) {
        for points in &mut pair {
            *points = Tensor::cat(&[&*points, context], 1)?;
        }
    }
    // A sample at the context of a row counts as much as the row: else contexts would be distributed differently.
    let of_samples = weights.filter(|_| batch.context.is_some());
    let [samples, rows] =
        [(&pair[0], of_samples), (&pair[1], weights)].map(|(x, weights)| Points { x, weights });
    let divergence = sinkhorn(config, samples, rows, pool)?;
    let gradient = divergence.gradient.narrow(1, 0, d)?;
    Ok((divergence.value, scale.normalize(&gradient)?))
}
