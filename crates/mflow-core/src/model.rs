//! The [`Model`] trait: what every model of data near a manifold can be asked.
use crate::embedding::Embedding;
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor, Var};
use mflow_bijectors::{Domain, Noise, Stream, host};
use std::f64::consts::TAU;
use std::fmt::Debug;

/// The densities that models of data near a manifold have, and the ratio of densities that stands for one in posteriors.
/// They are with respect to different volumes and must not be compared with each other.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Density {
    /// With respect to volume on the manifold, at the projection of `x`. Brehmer & Cranmer (2020),
    /// eq. 7.
    Manifold,
    /// With respect to volume of `R^D`, at `x`: of a flow of all of `R^D`, and of the
    /// pseudo-invertible encoder (PIE), `p(ũ) N(v; 0, ε²)` with the determinants of `f` and `h`.
    Ambient,
    /// The ambient density of a PIE at the projection of `x`, where `v = 0`. As a function of `x` it is
    /// no density: the volume of the manifold is not in it.
    Slice,
    /// The ambient density of a PIE with `v` clipped to `±clip ε` in its normal density, as in the
    /// published evaluation; not normalised.
    Clipped {
        /// Where to clip, in units of `ε`.
        clip: f64,
    },
    /// No density: an estimate of `log p(x|c) - log p(x|c_ref)`, with a reference context that the training rows
    /// settle. It differs from a log-likelihood by a function of `x` alone, so posteriors of `c` are those of a
    /// likelihood; it says nothing of how likely `x` is.
    Ratio,
}

/// Sizes and capabilities of a model.
#[derive(Clone, Debug)]
pub struct ModelSignature {
    /// Name of the kind of model, as on the command line.
    pub name: &'static str,
    /// Number of features `D` of the data.
    pub data_dim: usize,
    /// Dimension `N` of the manifold; `D` for a flow of all of `R^D` and for a ratio estimator.
    pub manifold_dim: usize,
    /// Number of charts of the manifold: 1, or of an atlas several.
    pub charts: usize,
    /// Number of context features `C`, if conditional.
    pub context_dim: Option<usize>,
    /// Whether the manifold and the coordinates on it depend on the context, not only the density.
    pub conditional_manifold: bool,
    /// What [`Model::log_prob`] is: a density, or a ratio of two; none if the likelihood is intractable.
    pub density: Option<Density>,
    /// Numbers of noise `K` that [`Model::surrogate_log_prob`] takes for each row.
    pub noise_dim: usize,
    /// What the latents are, in words.
    pub latent: String,
    /// Where each latent lies: among the reals, or angles.
    pub latent_domain: Domain,
    /// Dtype of the parameters and of every argument.
    pub dtype: DType,
    /// Device of the parameters and of every argument.
    pub device: Device,
}

impl ModelSignature {
    /// Whether the model says where data lie: whether it has samples, latents and a projection. An estimator of
    /// likelihood ratios does not.
    pub fn is_generative(&self) -> bool {
        self.density != Some(Density::Ratio)
    }
    /// Columns of latents and of coordinates: `N`, and of an atlas one more, for the number of the chart,
    /// counted from 0.
    pub fn latent_dim(&self) -> usize {
        self.manifold_dim + usize::from(self.charts > 1)
    }
}

/// Gradients of a log-density, detached.
#[derive(Clone, Debug)]
pub struct LogProbGradient {
    /// With respect to the data, `[B, D]`.
    pub x: Tensor,
    /// With respect to the context, `[B, C]`: the score; none without a context.
    pub context: Option<Tensor>,
}

/// A projection with the density there.
#[derive(Clone, Debug)]
pub struct Projected {
    /// [`Model::project`], `[B, D]`.
    pub projection: Tensor,
    /// [`Model::log_prob`], `[B]`.
    pub log_prob: Tensor,
}

/// What [`Model::observe`] shows data to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The manifold, and the projection onto it.
    Manifold,
    /// The flow `h` of the coordinates. As long as the manifold moves, coordinates say nothing that lasts.
    Density,
}

/// How far from where it started a model comes back to: [`Model::cycle_error`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CycleError {
    /// `|x - project(x)|` of the sample `x = decode(ũ)`, Euclidean, in data units, `[B]`.
    pub data: Tensor,
    /// `|ũ - encode(x)|`, Euclidean, in units of the latents, `[B]`; of angles the shorter way round. None of
    /// an atlas: where its charts overlap, a point has a latent on each.
    pub latent: Option<Tensor>,
}

/// A model of data near a manifold in `R^D`.
///
/// Four numbers are never mixed up: the log-density that the model defines ([`Model::log_prob`], of
/// the kind that its signature names), the density of coordinates ([`Model::coordinate_log_prob`]), the
/// surrogate that some models are trained on ([`Model::surrogate_log_prob`]), and the distance to the
/// manifold ([`Model::reconstruction_error`]).
///
/// **Shapes**: data `[B, D]`, latents and coordinates `[B, N]`, context `[B, C]`; of an atlas, latents and
/// coordinates `[B, N + 1]`, see [`ModelSignature::latent_dim`]. **Units**: data units and nats. All results but [`Model::log_prob_gradient`] are differentiable by `backward`.
///
/// # Errors
/// Every method refuses arguments of another shape, dtype or device, a missing context, and
/// non-finite values, naming row and column. What a model lacks is [`Error::Unsupported`].
pub trait Model: Debug + Send + Sync {
    /// Sizes, dtype, device, and what the model can tell.
    fn signature(&self) -> &ModelSignature;
    /// The manifold, `u -> embed(u)`, where it is the image of one map.
    fn embedding(&self) -> Option<&dyn Embedding> {
        None
    }

    /// Log-density of the given kind, `[B]`.
    fn log_density(&self, kind: Density, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// Log-density, `[B]`: of the kind `signature().density`.
    fn log_prob(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let Some(kind) = self.signature().density else {
            return self.lacks("log_prob", INTRACTABLE);
        };
        self.log_density(kind, x, context)
    }
    /// Gradients of [`Model::log_prob`] with respect to data and context, detached.
    fn log_prob_gradient(&self, x: &Tensor, context: Option<&Tensor>) -> Result<LogProbGradient> {
        let x = Var::from_tensor(&x.detach())?;
        let context = context.map(|c| Var::from_tensor(&c.detach())).transpose()?;
        let log_prob = self.log_prob(&x, context.as_ref().map(|c| c.as_tensor()))?;
        let mut gradients = log_prob.sum_all()?.backward()?;
        let mut of = |v: &Var| match gradients.remove(v) {
            Some(gradient) => Ok(gradient.detach()),
            None => v.as_detached_tensor().zeros_like(),
        };
        let context = context.as_ref().map(&mut of).transpose()?;
        Ok(LogProbGradient { x: of(&x)?, context })
    }
    /// The score, the gradient of [`Model::log_prob`] with respect to the context, `[B, C]`, by tangents:
    /// it can be part of a loss. A manifold that depends on the context has none; see
    /// [`Model::log_prob_gradient`].
    fn score(&self, _x: &Tensor, _context: &Tensor) -> Result<Tensor> {
        self.lacks("score", "it has no tangents along the context; ask for `log_prob_gradient`")
    }

    /// The projection of `x` onto the manifold, `[B, D]`.
    fn project(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// Projection and log-density together: where both need the same passes through the maps, these are
    /// made once. What joint training takes.
    fn project_with_log_prob(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Projected> {
        let (projection, log_prob) = (self.project(x, context)?, self.log_prob(x, context)?);
        Ok(Projected { projection, log_prob })
    }
    /// The base-space latent of the projection of `x`, `[B, N]`.
    fn encode(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// The point of the manifold with the given base-space latent: `decode(encode(x)) = project(x)`.
    fn decode(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// The rows `dx/du~_i` of the Jacobian of [`Model::decode`], `[B, N, D]`.
    fn decode_jacobian(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;

    /// The coordinates `u` on the manifold's chart of the projection of `x`, `[B, N]`.
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// All latents of `x` that the map behind the manifold has: `(u, v) = f⁻¹(x)`, `[B, D]`, or where
    /// there is no `f` the coordinates, `[B, N]`.
    fn latents(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.coordinates(x, context)
    }
    /// Log-density of coordinates, `log p(ũ) - log|det J_h(ũ)|`, `[B]`: what the density phase
    /// maximises. It lacks the volume of the manifold, so it is no density of data. Alone among these
    /// methods it lets non-finite values through, to a result that is not finite either.
    fn coordinate_log_prob(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// The gradient of [`Model::coordinate_log_prob`] with respect to the context, `[B, C]`, at fixed
    /// coordinates, by tangents; values are not checked either.
    fn coordinate_score(&self, _u: &Tensor, _context: &Tensor) -> Result<Tensor> {
        self.lacks("coordinate_score", "it has no tangents along the context")
    }

    /// What a model without a tractable likelihood is trained on, `[B]`: a lower bound (VAE) or
    /// approximation (RIF) of the log-likelihood in nats. `noise: [B, signature().noise_dim]` is
    /// standard normal. Not a density to report.
    fn surrogate_log_prob(
        &self,
        _x: &Tensor,
        _context: Option<&Tensor>,
        _noise: &Tensor,
    ) -> Result<Tensor> {
        self.lacks("surrogate_log_prob", "it is trained on its likelihood; ask for `log_prob`")
    }

    /// Log-density of base-space latents, `[B]`.
    fn latent_log_prob(&self, latent: &Tensor) -> Result<Tensor>;
    /// `rows` base-space latents, `[rows, N]`.
    fn sample_latent(&self, rows: usize, stream: &mut Stream) -> Result<Tensor>;
    /// The noise off the manifold of `rows` samples, `[rows, K]`, for [`Model::decode_noisy`]; none if the
    /// samples of the model lie on its manifold.
    fn sample_noise(&self, _rows: usize, _stream: &mut Stream) -> Result<Option<Tensor>> {
        Ok(None)
    }
    /// [`Model::decode`] with noise off the manifold.
    fn decode_noisy(
        &self,
        _latent: &Tensor,
        _noise: &Tensor,
        _context: Option<&Tensor>,
    ) -> Result<Tensor> {
        self.lacks("decode_noisy", "its samples lie on the manifold; ask for `decode`")
    }

    /// `rows` draws from the density that is [`Model::log_prob`], `[rows, D]`; a context has one row
    /// each. A PIE and a VAE draw off the manifold; for points on it decode latents.
    fn sample(&self, rows: usize, context: Option<&Tensor>, stream: &mut Stream) -> Result<Tensor> {
        let latent = self.sample_latent(rows, stream)?;
        match self.sample_noise(rows, stream)? {
            Some(noise) => self.decode_noisy(&latent, &noise, context),
            None => self.decode(&latent, context),
        }
    }
    /// `|x - project(x)|`, the Euclidean distance in data units, `[B]`.
    fn reconstruction_error(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let difference = (x - self.project(x, context)?)?;
        if x.dim(0)? == 0 {
            // candle cannot sum nothing.
            return Ok(host::zeros(0, x.dtype(), x.device())?);
        }
        // In units of the largest entry: of small or large units of the data the squares would vanish or overflow.
        let least = match x.dtype() {
            DType::F64 => f64::MIN_POSITIVE,
            _ => f64::from(f32::MIN_POSITIVE),
        };
        let unit = difference.abs()?.max_keepdim(D::Minus1)?.detach().maximum(least)?;
        let norm = difference.broadcast_div(&unit)?.sqr()?.sum(D::Minus1)?.sqrt()?;
        Ok((norm * unit.squeeze(D::Minus1)?)?)
    }

    /// Whether [`Model::encode`] is by construction the inverse of [`Model::decode`]. Not where an encoder is a
    /// network of its own: then [`Model::log_prob`] is the density of the samples only as far as
    /// [`Model::cycle_error`] is 0.
    fn inverts(&self) -> bool {
        true
    }
    /// How exactly the model inverts, at the samples that have these latents, `[B, N]`: where both distances
    /// are 0, the decoder does not cross itself, and the encoder returns the latent that a sample came from. Of
    /// a model that [`Model::inverts`] they are rounding.
    ///
    /// The second distance tells more than the first: a decoder that lays two pieces of the latent space onto
    /// each other has a density of twice what [`Model::log_prob`] says there, and only latents come back to
    /// another place.
    fn cycle_error(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<CycleError> {
        let x = self.decode(latent, context)?;
        let data = self.reconstruction_error(&x, context)?;
        if self.signature().charts > 1 {
            return Ok(CycleError { data, latent: None });
        }
        let mut moved = (latent - self.encode(&x, context)?)?;
        if self.signature().latent_domain == Domain::Angle {
            let turns = (moved.detach() / TAU)?.round()?;
            moved = (moved - (turns * TAU)?)?;
        }
        Ok(CycleError { data, latent: Some(moved.sqr()?.sum(D::Minus1)?.sqrt()?) })
    }

    /// Let layers of a part learn statistics from a batch of data: the initialisation of an `ActNorm` or a
    /// `Gaussianize`. The explicit call of a trainer.
    fn observe(&self, _x: &Tensor, _context: Option<&Tensor>, _part: Part) -> Result<()> {
        Ok(())
    }
    /// The model as it is while training, with the random numbers that dropout and the draws of charts take
    /// from `noise`; `None` where training makes no difference. Shares the parameters.
    fn training(&self, _noise: &Noise) -> Result<Option<Box<dyn Model>>> {
        Ok(None)
    }
    /// The model that draws charts as while training, but has no dropout: what validation looks at. `None`
    /// where there is one chart.
    fn drawing(&self, _noise: &Noise) -> Result<Option<Box<dyn Model>>> {
        Ok(None)
    }

    /// The error of a model that was asked for what it lacks.
    #[doc(hidden)]
    fn lacks(&self, op: &'static str, reason: &'static str) -> Result<Tensor> {
        Err(Error::Unsupported { op, model: self.signature().name, reason })
    }
}

/// Why there is no likelihood.
pub(crate) const INTRACTABLE: &str = "its decoder is not invertible, so the likelihood of a point is an intractable integral; ask for \
     the density of coordinates, or the reconstruction error";

/// Refuse what is not of shape `[B, columns]`.
pub(crate) fn check_columns(
    op: &'static str,
    arg: &'static str,
    x: &Tensor,
    columns: usize,
) -> Result<()> {
    match x.dims() {
        [_, found] if *found == columns => Ok(()),
        found => {
            let expected = format!("[B, {columns}]");
            Err(Error::Shape { op, arg, expected, found: found.to_vec() })
        }
    }
}

/// Refuse arguments that layers would not: a context nobody asked for, a wrong shape of data (named as the caller knows
/// it). Data are a name, a tensor and its number of columns; of a context the features, if there are to be some, and the
/// tensor.
#[expect(clippy::indexing_slicing, reason = "`check_columns` has found two axes")]
pub(crate) fn check_shapes(
    op: &'static str,
    (arg, x, columns): (&'static str, &Tensor, usize),
    (context_dim, context): (Option<usize>, Option<&Tensor>),
) -> Result<()> {
    let shape = |arg, expected: String, t: &Tensor| {
        Err(Error::Shape { op, arg, expected, found: t.dims().to_vec() })
    };
    check_columns(op, arg, x, columns)?;
    match (context_dim, context) {
        (Some(c), Some(t)) if t.dims() != [x.dims()[0], c] => {
            shape("context", format!("[{}, {c}]", x.dims()[0]), t)
        }
        (Some(c), None) => Err(mflow_bijectors::Error::MissingContext { op, expected: c }.into()),
        (None, Some(t)) => shape("context", "none: the model is unconditional".into(), t),
        (Some(_), Some(_)) | (None, None) => Ok(()),
    }
}

/// [`check_shapes`], and refuse non-finite values.
pub(crate) fn check_arguments(
    op: &'static str,
    data: (&'static str, &Tensor, usize),
    context: (Option<usize>, Option<&Tensor>),
) -> Result<()> {
    check_shapes(op, data, context)?;
    check_finite(op, data.0, data.1)?;
    context.1.map_or(Ok(()), |c| check_finite(op, "context", c))
}

/// Refuse non-finite values, naming the first.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "the position is one of the values, and columns are 1 or more"
)]
pub(crate) fn check_finite(op: &'static str, arg: &'static str, x: &Tensor) -> Result<()> {
    // One pass decides; the place is only looked for when something is wrong.
    let total = host::scalar(&(x.detach() * 0.)?.sum_all()?)?;
    if total == 0. {
        return Ok(());
    }
    let columns = x.dims().last().copied().unwrap_or(1).max(1);
    let values = host::values_f64(x)?;
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => {
            let (row, column) = (i / columns, i % columns);
            Err(Error::NonFinite { op, arg, row, column, value: values[i] })
        }
        None => Ok(()),
    }
}
