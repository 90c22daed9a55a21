//! How a table is read.

use std::fmt;
use std::str::FromStr;

use super::{Columns, ImageOptions};

/// How a table is read. What a format does not have is ignored: only text has delimiters, comments and a header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// What divides fields; none recognises it by the first two lines.
    pub delimiter: Option<Delimiter>,
    /// Lines that start with this are skipped.
    pub comment: Option<String>,
    /// Whether a first line of numbers holds names. None takes it for a row, but refuses one that counts its columns.
    pub header: Option<bool>,
    /// Which columns are read.
    pub columns: Columns,
    /// What is done about missing values.
    pub missing: Missing,
    /// The array of an archive that goes before `x`.
    pub array: Option<String>,
    /// How the images of a folder are read.
    pub images: ImageOptions,
}

impl ReadOptions {
    /// These, but for a table that has other columns: all of them are read.
    #[must_use]
    pub fn of_all_columns(&self) -> Self {
        Self { columns: Columns::All, ..self.clone() }
    }

    /// These, with the array `name` of an archive before `x`.
    #[must_use]
    pub fn of_array(&self, name: &str) -> Self {
        Self { array: Some(name.to_owned()), ..self.clone() }
    }
}

/// What is done about missing values: empty fields, `NA` and its like, NaN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Missing {
    /// The table is refused.
    #[default]
    Refuse,
    /// The row is left out, and counted.
    Drop,
}

/// What divides the fields of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// This character.
    Char(u8),
    /// Blanks, any number of them.
    Blanks,
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_part_of_number = |c: &u8| c.is_ascii_alphanumeric() || b"+-.\"".contains(c);
        match text {
            "tab" | "\\t" => Ok(Self::Char(b'\t')),
            "blanks" | "space" | " " => Ok(Self::Blanks),
            _ => match text.as_bytes() {
                [c] if c.is_ascii() && !is_part_of_number(c) && !b"\r\n".contains(c) => {
                    Ok(Self::Char(*c))
                }
                _ => Err(format!(
                    "expected one character that is no part of a number, `tab` or `blanks`, found {text:?}"
                )),
            },
        }
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(b'\t') => f.write_str("tab"),
            Self::Char(c) => write!(f, "{}", char::from(*c)),
            Self::Blanks => f.write_str("blanks"),
        }
    }
}
