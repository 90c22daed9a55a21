//! The tests of mflow-bijectors: laws that hold for every map, and what is particular to each.
//!
//! Adding a map means adding one line to the table in `laws.rs`.
mod authors;
mod cases;
mod config;
mod gradients;
mod kinks;
mod laws;
mod linear;
mod numbers;
mod params;
mod properties;
mod refusals;
mod routes;
mod spline;
mod spline_edges;
