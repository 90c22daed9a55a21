//! [`Ratio`]: an estimator of likelihood ratios, the [`Model`] without a manifold.
use super::ModelConfig;
use crate::model::{Density, Model, ModelSignature, check_arguments};
use crate::network::{Ends, Network};
use crate::{Error, Result};
use candle_core::Tensor;
use mflow_bijectors::{
    Bijector, Diff, Direction, Domain, Dual, FeatureAffine, NetConfig, Noise, Params, Stream,
};
use std::sync::Arc;

/// `log r̂(x|θ) = net(normalised x, normalised θ)`, an estimate of `log p(x|θ) - log p(x|θ_ref)`.
///
/// The context is an input like the data, and not that of a conditional layer: then the score, which is the derivative
/// along it, has the kernels of all tangents.
#[derive(Clone, Debug)]
pub(crate) struct Ratio {
    signature: ModelSignature,
    units: RatioUnits,
    network: Network,
}

/// From what the network sees to data and contexts.
#[derive(Clone, Debug)]
pub(super) struct RatioUnits {
    pub(super) data: Arc<FeatureAffine>,
    pub(super) context: Arc<FeatureAffine>,
}

/// Why there is nothing else.
const NOTHING_ELSE: &str = "it estimates ratios of likelihoods, and says nothing of where data lie; ask for `log_prob` or \
     `score`";

impl Ratio {
    /// Of a config that was checked. Its parameters are named `network.*`.
    pub(super) fn build(
        config: &ModelConfig,
        network: &NetConfig,
        units: RatioUnits,
        params: &mut Params<'_>,
    ) -> Result<Self> {
        let (d, c) = (config.sizes.data_dim, config.sizes.context_dim);
        let signature = ModelSignature {
            name: config.name(),
            data_dim: d,
            manifold_dim: d,
            charts: 1,
            context_dim: Some(c),
            conditional_manifold: false,
            density: Some(Density::Ratio),
            noise_dim: 0,
            latent: "none".to_owned(),
            latent_domain: Domain::Reals,
            dtype: params.dtype(),
            device: params.device().clone(),
        };
        let ends = Ends { inputs: d + c, context_dim: 0, outputs: 1 };
        let network = Network::of_vectors(&mut params.scope("network"), network, ends, false)?;
        Ok(Self { signature, units, network })
    }

    fn check(&self, op: &'static str, x: &Tensor, context: Option<&Tensor>) -> Result<()> {
        let Self { signature: ModelSignature { data_dim, context_dim, .. }, .. } = self;
        check_arguments(op, ("x", x, *data_dim), (*context_dim, context))
    }

    /// `log r̂`, `[B, 1]`.
    fn log_ratio<T: Diff>(&self, x: &Tensor, context: &T) -> Result<T> {
        let x = T::constant(&self.units.data.inverse(x, None)?.value);
        let context = context.through(self.units.context.as_ref(), Direction::Inverse, None)?.value;
        self.network.apply(&T::cat(&[&x, &context])?, None)
    }

    fn lacks_all<T>(&self, op: &'static str) -> Result<T> {
        Err(Error::Unsupported { op, model: self.signature.name, reason: NOTHING_ELSE })
    }
}

impl Model for Ratio {
    fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    fn log_density(&self, kind: Density, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check("log_prob", x, context)?;
        match context {
            Some(context) if kind == Density::Ratio => {
                Ok(self.log_ratio(x, context)?.squeeze(1)?)
            }
            _ => self.lacks_all("log_density"),
        }
    }
    fn score(&self, x: &Tensor, context: &Tensor) -> Result<Tensor> {
        self.check("score", x, Some(context))?;
        let ratio = self.log_ratio(x, &crate::chart::with_frame(context)?)?;
        match Dual::tangents(&ratio) {
            Some(rows) => Ok(rows.squeeze(2)?),
            None => Ok(context.zeros_like()?),
        }
    }

    fn project(&self, _: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        self.lacks_all("project")
    }
    fn encode(&self, _: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        self.lacks_all("encode")
    }
    fn decode(&self, _: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        self.lacks_all("decode")
    }
    fn decode_jacobian(&self, _: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        self.lacks_all("decode_jacobian")
    }
    fn coordinates(&self, _: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        self.lacks_all("coordinates")
    }
    fn coordinate_log_prob(&self, _: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        self.lacks_all("coordinate_log_prob")
    }
    fn latent_log_prob(&self, _: &Tensor) -> Result<Tensor> {
        self.lacks_all("latent_log_prob")
    }
    fn sample_latent(&self, _: usize, _: &mut Stream) -> Result<Tensor> {
        self.lacks_all("sample_latent")
    }
    fn sample(&self, _: usize, _: Option<&Tensor>, _: &mut Stream) -> Result<Tensor> {
        self.lacks_all("sample")
    }

    fn training(&self, noise: &Noise) -> Result<Option<Box<dyn Model>>> {
        Ok(match self.network.training(noise)? {
            Some(network) => Some(Box::new(Self { network, ..self.clone() })),
            None => None,
        })
    }
}
