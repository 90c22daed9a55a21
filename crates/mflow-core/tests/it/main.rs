//! The tests of mflow-core: each module states its oracle.
mod density;
mod files;
mod gradients;
mod gram;
mod integral;
mod manifold;
mod normalize;
mod numbers;
mod refusals;
mod subject;
