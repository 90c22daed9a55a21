//! A map under test: its config, its built forms, and inputs for it.
use crate::numbers::{device, normal, numbers, tensor};
use mflow_bijectors::candle::{DType, Tensor, Var};
use mflow_bijectors::{
    Activation, AutoregressiveConfig, Bijector, BijectorConfig, CouplingConfig, Direction, Domain,
    Dual, Mask, NetConfig, ParamStore, Route, Signature, SplineFlowConfig, UnivariateConfig,
};
use std::sync::Arc;

pub(crate) const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Inverse];
/// Tangent rows per point: no register, and no other size here, is as long.
pub(crate) const TANGENTS: usize = 3;

/// How closely the laws have to hold; relative to `1 + |expected|`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerances {
    /// Between two computations in f64.
    pub(crate) exact: f64,
    /// Between derivatives and central differences in f64.
    pub(crate) difference: f64,
    /// Between f32 and f64, or two computations in f32, of values and log-dets.
    pub(crate) single: f64,
    /// The same for derivatives.
    pub(crate) single_derivative: f64,
}

/// One line of the table of laws.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) config: BijectorConfig,
    /// Shapes and domains of the map.
    pub(crate) signature: Signature,
    /// Number of context features.
    pub(crate) context: usize,
    /// Size of the random parameters.
    pub(crate) gain: f64,
    /// Standard deviation of the inputs.
    pub(crate) spread: f64,
    pub(crate) tolerance: Tolerances,
    /// Whatever the parameters and the context are, such as with one bin between unit slopes.
    pub(crate) identity: bool,
    /// The log-det depends on nothing but parameters.
    pub(crate) constant_log_det: bool,
    /// Whether it learns from data before the laws are tried.
    pub(crate) observed: bool,
    /// Real inputs as large as this are tried.
    pub(crate) reach: f64,
    /// Single entries of each named piece along which gradients are checked, besides two random
    /// directions through all of a vector.
    pub(crate) entries: usize,
}

impl Case {
    pub(crate) fn new(config: BijectorConfig) -> Self {
        let tolerance =
            Tolerances { exact: 1e-10, difference: 2e-6, single: 1e-4, single_derivative: 2e-3 };
        let map =
            ParamStore::new(5, DType::F64, device()).build(|_| true, |p| config.build(p)).unwrap();
        let signature = map.signature().clone();
        Self {
            config,
            context: signature.context_dim.unwrap_or(0),
            signature,
            gain: 1.,
            spread: 1.7,
            tolerance,
            identity: false,
            constant_log_det: false,
            observed: false,
            reach: 1e6,
            entries: 2,
        }
    }
    pub(crate) fn coupling(config: CouplingConfig) -> Self {
        let spread = 0.6 * tail_bound(&config.map);
        Self { spread, ..Self::new(BijectorConfig::Coupling(config)) }
    }
    pub(crate) fn autoregressive(config: AutoregressiveConfig) -> Self {
        let spread = 0.6 * tail_bound(&config.map);
        Self { spread, ..Self::new(BijectorConfig::Autoregressive(config)) }
    }
    pub(crate) fn flow(config: &SplineFlowConfig, dim: usize, context: usize) -> Self {
        let spread = 0.6 * config.tail_bound;
        let config = config.bijector(dim, context).unwrap();
        Self { spread, entries: 0, ..Self::new(config) }
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
    /// With inputs of this standard deviation.
    pub(crate) fn spread(self, spread: f64) -> Self {
        Self { spread, ..self }
    }
    /// With extreme inputs no larger than this: beyond it the values have no floating-point number.
    pub(crate) fn reach(self, reach: f64) -> Self {
        Self { reach, ..self }
    }
    /// With fewer gradients along single entries.
    pub(crate) fn entries(self, entries: usize) -> Self {
        Self { entries, ..self }
    }
    pub(crate) fn gain(self, gain: f64) -> Self {
        Self { gain, ..self }
    }
    /// Nothing changes this map.
    pub(crate) fn identity(self) -> Self {
        Self { identity: true, ..self }
    }
    /// Before the laws are tried, the map has seen rows far from normal ones.
    pub(crate) fn observed(self) -> Self {
        Self { observed: true, ..self }
    }
    /// Its log-det depends on nothing but parameters.
    pub(crate) fn constant_log_det(self) -> Self {
        Self { constant_log_det: true, ..self }
    }
    /// Multiply every tolerance.
    pub(crate) fn looser(mut self, factor: f64) -> Self {
        self.tolerance.exact *= factor;
        self.tolerance.difference *= factor;
        self.tolerance.single *= factor;
        self.tolerance.single_derivative *= factor;
        self
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

/// The same map without kernels.
pub(crate) fn composed(config: &BijectorConfig) -> BijectorConfig {
    match config {
        BijectorConfig::Coupling(c) => {
            BijectorConfig::Coupling(c.clone().with_route(Route::Composed))
        }
        BijectorConfig::CircularCoupling(c) => {
            BijectorConfig::CircularCoupling(c.clone().with_route(Route::Composed))
        }
        BijectorConfig::Autoregressive(c) => {
            BijectorConfig::Autoregressive(c.clone().with_route(Route::Composed))
        }
        BijectorConfig::LuLinear(c) => {
            BijectorConfig::LuLinear(c.clone().with_route(Route::Composed))
        }
        BijectorConfig::ImageCoupling(c) => {
            BijectorConfig::ImageCoupling(c.clone().with_route(Route::Composed))
        }
        BijectorConfig::Elementwise(c) => {
            BijectorConfig::Elementwise(c.clone().with_route(Route::Composed))
        }
        BijectorConfig::Gaussianize(c) => {
            BijectorConfig::Gaussianize(c.clone().with_route(Route::Composed))
        }
        BijectorConfig::Partial { dim, features, of } => BijectorConfig::Partial {
            dim: *dim,
            features: features.clone(),
            of: Box::new(composed(of)),
        },
        BijectorConfig::Chain { layers } => {
            BijectorConfig::Chain { layers: layers.iter().map(composed).collect() }
        }
        BijectorConfig::Multiscale { levels } => {
            BijectorConfig::Multiscale { levels: levels.iter().map(composed).collect() }
        }
        BijectorConfig::Concat { parts } => {
            BijectorConfig::Concat { parts: parts.iter().map(composed).collect() }
        }
        BijectorConfig::Inverted { of } => BijectorConfig::Inverted { of: Box::new(composed(of)) },
        other => other.clone(),
    }
}

/// Set every parameter to noise, well away from the near-identity start, and running averages to
/// others.
pub(crate) fn randomise(store: &ParamStore, seed: &str, gain: f64) {
    let mut named = store.to_named().unwrap();
    let noise = |name: &str, dims: &[usize]| normal(&format!("{seed}/{name}"), dims);
    for parameter in store.parameters() {
        for (name, old) in parameter.to_named(parameter.var.as_tensor()).unwrap() {
            let scale = match old.dims() {
                [_, rest @ ..] if !rest.is_empty() => {
                    gain / (rest.iter().product::<usize>() as f64).sqrt().max(1.)
                }
                _ => 0.5 * gain,
            };
            named.insert(name.clone(), (noise(&name, old.dims()) * scale).unwrap());
        }
    }
    for (name, state) in &mut named {
        let new = noise(name, state.dims());
        if name.ends_with("running_mean") {
            *state = new;
        } else if name.ends_with("running_var") {
            *state = (new.sqr().unwrap() + 0.5).unwrap();
        }
    }
    store.assign(&named).unwrap();
}

/// A case built in every form that the laws compare; all of one dtype share their storage.
pub(crate) struct Subject {
    pub(crate) store: ParamStore,
    pub(crate) map: Arc<dyn Bijector>,
    /// Without kernels.
    pub(crate) composed: Arc<dyn Bijector>,
    /// Nothing to train.
    pub(crate) frozen: Arc<dyn Bijector>,
    pub(crate) frozen_composed: Arc<dyn Bijector>,
}

impl Subject {
    pub(crate) fn new(case: &Case) -> Self {
        let mut store = ParamStore::new(5, DType::F64, device());
        store.build(|_| true, |p| case.config.build(p)).unwrap();
        randomise(&store, "parameters", case.gain);
        let subject = Self::over(case, store);
        if case.observed {
            let rows = [&[400], case.shape(Direction::Forward)].concat();
            let skewed = (normal("observed", &rows).exp().unwrap() - 1.).unwrap();
            let _ = subject.map.observe(Direction::Forward, &skewed, None).unwrap();
        }
        subject
    }
    /// The same numbers, rounded to f32.
    pub(crate) fn single(&self, case: &Case) -> Self {
        let named = self.store.to_named().unwrap();
        Self::over(case, ParamStore::from_named(named, DType::F32, device()))
    }
    fn over(case: &Case, mut store: ParamStore) -> Self {
        let plain = composed(&case.config);
        Self {
            map: store.build(|_| true, |p| case.config.build(p)).unwrap(),
            composed: store.build(|_| true, |p| plain.build(p)).unwrap(),
            frozen: store.build(|_| false, |p| case.config.build(p)).unwrap(),
            frozen_composed: store.build(|_| false, |p| plain.build(p)).unwrap(),
            store,
        }
    }
}

/// Inputs of a map: points, context, and tangents of both.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) x: Tensor,
    pub(crate) context: Option<Tensor>,
    pub(crate) x_rows: Tensor,
    pub(crate) context_rows: Option<Tensor>,
}

impl Inputs {
    /// `rows` random points of the domain, the first one far out in the tails.
    pub(crate) fn random(case: &Case, direction: Direction, rows: usize) -> Self {
        let (d, c) = (case.size(), case.context);
        let domain = match direction {
            Direction::Forward => &case.signature.latent_domain,
            Direction::Inverse => &case.signature.data_domain,
        };
        let mut x = numbers(&(normal("x", &[rows, d]) * case.spread).unwrap());
        x.iter_mut().take(if rows > 1 { d } else { 0 }).for_each(|v| *v *= 4.);
        x.iter_mut().enumerate().for_each(|(i, v)| *v = inside(domain, i % d, *v, case.spread));
        let shape = case.shape(direction);
        let of_context = |name: &str, shape: &[usize]| (c > 0).then(|| normal(name, shape));
        Self {
            x: tensor(x, &[&[rows], shape].concat()),
            context: of_context("context", &[rows, c]),
            x_rows: normal("tangents", &[&[rows, TANGENTS], shape].concat()),
            context_rows: of_context("context tangents", &[rows, TANGENTS, c]),
        }
    }
    fn each(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            x: f(&self.x),
            context: self.context.as_ref().map(&f),
            x_rows: f(&self.x_rows),
            context_rows: self.context_rows.as_ref().map(&f),
        }
    }
    pub(crate) fn to(&self, dtype: DType) -> Self {
        self.each(|t| t.to_dtype(dtype).unwrap())
    }
    /// Points `start .. start + len`.
    pub(crate) fn narrow(&self, start: usize, len: usize) -> Self {
        self.each(|t| t.narrow(0, start, len).unwrap())
    }
    /// Tracked copies, with their variables by name.
    pub(crate) fn tracked(&self) -> (Self, Vec<(String, Var)>) {
        let var = |t: &Tensor| Var::from_tensor(t).unwrap();
        let mut vars = vec![("x", var(&self.x)), ("x tangents", var(&self.x_rows))];
        if let (Some(c), Some(rows)) = (&self.context, &self.context_rows) {
            vars.extend([("context", var(c)), ("context tangents", var(rows))]);
        }
        let of = |i: usize| vars.get(i).map(|(_, v)| v.as_tensor().clone());
        let tracked = Self {
            x: vars[0].1.as_tensor().clone(),
            x_rows: vars[1].1.as_tensor().clone(),
            context: of(2),
            context_rows: of(3),
        };
        (tracked, vars.into_iter().map(|(name, v)| (name.to_owned(), v)).collect())
    }
}

/// A real number of size `spread` moved into the domain of feature `i`.
fn inside(domain: &Domain, i: usize, v: f64, spread: f64) -> f64 {
    // In (0, 1), and not too near to its ends: the maps there are as steep as one likes.
    let unit = |v: f64| 0.5 + 0.49 * (v / (2. * spread)).tanh();
    match domain {
        Domain::Positive => (v / spread).exp(),
        Domain::Interval { low, high } => low + (high - low) * unit(v),
        Domain::Angle => std::f64::consts::PI * (2. * unit(v) - 1.),
        Domain::Features(each) => inside(&each[i], i, v, spread),
        _ => v,
    }
}

/// Which arguments carry tangents, and whether log-dets do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Probe {
    pub(crate) x: bool,
    pub(crate) context: bool,
    pub(crate) log_det: bool,
}

impl Probe {
    pub(crate) const ALL: Self = Self { x: true, context: true, log_det: true };
    pub(crate) const X: Self = Self { x: true, context: false, log_det: false };
    pub(crate) const CONTEXT: Self = Self { x: false, context: true, log_det: true };

    /// All combinations that make sense for a case.
    pub(crate) fn every(case: &Case) -> Vec<Self> {
        let mut all = vec![];
        for log_det in [false, true] {
            for (x, context) in [(true, false), (false, true), (true, true)] {
                if case.context > 0 || !context {
                    all.push(Self { x, context, log_det });
                }
            }
        }
        all
    }
}

/// Apply `map`: value and log-det, and with a probe their tangents; absent tangents are zeros.
pub(crate) fn evaluate(
    map: &dyn Bijector,
    direction: Direction,
    inputs: &Inputs,
    probe: Option<Probe>,
) -> Vec<(&'static str, Tensor)> {
    let Some(probe) = probe else {
        let mapped = map.map(direction, &inputs.x, inputs.context.as_ref()).unwrap();
        return vec![("value", mapped.value), ("log-det", mapped.log_abs_det)];
    };
    let dual = |value: &Tensor, rows: Option<&Tensor>| {
        let dual = match rows {
            Some(rows) => Dual::new(value.clone(), rows.clone()).unwrap(),
            None => mflow_bijectors::Diff::constant(value),
        };
        if probe.log_det { dual.with_log_det() } else { dual }
    };
    let x = dual(&inputs.x, probe.x.then_some(&inputs.x_rows));
    let context = inputs.context.as_ref();
    let rows = inputs.context_rows.as_ref().filter(|_| probe.context);
    let context = context.map(|c| dual(c, rows));
    let mapped = map.push(direction, &x, context.as_ref()).unwrap();
    let k = inputs.x_rows.dim(1).unwrap();
    let dense = |dual: &Dual| match dual.tangents() {
        Some(rows) => rows.clone(),
        None => {
            let value = mflow_bijectors::Diff::value(dual);
            let mut shape = value.dims().to_vec();
            shape.insert(1, k);
            Tensor::zeros(shape, value.dtype(), device()).unwrap()
        }
    };
    let mut outputs = vec![
        ("value", mflow_bijectors::Diff::value(&mapped.value).clone()),
        ("log-det", mflow_bijectors::Diff::value(&mapped.log_abs_det).clone()),
        ("tangents", dense(&mapped.value)),
    ];
    if probe.log_det {
        outputs.push(("log-det tangents", dense(&mapped.log_abs_det)));
    } else {
        let none = mapped.log_abs_det.tangents().is_none();
        assert!(none, "{direction:?}: log-det tangents come back only when asked for");
    }
    outputs
}
