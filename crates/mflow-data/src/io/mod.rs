//! Tables of numbers on disk: NumPy's `.npy` and `.npz`, and `.csv`; and events of generators, `.lhe`.
//!
//! The `.npy` header is parsed here and not by the `npyz` crate, which multiplies the shape that
//! the header claims unchecked and allocates the header before it is read; the tests read what is
//! written here with it.

mod array;
mod atomic;
mod csv;
mod lhe;
mod lines;
mod npy;
mod npy_dtype;
mod npy_file;
mod npy_header;
mod npy_writer;
mod npz;
mod table;

use std::path::Path;

use crate::{Error, Result};

pub use array::{Array, Dtype};
pub use atomic::write_atomically;
pub use csv::{read_csv, write_csv};
pub use lhe::{LheEvent, LheParticle, LheReader, Species};
pub use npy::{read_npy, write_npy};
pub use npy_file::NpyFile;
pub use npy_writer::NpyWriter;
pub use npz::{npz_names, read_npz, read_npz_array, write_npz};
pub use table::Table;

/// The formats that [`read_table`] and [`write_array`] know, by extension.
enum Format {
    Npy,
    Npz,
    Csv,
}

/// Reads a table by the file's extension: [`read_npy`], [`read_npz`] or [`read_csv`].
///
/// # Errors
///
/// [`Error::Extension`] for any other extension, and those of the reader.
pub fn read_table(path: &Path) -> Result<Table> {
    match format(path)? {
        Format::Npy => read_npy(path),
        Format::Npz => read_npz(path),
        Format::Csv => read_csv(path),
    }
}

/// As [`read_table`], but of a `.npz` archive that has an array called `array` that one, whatever else there is.
///
/// # Errors
///
/// As [`read_table`].
pub fn read_table_or_array(path: &Path, array: &str) -> Result<Table> {
    match format(path)? {
        Format::Npz if npz_names(path)?.iter().any(|name| name == array) => {
            read_npz_array(path, array)
        }
        _ => read_table(path),
    }
}

/// Writes an array by the file's extension: [`write_npy`], [`write_npz`] with one array called
/// `x`, or [`write_csv`].
///
/// # Errors
///
/// [`Error::Extension`] for any other extension, and those of the writer.
pub fn write_array(path: &Path, array: &Array<'_>) -> Result<()> {
    match format(path)? {
        Format::Npy => write_npy(path, array),
        Format::Npz => write_npz(path, &[("x", *array)]),
        Format::Csv => write_csv(path, array),
    }
}

/// The format by the file's extension, in upper or lower case.
fn format(path: &Path) -> Result<Format> {
    let extension = path.extension().map(|e| e.to_string_lossy().into_owned());
    match extension.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("npy") => Ok(Format::Npy),
        Some("npz") => Ok(Format::Npz),
        Some("csv") => Ok(Format::Csv),
        _ => Err(Error::Extension {
            path: path.to_path_buf(),
            expected: ".npy, .npz or .csv",
            found: extension.map_or_else(|| "none".to_owned(), |e| format!("`.{e}`")),
        }),
    }
}
