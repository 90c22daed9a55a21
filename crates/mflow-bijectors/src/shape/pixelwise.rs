//! A map of channels at every pixel.
use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::count::check_features;
use crate::diff::Diff;
use crate::noise::Noise;
use crate::{Error, Result};
use candle_core::Tensor;
use std::sync::Arc;

/// The same map of vectors for the channels of every pixel: of a linear map the 1x1 convolution, of
/// an [`crate::ActNorm`] the one of images. `log|det J|` is the sum over the pixels.
///
/// **Shapes**: `[B, H, W, C]` to the same, with a map of vectors of `C` features without context.
///
/// **Reference**: Kingma & Dhariwal (2018), *Glow*, arXiv 1807.03039, section 3.2.
#[derive(Debug)]
pub struct Pixelwise {
    inner: Arc<dyn Bijector>,
    signature: Signature,
}

impl Pixelwise {
    /// Apply `inner` to the channels of images of `height` by `width` pixels.
    ///
    /// # Errors
    /// If a side is 0 or the map is not one of vectors to themselves, without context.
    pub fn new(height: usize, width: usize, inner: Arc<dyn Bijector>) -> Result<Self> {
        let s = inner.signature();
        let ([c], [d], None) = (&*s.latent_shape, &*s.data_shape, s.context_dim) else {
            let reason = format!(
                "must be a map of vectors without context, found {:?} to {:?}, context {:?}",
                s.latent_shape, s.data_shape, s.context_dim
            );
            return Err(Error::config("pixelwise.of", reason));
        };
        if c != d {
            let reason = format!("must keep the number of channels, found {c} to {d}");
            return Err(Error::config("pixelwise.of", reason));
        }
        for (field, v) in [("pixelwise.height", height), ("pixelwise.width", width)] {
            check_features(field, v)?;
        }
        let shape = vec![height, width, *c];
        let signature = Signature {
            latent_shape: shape.clone(),
            data_shape: shape,
            latent_domain: s.latent_domain.moved(),
            data_domain: s.data_domain.moved(),
            // The factor may differ from pixel to pixel.
            conformal: false,
            working_size: height.saturating_mul(width).saturating_mul(s.working_size),
            ..s.clone()
        };
        Ok(Self { inner, signature })
    }

    /// Apply `step` to the pixels of all images as one batch.
    fn around<T: Diff>(
        &self,
        x: &T,
        step: impl FnOnce(&T) -> Result<Mapped<T>>,
    ) -> Result<Mapped<T>> {
        let (b, h, w, c) = x.value().dims4()?;
        // Each closure sees the row axis of tangents second: [B, R, H, W, C], then [B H W, R, C].
        let pixels = x.linear(|t| {
            let r = t.dim(1)?;
            t.permute((0, 2, 3, 1, 4))?.contiguous()?.reshape((b * h * w, r, c))
        })?;
        let Mapped { value, log_abs_det } = step(&pixels)?;
        let value = value.linear(|t| {
            let r = t.dim(1)?;
            t.contiguous()?.reshape((b, h, w, r, c))?.permute((0, 3, 1, 2, 4))?.contiguous()
        })?;
        let log_abs_det = log_abs_det.linear(|t| {
            let r = t.dim(1)?;
            t.contiguous()?.reshape((b, h * w, r))?.sum(1)
        })?;
        Ok(Mapped { value, log_abs_det })
    }
}

impl Layer for Pixelwise {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        self.around(x, |x| x.through(self.inner.as_ref(), direction, None))
    }
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        _: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        self.around(x, |x| self.inner.observe(direction, x, None))
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        let Some(inner) = self.inner.training(noise)? else { return Ok(None) };
        Ok(Some(Arc::new(Self { inner, signature: self.signature.clone() })))
    }
}
