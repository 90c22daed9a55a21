//! [`ContextUnits`]: a map whose context is given in other units.
use crate::affine::FeatureAffine;
use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::noise::Noise;
use crate::{Diff, Error, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// A conditional map `f(x; c)` of a context in other units, `f(x; (c - a) / s)` with fixed numbers: a network learns badly from
/// features of size 1000. Tangents and gradients are those along the context as it is given.
///
/// **Shapes**: those of `f`, and the context `[B, C]`.
#[derive(Debug)]
pub struct ContextUnits {
    of: Arc<dyn Bijector>,
    units: Arc<FeatureAffine>,
}

impl ContextUnits {
    /// Of `of`, whose context is what the inverse of `units` makes of the one that is given.
    ///
    /// # Errors
    /// If `units` is not of as many features as the context of `of`.
    pub fn new(of: Arc<dyn Bijector>, units: Arc<FeatureAffine>) -> Result<Self> {
        let (found, expected) =
            (&Layer::signature(units.as_ref()).latent_shape, of.signature().context_dim);
        if expected.is_none_or(|c| found[..] != [c]) {
            let expected = expected.map_or("no context".to_owned(), |c| format!("{c} features"));
            let reason = format!("must fit a map with {expected}, found units of shape {found:?}");
            return Err(Error::config("context_units", reason));
        }
        Ok(Self { of, units })
    }

    fn inside<T: Diff>(&self, context: Option<&T>) -> Result<Option<T>> {
        let inside = |c: &T| Ok(c.through(self.units.as_ref(), Direction::Inverse, None)?.value);
        context.map(inside).transpose()
    }
}

impl Layer for ContextUnits {
    fn signature(&self) -> &Signature {
        self.of.signature()
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        x.through(self.of.as_ref(), direction, self.inside(context)?.as_ref())
    }
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        self.of.observe(direction, x, self.inside(context)?.as_ref())
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        let training = self.of.training(noise)?;
        let units = || Arc::clone(&self.units);
        Ok(training.map(|of| Arc::new(Self { of, units: units() }) as Arc<dyn Bijector>))
    }
}
