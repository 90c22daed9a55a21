//! Networks that are no bijectors: encoders and decoders.
use crate::Result;
use candle_core::D;
use mflow_bijectors::{
    Bijector, CouplingConfig, Diff, Direction, Mask, NetConfig, Noise, Params, UnivariateConfig,
    host,
};
use std::sync::Arc;

/// A network `R^inputs -> R^outputs`, optionally of a context too.
///
/// It is the conditioner of an additive coupling that shifts zeros by its outputs,
/// `(x, 0) -> (x, net(x, c))`: so it has the coupling's kernel, gradients and tangents, and needs none of
/// its own.
///
/// **Shapes**: `[B, inputs]` to `[B, outputs]`, context `[B, C]`.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    coupling: Arc<dyn Bijector>,
    inputs: usize,
    outputs: usize,
}

impl Network {
    /// Create it; its parameters are named `net.*`. Its outputs start at 0 exactly if `zero`, else near 0.
    pub(crate) fn build(
        params: &mut Params<'_>,
        config: &NetConfig,
        inputs: usize,
        context_dim: usize,
        outputs: usize,
        zero: bool,
    ) -> mflow_bijectors::Result<Self> {
        let dim = inputs + outputs;
        let config = CouplingConfig::new(dim, Mask::Moved((inputs..dim).collect()))
            .with_context(context_dim)
            .with_map(UnivariateConfig::Additive)
            .with_net(config.clone())
            .with_start_at_identity(zero);
        Ok(Self { coupling: config.build(params)?, inputs, outputs })
    }

    /// With what `f` makes of its coupling.
    pub(crate) fn mapped(
        self,
        f: impl FnOnce(Arc<dyn Bijector>) -> Result<Arc<dyn Bijector>>,
    ) -> Result<Self> {
        Ok(Self { coupling: f(self.coupling)?, ..self })
    }

    pub(crate) fn context_dim(&self) -> Option<usize> {
        self.coupling.signature().context_dim
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
        let padded = x.linear(|t| t.pad_with_zeros(D::Minus1, 0, self.outputs))?;
        let mapped = padded.through(self.coupling.as_ref(), Direction::Forward, context)?;
        Ok(mapped.value.narrow(self.inputs, self.outputs)?)
    }

    /// The network with dropout while training; `None` where training makes no difference.
    pub(crate) fn training(&self, noise: &Noise) -> Result<Option<Self>> {
        let training = self.coupling.training(noise)?;
        Ok(training.map(|coupling| Self { coupling, ..self.clone() }))
    }
}
