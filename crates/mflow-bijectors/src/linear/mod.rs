//! Linear maps: permutations, triangular and orthogonal factors.
mod householder;
mod inverse;
mod lu;
mod permutation;
mod qr;
mod svd;
mod triangle;

pub use householder::{Orthogonal, OrthogonalConfig};
pub use lu::{LuLinear, LuLinearConfig};
pub use permutation::{Order, Permutation, PermutationConfig};
pub use qr::{QrLinear, QrLinearConfig};
pub use svd::{SvdLinear, SvdLinearConfig};
