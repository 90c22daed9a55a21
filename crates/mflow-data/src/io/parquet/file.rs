//! A Parquet file that stays on disk: one row group at a time is in memory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use parquet::file::reader::{FileReader, SerializedFileReader};

use super::super::table::column_label;
use super::super::{Choice, Columns};
use super::bounded::Bounded;
use super::{damaged, group, guarded};
use crate::{Error, Place, Result};

/// A table in a Parquet file, for data that do not fit in memory. Rows are read in their order, a row group at a time, of which the
/// last one is kept.
pub struct ParquetFile {
    path: PathBuf,
    reader: SerializedFileReader<Bounded>,
    /// Of all columns of the file.
    names: Vec<String>,
    /// The columns that are read.
    positions: Vec<usize>,
    /// The first row of each row group, and the number of all rows.
    starts: Vec<usize>,
    held: Mutex<Option<Group>>,
}

/// The values of a row group, row after row.
#[derive(Debug)]
struct Group {
    number: usize,
    values: Vec<f64>,
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ParquetFile {
    /// Opens a file, of which these columns are wanted, and looks at each of their values once.
    ///
    /// # Errors
    ///
    /// Those of [`read`](super::super::read) about Parquet files, columns and empty tables; [`Error::NoValue`] for an empty cell and
    /// [`Error::NonFinite`] for a number that is infinite or none.
    pub fn open_columns(path: &Path, columns: &Columns) -> Result<Self> {
        let opened = guarded(path, || Self::open(path, columns))?;
        for number in 0..opened.starts.len() - 1 {
            opened.read_group(number)?;
        }
        Ok(opened)
    }

    fn open(path: &Path, columns: &Columns) -> Result<Self> {
        let place = Place::file(path);
        let file = File::open(path).map_err(Error::io("open", &place))?;
        let file = Bounded::new(file).map_err(Error::io("read", &place))?;
        let len = file.bytes();
        let reader = SerializedFileReader::new(file).map_err(|error| damaged(path, error))?;
        let metadata = reader.metadata();
        let schema = metadata.file_metadata().schema_descr();
        let names: Vec<String> = schema.columns().iter().map(|c| c.path().string()).collect();
        let positions = columns.resolve(&place, Some(&names), schema.num_columns())?;
        if positions.is_empty() {
            return Err(Error::NoColumns { place });
        }
        for &position in &positions {
            let label = column_label(Some(&names), position);
            group::check_type(&schema.column(position), label, path)?;
        }
        let mut starts = vec![0];
        let mut all = 0_usize;
        for group in metadata.row_groups() {
            let rows = group::rows(group.num_rows(), path)?;
            group::check_size(rows, positions.len(), len, path)?;
            all = all
                .checked_add(rows)
                .ok_or_else(|| damaged(path, "more rows than can be counted"))?;
            starts.push(all);
        }
        if all == 0 {
            return Err(Error::NoRows { place });
        }
        let path = path.to_owned();
        Ok(Self { path, reader, names, positions, starts, held: Mutex::new(None) })
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// The number of columns that are read.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.positions.len()
    }

    /// Names of the columns that are read.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        self.positions.iter().filter_map(|&position| self.names.get(position).cloned()).collect()
    }

    /// The columns that are read of the file, if they are not all of them in their order.
    #[must_use]
    pub fn choice(&self) -> Option<Choice> {
        let of = self.names.len();
        let whole = self.positions.iter().copied().eq(0..of);
        (!whole).then(|| Choice { positions: self.positions.clone(), of })
    }

    /// The values of `count` rows from `first` on, row-major; as many rows as there are.
    ///
    /// # Errors
    ///
    /// [`Error::Parquet`] or [`Error::Io`] where the file is no longer what it was.
    pub fn read_rows(&self, first: usize, count: usize) -> Result<Vec<f64>> {
        let end = first.saturating_add(count).min(self.rows());
        let mut all = Vec::with_capacity(end.saturating_sub(first) * self.cols());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let groups = self.starts.windows(2).enumerate();
        for (number, bounds) in groups {
            let &[start, stop] = bounds else { continue };
            let (from, to) = (first.max(start), end.min(stop));
            if from >= to {
                continue;
            }
            let group = match held.take() {
                Some(group) if group.number == number => group,
                _ => Group { number, values: self.read_group(number)? },
            };
            let part = (from - start) * self.cols()..(to - start) * self.cols();
            all.extend_from_slice(group.values.get(part).unwrap_or_default());
            *held = Some(group);
        }
        Ok(all)
    }

    fn read_group(&self, number: usize) -> Result<Vec<f64>> {
        guarded(&self.path, || {
            let (rows, columns) =
                group::columns(&self.reader, number, &self.positions, &self.path)?;
            let start = self.starts.get(number).copied().unwrap_or(0);
            let mut values = Vec::with_capacity(rows.saturating_mul(columns.len()));
            for row in 0..rows {
                for (column, &position) in columns.iter().zip(&self.positions) {
                    let value = column.get(row).copied().flatten();
                    values.push(self.checked(value, start + row, position)?);
                }
            }
            Ok(values)
        })
    }

    /// A value that is there and finite.
    fn checked(&self, value: Option<f64>, row: usize, position: usize) -> Result<f64> {
        let place = || Place::file(&self.path);
        let column = || column_label(Some(&self.names), position);
        match value {
            Some(value) if value.is_finite() => Ok(value),
            Some(value) => {
                Err(Error::NonFinite { place: place(), row, line: None, column: column(), value })
            }
            None => Err(Error::NoValue { place: place(), row, column: column() }),
        }
    }
}
