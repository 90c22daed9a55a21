//! A map under test: its config, its built forms, and inputs for it.
use crate::numbers::{device, normal, numbers, tensor};
use mflow_bijectors::candle::Tensor;
use mflow_bijectors::laws::{self, Forms, Options, TANGENTS};
pub(crate) use mflow_bijectors::laws::{Inputs, Probe};
use mflow_bijectors::{
    Activation, AutoregressiveConfig, Bijector, BijectorConfig, CouplingConfig, Direction, Mask,
    NetConfig, ParamStore, Signature, SplineFlowConfig, UnivariateConfig,
};
use std::ops::Deref;

pub(crate) use laws::composed;

pub(crate) const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Inverse];

/// One line of the table of laws.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) config: BijectorConfig,
    pub(crate) options: Options,
    /// Shapes and domains of the map.
    pub(crate) signature: Signature,
    /// Number of context features.
    pub(crate) context: usize,
}

impl Case {
    pub(crate) fn new(config: BijectorConfig) -> Self {
        let dtype = mflow_bijectors::candle::DType::F64;
        let map = ParamStore::new(5, dtype, device()).build(|_| true, |p| config.build(p)).unwrap();
        let signature = map.signature().clone();
        let context = signature.context_dim.unwrap_or(0);
        Self { config, options: Options::default().on(device()), signature, context }
    }
    pub(crate) fn coupling(config: CouplingConfig) -> Self {
        let spread = 0.6 * tail_bound(&config.map);
        Self::new(BijectorConfig::Coupling(config)).spread(spread)
    }
    pub(crate) fn autoregressive(config: AutoregressiveConfig) -> Self {
        let spread = 0.6 * tail_bound(&config.map);
        Self::new(BijectorConfig::Autoregressive(config)).spread(spread)
    }
    pub(crate) fn flow(config: &SplineFlowConfig, dim: usize, context: usize) -> Self {
        let spread = 0.6 * config.tail_bound;
        Self::new(config.bijector(dim, context).unwrap()).spread(spread).entries(0)
    }
    /// Shape of the points that go in.
    pub(crate) fn shape(&self, direction: Direction) -> &[usize] {
        match direction {
            Direction::Forward => &self.signature.latent_shape,
            Direction::Inverse => &self.signature.data_shape,
        }
    }
    /// Number of elements of a point.
    pub(crate) fn size(&self) -> usize {
        self.signature.latent_shape.iter().product()
    }
    fn with(self, change: impl FnOnce(Options) -> Options) -> Self {
        Self { options: change(self.options), ..self }
    }
    pub(crate) fn spread(self, spread: f64) -> Self {
        self.with(|o| o.spread(spread))
    }
    pub(crate) fn reach(self, reach: f64) -> Self {
        self.with(|o| o.reach(reach))
    }
    pub(crate) fn entries(self, entries: usize) -> Self {
        self.with(|o| o.entries(entries))
    }
    pub(crate) fn gain(self, gain: f64) -> Self {
        self.with(|o| o.gain(gain))
    }
    pub(crate) fn identity(self) -> Self {
        self.with(Options::identity)
    }
    pub(crate) fn observed(self) -> Self {
        self.with(Options::observed)
    }
    pub(crate) fn constant_log_det(self) -> Self {
        self.with(Options::constant_log_det)
    }
    pub(crate) fn looser(self, factor: f64) -> Self {
        self.with(|o| o.looser(factor))
    }
}

/// Half the width of the box of splines; 3 for a map without a box.
pub(crate) fn tail_bound(map: &UnivariateConfig) -> f64 {
    match map {
        UnivariateConfig::RationalQuadratic { tail_bound, .. }
        | UnivariateConfig::LinearSpline { tail_bound, .. }
        | UnivariateConfig::QuadraticSpline { tail_bound, .. }
        | UnivariateConfig::CubicSpline { tail_bound, .. } => *tail_bound,
        _ => 3.,
    }
}

/// A small coupling: 5 bins on `[-3, 3]`, width 16, one block, SiLU.
pub(crate) fn small(dim: usize, mask: Mask) -> CouplingConfig {
    CouplingConfig::new(dim, mask).with_bins(5, 3.).with_net(net(16, 1, Activation::Silu))
}

pub(crate) fn net(hidden: usize, blocks: usize, activation: Activation) -> NetConfig {
    NetConfig::new(hidden, blocks).with_activation(activation)
}

/// A small flow: 3 couplings of 5 bins on `[-3, 3]`, width 16, SiLU.
pub(crate) fn small_flow() -> SplineFlowConfig {
    let mut config = SplineFlowConfig::default();
    (config.layers, config.bins, config.tail_bound) = (3, 5, 3.);
    (config.hidden, config.activation) = (16, Activation::Silu);
    config
}

/// A case built in every form that the laws compare.
#[derive(Debug)]
pub(crate) struct Subject(Forms);

impl Subject {
    pub(crate) fn new(case: &Case) -> Self {
        Self(Forms::new(&case.config, &case.options).unwrap())
    }
    /// The same numbers, rounded to f32.
    pub(crate) fn single(&self, case: &Case) -> Self {
        Self(self.0.single(&case.config).unwrap())
    }
}

impl Deref for Subject {
    type Target = Forms;
    fn deref(&self) -> &Forms {
        &self.0
    }
}

/// `rows` random points of the domain, the first one far out in the tails.
pub(crate) fn random(case: &Case, direction: Direction, rows: usize) -> Inputs {
    let (d, c, spread) = (case.size(), case.context, case.options.spread);
    let domain = match direction {
        Direction::Forward => &case.signature.latent_domain,
        Direction::Inverse => &case.signature.data_domain,
    };
    let mut x = numbers(&(normal("x", &[rows, d]) * spread).unwrap());
    x.iter_mut().take(if rows > 1 { d } else { 0 }).for_each(|v| *v *= 4.);
    x.iter_mut().enumerate().for_each(|(i, v)| *v = laws::inside(domain, i % d, *v, spread));
    let shape = case.shape(direction);
    let of_context = |name: &str, shape: &[usize]| (c > 0).then(|| normal(name, shape));
    Inputs {
        x: tensor(x, &[&[rows], shape].concat()),
        context: of_context("context", &[rows, c]),
        x_rows: normal("tangents", &[&[rows, TANGENTS], shape].concat()),
        context_rows: of_context("context tangents", &[rows, TANGENTS, c]),
    }
}

/// [`laws::evaluate`] of what cannot fail.
pub(crate) fn evaluate(
    map: &dyn Bijector,
    direction: Direction,
    inputs: &Inputs,
    probe: Option<Probe>,
) -> Vec<(&'static str, Tensor)> {
    laws::evaluate(map, direction, inputs, probe).unwrap()
}

/// [`laws::randomise`] of what cannot fail.
pub(crate) fn randomise(store: &ParamStore, purpose: &str, gain: f64) {
    laws::randomise(store, purpose, gain).unwrap();
}
