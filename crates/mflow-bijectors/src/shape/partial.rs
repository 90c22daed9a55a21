//! A bijector on some of the features.
use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::count::check_features;
use crate::coupling::indices;
use crate::diff::Diff;
use crate::domain::Domain;
use crate::noise::Noise;
use crate::{Error, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// `y_i = g(x)_i` for the features `i` that it acts on, `y_i = x_i` for the others.
///
/// **Shapes**: `[B, D]` to `[B, D]`, with a map of vectors of as many features as it acts on.
/// `log|det J|` is that of the map.
#[derive(Debug)]
pub struct PartialMap {
    inner: Arc<dyn Bijector>,
    on: Tensor,
    rest: Tensor,
    /// Puts `[on, rest]` back in order.
    merge: Tensor,
    signature: Signature,
}

impl PartialMap {
    /// Apply `inner` to the features `on`, in this order, of vectors of `dim` features.
    ///
    /// # Errors
    /// If the features are not distinct and below `dim`, or not those of a square map of vectors.
    #[expect(clippy::indexing_slicing, reason = "features are below `dim`, as was checked")]
    pub fn new(dim: usize, on: &[usize], inner: Arc<dyn Bijector>) -> Result<Self> {
        check_features("partial.dim", dim)?;
        let s = inner.signature();
        let mut sorted = on.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != on.len() || on.iter().any(|&k| k >= dim) || on.is_empty() {
            let reason = format!("must list distinct features below {dim}, found {on:?}");
            return Err(Error::config("partial.features", reason));
        }
        if s.latent_shape != [on.len()] || s.data_shape != [on.len()] {
            let reason = format!(
                "must be a map of vectors of {} features, found {:?} to {:?}",
                on.len(),
                s.latent_shape,
                s.data_shape
            );
            return Err(Error::config("partial.of", reason));
        }
        let rest: Vec<usize> = (0..dim).filter(|k| sorted.binary_search(k).is_err()).collect();
        let mut merge = vec![0; dim];
        on.iter().chain(&rest).enumerate().for_each(|(i, &k)| merge[k] = i);
        let index = |v: &[usize]| indices("partial.dim", v, &s.device);
        let domain = |inner: &Domain| {
            let mut each = vec![Domain::Any; dim];
            let of = |i: usize| match inner {
                Domain::Features(each) => each.get(i).cloned().unwrap_or(Domain::Any),
                all => all.clone(),
            };
            on.iter().enumerate().for_each(|(i, &k)| each[k] = of(i));
            Domain::Features(each)
        };
        let shape = vec![dim];
        let signature = Signature { latent_shape: shape.clone(), data_shape: shape, ..s.clone() }
            .between(domain(&s.latent_domain), domain(&s.data_domain))
            .with_conformal(s.conformal && rest.is_empty());
        let (on, rest, merge) = (index(on)?, index(&rest)?, index(&merge)?);
        Ok(Self { on, rest, merge, signature, inner })
    }

    /// Apply `step` to the features that the map acts on.
    fn around<T: Diff>(
        &self,
        x: &T,
        step: impl FnOnce(&T) -> Result<Mapped<T>>,
    ) -> Result<Mapped<T>> {
        let (on, rest) = (x.select(&self.on)?, x.select(&self.rest)?);
        let Mapped { value, log_abs_det } = step(&on)?;
        Ok(Mapped { value: T::cat(&[&value, &rest])?.select(&self.merge)?, log_abs_det })
    }
}

impl Layer for PartialMap {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        self.around(x, |x| x.through(self.inner.as_ref(), direction, context))
    }
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        self.around(x, |x| self.inner.observe(direction, x, context))
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        let Some(inner) = self.inner.training(noise)? else { return Ok(None) };
        let [on, rest, merge] = [&self.on, &self.rest, &self.merge].map(Clone::clone);
        let signature = self.signature.clone();
        Ok(Some(Arc::new(Self { inner, on, rest, merge, signature })))
    }
}
