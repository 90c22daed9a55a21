//! Comma-separated values, with or without a header line.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

use super::array::Numbers;
use super::lines::Lines;
use super::table::column_label;
use super::{Array, Table, write_atomically};
use crate::{Error, Place, Result};

/// Characters of a bad field that an error shows.
const SHOWN: usize = 40;

/// Reads a table from a `.csv` file: fields divided by commas, with a dot in the numbers.
///
/// The first line is a header, whose names the table keeps, if no field of it is a number (empty
/// fields aside). Blanks about a field, quotes, a byte order mark and blank lines at the end of
/// the file are ignored.
///
/// # Errors
///
/// [`Error::MixedFirstRow`] where some fields of the first line are numbers and some are not:
/// taking it for a header might lose a row. [`Error::Ragged`], [`Error::EmptyField`],
/// [`Error::NotANumber`], [`Error::BlankLine`] and [`Error::NonFinite`] name the line and the
/// column; [`Error::NotText`], [`Error::NoRows`], [`Error::Io`].
pub fn read_csv(path: &Path) -> Result<Table> {
    let place = Place::file(path);
    let file = File::open(path).map_err(Error::io("open", &place))?;
    let mut lines = Lines::new(BufReader::new(file), path, u64::MAX);
    let mut parser = Parser { path, columns: None, cols: 0, rows: 0, values: Vec::new() };
    let mut blank = None;
    while let Some((line, bytes)) = lines.next()? {
        let text = text(path, line, bytes)?;
        if text.trim().is_empty() {
            blank.get_or_insert(line);
        } else if let Some(line) = blank {
            return Err(Error::BlankLine { path: path.to_path_buf(), line });
        } else {
            parser.line(line, &fields(text)?)?;
        }
    }
    if parser.rows == 0 {
        return Err(Error::NoRows { place });
    }
    Table::at(&place, parser.columns, parser.rows, parser.cols, parser.values)
}

/// Writes an array to a `.csv` file, [atomically](write_atomically), with a header if its columns
/// are named. Each number has the fewest digits that give it back in its precision.
///
/// # Errors
///
/// [`Error::F32Overflow`] for a finite value that single precision cannot hold, and those of
/// [`write_atomically`].
pub fn write_csv(path: &Path, array: &Array<'_>) -> Result<()> {
    let numbers = array.numbers(&Place::file(path))?;
    let header = match array.columns() {
        Some(columns) => header(columns).map_err(Error::io("write", &Place::file(path)))?,
        None => Vec::new(),
    };
    write_atomically(path, |writer| {
        writer.write_all(&header)?;
        match &numbers {
            Numbers::F32(values) => write_rows(writer, values, array.cols()),
            Numbers::F64(values) => write_rows(writer, values, array.cols()),
        }
    })
}

/// The header line, its names quoted where they need it.
fn header(columns: &[String]) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns)?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

/// Numbers need no quotes, and written without the `csv` crate they keep the kind of an I/O
/// error. `{:?}` is the shortest form that reads back, with an exponent for very large and very
/// small ones.
fn write_rows<T: std::fmt::Debug>(
    writer: &mut impl Write,
    values: &[T],
    cols: usize,
) -> io::Result<()> {
    for row in values.chunks(cols.max(1)) {
        for (j, value) in row.iter().enumerate() {
            let divider = if j == 0 { "" } else { "," };
            write!(writer, "{divider}{value:?}")?;
        }
        writeln!(writer)?;
    }
    Ok(())
}

/// A line as text, without a byte order mark.
fn text<'a>(path: &Path, line: u64, bytes: &'a [u8]) -> Result<&'a str> {
    let not_text = |_| Error::NotText { path: path.to_path_buf(), line };
    let text = str::from_utf8(bytes).map_err(not_text)?;
    Ok(if line == 1 { text.trim_start_matches('\u{feff}') } else { text })
}

/// The fields of one line. Lines without quotes, as all that NumPy writes, need no CSV reader.
fn fields(text: &str) -> Result<Vec<String>> {
    if !text.contains('"') {
        return Ok(text.split(',').map(|field| field.trim().to_owned()).collect());
    }
    let mut record = csv::StringRecord::new();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let read = reader.read_record(&mut record).map_err(io::Error::from);
    read.map_err(Error::io("read", &Place::Memory))?;
    Ok(record.iter().map(str::to_owned).collect())
}

/// What the lines so far amount to.
struct Parser<'a> {
    path: &'a Path,
    columns: Option<Vec<String>>,
    /// Fields in the first line, 0 before it.
    cols: usize,
    rows: usize,
    values: Vec<f64>,
}

impl Parser<'_> {
    fn line(&mut self, line: u64, fields: &[String]) -> Result<()> {
        if self.cols == 0 {
            self.cols = fields.len();
            if self.is_header(line, fields)? {
                self.columns = Some(fields.to_vec());
                return Ok(());
            }
        }
        self.row(line, fields)
    }

    /// Whether the first line holds names.
    fn is_header(&self, line: u64, fields: &[String]) -> Result<bool> {
        let filled = || fields.iter().filter(|field| !field.is_empty());
        let number = filled().find(|field| field.parse::<f64>().is_ok());
        let text = filled().find(|field| field.parse::<f64>().is_err());
        match (number, text) {
            (Some(number), Some(text)) => Err(Error::MixedFirstRow {
                path: self.path.to_path_buf(),
                line,
                number: number.clone(),
                text: shown(text),
            }),
            (_, text) => Ok(text.is_some()),
        }
    }

    fn row(&mut self, line: u64, fields: &[String]) -> Result<()> {
        let path = || self.path.to_path_buf();
        if fields.len() != self.cols {
            let (expected, found) = (self.cols, fields.len());
            return Err(Error::Ragged { path: path(), line, expected, found });
        }
        for (j, field) in fields.iter().enumerate() {
            let column = || column_label(self.columns.as_deref(), j);
            if field.is_empty() {
                return Err(Error::EmptyField { path: path(), line, column: column() });
            }
            let value: f64 = field.parse().map_err(|_| Error::NotANumber {
                path: path(),
                line,
                column: column(),
                found: shown(field),
            })?;
            if !value.is_finite() {
                return Err(Error::NonFinite {
                    place: Place::file(self.path),
                    row: self.rows,
                    line: Some(line),
                    column: column(),
                    value,
                });
            }
            self.values.push(value);
        }
        self.rows += 1;
        Ok(())
    }
}

/// A field for a message, cut if it is long.
fn shown(field: &str) -> String {
    match field.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &field[..end]),
        None => field.to_owned(),
    }
}
