//! Composition: [`Chain`] and [`Inverted`].
use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::diff::Diff;
use crate::domain::Domain;
use crate::kernel::{Kernel, Run};
use crate::noise::Noise;
use crate::{Error, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// Bijectors composed: `forward` applies them first to last, `inverse` last to first.
#[derive(Debug)]
pub struct Chain {
    parts: Vec<Arc<dyn Bijector>>,
    signature: Signature,
}

impl Chain {
    /// Compose at least one bijector.
    ///
    /// # Errors
    /// If there is none, or if two neighbours disagree on their shapes or domains, or any two on the
    /// context size, dtype or device.
    #[expect(clippy::indexing_slicing, reason = "the part before is one of the parts")]
    pub fn new(parts: Vec<Arc<dyn Bijector>>) -> Result<Self> {
        let reject = |reason: String| Err(Error::config("chain.layers", reason));
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            return reject("must not be empty".into());
        };
        let mut signature = Signature {
            data_shape: last.signature().data_shape.clone(),
            ..first.signature().clone()
        };
        // The domain that the layers so far end in; layers of any domain hand it on.
        let mut domain = signature.latent_domain.clone();
        for (i, part) in parts.iter().enumerate() {
            let s = part.signature();
            if let Some(previous) = i.checked_sub(1).map(|k| parts[k].signature())
                && previous.data_shape != s.latent_shape
            {
                return reject(format!(
                    "must fit: layer {} ends in shape {:?}, layer {i} starts from {:?}",
                    i - 1,
                    previous.data_shape,
                    s.latent_shape
                ));
            }
            if !domain.fits(&s.latent_domain) {
                return reject(format!(
                    "must fit: the layers before layer {i} end in {domain}, it starts from {}",
                    s.latent_domain
                ));
            }
            if signature.latent_domain == Domain::Any {
                signature.latent_domain = s.latent_domain.moved();
            }
            domain = s.data_domain.after(&domain);
            signature.conformal &= s.conformal;
            signature.working_size = signature.working_size.max(s.working_size);
            if s.dtype != signature.dtype || !s.device.same_device(&signature.device) {
                return reject(format!(
                    "must share dtype and device: layer 0 has {:?} on {:?}, layer {i} {:?} on {:?}",
                    signature.dtype,
                    signature.device.location(),
                    s.dtype,
                    s.device.location()
                ));
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
        signature.data_domain = domain;
        Ok(Self { parts, signature })
    }

    /// The parts in the order in which `direction` applies them.
    #[expect(clippy::indexing_slicing, reason = "counted by the parts")]
    fn order(&self, direction: Direction) -> impl Iterator<Item = &dyn Bijector> {
        let n = self.parts.len();
        (0..n).map(move |i| match direction {
            Direction::Forward => self.parts[i].as_ref(),
            Direction::Inverse => self.parts[n - 1 - i].as_ref(),
        })
    }
}

/// What comes of `next` behind the parts before it: log-dets add up.
fn after<T: Diff>(before: Option<Mapped<T>>, next: Mapped<T>) -> Result<Mapped<T>> {
    Ok(match before {
        None => next,
        Some(before) => {
            let log_abs_det = before.log_abs_det.add(&next.log_abs_det)?;
            Mapped { value: next.value, log_abs_det }
        }
    })
}

impl Layer for Chain {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    #[expect(clippy::indexing_slicing, reason = "`at` stays below the number of parts")]
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        let parts: Vec<&dyn Bijector> = self.order(direction).collect();
        let (mut at, mut mapped) = (0, None::<Mapped<T>>);
        while at < parts.len() {
            let x = mapped.as_ref().map_or(x, |before| &before.value);
            // As many layers at once as have kernels.
            let kernels = parts[at..].iter().map_while(|part| part.kernel(direction, x.value()));
            let run = Run(kernels.collect());
            let together = match run.0.len() {
                0 | 1 => None,
                n => x.fused(&run, context)?.map(|next| (next, n)),
            };
            let (next, n) = match together {
                Some(together) => together,
                None => (x.through(parts[at], direction, context)?, 1),
            };
            at += n;
            mapped = Some(after(mapped, next)?);
        }
        mapped.ok_or_else(|| Error::config("chain.layers", "must not be empty"))
    }
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        let mut mapped: Option<Mapped> = None;
        for part in self.order(direction) {
            let x = mapped.as_ref().map_or(x, |before| &before.value);
            let next = part.observe(direction, x, context)?;
            mapped = Some(after(mapped, next)?);
        }
        mapped.ok_or_else(|| Error::config("chain.layers", "must not be empty"))
    }
    fn kernel(&self, direction: Direction, x: &Tensor) -> Option<Kernel<'_>> {
        let kernels = self.order(direction).map(|part| part.kernel(direction, x));
        kernels.collect::<Option<Vec<_>>>().map(|all| Kernel(Box::new(Run(all))))
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        let parts = training(&self.parts, noise)?;
        let signature = self.signature.clone();
        Ok(parts.map(|parts| Arc::new(Self { parts, signature }) as Arc<dyn Bijector>))
    }
}

/// All parts as they are while training; `None` if it makes no difference to any.
pub(crate) fn training(
    parts: &[Arc<dyn Bijector>],
    noise: &Noise,
) -> Result<Option<Vec<Arc<dyn Bijector>>>> {
    let trained = parts.iter().map(|part| part.training(noise)).collect::<Result<Vec<_>>>()?;
    if trained.iter().all(Option::is_none) {
        return Ok(None);
    }
    let all = trained.into_iter().zip(parts).map(|(t, part)| t.unwrap_or_else(|| part.clone()));
    Ok(Some(all.collect()))
}

/// A bijector with its two directions swapped.
#[derive(Debug)]
pub struct Inverted {
    inner: Arc<dyn Bijector>,
    signature: Signature,
}

impl Inverted {
    /// Swap the directions of `inner`.
    pub fn new(inner: Arc<dyn Bijector>) -> Self {
        let signature = inner.signature().clone().inverted();
        Self { inner, signature }
    }
}

impl Layer for Inverted {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        x.through(self.inner.as_ref(), direction.reversed(), context)
    }
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        self.inner.observe(direction.reversed(), x, context)
    }
    fn kernel(&self, direction: Direction, x: &Tensor) -> Option<Kernel<'_>> {
        self.inner.kernel(direction.reversed(), x)
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        let inner = self.inner.training(noise)?;
        Ok(inner.map(|inner| Arc::new(Self::new(inner)) as Arc<dyn Bijector>))
    }
}
