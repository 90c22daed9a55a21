//! How many features, units, layers a config may ask for.
use crate::{Error, Result};

/// The most of anything in a row: features of 4096 x 4096 pixels. What asks for more is a mistake, or a file made to fill
/// memory.
const MOST: usize = 1 << 24;

/// The most of what makes a matrix with itself: its numbers fit in 8 GiB.
const MOST_SQUARED: usize = 1 << 15;

/// The most layers of one kind behind each other.
const MOST_LAYERS: usize = 1 << 12;

/// Refuse no features, and more than any data have.
pub(crate) fn check_features(field: impl Into<String>, found: usize) -> Result<()> {
    check(field, 1, found, MOST)
}

/// Refuse no features or units, and so many that a matrix of them has no place.
pub(crate) fn check_square(field: impl Into<String>, found: usize) -> Result<()> {
    check(field, 1, found, MOST_SQUARED)
}

/// Refuse no layers, and more than any flow has.
pub(crate) fn check_layers(field: impl Into<String>, found: usize) -> Result<()> {
    check(field, 1, found, MOST_LAYERS)
}

/// The same where there may be none.
pub(crate) fn check_blocks(field: impl Into<String>, found: usize) -> Result<()> {
    check(field, 0, found, MOST_LAYERS)
}

/// Refuse more context features than anything has; there may be none.
pub(crate) fn check_context(field: impl Into<String>, found: usize) -> Result<()> {
    check(field, 0, found, MOST)
}

fn check(field: impl Into<String>, least: usize, found: usize, most: usize) -> Result<()> {
    if found < least {
        return Err(Error::config(field, format!("must be positive, found {found}")));
    }
    if found > most {
        return Err(Error::config(field, format!("must be at most {most}, found {found}")));
    }
    Ok(())
}
