//! Builds for other devices than the CPU, on machines without them.

pub(crate) mod check;
mod toolkit;
