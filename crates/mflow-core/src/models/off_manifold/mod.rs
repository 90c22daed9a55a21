//! [`OffManifold`]: what a model defines beside a map onto its manifold and a flow of the coordinates. One
//! kind is one file.
mod autoencoder;
mod injective_bound;
mod normal;
mod nothing;
mod variational;

pub(crate) use autoencoder::NoDensity;
pub(crate) use injective_bound::InjectiveBound;
pub(crate) use normal::NormalNoise;
pub(crate) use nothing::Nothing;
pub(crate) use variational::Variational;

use super::manifold::ManifoldModel;
use crate::Result;
use crate::embedding::Embedding;
use crate::model::{Density, INTRACTABLE, Model};
use candle_core::Tensor;
use mflow_bijectors::Noise;
use std::fmt::Debug;
use std::sync::Arc;

/// What a [`ManifoldModel`] defines off its manifold: which density of data it has, noise around the manifold,
/// and what stands for a likelihood in training.
///
/// Every kind says [`OffManifold::density`]; what it has beyond that it overrides. The defaults know no noise:
/// the model has the density on its manifold, or none. Methods get the model, to ask it for its parts and for
/// errors ([`Model::lacks`]).
///
/// **Shapes and units**: as of [`Model`]. Arguments are already checked.
///
/// # Errors
/// Every method fails if a tensor operation does, or with [`crate::Error::Unsupported`] where the kind has not
/// got what it is asked for.
pub(crate) trait OffManifold: Debug + Send + Sync {
    /// What `log_prob` of a model with this embedding is; none if the likelihood is intractable.
    fn density(&self, embedding: &dyn Embedding) -> Option<Density>;

    /// [`Model::log_density`]. By default on the manifold, if there is any.
    fn log_density(
        &self,
        of: &ManifoldModel,
        kind: Density,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Tensor> {
        match self.density(of.embedding.as_ref()) {
            Some(_) => of.log_density_on_manifold(kind, x, context),
            None => of.lacks("log_prob", INTRACTABLE),
        }
    }
    /// [`Model::score`]. By default that of coordinates: the volume of a manifold that does not depend on the
    /// context does not count.
    fn score(&self, of: &ManifoldModel, x: &Tensor, context: &Tensor) -> Result<Tensor> {
        if self.density(of.embedding.as_ref()).is_none() {
            return of.lacks("score", INTRACTABLE);
        }
        if of.embedding.context_dim().is_some() {
            return of.lacks(
                "score",
                "its manifold depends on the context, and the volume of a manifold has no second \
                 derivatives here; ask for `log_prob_gradient`",
            );
        }
        of.coordinate_score(&of.embedding.coordinates(x, Some(context))?, context)
    }

    /// Numbers of noise of [`OffManifold::surrogate_log_prob`] for each row.
    fn noise_dim(&self, _embedding: &dyn Embedding) -> usize {
        0
    }
    /// [`Model::surrogate_log_prob`]; the shape of `noise` is not checked yet.
    fn surrogate_log_prob(
        &self,
        of: &ManifoldModel,
        _x: &Tensor,
        _context: Option<&Tensor>,
        _noise: &Tensor,
    ) -> Result<Tensor> {
        of.lacks("surrogate_log_prob", "it is trained on its likelihood; ask for `log_prob`")
    }

    /// Numbers of noise of [`OffManifold::decode_noisy`] for each row, standard normal; 0 if samples lie on
    /// the manifold.
    fn sample_noise_dim(&self, _embedding: &dyn Embedding) -> usize {
        0
    }
    /// [`Model::decode_noisy`].
    fn decode_noisy(
        &self,
        of: &ManifoldModel,
        _latent: &Tensor,
        _noise: &Tensor,
        _context: Option<&Tensor>,
    ) -> Result<Tensor> {
        of.lacks("decode_noisy", "its samples lie on the manifold; ask for `decode`")
    }

    /// The kind as it is while training, if it has parts of the embedding of its own; `None` where training
    /// makes no difference to it. See [`mflow_bijectors::Bijector::training`].
    fn training(&self, _noise: &Noise) -> Result<Option<TrainingView>> {
        Ok(None)
    }
}

/// Parts of a model while training that must have the same dropout.
#[derive(Debug)]
pub(crate) struct TrainingView {
    pub(crate) embedding: Arc<dyn Embedding>,
    pub(crate) off_manifold: Arc<dyn OffManifold>,
}
