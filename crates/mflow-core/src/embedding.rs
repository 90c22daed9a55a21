//! Embeddings: the non-square maps `U -> R^D` whose image is the manifold.
use crate::Result;
use crate::chart::{Chart, ZeroPadding};
use crate::gram::gram_log_det;
use crate::tangents::{Portion, TANGENT_MEMORY};
use candle_core::{D, Tensor};
use mflow_bijectors::{Bijector, Diff, Direction, Domain, Dual, Noise, host};
use std::fmt::Debug;
use std::sync::Arc;

/// A differentiable map from coordinates `u` in `U`, of dimension `N`, onto a manifold in `R^D`, with
/// a projection back. Not a bijector: nobody can ask it for a determinant that it does not have.
///
/// **Shapes**: coordinates `[B, N]`, data `[B, D]`, context `[B, C]` (ignored by an unconditional
/// embedding), tangent rows `[B, N, D]`.
pub trait Embedding: Debug + Send + Sync {
    /// Dimension `N` of the manifold.
    fn manifold_dim(&self) -> usize;
    /// Dimension `D` of the data space.
    fn data_dim(&self) -> usize;
    /// Number of context features, if conditional.
    fn context_dim(&self) -> Option<usize>;
    /// Where coordinates lie.
    fn domain(&self) -> Domain;
    /// The point of the manifold at `u`.
    ///
    /// # Errors
    /// If an argument does not fit.
    fn embed(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// The same with the rows of the Jacobian, `dx/du_i`, as tangents.
    ///
    /// # Errors
    /// If an argument does not fit.
    fn embed_with_jacobian(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Dual>;
    /// The coordinates of the projection of `x` onto the manifold.
    ///
    /// # Errors
    /// If an argument does not fit.
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// `½ log det(Jᵀ J)` at `u`, `[B]`: the log-volume on the manifold of a unit volume of coordinates
    /// (Brehmer & Cranmer 2020, eq. 6).
    ///
    /// # Errors
    /// If an argument does not fit.
    fn log_volume(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;

    /// The point at `u` with the log-volume there, where one pass with tangents gives both; `None` where
    /// the volume is in closed form, and the two are better asked for one by one.
    ///
    /// # Errors
    /// If an argument does not fit.
    fn embed_with_volume(
        &self,
        _u: &Tensor,
        _context: Option<&Tensor>,
    ) -> Result<Option<(Tensor, Tensor)>> {
        Ok(None)
    }

    /// Whether [`Embedding::coordinates`] is by construction the inverse of [`Embedding::embed`], for points of
    /// the manifold; not where it is a network of its own.
    fn inverts(&self) -> bool {
        true
    }
    /// Whether [`Embedding::coordinates`] are those of the point of the manifold that is nearest to `x`, as of every
    /// chart alone. Behind a flow it is the nearest point before the flow, which is another one.
    fn projects_to_nearest(&self) -> bool {
        false
    }
    /// The bijector `f` of `R^D` behind the chart, if the embedding has one.
    fn flow(&self) -> Option<&Arc<dyn Bijector>> {
        None
    }
    /// [`Embedding::coordinates`] of a batch that layers may learn statistics from; see
    /// [`Bijector::observe`].
    ///
    /// # Errors
    /// If an argument does not fit.
    fn observe(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.coordinates(x, context)
    }
    /// The embedding as it is while training; `None` where training makes no difference. See
    /// [`Bijector::training`].
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn training(&self, _: &Noise) -> Result<Option<Arc<dyn Embedding>>> {
        Ok(None)
    }
}

/// `x = f(chart(u), 0)`: a chart in the first coordinates of `R^D`, followed by a bijector `f` of `R^D`.
///
/// The projection is the nearest point of the chart after `f⁻¹(x)`. Where the chart is closed, so is the
/// manifold: a circle, a sphere, a torus that `f` deforms and turns. Normalisation of data is the
/// outermost part of `f`: it shapes the volume of the manifold, so it must be seen by the tangents. The
/// volume element is exact, from `N` tangents that start from the chart's differential; behind a
/// conformal `f`, and where the manifold is all of `R^D`, it is in closed form,
/// `½ log det Jᵀ J + N/D log|det J_f|`.
#[derive(Clone, Debug)]
pub struct ChartedFlow<C> {
    chart: C,
    /// `D`, at least the dimension of the space around the chart.
    data_dim: usize,
    f: Arc<dyn Bijector>,
    /// Bytes that tangents may take at a time.
    tangent_memory: usize,
}

/// `x = f(u, 0)`, the manifold of Brehmer & Cranmer (2020), eq. 4: the projection drops the last
/// `D - N` latents of `f⁻¹(x)`.
pub type PaddedFlow = ChartedFlow<ZeroPadding>;

impl<C: Chart> ChartedFlow<C> {
    /// Put `f` behind `chart`.
    ///
    /// # Errors
    /// If `f` is no map of vectors, or one of fewer dimensions than the space around the chart has.
    pub fn over(chart: C, f: Arc<dyn Bijector>) -> Result<Self> {
        let (shape, around) = (&f.signature().latent_shape, Chart::data_dim(&chart));
        match shape[..] {
            [data_dim] if data_dim >= around => {
                Ok(Self { chart, data_dim, f, tangent_memory: TANGENT_MEMORY })
            }
            _ => {
                let reason = format!(
                    "must be a map of vectors of {around} features or more, found {shape:?}"
                );
                Err(mflow_bijectors::Error::config("charted_flow.f", reason).into())
            }
        }
    }

    /// With so many bytes for tangents instead of [`TANGENT_MEMORY`]. Where a batch needs more, it is pushed in parts, with
    /// the same result.
    #[must_use]
    pub fn with_tangent_memory(self, bytes: usize) -> Self {
        Self { tangent_memory: bytes, ..self }
    }

    fn portion(&self) -> Result<Portion> {
        let s = self.f.signature();
        Portion::of(s.working_size, self.chart.coordinate_dim(), s.dtype, self.tangent_memory)
    }

    /// Whether the volume needs no tangents.
    fn has_closed_volume(&self) -> bool {
        self.f.signature().conformal || self.chart.coordinate_dim() == self.data_dim
    }

    /// A point of the chart as one of `R^D`.
    fn pad<T: Diff>(&self, x: T) -> Result<T> {
        match self.data_dim - Chart::data_dim(&self.chart) {
            0 => Ok(x),
            rest => Ok(x.linear(|t| t.pad_with_zeros(D::Minus1, 0, rest))?),
        }
    }

    /// The coordinates of the point of the chart that is nearest to latents of `f`.
    fn nearest(&self, latents: &Tensor) -> Result<Tensor> {
        let around = columns(latents, 0, Chart::data_dim(&self.chart))?;
        Embedding::coordinates(&self.chart, &around, None)
    }

    /// The latent of `f` at coordinates `u`.
    fn latent(&self, u: &Tensor) -> Result<Tensor> {
        self.pad(Embedding::embed(&self.chart, u, None)?)
    }
}

/// `x[:, start..start + len]`, contiguous.
pub(crate) fn columns(x: &Tensor, start: usize, len: usize) -> Result<Tensor> {
    if x.dim(0)? == 0 {
        // candle panics at views of nothing.
        return Ok(host::zeros((0, len), x.dtype(), x.device())?);
    }
    Ok(x.narrow(D::Minus1, start, len)?.contiguous()?)
}

/// `½ log det T Tᵀ` of tangent rows `T`.
pub(crate) fn volume_of(x: &Dual) -> Result<Tensor> {
    match x.tangents() {
        Some(rows) => Ok((gram_log_det(rows)? * 0.5)?),
        None => Ok(host::zeros(x.value().dim(0)?, x.value().dtype(), x.value().device())?),
    }
}

impl PaddedFlow {
    /// The image of the first `manifold_dim` latents under `f`.
    ///
    /// # Errors
    /// If `manifold_dim` is not in `1..=D` or `f` is no map of vectors.
    pub fn new(f: Arc<dyn Bijector>, manifold_dim: usize) -> Result<Self> {
        let s = f.signature();
        let d = s.latent_shape.iter().product();
        let chart = ZeroPadding::new(manifold_dim, d, s.dtype, &s.device)?;
        Self::over(chart, f)
    }
}

impl<C: Chart + Clone + 'static> Embedding for ChartedFlow<C> {
    fn manifold_dim(&self) -> usize {
        self.chart.coordinate_dim()
    }
    fn data_dim(&self) -> usize {
        self.data_dim
    }
    fn context_dim(&self) -> Option<usize> {
        self.f.signature().context_dim
    }
    fn domain(&self) -> Domain {
        Chart::domain(&self.chart)
    }
    fn embed(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        Ok(self.f.forward(&self.latent(u)?, context)?.value)
    }
    fn embed_with_jacobian(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Dual> {
        let start = |u: &Tensor| self.pad(self.chart.embed_with_jacobian(u, None)?);
        let push = |x: &Dual, context: Option<&Dual>| Ok(self.f.push_forward(x, context)?.value);
        self.portion()?.jacobian(u, context, start, push)
    }
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.nearest(&self.f.inverse(x, context)?.value)
    }
    fn log_volume(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let (n, d) = (self.chart.coordinate_dim(), self.data_dim);
        if self.has_closed_volume() {
            let share = n as f64 / d as f64;
            let log_det = self.f.forward(&self.latent(u)?, context)?.log_abs_det;
            return Ok((Embedding::log_volume(&self.chart, u, None)? + (log_det * share)?)?);
        }
        let jacobian = |u: &Tensor, c: Option<&Tensor>| self.embed_with_jacobian(u, c);
        let [_, volume] = self.portion()?.volume(u, context, jacobian)?;
        Ok(volume)
    }
    fn embed_with_volume(
        &self,
        u: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Option<(Tensor, Tensor)>> {
        if self.has_closed_volume() {
            return Ok(None);
        }
        let jacobian = |u: &Tensor, c: Option<&Tensor>| self.embed_with_jacobian(u, c);
        let [value, volume] = self.portion()?.volume(u, context, jacobian)?;
        Ok(Some((value, volume)))
    }
    fn flow(&self) -> Option<&Arc<dyn Bijector>> {
        Some(&self.f)
    }
    fn observe(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.nearest(&self.f.observe(Direction::Inverse, x, context)?.value)
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Embedding>>> {
        let f = self.f.training(noise)?;
        Ok(f.map(|f| Arc::new(Self { f, ..self.clone() }) as Arc<dyn Embedding>))
    }
}
