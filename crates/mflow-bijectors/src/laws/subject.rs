//! A map in every form that the laws compare.
use super::Options;
use super::finding::Failure;
use super::inputs::{side, tensor};
use crate::{
    Bijector, BijectorConfig, Direction, ParamStore, Params, Result as MapResult, Route, Stream,
};
use candle_core::{DType, Tensor, Var};
use std::sync::Arc;

/// What the laws can be tried on: a [`BijectorConfig`], a closure that builds a map over parameters, or a map that is built.
///
/// Of a closure and a config all laws are tried: it is built in f64 and f32, with its parameters trained and frozen. A map that is
/// built is tried as it is; gradients in parameters and f32 are then left out.
pub trait Subject {
    /// Build the map.
    ///
    /// # Errors
    /// If it cannot be built.
    fn build(&self, params: &mut Params<'_>) -> MapResult<Arc<dyn Bijector>>;
    /// The config, of a map that has one.
    fn config(&self) -> Option<&BijectorConfig> {
        None
    }
    /// Whether it can be built again, in another precision.
    fn is_rebuilt(&self) -> bool {
        true
    }
}

impl Subject for BijectorConfig {
    fn build(&self, params: &mut Params<'_>) -> MapResult<Arc<dyn Bijector>> {
        Self::build(self, params)
    }
    fn config(&self) -> Option<&BijectorConfig> {
        Some(self)
    }
}

impl<F: Fn(&mut Params<'_>) -> MapResult<Arc<dyn Bijector>>> Subject for F {
    fn build(&self, params: &mut Params<'_>) -> MapResult<Arc<dyn Bijector>> {
        self(params)
    }
}

impl Subject for Arc<dyn Bijector> {
    fn build(&self, _: &mut Params<'_>) -> MapResult<Arc<dyn Bijector>> {
        Ok(Self::clone(self))
    }
    fn is_rebuilt(&self) -> bool {
        false
    }
}

/// A map in every form that the laws compare; all of them share their parameters.
#[derive(Debug)]
pub struct Forms {
    /// The parameters.
    pub store: ParamStore,
    /// The map, its parameters tracked.
    pub map: Arc<dyn Bijector>,
    /// The map without kernels; the same as `map` where it has none.
    pub composed: Arc<dyn Bijector>,
    /// The map with nothing to train.
    pub frozen: Arc<dyn Bijector>,
    /// The same without kernels.
    pub frozen_composed: Arc<dyn Bijector>,
}

impl Forms {
    /// With random parameters, well away from the start, in f64.
    ///
    /// # Errors
    /// If the map cannot be built.
    pub fn new(subject: &dyn Subject, options: &Options) -> Result<Self, Failure> {
        let mut store = ParamStore::new(options.seed, DType::F64, &options.device);
        store.build(|_| true, |p| subject.build(p))?;
        randomise(&store, &format!("parameters {}", options.seed), options.gain)?;
        let forms = Self::over(subject, store)?;
        if options.observed {
            let (_, shape) = side(forms.map.signature(), Direction::Forward);
            let shape = [&[400], shape].concat();
            let normal = Stream::new(options.seed, "observed").normal(shape.iter().product());
            let skewed = normal.into_iter().map(|v| v.exp() - 1.).collect();
            let skewed = tensor(skewed, &shape, &options.device)?;
            let _ = forms.map.observe(Direction::Forward, &skewed, None)?;
        }
        Ok(forms)
    }

    /// The same numbers, rounded to f32.
    ///
    /// # Errors
    /// If the map cannot be built.
    pub fn single(&self, subject: &dyn Subject) -> Result<Self, Failure> {
        let store = ParamStore::from_named(self.store.to_named()?, DType::F32, self.store.device());
        Self::over(subject, store)
    }

    fn over(subject: &dyn Subject, mut store: ParamStore) -> Result<Self, Failure> {
        let map = store.build(|_| true, |p| subject.build(p))?;
        let frozen = store.build(|_| false, |p| subject.build(p))?;
        let (composed, frozen_composed) = match subject.config().map(composed) {
            Some(config) => (
                store.build(|_| true, |p| config.build(p))?,
                store.build(|_| false, |p| config.build(p))?,
            ),
            None => (map.clone(), frozen.clone()),
        };
        Ok(Self { store, map, composed, frozen, frozen_composed })
    }

    /// Parameters, and tracked inputs, by name.
    pub(super) fn variables(&self, inputs: Vec<(String, Var)>) -> Vec<(String, Var)> {
        let parameters = self.store.parameters().map(|p| (p.name.clone(), p.var.clone()));
        parameters.chain(inputs).collect()
    }
}

/// The same map without kernels.
pub fn composed(config: &BijectorConfig) -> BijectorConfig {
    use BijectorConfig as B;
    let boxed = |of: &B| Box::new(composed(of));
    let all = |of: &[B]| of.iter().map(composed).collect();
    match config.clone() {
        B::Coupling(c) => B::Coupling(c.with_route(Route::Composed)),
        B::CircularCoupling(c) => B::CircularCoupling(c.with_route(Route::Composed)),
        B::Autoregressive(c) => B::Autoregressive(c.with_route(Route::Composed)),
        B::LuLinear(c) => B::LuLinear(c.with_route(Route::Composed)),
        B::ImageCoupling(c) => B::ImageCoupling(c.with_route(Route::Composed)),
        B::Elementwise(c) => B::Elementwise(c.with_route(Route::Composed)),
        B::Gaussianize(c) => B::Gaussianize(c.with_route(Route::Composed)),
        B::Partial { dim, features, of } => B::Partial { dim, features, of: boxed(&of) },
        B::Chain { layers } => B::Chain { layers: all(&layers) },
        B::Multiscale { levels } => B::Multiscale { levels: all(&levels) },
        B::Concat { parts } => B::Concat { parts: all(&parts) },
        B::Inverted { of } => B::Inverted { of: boxed(&of) },
        other => other,
    }
}

/// Set every parameter to noise of this size, well away from the near-identity start, and running averages to others; `purpose`
/// is the seed.
///
/// # Errors
/// If a tensor operation fails.
pub fn randomise(store: &ParamStore, purpose: &str, gain: f64) -> Result<(), Failure> {
    let mut named = store.to_named()?;
    let noise = |name: &str, dims: &[usize]| {
        let mut stream = Stream::new(11, &format!("{purpose}/{name}"));
        stream.normal_tensor(dims, DType::F64, store.device())
    };
    for parameter in store.parameters() {
        for (name, old) in parameter.to_named(parameter.var.as_tensor())? {
            let scale = match old.dims() {
                [_, rest @ ..] if !rest.is_empty() => {
                    gain / (rest.iter().product::<usize>() as f64).sqrt().max(1.)
                }
                _ => 0.5 * gain,
            };
            named.insert(name.clone(), (noise(&name, old.dims())? * scale)?);
        }
    }
    for (name, state) in &mut named {
        let new: Tensor = noise(name, state.dims())?;
        if name.ends_with("running_mean") {
            *state = new;
        } else if name.ends_with("running_var") {
            *state = (new.sqr()? + 0.5)?;
        }
    }
    Ok(store.assign(&named)?)
}
