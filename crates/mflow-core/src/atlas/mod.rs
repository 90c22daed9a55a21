//! Atlases: manifolds that are covered by several charts, each with a place of its own.
//!
//! What no single map of `R^N` covers, such as a circle or a sphere, several do, each a part of it. Where each
//! chart starts is found from data ([`place_charts`]), as a [`ChartFrame`]: a piece of the data with its
//! principal axes. The flow `f` of the charts bends each piece to the data.
mod build;
mod frame;
mod model;
mod place;

pub(crate) use frame::check_frame;
pub use place::{ChartFrame, Charts, place_charts};
