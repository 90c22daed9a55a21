//! Tables that stay on disk: their rows are read in order, some at a time.
use super::exit::Usage;
use anyhow::{Result, bail};
use mflow::data::io::{Choice, Columns, NpyFile, ParquetFile};
use std::path::Path;

/// A table on disk.
#[derive(Debug)]
pub(super) enum OnDisk {
    Npy(NpyFile),
    Parquet(ParquetFile),
}

impl OnDisk {
    /// Open a file, of which these columns are wanted.
    pub(super) fn open(path: &Path, columns: &Columns) -> Result<Self> {
        if is(path, "npy") {
            return Ok(Self::Npy(NpyFile::open_columns(path, columns)?));
        }
        if is(path, "parquet") {
            return Ok(Self::Parquet(ParquetFile::open_columns(path, columns)?));
        }
        bail!(Usage(format!(
            "{}: expected a .npy or .parquet file to --stream rows from; other files are read whole",
            path.display()
        )))
    }

    /// Whether a file is one of these, by its name.
    pub(super) fn is_one(path: &Path) -> bool {
        is(path, "npy") || is(path, "parquet")
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Npy(file) => file.rows(),
            Self::Parquet(file) => file.rows(),
        }
    }

    pub(super) fn cols(&self) -> usize {
        match self {
            Self::Npy(file) => file.cols(),
            Self::Parquet(file) => file.cols(),
        }
    }

    /// Names of the columns, if they have names.
    pub(super) fn columns(&self) -> Option<Vec<String>> {
        match self {
            Self::Npy(_) => None,
            Self::Parquet(file) => Some(file.columns()),
        }
    }

    /// The columns that are read, if they are not all in their order.
    pub(super) fn choice(&self) -> Option<Choice> {
        match self {
            Self::Npy(file) => file.choice(),
            Self::Parquet(file) => file.choice(),
        }
    }

    /// The shape of a row, if it has several dimensions.
    pub(super) fn row_shape(&self) -> Option<&[usize]> {
        match self {
            Self::Npy(file) => file.row_shape(),
            Self::Parquet(_) => None,
        }
    }

    /// Rows from `first` on, as many as there are.
    pub(super) fn read_rows(&self, first: usize, count: usize) -> Result<Vec<f64>> {
        Ok(match self {
            Self::Npy(file) => file.read_rows(first, count)?,
            Self::Parquet(file) => file.read_rows(first, count)?,
        })
    }
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
}
