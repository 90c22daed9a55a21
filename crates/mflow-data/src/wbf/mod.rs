//! Higgs production in weak-boson fusion: events, their amplitude, and their likelihood.
//!
//! `p p -> H j j` with `H -> γγ` at 13 TeV, by fusion of two W at leading order, with two effective operators whose
//! coefficients are the parameters: the second application of Brehmer and Cranmer (2020), arXiv:2003.13913, section 4.D, whose
//! events came from programs of others and are no longer to be had.
#![expect(
    clippy::indexing_slicing,
    reason = "particles, coordinates and features are arrays and rows of fixed lengths"
)]

mod amplitude;
mod closure;
mod cuts;
mod detector;
mod features;
mod generator;
mod hard;
mod likelihood;
mod observables;
mod partons;
mod phase_space;
mod quadratic;
mod rate;
mod simulator;
mod standardization;
mod vector;
mod vegas;

pub use amplitude::{Amplitudes, COUPLING, G_F, Line, M_H, M_W, Momenta};
pub use closure::{IDENTITIES, closure, violations};
pub use cuts::Cuts;
pub use detector::{COORDINATES, Detector};
pub use features::{FeatureSet, coordinates, objects};
pub use generator::{Event, Generator, Settings};
pub use hard::Flavours;
pub use observables::{Observable, Observables};
pub use partons::{AnalyticDensities, Parton, PartonDensities, QuarkMomenta};
pub use quadratic::Quadratic;
pub use rate::Rate;
pub use simulator::WeakBosonFusion;
pub use vector::FourVector;
