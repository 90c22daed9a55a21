//! All that a model says of a row: densities, distance to the manifold, latent.
use mflow_core::candle::Tensor;
use mflow_core::{Density, Model, ModelSignature, Result};

/// The densities that a model has, by their names in files.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores(Vec<(&'static str, Density)>);

impl Scores {
    /// Those of a model: `log_prob`, or of a ratio estimator `log_ratio`; of an ambient density around a manifold also
    /// `log_prob_manifold`.
    pub fn of(signature: &ModelSignature) -> Self {
        let name = if signature.is_generative() { "log_prob" } else { "log_ratio" };
        let mut all: Vec<(&str, Density)> =
            signature.density.iter().map(|&density| (name, density)).collect();
        if signature.density == Some(Density::Ambient)
            && signature.manifold_dim < signature.data_dim
        {
            all.push(("log_prob_manifold", Density::Manifold));
        }
        Self(all)
    }

    /// Their names, in the order of the columns of [`Scores::of_rows`].
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// Whether the model has no density of data.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All scores of rows `x: [B, D]`, in nats and data units: the densities, then of models that have a manifold the distance
    /// to it and the latents, `[B, K]`.
    ///
    /// # Errors
    /// As those of the [`Model`].
    pub fn of_rows(
        &self,
        model: &dyn Model,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Tensor> {
        let mut all = vec![];
        for (_, density) in &self.0 {
            all.push(model.log_density(*density, x, context)?.unsqueeze(1)?);
        }
        if model.signature().is_generative() {
            all.push(model.reconstruction_error(x, context)?.unsqueeze(1)?);
            all.push(model.encode(x, context)?);
        }
        Ok(Tensor::cat(&all, 1)?)
    }
}
