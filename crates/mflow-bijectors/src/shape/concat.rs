//! Bijectors side by side.
use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::chain::training;
use crate::diff::Diff;
use crate::domain::Domain;
use crate::noise::Noise;
use crate::{Error, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// Bijectors of vectors side by side: each acts on its own consecutive features.
///
/// **Shapes**: `[B, ΣD_i]` to the same; all parts see the whole context. `log|det J|` is the sum.
/// Domains may differ from part to part, as of angles beside real numbers.
#[derive(Debug)]
pub struct Concat {
    parts: Vec<Arc<dyn Bijector>>,
    signature: Signature,
}

impl Concat {
    /// Put at least one bijector of vectors side by side.
    ///
    /// # Errors
    /// If there is none, a part is not one of vectors to themselves, or two differ in context size,
    /// dtype or device.
    #[expect(
        clippy::indexing_slicing,
        reason = "parts are maps of vectors, one or more, as `new` checks"
    )]
    pub fn new(parts: Vec<Arc<dyn Bijector>>) -> Result<Self> {
        let reject = |reason: String| Err(Error::config("concat.parts", reason));
        let Some(first) = parts.first() else { return reject("must not be empty".into()) };
        let mut signature = first.signature().clone();
        let (mut latent, mut data) = (vec![], vec![]);
        for (i, part) in parts.iter().enumerate() {
            let s = part.signature();
            let ([n], true) = (&*s.latent_shape, s.latent_shape == s.data_shape) else {
                return reject(format!(
                    "must be maps of vectors to themselves: part {i} is from {:?} to {:?}",
                    s.latent_shape, s.data_shape
                ));
            };
            for (all, domain) in [(&mut latent, &s.latent_domain), (&mut data, &s.data_domain)] {
                match domain {
                    Domain::Features(each) => all.extend(each.iter().cloned()),
                    uniform => all.extend(std::iter::repeat_n(uniform.clone(), *n)),
                }
            }
            if s.dtype != signature.dtype || !s.device.same_device(&signature.device) {
                return reject(format!("must share dtype and device: part {i} does not"));
            }
            match (signature.context_dim, s.context_dim) {
                (Some(a), Some(b)) if a != b => {
                    return reject(format!(
                        "must agree on the number of context features: found {a} and {b}"
                    ));
                }
                (None, c) => signature.context_dim = c,
                _ => {}
            }
        }
        let shape = vec![latent.len()];
        signature = Signature { latent_shape: shape.clone(), data_shape: shape, ..signature }
            .between(Domain::of_features(latent), Domain::of_features(data))
            .with_conformal(parts.len() == 1 && parts[0].signature().conformal);
        Ok(Self { parts, signature })
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "parts are maps of vectors, one or more, as `new` checks"
    )]
    fn fold<T: Diff>(
        &self,
        x: &T,
        step: impl Fn(&dyn Bijector, &T) -> Result<Mapped<T>>,
    ) -> Result<Mapped<T>> {
        let (mut values, mut log_det, mut at) = (vec![], None, 0);
        for part in &self.parts {
            let n = part.signature().latent_shape[0];
            let mapped = step(part.as_ref(), &x.narrow(at, n)?)?;
            at += n;
            values.push(mapped.value);
            log_det = Some(match log_det {
                None => mapped.log_abs_det,
                Some(sum) => mapped.log_abs_det.add(&sum)?,
            });
        }
        let value = T::cat(&values.iter().collect::<Vec<_>>())?;
        let log_abs_det = log_det.ok_or_else(|| Error::config("concat.parts", "is empty"))?;
        Ok(Mapped { value, log_abs_det })
    }
}

impl Layer for Concat {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        self.fold(x, |part, x| x.through(part, direction, context))
    }
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        self.fold(x, |part, x| part.observe(direction, x, context))
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        let signature = self.signature.clone();
        let parts = training(&self.parts, noise)?;
        Ok(parts.map(|parts| Arc::new(Self { parts, signature }) as Arc<dyn Bijector>))
    }
}
