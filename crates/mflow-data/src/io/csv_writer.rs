//! Comma-separated values that are written.

use std::io::{self, Write};
use std::path::Path;

use super::array::Numbers;
use super::{Array, write_atomically};
use crate::{Error, Place, Result};

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
