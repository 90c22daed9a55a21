//! Draws from a model.
use super::rows::by_rows;
use mflow_bijectors::Stream;
use mflow_core::Model;
use mflow_core::candle::{self, Tensor};
use mflow_train::Pool;

/// Points that are drawn at a time, at most, and numbers of them. Draws of more points depend on it.
const ROWS: usize = 1 << 20;
/// See [`ROWS`].
const NUMBERS: usize = 1 << 25;

/// What is to be drawn. The same seed gives the same points, on any number of threads.
#[derive(Clone, Debug)]
pub struct Draws {
    /// How many points.
    pub rows: usize,
    /// One for each point, `[rows, C]`, or one for all, `[1, C]`.
    pub context: Option<Tensor>,
    /// Of the random numbers.
    pub seed: u64,
    /// Whether points are to lie on the manifold, of models whose samples lie around it.
    pub on_manifold: bool,
}

impl Draws {
    /// Draw points a block at a time, and give each block, `[B, D]`, to `see`. `check` is called for each part of a block,
    /// and ends the work where it fails.
    ///
    /// # Errors
    /// As those of the model, of `check` and of `see`.
    #[expect(clippy::integer_division_remainder_used, reason = "a model has a feature or more")]
    pub fn draw<E: Send + From<candle::Error> + From<mflow_core::Error>>(
        &self,
        model: &dyn Model,
        pool: &Pool,
        check: &(dyn Fn() -> Result<(), E> + Sync),
        see: &mut dyn FnMut(&Tensor) -> Result<(), E>,
    ) -> Result<(), E> {
        let stream = &mut Stream::new(self.seed, "sample");
        let at_once = (NUMBERS / model.signature().data_dim).clamp(1, ROWS);
        for first in (0..self.rows).step_by(at_once) {
            let count = at_once.min(self.rows - first);
            let context =
                self.context.as_ref().map(|all| contexts_of(all, first, count)).transpose()?;
            let latents = model.sample_latent(count, stream)?;
            let noise = model.sample_noise(count, stream)?.filter(|_| !self.on_manifold);
            let drawn = match noise {
                None => by_rows(pool, &latents, context.as_ref(), |u, c| {
                    check()?;
                    Ok::<_, E>(model.decode(u, c)?)
                })?,
                Some(noise) => {
                    let (n, k) = (latents.dim(1)?, noise.dim(1)?);
                    let both = Tensor::cat(&[latents, noise], 1)?;
                    by_rows(pool, &both, context.as_ref(), |both, c| {
                        check()?;
                        let part = |start, len| both.narrow(1, start, len)?.contiguous();
                        Ok::<_, E>(model.decode_noisy(&part(0, n)?, &part(n, k)?, c)?)
                    })?
                }
            };
            see(&drawn)?;
        }
        Ok(())
    }
}

/// The contexts of some rows, of a table with one for each row or one for all.
fn contexts_of(all: &Tensor, first: usize, count: usize) -> candle::Result<Tensor> {
    Ok(match all.dims2()? {
        (1, cols) => all.broadcast_as((count, cols))?.contiguous()?,
        _ => all.narrow(0, first, count)?.contiguous()?,
    })
}
