//! The fields of a line of text, and what divides them.

use std::borrow::Cow;
use std::io;

use super::Delimiter;
use crate::{Error, Place, Result};

/// Names of nothing, as statistics programs write it.
const NOTHING: [&str; 12] =
    ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null", "None"];

/// What divides the fields of files that do not say it, in this order: a number may have a comma, a name a blank.
const CANDIDATES: [Delimiter; 4] =
    [Delimiter::Char(b'\t'), Delimiter::Char(b';'), Delimiter::Char(b','), Delimiter::Blanks];

impl Delimiter {
    /// What divides the first two lines of a file into the same number of fields, more than one; else what divides the first
    /// line; else a comma.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where quotes cannot be made sense of.
    pub(super) fn recognise(first: &str, second: Option<&str>) -> Result<Self> {
        let mut divides = None;
        for candidate in CANDIDATES {
            let count = candidate.fields(first)?.len();
            if count < 2 {
                continue;
            }
            match second {
                Some(second) if candidate.fields(second)?.len() != count => {
                    // Blanks are common in a name.
                    divides = divides.or(Some(candidate).filter(|c| *c != Self::Blanks));
                }
                _ => return Ok(candidate),
            }
        }
        Ok(divides.unwrap_or(Self::Char(b',')))
    }

    /// The fields of one line, without blanks about them. Lines without quotes, as all that NumPy writes, need no CSV reader.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where quotes cannot be made sense of.
    pub(super) fn fields(self, text: &str) -> Result<Vec<Cow<'_, str>>> {
        let delimiter = match self {
            Self::Blanks => return Ok(text.split_whitespace().map(Cow::Borrowed).collect()),
            Self::Char(delimiter) => delimiter,
        };
        if !text.contains('"') {
            let fields = text.split(char::from(delimiter));
            return Ok(fields.map(|field| Cow::Borrowed(field.trim())).collect());
        }
        let mut record = csv::StringRecord::new();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let read = reader.read_record(&mut record).map_err(io::Error::from);
        read.map_err(Error::io("read", &Place::Memory))?;
        Ok(record.iter().map(|field| Cow::Owned(field.to_owned())).collect())
    }
}

/// Whether a field says that there is no value.
pub(super) fn is_nothing(field: &str) -> bool {
    NOTHING.contains(&field)
}

/// Whether a field is a number, be it infinite.
pub(super) fn is_number(field: &str) -> bool {
    field.parse::<f64>().is_ok()
}

/// Whether a field would be a number if its comma were a dot.
pub(super) fn has_decimal_comma(field: &str) -> bool {
    field.matches(',').count() == 1 && is_number(&field.replace(',', "."))
}

/// Whether fields count from 0.
pub(super) fn count_up(fields: &[Cow<'_, str>]) -> bool {
    fields.iter().enumerate().all(|(i, field)| *field == i.to_string())
}
