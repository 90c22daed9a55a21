//! Networks that are no bijectors: encoders and decoders.
mod config;
mod image;
mod stage;

pub use config::{ImageNetConfig, NetworkConfig};

use crate::Result;
use mflow_bijectors::{Bijector, Diff, NetConfig, Noise, Params, host};
use stage::Stage;
use std::sync::Arc;

/// A network `R^inputs -> R^outputs`, optionally of a context too: of vectors one stage, of images several.
///
/// **Shapes**: `[B, inputs]` to `[B, outputs]`, context `[B, C]`.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    stages: Vec<Stage>,
    outputs: usize,
}

/// What a network is between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) inputs: usize,
    pub(crate) context_dim: usize,
    pub(crate) outputs: usize,
}

impl Network {
    /// Create it; the parameters of a network of vectors are named `net.*`, those of images after the number of the stage.
    /// Its outputs start at 0 exactly if `zero`, else near 0.
    pub(crate) fn build(
        params: &mut Params<'_>,
        config: &NetworkConfig,
        ends: Ends,
        zero: bool,
    ) -> mflow_bijectors::Result<Self> {
        let outputs = ends.outputs;
        match config {
            NetworkConfig::Vector(config) => Self::of_vectors(params, config, ends, zero),
            NetworkConfig::Image(config) => {
                Ok(Self { stages: config.stages(params, ends, zero)?, outputs })
            }
        }
    }

    /// The network of vectors.
    pub(crate) fn of_vectors(
        params: &mut Params<'_>,
        config: &NetConfig,
        ends: Ends,
        zero: bool,
    ) -> mflow_bijectors::Result<Self> {
        let stages = vec![Stage::of_vectors(params, config, ends, zero)?];
        Ok(Self { stages, outputs: ends.outputs })
    }

    /// With what `f` makes of the maps that its stages are made of.
    pub(crate) fn mapped(
        self,
        f: impl Fn(Arc<dyn Bijector>) -> Result<Arc<dyn Bijector>>,
    ) -> Result<Self> {
        let stages = self.stages.into_iter().map(|stage| stage.mapped(&f));
        Ok(Self { stages: stages.collect::<Result<_>>()?, outputs: self.outputs })
    }

    pub(crate) fn context_dim(&self) -> Option<usize> {
        self.stages.iter().find_map(Stage::context_dim)
    }

    /// Numbers held for each point; see [`mflow_bijectors::Signature::working_size`].
    pub(crate) fn working_size(&self) -> usize {
        self.stages.iter().map(Stage::working_size).max().unwrap_or(0)
    }

    /// The outputs.
    pub(crate) fn apply<T: Diff>(&self, x: &T, context: Option<&T>) -> Result<T> {
        if x.value().dim(0)? == 0 {
            // candle panics at views of nothing.
            return Ok(x.linear(|t| {
                let mut shape = t.dims().to_vec();
                shape.pop();
                shape.push(self.outputs);
                host::zeros(shape, t.dtype(), t.device())
            })?);
        }
        self.stages.iter().try_fold(x.clone(), |x, stage| stage.apply(&x, context))
    }

    /// The network with dropout while training; `None` where training makes no difference.
    pub(crate) fn training(&self, noise: &Noise) -> Result<Option<Self>> {
        let views = self.stages.iter().map(|stage| stage.training(noise));
        let views = views.collect::<Result<Vec<_>>>()?;
        if views.iter().all(Option::is_none) {
            return Ok(None);
        }
        let stages = views.into_iter().zip(&self.stages);
        let stages = stages.map(|(view, stage)| view.unwrap_or_else(|| stage.clone())).collect();
        Ok(Some(Self { stages, ..*self }))
    }
}
