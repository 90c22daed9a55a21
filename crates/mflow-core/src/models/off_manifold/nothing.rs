//! Nothing off the manifold: the projection, and a density on the manifold.
use super::OffManifold;
use crate::embedding::Embedding;
use crate::model::Density;

/// The density on the manifold; where this is all of `R^D`, an ambient one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nothing;

impl OffManifold for Nothing {
    fn density(&self, embedding: &dyn Embedding) -> Option<Density> {
        match embedding.data_dim() == embedding.manifold_dim() {
            true => Some(Density::Ambient),
            false => Some(Density::Manifold),
        }
    }
}
