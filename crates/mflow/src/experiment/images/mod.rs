//! Experiments on images of files, of which more is known than their numbers: their shape, what made them.
mod config;
mod data;
mod evaluation;
mod features;
mod inference;
mod manifold;

pub use config::{ImageContexts, ImagesConfig, ScenesConfig};
pub(crate) use data::ImageData;
pub(super) use evaluation::evaluate_images;

/// Pixels are bytes.
const BLACK: f64 = 0.;
const WHITE: f64 = 255.;
pub(crate) use evaluation::drawn;
