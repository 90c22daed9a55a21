//! Maps that move features about, and compositions over parts of a point.
mod concat;
mod multiscale;
mod partial;
mod pixelwise;
mod reshape;

pub use concat::Concat;
pub use multiscale::Multiscale;
pub use partial::PartialMap;
pub use pixelwise::Pixelwise;
pub(crate) use reshape::no_log_det;
pub use reshape::{Reshape, ReshapeConfig, Squeeze, SqueezeConfig};

use crate::{Error, Result};

/// Number of elements of a point; the largest number where there are more.
pub(crate) fn size(shape: &[usize]) -> usize {
    shape.iter().fold(1, |all: usize, side| all.saturating_mul(*side))
}

/// Whether `shape` can be that of a point.
pub(crate) fn check_shape(field: &str, shape: &[usize]) -> Result<()> {
    let fits = u32::try_from(size(shape)).is_ok_and(|n| n > 0);
    if fits && !shape.is_empty() {
        return Ok(());
    }
    let reason = "must have one axis or more, all positive, and fit in 32 bits";
    Err(Error::config(field, format!("{reason}, found {shape:?}")))
}

/// The sides and channels of images of a shape `[H, W, C]`.
pub(crate) fn check_image(field: &str, shape: &[usize]) -> Result<[usize; 3]> {
    check_shape(field, shape)?;
    <[usize; 3]>::try_from(shape).map_err(|_| {
        Error::config(field, format!("must be [height, width, channels], found {shape:?}"))
    })
}
