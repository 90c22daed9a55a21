//! The tests of mflow-core: each module states its oracle.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::needless_range_loop, reason = "indices as in the formulas")]
mod ambient;
mod atlas;
mod charts;
mod closed;
mod context_units;
mod density;
#[path = "../../../mflow-bijectors/tests/support/device.rs"]
mod device;
mod files;
mod flat;
mod fom;
mod free_form;
mod generator;
mod gradients;
mod gram;
mod integral;
mod kinds;
mod manifold;
mod models;
mod normalize;
mod numbers;
mod ratio;
mod refined;
mod refusals;
mod scores;
mod subject;
mod trained;
mod training;
mod unroll;
mod variational;
mod volume;
