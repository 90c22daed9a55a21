//! Composition: [`Chain`] and [`Inverted`].
use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::diff::Diff;
use crate::{Error, Result};

/// Bijectors composed: `forward` applies them first to last, `inverse` last to first.
#[derive(Debug)]
pub struct Chain {
    parts: Vec<Box<dyn Bijector>>,
    signature: Signature,
}

impl Chain {
    /// Compose at least one bijector.
    ///
    /// # Errors
    /// If there is none, or if two neighbours disagree on their shapes, or any two on the context
    /// size, dtype or device.
    pub fn new(parts: Vec<Box<dyn Bijector>>) -> Result<Self> {
        let reject = |reason: String| Err(Error::config("chain.layers", reason));
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            return reject("must not be empty".into());
        };
        let mut signature = Signature {
            data_shape: last.signature().data_shape.clone(),
            ..first.signature().clone()
        };
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
        Ok(Self { parts, signature })
    }
}

impl Layer for Chain {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        let n = self.parts.len();
        let part = |i: usize| match direction {
            Direction::Forward => self.parts[i].as_ref(),
            Direction::Inverse => self.parts[n - 1 - i].as_ref(),
        };
        let mut mapped = x.through(part(0), direction, context)?;
        for i in 1..n {
            let next = mapped.value.through(part(i), direction, context)?;
            mapped = Mapped {
                value: next.value,
                log_abs_det: mapped.log_abs_det.add(&next.log_abs_det)?,
            };
        }
        Ok(mapped)
    }
}

/// A bijector with its two directions swapped.
#[derive(Debug)]
pub struct Inverted {
    inner: Box<dyn Bijector>,
    signature: Signature,
}

impl Inverted {
    /// Swap the directions of `inner`.
    pub fn new(inner: Box<dyn Bijector>) -> Self {
        let s = inner.signature();
        let signature = Signature {
            latent_shape: s.data_shape.clone(),
            data_shape: s.latent_shape.clone(),
            ..s.clone()
        };
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
}
