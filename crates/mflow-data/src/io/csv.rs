//! Tables of text: fields divided by commas, semicolons, tabs or blanks, with or without a header line.

use std::borrow::Cow;
use std::path::Path;

use super::csv_fields::{count_up, has_decimal_comma, is_nothing, is_number};
use super::format::open;
use super::lines::Lines;
use super::loaded::Incoming;
use super::{Delimiter, Loaded, Missing, ReadOptions, Table};
use crate::{Error, Place, Result};

/// Characters of a bad field that an error shows.
const SHOWN: usize = 40;

/// Bytes of a line, at most: as many columns as any data have, of 16 bytes each.
const LONGEST: u64 = 1 << 28;

/// What comments start with nearly everywhere.
const USUAL_COMMENT: char = '#';

/// Reads a table of text, unpacked if the file's name ends in `.gz`.
///
/// Numbers have a dot. The fields are divided by tabs, semicolons, commas or blanks: by what divides the first two lines alike.
/// The first line is a header, whose names the table keeps, if no field of it is a number (empty
/// fields aside). Blanks about a field, quotes, a byte order mark and blank lines at the end of
/// the file are ignored.
///
/// # Errors
///
/// [`Error::MixedFirstRow`] where some fields of the first line are numbers and some are not:
/// taking it for a header might lose a row; [`Error::CountingHeader`] where they are 0, 1, 2, ... [`Error::Ragged`],
/// [`Error::EmptyField`], [`Error::NotANumber`], [`Error::DecimalComma`], [`Error::Comment`], [`Error::BlankLine`] and
/// [`Error::NonFinite`] name the line and the column; [`Error::NotText`], [`Error::LongLine`] from 256 MiB on, [`Error::NoRows`], [`Error::Io`].
pub fn read_csv(path: &Path) -> Result<Table> {
    Ok(load(path, &ReadOptions::default())?.table)
}

/// As [`read_csv`], but as the options say.
pub(super) fn load(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    let mut lines = Lines::new(open(path)?.0, path, LONGEST);
    let mut parser = Parser {
        path,
        options,
        delimiter: options.delimiter,
        first: None,
        width: 0,
        comment_above: None,
        rows: None,
    };
    let mut blank = None;
    while let Some((line, bytes)) = lines.next()? {
        let text = text(path, line, bytes)?;
        let is_comment = |comment: &str| text.trim_start().starts_with(comment);
        if options.comment.as_deref().is_some_and(is_comment) {
            continue;
        }
        if text.trim().is_empty() {
            blank.get_or_insert(line);
            continue;
        }
        if let Some(line) = blank {
            return Err(Error::BlankLine { path: path.to_path_buf(), line });
        }
        parser.line(line, text)?;
    }
    parser.finish()
}

/// A line as text, without a byte order mark.
fn text<'a>(path: &Path, line: u64, bytes: &'a [u8]) -> Result<&'a str> {
    let not_text = |_| Error::NotText { path: path.to_path_buf(), line };
    let text = str::from_utf8(bytes).map_err(not_text)?;
    Ok(if line == 1 { text.trim_start_matches('\u{feff}') } else { text })
}

/// What the lines so far amount to.
struct Parser<'a> {
    path: &'a Path,
    options: &'a ReadOptions,
    delimiter: Option<Delimiter>,
    /// The first line, until it is known what divides fields, and its number.
    first: Option<(u64, String)>,
    /// Fields in the first line, 0 before it.
    width: usize,
    /// The number of the header, if it looks like a comment.
    comment_above: Option<u64>,
    /// From the first line on.
    rows: Option<Incoming<'a>>,
}

impl<'a> Parser<'a> {
    fn line(&mut self, line: u64, text: &str) -> Result<()> {
        match (self.delimiter, self.first.take()) {
            (Some(delimiter), _) => self.parsed(line, text, delimiter),
            (None, None) => {
                self.first = Some((line, text.to_owned()));
                Ok(())
            }
            (None, Some((number, first))) => {
                let delimiter = Delimiter::recognise(&first, Some(text))?;
                self.delimiter = Some(delimiter);
                self.parsed(number, &first, delimiter)?;
                self.parsed(line, text, delimiter)
            }
        }
    }

    fn finish(mut self) -> Result<Loaded> {
        if let Some((line, text)) = self.first.take() {
            let delimiter = Delimiter::recognise(&text, None)?;
            self.parsed(line, &text, delimiter)?;
        }
        match self.rows {
            Some(rows) if rows.row() > 0 => rows.finish(None),
            _ => Err(Error::NoRows { place: Place::file(self.path) }),
        }
    }

    fn parsed(&mut self, line: u64, text: &str, delimiter: Delimiter) -> Result<()> {
        let fields = delimiter.fields(text)?;
        let mut rows = match self.rows.take() {
            Some(rows) => rows,
            None => {
                self.width = fields.len();
                let is_header = self.is_header(line, &fields)?;
                let names = is_header.then(|| fields.iter().map(|f| f.to_string()).collect());
                let place = Place::file(self.path);
                let rows = Incoming::new(place, self.options, names, self.width)?;
                if is_header {
                    self.comment_above = text.starts_with(USUAL_COMMENT).then_some(line);
                    self.rows = Some(rows);
                    return Ok(());
                }
                rows
            }
        };
        self.row(&mut rows, line, &fields).map_err(|error| self.or_comment(error, line, text))?;
        self.rows = Some(rows);
        Ok(())
    }

    /// What is wrong with a line is that it is a comment, or that the first one is.
    fn or_comment(&self, error: Error, line: u64, text: &str) -> Error {
        let line = match self.comment_above {
            _ if text.starts_with(USUAL_COMMENT) => line,
            Some(line) => line,
            None => return error,
        };
        match error {
            Error::Ragged { path, .. } | Error::NotANumber { path, .. } => {
                Error::Comment { path, line }
            }
            error => error,
        }
    }

    /// Whether the first line holds names.
    fn is_header(&self, line: u64, fields: &[Cow<'_, str>]) -> Result<bool> {
        let path = || self.path.to_path_buf();
        let filled = || fields.iter().filter(|field| !self.is_missing(field));
        if let Some(found) = filled().find(|field| has_decimal_comma(field)) {
            return Err(Error::DecimalComma { path: path(), line, found: shown(found) });
        }
        let number = filled().find(|field| is_number(field));
        let text = filled().find(|field| !is_number(field));
        match (number, text, self.options.header) {
            (None, text, _) => Ok(text.is_some()),
            (Some(_), _, Some(is_header)) => Ok(is_header),
            (Some(_), Some(_), None) if self.wants_numbers_of(fields) => Ok(false),
            (Some(number), Some(text), None) => {
                let (number, text) = (number.to_string(), shown(text));
                Err(Error::MixedFirstRow { path: path(), line, number, text })
            }
            // A row index has no name.
            (Some(_), None, None) if matches!(fields, [first, rest @ ..] if first.is_empty() && count_up(rest)) => {
                Ok(true)
            }
            (Some(_), None, None) if fields.len() > 1 && count_up(fields) => {
                Err(Error::CountingHeader { path: path(), line, last: fields.len() - 1 })
            }
            (Some(_), None, None) => Ok(false),
        }
    }

    /// Whether a field has no value, and that is no mistake.
    fn is_missing(&self, field: &str) -> bool {
        field.is_empty() || self.options.missing == Missing::Drop && is_nothing(field)
    }

    /// Whether columns are asked for by their positions, and are numbers: then others may be text.
    #[expect(
        clippy::indexing_slicing,
        reason = "`resolve` gives positions below the number of fields"
    )]
    fn wants_numbers_of(&self, fields: &[Cow<'_, str>]) -> bool {
        let wanted = self.options.columns.resolve(&Place::Memory, None, fields.len());
        wanted.is_ok_and(|wanted| wanted.iter().all(|&j| is_number(&fields[j])))
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a line of another number of fields was refused, and `resolve` gives positions below it"
    )]
    fn row(&self, rows: &mut Incoming<'_>, line: u64, fields: &[Cow<'_, str>]) -> Result<()> {
        let path = || self.path.to_path_buf();
        let (expected, found) = (self.width, fields.len());
        if found != expected {
            if let [first, second, ..] = fields
                && found == 2 * expected
                && fields.iter().all(|field| is_number(field))
            {
                let found = format!("{first},{second}");
                if has_decimal_comma(&found) {
                    return Err(Error::DecimalComma { path: path(), line, found });
                }
            }
            return Err(Error::Ragged { path: path(), line, expected, found });
        }
        let mut values = Vec::with_capacity(expected);
        for &j in &rows.choice().positions {
            let (field, column) = (&fields[j], || rows.label(j));
            values.push(match field.parse() {
                Ok(value) => value,
                Err(_) if self.options.missing == Missing::Drop && is_nothing(field) => f64::NAN,
                Err(_) if field.is_empty() => {
                    return Err(Error::EmptyField { path: path(), line, column: column() });
                }
                Err(_) if has_decimal_comma(field) => {
                    return Err(Error::DecimalComma { path: path(), line, found: shown(field) });
                }
                Err(_) => {
                    let found = shown(field);
                    return Err(Error::NotANumber { path: path(), line, column: column(), found });
                }
            });
        }
        rows.push(&values, Some(line))
    }
}

/// A field for a message, cut if it is long.
fn shown(field: &str) -> String {
    match field.char_indices().nth(SHOWN).and_then(|(end, _)| field.get(..end)) {
        Some(start) => format!("{start}..."),
        None => field.to_owned(),
    }
}
