//! Simulators by name, for configuration files and the command line.

use crate::{Circle, Error, PolynomialSurface, Result, Simulator};

/// The names that [`simulator_by_name`] knows.
pub const SIMULATOR_NAMES: &[&str] = &[Circle::NAME, PolynomialSurface::NAME];

/// The simulator called `name`.
///
/// # Errors
///
/// [`Error::UnknownSimulator`], with the known names, where there is none.
pub fn simulator_by_name(name: &str) -> Result<Box<dyn Simulator>> {
    match name {
        Circle::NAME => Ok(Box::new(Circle)),
        PolynomialSurface::NAME => Ok(Box::new(PolynomialSurface)),
        _ => Err(Error::UnknownSimulator {
            name: name.to_owned(),
            known: SIMULATOR_NAMES.iter().map(|&known| known.to_owned()).collect(),
        }),
    }
}
