//! The program from outside: exit codes, messages, files.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]
mod bad_input;
mod collisions;
mod devices;
mod dim;
mod evaluation;
mod events;
#[cfg(feature = "serve")]
mod explore;
mod figures;
mod first_look;
mod fitting;
mod folder;
mod hard_numbers;
mod held_out;
mod image_experiments;
mod images;
mod import;
mod imported_flows;
mod interruption;
mod manual;
mod models;
mod names;
mod posterior;
mod ratio;
mod reading;
mod report;
mod request;
mod score_stream;
mod scores;
#[cfg(feature = "serve")]
mod serve;
mod simulated;
mod starts;
mod tutorial;
mod units;
mod weights;
mod your_own_map;
