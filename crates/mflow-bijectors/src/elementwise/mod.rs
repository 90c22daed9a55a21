//! Element-wise bijectors: fixed functions, and maps with parameters that depend on nothing.
mod angle;
mod function;
mod learned;

pub(crate) use angle::wrap;
pub use angle::{AngleShift, AngleShiftConfig};
pub use function::{Function, FunctionConfig, FunctionMap};
pub use learned::ElementwiseConfig;
pub(crate) use learned::elements;
