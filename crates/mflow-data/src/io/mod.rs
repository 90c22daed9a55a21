//! Tables of numbers on disk: NumPy's `.npy` and `.npz`, text, and Parquet files; images, of idx files and of folders; and events
//! of generators, `.lhe`.
//!
//! [`read`] reads any of them, as [`ReadOptions`] say, and tells what it noticed; [`read_table`] is the same without options.
//!
//! The `.npy` header is parsed here and not by the `npyz` crate, which multiplies the shape that
//! the header claims unchecked and allocates the header before it is read; the tests read what is
//! written here with it.

mod array;
mod atomic;
mod columns;
mod csv;
mod csv_fields;
mod csv_writer;
mod format;
mod idx;
mod image_options;
#[cfg(feature = "images")]
mod images;
mod lhe;
mod lines;
mod loaded;
mod npy;
mod npy_dtype;
mod npy_file;
mod npy_growing;
mod npy_header;
mod npy_writer;
mod npz;
mod options;
#[cfg(feature = "parquet")]
mod parquet;
mod table;
mod unpacked;

use std::path::Path;

use crate::Result;
use format::Format;

pub use array::{Array, Dtype};
pub use atomic::write_atomically;
pub use columns::{Choice, Columns, Pick};
pub use csv::read_csv;
pub use csv_writer::write_csv;
pub use idx::read_idx;
pub use image_options::{BadImages, Colours, ImageOptions};
#[cfg(feature = "images")]
pub use images::Images;
pub use lhe::{LheEvent, LheParticle, LheReader, Species};
pub use loaded::{Loaded, Warning, align_rows};
pub use npy::{npy_bytes, read_npy, read_npy_bytes, write_npy};
pub use npy_file::NpyFile;
pub use npy_growing::GrowingNpy;
pub use npy_writer::NpyWriter;
pub use npz::{npz_names, read_npz, read_npz_array, write_npz};
pub use options::{Delimiter, Missing, ReadOptions};
#[cfg(feature = "parquet")]
pub use parquet::ParquetFile;
pub use table::Table;

/// Reads a table by the file's extension: `.npy`, `.npz`, `.csv`, `.tsv` and, with the feature `parquet`, `.parquet`;
/// `.npy`, `.csv` and `.tsv` also packed, as `.csv.gz`. An idx file is known by its first bytes, packed or not, and with the
/// feature `images` a folder is one of PNG and JPEG files ([`Images`]), a row for each.
///
/// # Errors
///
/// [`Error::Extension`](crate::Error::Extension) for anything else,
/// [`Error::NoSuchColumn`](crate::Error::NoSuchColumn) where the options ask for a column that is not there,
/// [`Error::AllMissing`](crate::Error::AllMissing) where they leave no row, and those of [`read_npy`], [`read_npz`],
/// [`read_csv`], [`read_idx`] and [`Images`].
pub fn read(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    match Format::to_read(path)? {
        Format::Npy => npy::load(path, options),
        Format::Npz => npz::load(path, options),
        Format::Csv => csv::load(path, options),
        Format::Idx => idx::load(path, options),
        #[cfg(feature = "images")]
        Format::Folder => images::load(path, options),
        #[cfg(not(feature = "images"))]
        Format::Folder => Err(format::unread(path)),
        #[cfg(feature = "parquet")]
        Format::Parquet => parquet::load(path, options),
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => Err(format::unread(path)),
    }
}

/// As [`read`], without options and warnings.
///
/// # Errors
///
/// As [`read`].
pub fn read_table(path: &Path) -> Result<Table> {
    Ok(read(path, &ReadOptions::default())?.table)
}

/// Writes an array by the file's extension: [`write_npy`], [`write_npz`] with one array called
/// `x`, or [`write_csv`].
///
/// # Errors
///
/// [`Error::Extension`](crate::Error::Extension) for any other extension, and those of the writer.
pub fn write_array(path: &Path, array: &Array<'_>) -> Result<()> {
    match Format::to_write(path)? {
        Format::Npz => write_npz(path, &[("x", *array)]),
        Format::Csv => write_csv(path, array),
        _ => write_npy(path, array),
    }
}
