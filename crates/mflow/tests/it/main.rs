//! The program from outside: exit codes, messages, files.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
mod bad_input;
mod devices;
mod evaluation;
mod figures;
mod fitting;
mod folder;
mod held_out;
mod interruption;
mod models;
mod ratio;
mod report;
mod simulated;
mod starts;
