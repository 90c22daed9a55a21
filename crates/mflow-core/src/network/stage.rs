//! One stage of a network: a conditioner used for its own sake, or numbers put elsewhere.
use super::Ends;
use crate::Result;
use candle_core::D;
use mflow_bijectors::{
    Bijector, CouplingConfig, Diff, Direction, ImageCouplingConfig, Mask, NetConfig, Noise, Params,
    UnivariateConfig,
};
use std::sync::Arc;

/// A map of points, `[B, ..shape]`.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The conditioner of an additive coupling that shifts zeros by its outputs, `(x, 0) -> (x, net(x, c))`, on the last
    /// axis: so it has the coupling's kernel, gradients and tangents, and needs none of its own.
    Net {
        /// Of vectors or of images.
        coupling: Arc<dyn Bijector>,
        /// Features or channels that it sees.
        inputs: usize,
        /// Those that it gives.
        outputs: usize,
    },
    /// The same numbers in another order and shape.
    Moved {
        /// A squeeze or a reshape.
        map: Arc<dyn Bijector>,
        /// Which way it is gone through.
        direction: Direction,
    },
}

impl Stage {
    /// A network of vectors; parameters `net.*`.
    pub(super) fn of_vectors(
        params: &mut Params<'_>,
        config: &NetConfig,
        Ends { inputs, context_dim, outputs }: Ends,
        zero: bool,
    ) -> mflow_bijectors::Result<Self> {
        let dim = inputs + outputs;
        let config = CouplingConfig::new(dim, Mask::Moved((inputs..dim).collect()))
            .with_context(context_dim)
            .with_map(UnivariateConfig::Additive)
            .with_net(config.clone())
            .with_start_at_identity(zero);
        Ok(Self::Net { coupling: config.build(params)?, inputs, outputs })
    }

    /// A network of the channels of images of `height` by `width` pixels; parameters `net.*`.
    pub(super) fn of_images(
        params: &mut Params<'_>,
        config: &NetConfig,
        [height, width]: [usize; 2],
        Ends { inputs, context_dim, outputs }: Ends,
        zero: bool,
    ) -> mflow_bijectors::Result<Self> {
        let channels = inputs + outputs;
        let shape = [height, width, channels];
        let config = ImageCouplingConfig::new(&shape, Mask::Moved((inputs..channels).collect()))
            .with_context(context_dim)
            .with_map(UnivariateConfig::Additive)
            .with_net(config.clone())
            .with_start_at_identity(zero);
        Ok(Self::Net { coupling: config.build(params)?, inputs, outputs })
    }

    pub(super) fn mapped(
        self,
        f: &impl Fn(Arc<dyn Bijector>) -> Result<Arc<dyn Bijector>>,
    ) -> Result<Self> {
        Ok(match self {
            Self::Net { coupling, inputs, outputs } => {
                Self::Net { coupling: f(coupling)?, inputs, outputs }
            }
            moved @ Self::Moved { .. } => moved,
        })
    }

    pub(super) fn context_dim(&self) -> Option<usize> {
        match self {
            Self::Net { coupling, .. } => coupling.signature().context_dim,
            Self::Moved { .. } => None,
        }
    }

    pub(super) fn working_size(&self) -> usize {
        match self {
            Self::Net { coupling: map, .. } | Self::Moved { map, .. } => {
                map.signature().working_size
            }
        }
    }

    pub(super) fn apply<T: Diff>(&self, x: &T, context: Option<&T>) -> Result<T> {
        match self {
            Self::Net { coupling, inputs, outputs } => {
                let padded = x.linear(|t| t.pad_with_zeros(D::Minus1, 0, *outputs))?;
                let mapped = padded.through(coupling.as_ref(), Direction::Forward, context)?;
                Ok(mapped.value.narrow(*inputs, *outputs)?)
            }
            Self::Moved { map, direction } => Ok(x.through(map.as_ref(), *direction, None)?.value),
        }
    }

    pub(super) fn training(&self, noise: &Noise) -> Result<Option<Self>> {
        Ok(match self {
            Self::Net { coupling, inputs, outputs } => coupling
                .training(noise)?
                .map(|coupling| Self::Net { coupling, inputs: *inputs, outputs: *outputs }),
            Self::Moved { .. } => None,
        })
    }
}
