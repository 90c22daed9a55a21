//! Weak-boson fusion.

mod amplitude;
mod events;
mod likelihood;
mod partons;
