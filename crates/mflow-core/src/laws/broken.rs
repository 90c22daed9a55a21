//! What a broken law says.
use super::Finding;
use std::fmt;

/// A law that an embedding or a model does not keep; `L` is [`embedding::Law`](super::embedding::Law) or
/// [`model::Law`](super::model::Law).
#[derive(Clone, Debug, PartialEq)]
pub struct Broken<L> {
    /// The name of what was tried, as it was given.
    pub subject: String,
    /// The law.
    pub law: L,
    /// What the law says.
    pub statement: &'static str,
    /// The simplest input that was found to break it.
    pub input: String,
    /// What was found there.
    pub finding: Finding,
}

impl<L: fmt::Display> fmt::Display for Broken<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, law, statement, input, finding } = self;
        writeln!(f, "`{subject}` breaks the law `{law}`: {statement}")?;
        finding.write(f, input)
    }
}

impl<L: fmt::Debug + fmt::Display> std::error::Error for Broken<L> {}
