//! Element-wise bijectors: fixed functions, and maps with parameters that depend on nothing.
mod learned;

pub use learned::ElementwiseConfig;
