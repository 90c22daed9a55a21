//! Linear maps: permutations and triangular factors.
mod lu;
mod permutation;

pub use lu::{LuLinear, LuLinearConfig};
pub use permutation::{Permutation, PermutationConfig};
