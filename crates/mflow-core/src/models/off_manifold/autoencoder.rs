//! Nothing off the manifold, and no density on it.
use super::OffManifold;
use crate::embedding::Embedding;
use crate::model::Density;

/// The image of the decoder may cross itself, so that there is no density either (PAE).
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoDensity;

impl OffManifold for NoDensity {
    fn density(&self, _: &dyn Embedding) -> Option<Density> {
        None
    }
}
