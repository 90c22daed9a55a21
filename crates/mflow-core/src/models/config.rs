//! [`ModelConfig`]: any model as it is written in a config or model file.
use crate::Result;
use crate::atlas::{ChartFrame, Charts, place_charts};
use crate::chart::ChartConfig;
use crate::flow::{CircularFlowConfig, VectorFlowConfig};
use crate::network::NetworkConfig;
use crate::normalize::coarse_column;
use mflow_bijectors::{FeatureAffineConfig, LinearKind, NetConfig, SplineFlowConfig};
use serde::{Deserialize, Serialize};

/// Any model, as it is written in a config file: `kind` names it, the rest are the fields of
/// [`ModelSizes`] and of its [`ModelParts`], side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelConfig {
    /// What every model has.
    #[serde(flatten)]
    pub sizes: ModelSizes,
    /// Which model it is, and what it is made of.
    #[serde(flatten)]
    pub parts: ModelParts,
}

/// Dimensions and normalisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelSizes {
    /// Number of features `D` of the data.
    pub data_dim: usize,
    /// Dimension `N` of the manifold, `1 <= N < D`; `D` for a flow of all of `R^D` and for a ratio
    /// estimator. In a file it may be left out where there is no choice.
    pub manifold_dim: usize,
    /// Number of context features `C`, 0 for none.
    #[serde(default)]
    pub context_dim: usize,
    /// Whether the manifold too, not only the density on it, depends on the context; where there is a
    /// choice: that of `af` and `fom` is fixed, the networks of `vae` always see the context.
    #[serde(default)]
    pub conditional_manifold: bool,
    /// Principal axes of the data, in units of the normalised data, as a fixed layer before the normalisation: the
    /// manifold starts as the plane of the first `N` of them. None for a manifold that starts at random weights, or
    /// elsewhere. See [`ModelConfig::start_flat`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<ChartFrame>,
    /// From normalised to original data; the outermost part of the decoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization: Option<FeatureAffineConfig>,
    /// From contexts in units of their spread to those that are given; networks see the former, and scores are along the latter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_normalization: Option<FeatureAffineConfig>,
}

/// What a model is made of. Parameters are named after the fields: `outer.*` is `f`, `inner.*` is `h`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ModelParts {
    /// Ambient flow: a density on all of `R^D`, `x = h(ũ)`.
    Af {
        /// The flow.
        #[serde(default = "default_ambient")]
        inner: VectorFlowConfig,
    },
    /// Flow on a manifold that is known: `x = chart(h(ũ))`. Normalisation is not for it, as the manifold
    /// is given in data units.
    ///
    /// On angles `h` is circular and the base density uniform; other bounded coordinates, and angles with
    /// a flow of another kind, are reached from `R^N` by a logistic function, with a seam at their ends.
    /// Gemici, Rezende & Mohamed (2016), *Normalizing flows on Riemannian manifolds*, arXiv 1611.02304.
    Fom {
        /// The manifold.
        chart: ChartConfig,
        /// The flow `h` of its coordinates.
        #[serde(default)]
        inner: VectorFlowConfig,
    },
    /// Pseudo-invertible encoder: the flows of an M-flow, trained as a density of all of `R^D` with normal
    /// latents `v` of deviation `ε` across the manifold, `x = f(u, v)`, `u = h(ũ)`. Beitler, Sosnovik &
    /// Smeulders (2021), arXiv 2111.00619; Brehmer & Cranmer (2020), section 2.C.
    Pie {
        /// The flow `f` of `R^D`.
        #[serde(default)]
        outer: VectorFlowConfig,
        /// The flow `h` of the coordinates.
        #[serde(default)]
        inner: VectorFlowConfig,
        /// `ε`, in units of the latents.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
    },
    /// Manifold-learning flow: `x = f(u, 0)`, `u = h(ũ)`. Brehmer & Cranmer (2020), section 2.D. With a
    /// chart `x = f(chart(u), 0)`: the manifold is closed if the chart is, and `h` is then as for
    /// [`ModelParts::Fom`].
    MFlow {
        /// What `f` deforms; the first `N` coordinates of `R^D` if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chart: Option<ChartConfig>,
        /// The flow `f` of `R^D`.
        #[serde(default)]
        outer: VectorFlowConfig,
        /// The flow `h` of the coordinates.
        #[serde(default)]
        inner: VectorFlowConfig,
    },
    /// M-flows on several charts, each a part of the manifold, and the mixture of their densities:
    /// `x = f_k(u, 0)`, `u = h_k(ũ)`, with weights `w_k`. For manifolds that no one chart covers, of unknown
    /// topology. The networks of all charts are the same, and see the number of the chart. Unconditional.
    Atlas {
        /// How many charts, or their places.
        #[serde(default = "default_charts")]
        charts: Charts,
        /// The flow `f` of `R^D`, around the place of its chart.
        #[serde(default)]
        outer: VectorFlowConfig,
        /// The flow `h` of the coordinates.
        #[serde(default)]
        inner: VectorFlowConfig,
        /// How far apart charts may be where they overlap, in units of the normalised data.
        #[serde(default = "default_tolerance")]
        tolerance: f64,
    },
    /// Manifold-learning flow with an encoder network in the place of `f⁻¹`. Brehmer & Cranmer (2020),
    /// section 2.E.
    MeFlow {
        /// The flow `f` of `R^D`.
        #[serde(default)]
        outer: VectorFlowConfig,
        /// The flow `h` of the coordinates.
        #[serde(default)]
        inner: VectorFlowConfig,
        /// The network from normalised data to coordinates.
        #[serde(default = "default_encoder")]
        encoder: NetworkConfig,
    },
    /// Probabilistic autoencoder: encoder and decoder networks, and a flow `h` of the codes. Böhm & Seljak
    /// (2020), arXiv 2006.05479.
    Pae {
        /// The network from normalised data to codes.
        #[serde(default = "default_encoder")]
        encoder: NetworkConfig,
        /// The network from codes to normalised data.
        #[serde(default = "default_encoder")]
        decoder: NetworkConfig,
        /// The flow `h` of the codes.
        #[serde(default)]
        inner: VectorFlowConfig,
    },
    /// Free-form flow: encoder and decoder networks without constraint, and a flow `h` of the codes, with the
    /// density that the decoder pushes forward, `x = decoder(u)`, `u = h(ũ)`:
    ///
    /// ```text
    /// log p(x) = log p_u(u) - ½ log det Jᵀ J,    J = ∂decoder(u)/∂u,    u = encoder(x)
    /// ```
    ///
    /// This is the density of the samples only as far as the encoder inverts the decoder; see
    /// [`crate::Model::cycle_error`]. To come near, the codes of the encoder are improved by Gauss-Newton steps towards
    /// the nearest point of the manifold. Only the losses of a phase that trains the encoder take the codes without
    /// steps, so that the encoder learns.
    ///
    /// Sorrenson et al. (2024), *Lifting architectural constraints of injective flows*, arXiv 2306.01843. They train on
    /// the likelihood, with an estimate of the gradient of its volume from the encoder. Here the volume is exact, from
    /// `N` tangents, and only schedules with the likelihood train on it.
    FreeForm {
        /// The network from normalised data to codes.
        #[serde(default = "default_free")]
        encoder: NetworkConfig,
        /// The network from codes to normalised data.
        #[serde(default = "default_free")]
        decoder: NetworkConfig,
        /// The flow `h` of the codes.
        #[serde(default = "default_gaussianized")]
        inner: VectorFlowConfig,
        /// How many steps improve the codes; 0 leaves them as the encoder says.
        #[serde(default = "default_steps")]
        steps: usize,
    },
    /// Free-form flows on several charts, as [`ModelParts::Atlas`] has M-flows: `x = decoder_k(u)`, `u = h_k(ũ)`.
    /// The networks of all charts are the same, and see the number of the chart. Unconditional.
    FreeFormAtlas {
        /// How many charts, or their places.
        #[serde(default = "default_free_charts")]
        charts: Charts,
        /// The network from data around the place of a chart to codes.
        #[serde(default = "default_free")]
        encoder: NetworkConfig,
        /// The network from codes to data around the place of a chart.
        #[serde(default = "default_free")]
        decoder: NetworkConfig,
        /// The flow `h` of the codes.
        #[serde(default = "default_gaussianized")]
        inner: VectorFlowConfig,
        /// How many steps improve the codes, as in [`ModelParts::FreeForm`].
        #[serde(default = "default_steps")]
        steps: usize,
        /// How far apart charts may be where they overlap, in units of the normalised data.
        #[serde(default = "default_tolerance")]
        tolerance: f64,
    },
    /// Variational autoencoder: Kingma & Welling (2014), arXiv 1312.6114. Both networks see the context.
    Vae {
        /// The network from normalised data to means and log-variances of the codes.
        #[serde(default = "default_encoder")]
        encoder: NetworkConfig,
        /// The network from codes to normalised data.
        #[serde(default = "default_encoder")]
        decoder: NetworkConfig,
    },
    /// Relaxed injective flow: the parts of a PAE, trained on a bound that penalises the singular values of
    /// the decoder's Jacobian. Kumar, Poole & Murphy (2020), arXiv 2002.08927.
    Rif {
        /// The network from normalised data to codes.
        #[serde(default = "default_encoder")]
        encoder: NetworkConfig,
        /// The network from codes to normalised data.
        #[serde(default = "default_smooth")]
        decoder: NetworkConfig,
        /// The flow `h` of the codes.
        #[serde(default)]
        inner: VectorFlowConfig,
    },
    /// Neural estimator of likelihood ratios, `log r̂(x|θ) ≈ log p(x|θ) - log p(x|θ_ref)`, by a network of the
    /// normalised data beside the context `θ`. It has no manifold, no density and no samples: what it is for are
    /// posteriors of `θ`. Trained on the loss ALICES: Stoye, Brehmer, Louppe, Pavez & Cranmer (2018), *Likelihood-free
    /// inference with an improved cross-entropy estimator*, arXiv 1808.00973.
    ///
    /// The reference `θ_ref` is no part of the model: it is the one that the training rows were made with.
    Ratio {
        /// The network from normalised data and context to `log r̂`.
        #[serde(default = "default_ratio")]
        network: NetConfig,
    },
}

/// As deep as `f` and `h` of the other models together.
fn default_ambient() -> VectorFlowConfig {
    let mut flow = SplineFlowConfig::default();
    (flow.layers, flow.linear) = (10, LinearKind::Lu);
    flow.into()
}
/// The published value for the polynomial surface.
fn default_epsilon() -> f64 {
    0.01
}
/// A quarter of a circle is nearly straight, so four charts are enough for curves.
fn default_charts() -> Charts {
    Charts::Number(4)
}
/// Free networks fold a chart in some runs if it covers a large part of a surface. Smaller charts are folded less often.
fn default_free_charts() -> Charts {
    Charts::Number(8)
}
/// Ten times what an error of the manifold should be.
fn default_tolerance() -> f64 {
    0.1
}
/// The published encoder of vectors.
fn default_encoder() -> NetworkConfig {
    NetConfig::new(100, 5).into()
}
/// Circular on angles; by couplings where there is something to depend on.
pub(super) fn flow_on(chart: &ChartConfig, context_dim: usize) -> VectorFlowConfig {
    match chart.has_angles_only() {
        true if chart.dims().1 == 1 && context_dim == 0 => CircularFlowConfig::default().into(),
        true => CircularFlowConfig::coupled(NetConfig::default()).into(),
        false => VectorFlowConfig::default(),
    }
}
/// For decoders whose derivatives are part of a density or a loss: those of a network with kinks are piecewise constant.
fn default_smooth() -> NetworkConfig {
    NetConfig::new(100, 5).with_activation(mflow_bijectors::Activation::Silu).into()
}

/// Five hidden layers of 100 units, as published, with a smooth activation: the score is a derivative of the network.
fn default_ratio() -> NetConfig {
    NetConfig::new(100, 2).with_activation(mflow_bijectors::Activation::Silu)
}

/// Smaller than the published encoder: in the same time such networks make twice as many passes over the rows, and come
/// nearer to folded manifolds.
fn default_free() -> NetworkConfig {
    NetConfig::new(64, 3).with_activation(mflow_bijectors::Activation::Silu).into()
}
/// Codes that unroll a manifold end where it ends, and there is no density beyond. What is left to the couplings is not
/// much.
fn default_gaussianized() -> VectorFlowConfig {
    let mut flow = SplineFlowConfig::default();
    (flow.linear, flow.hidden, flow.gaussianize) = (LinearKind::Lu, 50, true);
    flow.into()
}

/// Each step squares the error of an encoder: two take a hundredth to rounding in single precision.
fn default_steps() -> usize {
    2
}

/// Groups of parameters, by what they shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelGroups {
    /// The manifold, and the projection onto it.
    pub manifold: &'static [&'static str],
    /// The density of coordinates.
    pub density: &'static [&'static str],
}

impl ModelConfig {
    /// A model of these parts on data of `data_dim` features; unconditional, without normalisation.
    pub fn new(parts: ModelParts, data_dim: usize, manifold_dim: usize) -> Self {
        let sizes = ModelSizes {
            data_dim,
            manifold_dim,
            context_dim: 0,
            conditional_manifold: false,
            frame: None,
            normalization: None,
            context_normalization: None,
        };
        Self { sizes, parts }
    }
    /// An ambient flow, [`ModelParts::Af`].
    pub fn af(data_dim: usize) -> Self {
        Self::new(ModelParts::Af { inner: default_ambient() }, data_dim, data_dim)
    }
    /// A flow on a known manifold, [`ModelParts::Fom`]; circular on circles and tori.
    pub fn fom(chart: ChartConfig) -> Self {
        let (data_dim, manifold_dim) = chart.dims();
        let inner = flow_on(&chart, 0);
        Self::new(ModelParts::Fom { chart, inner }, data_dim, manifold_dim)
    }
    /// A pseudo-invertible encoder, [`ModelParts::Pie`].
    pub fn pie(data_dim: usize, manifold_dim: usize) -> Self {
        let inner = VectorFlowConfig::default();
        let parts = ModelParts::Pie {
            outer: VectorFlowConfig::default(),
            inner,
            epsilon: default_epsilon(),
        };
        Self::new(parts, data_dim, manifold_dim)
    }
    /// A manifold-learning flow, [`ModelParts::MFlow`]: the published flows of the polynomial surface, but
    /// for trained linear maps in `f` and `h`.
    pub fn m_flow(data_dim: usize, manifold_dim: usize) -> Self {
        let inner = VectorFlowConfig::default();
        let parts = ModelParts::MFlow { chart: None, outer: VectorFlowConfig::default(), inner };
        Self::new(parts, data_dim, manifold_dim)
    }
    /// A manifold-learning flow of the topology of a chart, [`ModelParts::MFlow`]; circular on circles
    /// and tori.
    pub fn m_flow_on(chart: ChartConfig, data_dim: usize) -> Self {
        let (manifold_dim, inner) = (chart.dims().1, flow_on(&chart, 0));
        let parts =
            ModelParts::MFlow { chart: Some(chart), outer: VectorFlowConfig::default(), inner };
        Self::new(parts, data_dim, manifold_dim)
    }
    /// M-flows on several charts, [`ModelParts::Atlas`]: as many as `charts` says, to be placed by
    /// [`ModelConfig::place_charts`].
    pub fn atlas(data_dim: usize, manifold_dim: usize, charts: usize) -> Self {
        let parts = ModelParts::Atlas {
            charts: Charts::Number(charts),
            outer: VectorFlowConfig::default(),
            inner: VectorFlowConfig::default(),
            tolerance: default_tolerance(),
        };
        Self::new(parts, data_dim, manifold_dim)
    }
    /// A manifold-learning flow with an encoder, [`ModelParts::MeFlow`].
    pub fn me_flow(data_dim: usize, manifold_dim: usize) -> Self {
        let (inner, encoder) = (VectorFlowConfig::default(), default_encoder());
        let parts = ModelParts::MeFlow { outer: VectorFlowConfig::default(), inner, encoder };
        Self::new(parts, data_dim, manifold_dim)
    }
    /// A probabilistic autoencoder, [`ModelParts::Pae`].
    pub fn pae(data_dim: usize, manifold_dim: usize) -> Self {
        let (encoder, decoder) = (default_encoder(), default_encoder());
        let parts = ModelParts::Pae { encoder, decoder, inner: VectorFlowConfig::default() };
        Self::new(parts, data_dim, manifold_dim)
    }
    /// A free-form flow, [`ModelParts::FreeForm`].
    pub fn free_form(data_dim: usize, manifold_dim: usize) -> Self {
        let (encoder, decoder) = (default_free(), default_free());
        let (inner, steps) = (default_gaussianized(), default_steps());
        let parts = ModelParts::FreeForm { encoder, decoder, inner, steps };
        Self::new(parts, data_dim, manifold_dim)
    }
    /// Free-form flows on several charts, [`ModelParts::FreeFormAtlas`], to be placed by
    /// [`ModelConfig::place_charts`].
    pub fn free_form_atlas(data_dim: usize, manifold_dim: usize, charts: usize) -> Self {
        let parts = ModelParts::FreeFormAtlas {
            charts: Charts::Number(charts),
            encoder: default_free(),
            decoder: default_free(),
            inner: default_gaussianized(),
            steps: default_steps(),
            tolerance: default_tolerance(),
        };
        Self::new(parts, data_dim, manifold_dim)
    }
    /// A variational autoencoder, [`ModelParts::Vae`].
    pub fn vae(data_dim: usize, manifold_dim: usize) -> Self {
        let parts = ModelParts::Vae { encoder: default_encoder(), decoder: default_encoder() };
        Self::new(parts, data_dim, manifold_dim)
    }
    /// A relaxed injective flow, [`ModelParts::Rif`].
    pub fn rif(data_dim: usize, manifold_dim: usize) -> Self {
        let (encoder, decoder) = (default_encoder(), default_smooth());
        let parts = ModelParts::Rif { encoder, decoder, inner: VectorFlowConfig::default() };
        Self::new(parts, data_dim, manifold_dim)
    }
    /// An estimator of likelihood ratios given `context_dim` parameters, [`ModelParts::Ratio`].
    pub fn ratio(data_dim: usize, context_dim: usize) -> Self {
        let parts = ModelParts::Ratio { network: default_ratio() };
        Self::new(parts, data_dim, data_dim).with_context(context_dim)
    }

    /// With `context_dim` context features for the density.
    #[must_use]
    pub fn with_context(mut self, context_dim: usize) -> Self {
        self.sizes.context_dim = context_dim;
        self
    }
    /// With a manifold that depends on the context as well.
    #[must_use]
    pub fn with_conditional_manifold(mut self) -> Self {
        self.sizes.conditional_manifold = true;
        self
    }
    /// With normalisation of data.
    #[must_use]
    pub fn with_normalization(mut self, normalization: FeatureAffineConfig) -> Self {
        self.sizes.normalization = Some(normalization);
        self
    }
    /// With normalisation of contexts.
    #[must_use]
    pub fn with_context_normalization(mut self, normalization: FeatureAffineConfig) -> Self {
        self.sizes.context_normalization = Some(normalization);
        self
    }
    /// The normalisation of data that is part of the decoder.
    pub fn normalization(&self) -> Option<&FeatureAffineConfig> {
        self.sizes.normalization.as_ref()
    }
    /// Whether single precision is too coarse for the data that this normalisation is of; see
    /// [`crate::coarse_column`]. Building such a model in f32 is refused.
    pub fn needs_double(&self) -> bool {
        let ModelSizes { normalization, context_normalization, .. } = &self.sizes;
        [normalization, context_normalization]
            .into_iter()
            .flatten()
            .any(|n| coarse_column(n).is_some())
    }
    /// Data `x: [rows, data_dim]`, row-major, in units of that normalisation.
    pub fn normalized(&self, x: &[f64]) -> Vec<f64> {
        normalized(self.normalization(), x)
    }
    /// With another `f`, if the model has one.
    #[must_use]
    pub fn with_outer(mut self, flow: impl Into<VectorFlowConfig>) -> Self {
        if let ModelParts::Pie { outer, .. }
        | ModelParts::MFlow { outer, .. }
        | ModelParts::Atlas { outer, .. }
        | ModelParts::MeFlow { outer, .. } = &mut self.parts
        {
            *outer = flow.into();
        }
        self
    }
    /// With another `h`, if the model has one.
    #[must_use]
    pub fn with_inner(mut self, flow: impl Into<VectorFlowConfig>) -> Self {
        if let ModelParts::Af { inner }
        | ModelParts::Fom { inner, .. }
        | ModelParts::Pie { inner, .. }
        | ModelParts::MFlow { inner, .. }
        | ModelParts::Atlas { inner, .. }
        | ModelParts::MeFlow { inner, .. }
        | ModelParts::Pae { inner, .. }
        | ModelParts::FreeForm { inner, .. }
        | ModelParts::FreeFormAtlas { inner, .. }
        | ModelParts::Rif { inner, .. } = &mut self.parts
        {
            *inner = flow.into();
        }
        self
    }
    /// With other networks, where the model has an encoder or a decoder; of vectors also where it is one.
    #[must_use]
    pub fn with_networks(mut self, net: impl Into<NetworkConfig>) -> Self {
        let net = net.into();
        match &mut self.parts {
            ModelParts::MeFlow { encoder, .. } => *encoder = net,
            ModelParts::Ratio { network } => {
                if let NetworkConfig::Vector(net) = net {
                    *network = net;
                }
            }
            ModelParts::Pae { encoder, decoder, .. }
            | ModelParts::FreeForm { encoder, decoder, .. }
            | ModelParts::FreeFormAtlas { encoder, decoder, .. }
            | ModelParts::Vae { encoder, decoder }
            | ModelParts::Rif { encoder, decoder, .. } => {
                (*encoder, *decoder) = (net.clone(), net);
            }
            _ => {}
        }
        self
    }

    /// With the charts of an atlas at their places near the rows of `x: [rows, data_dim]`, row-major, in data
    /// units, in units of the normalisation that the config has; see [`place_charts`]. An atlas whose charts have
    /// places, and any other model, stays as it is.
    ///
    /// # Errors
    /// As [`place_charts`]; if an atlas cannot be built with these fields.
    pub fn place_charts(mut self, x: &[f64]) -> Result<Self> {
        let Some(&Charts::Number(number)) = self.parts.charts() else { return Ok(self) };
        self.check()?;
        let ModelSizes { data_dim, manifold_dim, .. } = self.sizes;
        let frames = place_charts(&self.normalized(x), data_dim, manifold_dim, number)?;
        if let Some(charts) = self.parts.charts_mut() {
            *charts = Charts::Placed(frames);
        }
        Ok(self)
    }

    /// With a manifold that starts as the plane of the first `N` principal axes of the rows of `x: [rows, data_dim]`,
    /// row-major, in data units, instead of at random weights: before the first update of training the reconstruction
    /// error is that of principal components. A model that has no choice of a start (`af`, `ratio`, `fom`,
    /// `atlas`, `free-form-atlas`, and M-flows on a chart) stays as it is, and so does one of images, whose layers see
    /// neighbouring pixels and not axes. A flow `f` of the kind `circular` or `custom` cannot
    /// start as the identity: with it the manifold starts elsewhere than at the plane, in coordinates along the axes.
    ///
    /// # Errors
    /// As [`place_charts`].
    pub fn start_flat(mut self, x: &[f64]) -> Result<Self> {
        if self.image().is_some() {
            return Ok(self);
        }
        let outer = match &mut self.parts {
            ModelParts::Af { .. }
            | ModelParts::Ratio { .. }
            | ModelParts::Fom { .. }
            | ModelParts::Atlas { .. }
            | ModelParts::FreeFormAtlas { .. }
            | ModelParts::MFlow { chart: Some(_), .. } => return Ok(self),
            ModelParts::Pie { outer, .. }
            | ModelParts::MFlow { outer, .. }
            | ModelParts::MeFlow { outer, .. } => Some(outer),
            _ => None,
        };
        if let Some(outer) = outer {
            outer.start_as_identity();
        }
        let ModelSizes { data_dim, manifold_dim, .. } = self.sizes;
        self.sizes.frame = place_charts(&self.normalized(x), data_dim, manifold_dim, 1)?.pop();
        Ok(self)
    }

    /// With the charts of an atlas without places: those of other data or another normalisation are wrong.
    #[must_use]
    pub fn without_places(mut self) -> Self {
        if let Some(charts) = self.parts.charts_mut() {
            *charts = Charts::Number(charts.len());
        }
        self
    }

    /// The places of the charts of an atlas, once it has them.
    pub fn frames(&self) -> Option<&[ChartFrame]> {
        match self.parts.charts() {
            Some(Charts::Placed(frames)) => Some(frames),
            _ => None,
        }
    }

    /// The name of the model on the command line and in tables.
    pub fn name(&self) -> &'static str {
        match self.parts {
            ModelParts::Af { .. } => "af",
            ModelParts::Fom { .. } => "fom",
            ModelParts::Pie { .. } => "pie",
            ModelParts::MFlow { .. } => "m-flow",
            ModelParts::Atlas { .. } => "atlas",
            ModelParts::MeFlow { .. } => "me-flow",
            ModelParts::Pae { .. } => "pae",
            ModelParts::FreeForm { .. } => "free-form",
            ModelParts::FreeFormAtlas { .. } => "free-form-atlas",
            ModelParts::Vae { .. } => "vae",
            ModelParts::Rif { .. } => "rif",
            ModelParts::Ratio { .. } => "ratio",
        }
    }

    /// The shape `[H, W, C]` of images, if a part of the model is made for them.
    pub fn image(&self) -> Option<&[usize]> {
        self.parts.image()
    }

    /// The chart, if the model has one.
    pub fn chart(&self) -> Option<&ChartConfig> {
        self.parts.chart()
    }

    /// The groups of its parameters.
    pub fn groups(&self) -> ModelGroups {
        let groups = |manifold, density| ModelGroups { manifold, density };
        match self.parts {
            ModelParts::Af { .. } | ModelParts::Fom { .. } => groups(&[], &["inner"]),
            ModelParts::Pie { .. } | ModelParts::MFlow { .. } | ModelParts::Atlas { .. } => {
                groups(&["outer"], &["inner"])
            }
            ModelParts::MeFlow { .. } => groups(&["outer", "encoder"], &["inner"]),
            ModelParts::Pae { .. }
            | ModelParts::FreeForm { .. }
            | ModelParts::FreeFormAtlas { .. }
            | ModelParts::Rif { .. } => groups(&["encoder", "decoder"], &["inner"]),
            ModelParts::Vae { .. } => groups(&["encoder", "decoder"], &[]),
            ModelParts::Ratio { .. } => groups(&[], &["network"]),
        }
    }
}

/// Data, row-major, in units of their normalisation.
fn normalized(normalization: Option<&FeatureAffineConfig>, x: &[f64]) -> Vec<f64> {
    let Some(FeatureAffineConfig { shift, scale, .. }) = normalization else {
        return x.to_vec();
    };
    let units = shift.iter().zip(scale).cycle();
    x.iter().zip(units).map(|(x, (shift, scale))| (x - shift) / scale).collect()
}

impl ModelParts {
    /// The charts of an atlas.
    pub fn charts(&self) -> Option<&Charts> {
        match self {
            Self::Atlas { charts, .. } | Self::FreeFormAtlas { charts, .. } => Some(charts),
            _ => None,
        }
    }
    /// The same, to change.
    pub fn charts_mut(&mut self) -> Option<&mut Charts> {
        match self {
            Self::Atlas { charts, .. } | Self::FreeFormAtlas { charts, .. } => Some(charts),
            _ => None,
        }
    }
    fn image(&self) -> Option<&[usize]> {
        let flow = match self {
            Self::Pie { outer, .. }
            | Self::MFlow { outer, .. }
            | Self::Atlas { outer, .. }
            | Self::MeFlow { outer, .. } => Some(outer),
            Self::Af { inner } => Some(inner),
            _ => None,
        };
        let of_flow = flow.and_then(VectorFlowConfig::image);
        of_flow.or_else(|| self.networks().find_map(|(_, network)| network.image()))
    }
    /// The encoder and the decoder, by the names of their fields, where they are networks.
    pub(super) fn networks(&self) -> impl Iterator<Item = (&'static str, &NetworkConfig)> {
        let (encoder, decoder) = match self {
            Self::MeFlow { encoder, .. } => (Some(encoder), None),
            Self::Pae { encoder, decoder, .. }
            | Self::FreeForm { encoder, decoder, .. }
            | Self::FreeFormAtlas { encoder, decoder, .. }
            | Self::Vae { encoder, decoder }
            | Self::Rif { encoder, decoder, .. } => (Some(encoder), Some(decoder)),
            _ => (None, None),
        };
        let both = [("encoder", encoder), ("decoder", decoder)];
        both.into_iter().filter_map(|(name, network)| Some((name, network?)))
    }
    pub(super) fn chart(&self) -> Option<&ChartConfig> {
        match self {
            Self::Fom { chart, .. } => Some(chart),
            Self::MFlow { chart, .. } => chart.as_ref(),
            _ => None,
        }
    }
}
