//! Which columns of a file are read.

use std::convert::Infallible;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::{Error, Place, Result};

/// One column by its name or position (from 0), or a range of positions: `mass`, `3`, `3..`, `1..4`.
///
/// A name goes before a position. The end of a range is not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick(String);

impl Pick {
    /// The columns that this says, of `cols` with these names; none where there are no such columns.
    fn find(&self, names: Option<&[String]>, cols: usize) -> Option<Range<usize>> {
        let text = self.0.trim();
        if let Some(at) = names.and_then(|names| names.iter().position(|name| name == text)) {
            return Some(at..at + 1);
        }
        let range = match text.split_once("..") {
            Some((from, to)) => {
                let end = |text: &str, open| match text.trim() {
                    "" => Some(open),
                    text => text.parse().ok(),
                };
                end(from, 0)?..end(to, cols)?
            }
            None => {
                let at: usize = text.parse().ok()?;
                at..at.checked_add(1)?
            }
        };
        (range.start < range.end && range.end <= cols).then_some(range)
    }
}

impl FromStr for Pick {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Columns that were taken of a table, by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The columns, in this order.
    pub positions: Vec<usize>,
    /// How many columns there were.
    pub of: usize,
}

/// Which columns of a file are read. Others may hold anything: text, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Columns {
    /// All of them.
    #[default]
    All,
    /// These, in this order; a column that is named again stays where it was first.
    Only(Vec<Pick>),
    /// All but these.
    Except(Vec<Pick>),
    /// As they were taken of an earlier table: by their names where the file has all of them, else by position. A file with
    /// no more columns than were taken is read whole.
    As {
        /// The names that they had.
        names: Option<Vec<String>>,
        /// Their positions.
        choice: Choice,
    },
}

impl Columns {
    /// The positions to read of `cols` columns with these names.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchColumn`].
    pub(super) fn resolve(
        &self,
        place: &Place,
        names: Option<&[String]>,
        cols: usize,
    ) -> Result<Vec<usize>> {
        let missing = |name: String| Error::NoSuchColumn {
            place: place.clone(),
            name,
            names: names.map(<[String]>::to_vec).unwrap_or_default(),
            cols,
        };
        let found = |picks: &[Pick]| found(picks, names, cols).map_err(missing);
        match self {
            Self::All => Ok((0..cols).collect()),
            Self::Only(picks) => found(picks),
            Self::Except(picks) => {
                let without = found(picks)?;
                Ok((0..cols).filter(|position| !without.contains(position)).collect())
            }
            Self::As { names: taken, choice } => {
                let by_name = || {
                    let (taken, names) = (taken.as_deref()?, names?);
                    taken.iter().map(|name| names.iter().position(|n| n == name)).collect()
                };
                match (cols > choice.positions.len()).then(by_name).flatten() {
                    Some(positions) => Ok(positions),
                    // A file may say that it was made of columns that its own table never had.
                    None if cols == choice.of => {
                        match choice.positions.iter().find(|p| **p >= cols) {
                            Some(position) => Err(missing(position.to_string())),
                            None => Ok(choice.positions.clone()),
                        }
                    }
                    None => Ok((0..cols).collect()),
                }
            }
        }
    }

    /// Whether a column may be among them that nobody named.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::All | Self::Except(_))
    }
}

/// The positions of all picks, each once; else the text of the one that is not there.
fn found(picks: &[Pick], names: Option<&[String]>, cols: usize) -> Result<Vec<usize>, String> {
    let mut positions = Vec::new();
    let mut is_free = vec![true; cols];
    for pick in picks {
        let range = pick.find(names, cols).ok_or_else(|| pick.0.clone())?;
        positions.extend(range.filter(|&i| is_free.get_mut(i).is_some_and(std::mem::take)));
    }
    Ok(positions)
}
