//! The tests of mflow-core: each module states its oracle.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::needless_range_loop, reason = "indices as in the formulas")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]
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
mod hostile;
mod images;
mod kinds;
mod laws;
mod models;
mod mutant_manifolds;
mod mutant_models;
#[path = "../../../mflow-bijectors/tests/support/mutations.rs"]
mod mutations;
mod normalize;
mod numbers;
mod own_manifold;
mod ratio;
mod refined;
mod refusals;
mod samples;
mod scores;
mod subject;
#[path = "../../../mflow-bijectors/tests/support/survival.rs"]
mod survival;
mod trained;
mod training;
mod unroll;
mod variational;
mod volume;
