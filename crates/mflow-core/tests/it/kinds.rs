//! Every kind of model, small, with parameters well away from the start.
use crate::numbers::{device, gram, log_abs_det, matrices, normal, numbers, tensor};
use crate::subject::{differences, randomise, small_flow};
use mflow_bijectors::{Activation, Domain, FeatureAffineConfig, LinearKind, NetConfig, ParamStore};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{ChartConfig, CircularFlowConfig, Density, Model, ModelConfig, ModelParts};
use std::f64::consts::TAU;

/// A model under test.
pub(crate) struct Kind {
    pub(crate) what: String,
    pub(crate) config: ModelConfig,
    pub(crate) store: ParamStore,
    pub(crate) model: Box<dyn Model>,
}

/// Width 8, one smooth residual block.
pub(crate) fn small_net() -> NetConfig {
    NetConfig::new(8, 1).with_activation(Activation::Silu)
}

/// With flows and networks of test size.
pub(crate) fn small(config: ModelConfig) -> ModelConfig {
    let config = config.with_networks(small_net()).with_outer(small_flow(LinearKind::Lu));
    match config.chart() {
        Some(_) => config,
        None => config.with_inner(small_flow(LinearKind::Permutation)),
    }
}

pub(crate) fn with_epsilon(mut config: ModelConfig, value: f64) -> ModelConfig {
    if let ModelParts::Pie { epsilon, .. } = &mut config.parts {
        *epsilon = value;
    }
    config
}

/// With so many steps by which codes are improved.
pub(crate) fn with_steps(mut config: ModelConfig, value: usize) -> ModelConfig {
    if let ModelParts::FreeForm { steps, .. } | ModelParts::FreeFormAtlas { steps, .. } =
        &mut config.parts
    {
        *steps = value;
    }
    config
}

/// Normalisation of features in unequal units.
pub(crate) fn units(d: usize) -> FeatureAffineConfig {
    let scale = [2., 10., 0.3, 1.].into_iter().cycle().take(d).collect();
    FeatureAffineConfig::new((0..d).map(|j| 1. - j as f64).collect(), scale)
}

pub(crate) fn circle(radius: f64) -> ChartConfig {
    ChartConfig::Hypersphere { dim: 1, radius, center: vec![0.5, -1.] }
}
pub(crate) fn sphere(radius: f64) -> ChartConfig {
    ChartConfig::Hypersphere { dim: 2, radius, center: vec![1., 0., -0.3] }
}

/// Circular splines, alone or by couplings of test size.
pub(crate) fn circular(coupled: bool) -> CircularFlowConfig {
    let mut config = CircularFlowConfig::default();
    if coupled {
        config = CircularFlowConfig::coupled(small_net());
        (config.layers, config.bins) = (2, 5);
    }
    config
}

/// Flows on known manifolds: of circular splines, and of splines on the reals.
fn foms(context: usize) -> Vec<ModelConfig> {
    let on = |chart| ModelConfig::fom(chart).with_inner(small_flow(LinearKind::Permutation));
    let stereographic = ChartConfig::Stereographic { radius: 1.5, center: vec![1., 0., -0.3] };
    let mut all = vec![on(circle(2.)), on(sphere(1.3)), on(stereographic)];
    let torus = ModelConfig::fom(ChartConfig::Torus { major: 2., minor: 0.6 });
    all.extend([
        ModelConfig::fom(circle(2.)).with_inner(circular(context > 0)),
        torus.clone().with_inner(circular(true)),
    ]);
    if context == 0 {
        all.push(torus.with_inner(circular(false)));
    }
    all
}

/// M-flows of a known topology: of circular splines, and of splines on the reals.
pub(crate) fn closed(context: usize) -> Vec<ModelConfig> {
    let circle = || ModelConfig::m_flow_on(circle(1.2), 3);
    let on_reals = |c: ModelConfig| c.with_inner(small_flow(LinearKind::Permutation));
    let of_sphere = on_reals(ModelConfig::m_flow_on(sphere(1.3), 3));
    let torus = ModelConfig::m_flow_on(ChartConfig::named("torus").unwrap(), 4);
    let mut all = vec![on_reals(circle()), of_sphere, torus.with_inner(circular(true))];
    all.push(circle().with_inner(circular(context > 0)));
    all.into_iter().map(small).collect()
}

/// Every kind, unconditional, with a conditional density and with a conditional manifold, each with and
/// without normalisation where it may have one.
pub(crate) fn configs() -> Vec<ModelConfig> {
    let mut all = vec![];
    for (context, conditional_manifold) in [(0, false), (2, false), (2, true)] {
        let with = |config: ModelConfig| {
            let config = config.with_context(context);
            let has_choice = !matches!(config.name(), "af" | "vae");
            match conditional_manifold && has_choice {
                true => config.with_conditional_manifold(),
                false => config,
            }
        };
        let learned = [
            ModelConfig::af(2),
            with_epsilon(ModelConfig::pie(3, 2), 0.2),
            ModelConfig::m_flow(3, 2),
            ModelConfig::me_flow(3, 2),
            ModelConfig::pae(3, 2),
            with_steps(ModelConfig::free_form(3, 2), 0),
            ModelConfig::vae(3, 1),
            ModelConfig::rif(3, 2),
        ];
        for config in learned.map(small).into_iter().chain(closed(context)).map(with) {
            let units = units(config.sizes.data_dim);
            all.extend([config.clone(), config.with_normalization(units)]);
        }
        if !conditional_manifold {
            all.extend(foms(context).into_iter().map(with));
        }
    }
    all
}

pub(crate) fn kinds() -> impl Iterator<Item = Kind> {
    configs().into_iter().map(|config| Kind::new(config, 0.6))
}

impl Kind {
    pub(crate) fn new(config: ModelConfig, gain: f64) -> Self {
        let mut store = ParamStore::new(5, DType::F64, device());
        let model = config.build(&mut store, |_| true).unwrap();
        randomise(&store, gain);
        let what = serde_json::to_value(&config.sizes).unwrap();
        let what = match config.chart() {
            Some(chart) => format!("{} on {chart:?} {what}", config.name()),
            None => format!("{} {what}", config.name()),
        };
        Self { what, config, store, model }
    }
    pub(crate) fn name(&self) -> &'static str {
        self.config.name()
    }
    /// Dimensions of data and of the manifold.
    pub(crate) fn dims(&self) -> (usize, usize) {
        (self.config.sizes.data_dim, self.config.sizes.manifold_dim)
    }
    pub(crate) fn context(&self, rows: usize) -> Option<Tensor> {
        let c = self.config.sizes.context_dim;
        (c > 0).then(|| normal("context", &[rows, c]))
    }
    /// Data off the manifold, about as wide as the normalisation says.
    pub(crate) fn data(&self, rows: usize) -> Tensor {
        let d = self.dims().0;
        let plain = FeatureAffineConfig::new(vec![0.; d], vec![1.; d]);
        let units = self.config.normalization().unwrap_or(&plain);
        let place = |(i, v): (usize, f64)| units.shift[i % d] + units.scale[i % d] * v;
        let values = numbers(&normal("data", &[rows, d])).into_iter().enumerate();
        tensor(values.map(place).collect(), &[rows, d])
    }
    /// Whether the base density is that of angles.
    pub(crate) fn of_angles(&self) -> bool {
        self.model.signature().latent_domain == Domain::Angle
    }
    pub(crate) fn latent(&self, rows: usize) -> Tensor {
        let latent = normal("latent", &[rows, self.dims().1]);
        if self.of_angles() { (latent.tanh().unwrap() * 3.1).unwrap() } else { latent }
    }
    /// Whether the encoder is the exact inverse of the decoder.
    pub(crate) fn inverts(&self) -> bool {
        ["af", "fom", "pie", "m-flow"].contains(&self.name())
    }
    pub(crate) fn has_density(&self) -> bool {
        !["pae", "vae", "rif"].contains(&self.name())
    }
    /// The base density, from its formula.
    pub(crate) fn base_log_prob(&self, latent: &Tensor) -> Vec<f64> {
        let n = self.dims().1;
        let angles = self.of_angles();
        let of = |u: &[f64]| if angles { -(n as f64) * TAU.ln() } else { log_normal(u) };
        numbers(latent).chunks(n).map(of).collect()
    }
    /// `log p(ũ) - ½ log det J Jᵀ` with the Jacobian of `decode` by differences.
    pub(crate) fn on_manifold(&self, latent: &Tensor, context: Option<&Tensor>) -> Vec<f64> {
        let jacobian = differences(latent, &|u| self.model.decode(u, context).unwrap());
        let base = self.base_log_prob(latent);
        base.iter().zip(half_log_det(&jacobian)).map(|(p, v)| p - v).collect()
    }
    /// The model's density: `off` the manifold if it has one there.
    pub(crate) fn log_density(&self, kind: Density, x: &Tensor) -> Vec<f64> {
        let context = self.context(x.dims()[0]);
        numbers(&self.model.log_density(kind, x, context.as_ref()).unwrap())
    }
}

/// `log N(u; 0, 1)`.
pub(crate) fn log_normal(u: &[f64]) -> f64 {
    u.iter().map(|v| -0.5 * (v * v + TAU.ln())).sum()
}

/// `½ log det J Jᵀ` of each matrix of rows.
pub(crate) fn half_log_det(jacobian: &Tensor) -> Vec<f64> {
    matrices(jacobian).iter().map(|rows| 0.5 * log_abs_det(&gram(rows))).collect()
}
