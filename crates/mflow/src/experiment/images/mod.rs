//! Experiments on images of files, of which more is known than their numbers: their shape, what made them.
mod config;
mod data;
mod evaluation;
mod features;
mod inference;

pub use config::{ImageContexts, ImagesConfig};
pub(crate) use data::ImageData;
pub(super) use evaluation::evaluate_images;
pub(crate) use evaluation::generated;
