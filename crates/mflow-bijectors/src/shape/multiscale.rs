//! Levels of maps of images, each of which lets half of the channels go.
use super::size;
use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::chain::training;
use crate::diff::Diff;
use crate::domain::Domain;
use crate::noise::Noise;
use crate::{Error, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// A multiscale composition: each level but the last maps what is left, then gives the first half of
/// the channels out (one more of an odd number) and hands the others on.
///
/// **Shapes**: `[B, H, W, C]` to `[B, H W C]`: what level 0 gives out, then level 1, and so on, each
/// flattened in the order height, width, channels. `log|det J|` is the sum over the levels.
///
/// **Reference**: Dinh et al. (2017), *Real NVP*, arXiv 1605.08803, section 3.6.
#[derive(Debug)]
pub struct Multiscale {
    levels: Vec<Arc<dyn Bijector>>,
    signature: Signature,
}

impl Multiscale {
    /// Compose at least one level.
    ///
    /// # Errors
    /// If there is none, a level does not end in images of two channels or more, or does not fit the
    /// half of the one before.
    pub fn new(levels: Vec<Arc<dyn Bijector>>) -> Result<Self> {
        let reject = |reason: String| Err(Error::config("multiscale.levels", reason));
        let Some(first) = levels.first() else { return reject("must not be empty".into()) };
        let s = first.signature();
        let mut signature = s.clone().with_data_shape(&[size(&s.latent_shape)]);
        let (mut rest, mut domain) = (s.latent_shape.clone(), s.latent_domain.clone());
        for (i, level) in levels.iter().enumerate() {
            let s = level.signature();
            if s.latent_shape != rest || !domain.fits(&s.latent_domain) {
                return reject(format!(
                    "must fit: level {i} is handed {rest:?} in {domain} and starts from {:?} in {}",
                    s.latent_shape, s.latent_domain
                ));
            }
            if s.dtype != signature.dtype || !s.device.same_device(&signature.device) {
                return reject(format!("must share dtype and device: level {i} does not"));
            }
            signature.working_size = signature.working_size.max(s.working_size);
            match (signature.context_dim, s.context_dim) {
                (Some(a), Some(b)) if a != b => {
                    return reject(format!(
                        "must agree on the number of context features: found {a} and {b}"
                    ));
                }
                (None, c) => signature.context_dim = c,
                _ => {}
            }
            domain = s.data_domain.after(&domain);
            if i + 1 < levels.len() {
                let [h, w, c] = *s.data_shape.as_slice() else {
                    return reject(format!("must end in images: level {i} in {:?}", s.data_shape));
                };
                if c < 2 {
                    return reject(format!("must end in two channels or more: level {i} in {c}"));
                }
                rest = vec![h, w, c / 2];
            }
        }
        // All levels fit each other, so that one domain holds what they give out.
        signature.data_domain = domain.moved();
        signature.conformal = false;
        if signature.latent_domain == Domain::Any && signature.data_domain != Domain::Any {
            signature.latent_domain = Domain::Reals;
        }
        Ok(Self { levels, signature })
    }

    fn down<T: Diff>(
        &self,
        x: &T,
        step: impl Fn(&dyn Bijector, &T) -> Result<Mapped<T>>,
    ) -> Result<Mapped<T>> {
        let (mut out, mut rest, mut log_det) = (vec![], x.clone(), None::<T>);
        for (i, level) in self.levels.iter().enumerate() {
            let Mapped { value, log_abs_det } = step(level.as_ref(), &rest)?;
            log_det = Some(match log_det {
                None => log_abs_det,
                Some(sum) => sum.add(&log_abs_det)?,
            });
            let shape = &level.signature().data_shape;
            if i + 1 == self.levels.len() {
                out.push(value.reshape(&[size(shape)])?);
                continue;
            }
            let (kept, next) = halves(shape);
            let (given_out, handed_on) = (kept[2], next[2]);
            out.push(value.narrow(0, given_out)?.reshape(&[size(&kept)])?);
            rest = value.narrow(given_out, handed_on)?.reshape(&next)?;
        }
        let value = T::cat(&out.iter().collect::<Vec<_>>())?;
        let log_abs_det = log_det.ok_or_else(|| Error::config("multiscale.levels", "is empty"))?;
        Ok(Mapped { value, log_abs_det })
    }

    #[expect(clippy::indexing_slicing, reason = "the data are vectors")]
    fn up<T: Diff>(
        &self,
        y: &T,
        step: impl Fn(&dyn Bijector, &T) -> Result<Mapped<T>>,
    ) -> Result<Mapped<T>> {
        let mut end = self.signature.data_shape[0];
        let mut mapped: Option<Mapped<T>> = None;
        for level in self.levels.iter().rev() {
            let shape = &level.signature().data_shape;
            let level_end = match &mapped {
                None => y.narrow(end - size(shape), size(shape))?.reshape(shape)?,
                Some(later) => {
                    let kept = halves(shape).0;
                    let given_out = y.narrow(end - size(&kept), size(&kept))?.reshape(&kept)?;
                    T::cat(&[&given_out, &later.value])?
                }
            };
            end -= match &mapped {
                None => size(shape),
                Some(_) => size(&halves(shape).0),
            };
            let next = step(level.as_ref(), &level_end)?;
            mapped = Some(match mapped {
                None => next,
                Some(later) => Mapped {
                    value: next.value,
                    log_abs_det: later.log_abs_det.add(&next.log_abs_det)?,
                },
            });
        }
        mapped.ok_or_else(|| Error::config("multiscale.levels", "is empty"))
    }
}

/// The shapes of the channels that a level gives out and of those that it hands on.
#[expect(
    clippy::indexing_slicing,
    reason = "levels before the last end in images, as `new` checks"
)]
fn halves(shape: &[usize]) -> ([usize; 3], [usize; 3]) {
    let [h, w, c] = [shape[0], shape[1], shape[2]];
    ([h, w, c - c / 2], [h, w, c / 2])
}

impl Layer for Multiscale {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        let step = |level: &dyn Bijector, x: &T| x.through(level, direction, context);
        match direction {
            Direction::Forward => self.down(x, step),
            Direction::Inverse => self.up(x, step),
        }
    }
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        let step = |level: &dyn Bijector, x: &Tensor| level.observe(direction, x, context);
        match direction {
            Direction::Forward => self.down(x, step),
            Direction::Inverse => self.up(x, step),
        }
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        let signature = self.signature.clone();
        let levels = training(&self.levels, noise)?;
        Ok(levels.map(|levels| Arc::new(Self { levels, signature }) as Arc<dyn Bijector>))
    }
}
