//! What a broken law says.
use super::Law;
use crate::Direction;
use std::fmt;

/// What was found where a law does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was compared, as `log-det of the Jacobian, row 2`.
    pub what: String,
    /// What was found, as numbers or a sentence.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// The largest difference that is allowed, and why as much; empty where nothing is compared by size.
    pub tolerance: String,
}

impl Finding {
    /// The lines of a report: what, at which input, found, expected, and the tolerance where there is one.
    ///
    /// # Errors
    /// If the formatter fails.
    pub fn write(&self, f: &mut fmt::Formatter<'_>, input: &str) -> fmt::Result {
        let Self { what, found, expected, tolerance } = self;
        writeln!(f, "  what:      {what}")?;
        writeln!(f, "  at:        {input}")?;
        writeln!(f, "  found:     {found}")?;
        write!(f, "  expected:  {expected}")?;
        if !tolerance.is_empty() {
            write!(f, "\n  tolerance: {tolerance}")?;
        }
        Ok(())
    }
}

/// A law that a map does not keep.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// The name of the map, as it was given.
    pub map: String,
    /// The law.
    pub law: Law,
    /// The direction in which it fails.
    pub direction: Direction,
    /// The simplest input that was found to break it: points, then their contexts.
    pub input: String,
    /// What was found there.
    pub finding: Finding,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { map, law, direction, input, finding } = self;
        writeln!(f, "`{map}` breaks the law `{law}` ({direction:?}): {}", law.statement())?;
        finding.write(f, input)
    }
}

impl std::error::Error for Broken {}

/// Why the trial of a law ended: it is broken, or something could not be computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The law does not hold.
    Broken(Finding),
    /// The map or a tensor operation returned an error, which is told.
    Error(String),
}

impl Failure {
    /// As a finding: an error is one too.
    pub fn finding(self) -> Finding {
        match self {
            Self::Broken(finding) => finding,
            Self::Error(error) => Finding {
                what: "the call".to_owned(),
                found: format!("an error: {error}"),
                expected: "a result".to_owned(),
                tolerance: String::new(),
            },
        }
    }
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        Self::Error(error.to_string())
    }
}

impl From<candle_core::Error> for Failure {
    fn from(error: candle_core::Error) -> Self {
        Self::Error(error.to_string())
    }
}

/// That something else was expected than was found.
///
/// # Errors
/// Always: [`Failure::Broken`].
pub fn differs<T>(
    what: impl Into<String>,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> Result<T, Failure> {
    Err(Failure::Broken(Finding {
        what: what.into(),
        found: found.into(),
        expected: expected.into(),
        tolerance: String::new(),
    }))
}
