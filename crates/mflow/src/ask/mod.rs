//! A fitted model asked of many rows: scores, samples, and any other question row by row on all threads. The program, its
//! service and the Python package ask here, so that their numbers are the same bits.
mod draws;
mod rows;
mod scores;

pub use draws::Draws;
pub use rows::by_rows;
pub use scores::Scores;
