//! Weak-boson fusion.

mod amplitude;
mod events;
