//! Tables in Parquet files, of which only the columns that are wanted are read.

mod bounded;
mod file;
mod group;

use std::error::Error as StdError;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use mflow_bijectors::printable;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::loaded::Incoming;
use super::{Loaded, Missing, ReadOptions};
use crate::{Error, Place, Result};

pub use file::ParquetFile;

use bounded::Bounded;

/// Reads a table from a Parquet file.
///
/// # Errors
///
/// [`Error::Parquet`] where the file is damaged or uses what is not supported, [`Error::ColumnType`] for a wanted column that
/// holds no plain numbers, [`Error::NoValue`] for an empty cell, and those of [`read_npy`](super::read_npy) about tables.
pub(super) fn load(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    guarded(path, || read(path, options))
}

/// The reader checks most of what a damaged file may claim, and panics at the rest.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    let read = catch_unwind(AssertUnwindSafe(read));
    read.unwrap_or_else(|_| Err(damaged(path, "it contradicts itself")))
}

#[expect(clippy::indexing_slicing, reason = "as many values as rows, as was checked")]
fn read(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    let place = Place::file(path);
    let file = File::open(path).map_err(Error::io("open", &place))?;
    let file = Bounded::new(file).map_err(Error::io("read", &place))?;
    let len = file.bytes();
    let reader = SerializedFileReader::new(file).map_err(|error| damaged(path, error))?;
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema_descr();
    let names = schema.columns().iter().map(|column| column.path().string()).collect();
    let mut incoming = Incoming::new(place, options, Some(names), schema.num_columns())?;
    let positions = incoming.choice().positions.clone();
    for &position in &positions {
        group::check_type(&schema.column(position), incoming.label(position), path)?;
    }
    let mut all = 0_usize;
    for group in metadata.row_groups() {
        all = all.saturating_add(group::rows(group.num_rows(), path)?);
    }
    group::check_size(all, positions.len(), len, path)?;
    for number in 0..metadata.num_row_groups() {
        let (rows, columns) = group::columns(&reader, number, &positions, path)?;
        if positions.is_empty() {
            continue;
        }
        let mut row = Vec::with_capacity(positions.len());
        for i in 0..rows {
            row.clear();
            for (values, &position) in columns.iter().zip(&positions) {
                let missing = || Error::NoValue {
                    place: Place::file(path),
                    row: incoming.row(),
                    column: incoming.label(position),
                };
                row.push(match (values[i], options.missing) {
                    (Some(value), _) => value,
                    (None, Missing::Drop) => f64::NAN,
                    (None, Missing::Refuse) => return Err(missing()),
                });
            }
            incoming.push(&row, None)?;
        }
    }
    incoming.finish(None)
}

fn damaged(path: &Path, what: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    // The reader quotes names of the file as they are.
    let source = printable(&what.into().to_string()).into_owned().into();
    Error::Parquet { path: path.to_path_buf(), source }
}
