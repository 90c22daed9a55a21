//! A `.npy` file that stays on disk: rows are read when they are asked for.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use mflow_train::{RowReader, SourceError};

use super::columns::{Choice, Columns};
use super::npy_dtype::Element;
use super::npy_header::Header;
use crate::{Error, Place, Result};

/// Bytes read at a time where all rows are read.
const BLOCK: usize = 1 << 20;

/// A matrix in a `.npy` file, for data that do not fit in memory. Only the rows that are asked for are
/// read, by their position in the file; nothing is mapped into memory.
#[derive(Debug)]
pub struct NpyFile {
    path: PathBuf,
    file: File,
    element: Element,
    /// Bytes before the first row.
    start: u64,
    rows: usize,
    /// Columns of the file.
    of: usize,
    /// The columns that are read; none for all of them.
    chosen: Option<Vec<usize>>,
    row_shape: Option<Vec<usize>>,
}

impl NpyFile {
    /// Opens a file in C order (the rows one after another; `numpy.ascontiguousarray` makes them so), and
    /// looks at each of its values once.
    ///
    /// # Errors
    ///
    /// As [`read_npy`](super::read_npy), and [`Error::FortranOrder`] for an array in Fortran order.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_columns(path, &Columns::All)
    }

    /// The same of some columns; the others may hold anything.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Error::NoSuchColumn`].
    pub fn open_columns(path: &Path, columns: &Columns) -> Result<Self> {
        let place = Place::file(path);
        let file = File::open(path).map_err(Error::io("open", &place))?;
        let len = file.metadata().map_err(Error::io("read", &place))?.len();
        let header = Header::read(&mut BufReader::new(&file), &place)?;
        let too_large = || Error::TooLarge { place: place.clone(), shape: header.shape.clone() };
        let (rows, cols, row_shape) = header.table(&place)?;
        if rows == 0 {
            return Err(Error::NoRows { place });
        }
        if cols == 0 {
            return Err(Error::NoColumns { place });
        }
        if header.fortran_order && cols > 1 {
            return Err(Error::FortranOrder { place });
        }
        let size = header.element.size() as u64;
        let expected = header.elements().and_then(|n| n.checked_mul(size)).ok_or_else(too_large)?;
        super::npy::compare(&place, expected, len.saturating_sub(header.len))?;
        let positions = columns.resolve(&place, None, cols)?;
        if positions.is_empty() {
            return Err(Error::NoColumns { place });
        }
        let chosen = (!positions.iter().copied().eq(0..cols)).then_some(positions);
        let row_shape = row_shape.filter(|_| chosen.is_none());
        let (path, element, start) = (path.to_owned(), header.element, header.len);
        let opened = Self { path, file, element, start, rows, of: cols, chosen, row_shape };
        opened.check_finite()?;
        Ok(opened)
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.chosen.as_ref().map_or(self.of, Vec::len)
    }

    /// The columns that are read of the file, if they are not all of them in their order.
    #[must_use]
    pub fn choice(&self) -> Option<Choice> {
        self.chosen.clone().map(|positions| Choice { positions, of: self.of })
    }

    /// The shape of a row that has several dimensions, as [`Table::row_shape`](super::Table::row_shape).
    #[must_use]
    pub fn row_shape(&self) -> Option<&[usize]> {
        self.row_shape.as_deref()
    }

    /// The values of `count` rows from `first` on, row-major; as many rows as there are.
    ///
    /// # Errors
    ///
    /// As [`for_each_block`](Self::for_each_block).
    pub fn read_rows(&self, first: usize, count: usize) -> Result<Vec<f64>> {
        let count = count.min(self.rows.saturating_sub(first));
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut values = Vec::with_capacity(count * self.cols());
        self.read_run(first, count, &mut values)?;
        Ok(values)
    }

    /// Shows all values to `see`, whole rows at a time, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], or [`Error::Truncated`] where the file has become shorter.
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "rows have a column or more, as `open_columns` checks, and positions are below their number"
    )]
    pub fn for_each_block(&self, see: &mut dyn FnMut(&[f64])) -> Result<()> {
        let at_once = (BLOCK / (self.of * self.element.size())).max(1);
        let mut values = Vec::new();
        for first in (0..self.rows).step_by(at_once) {
            values.clear();
            self.read_run(first, at_once.min(self.rows - first), &mut values)?;
            see(&values);
        }
        Ok(())
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::integer_division_remainder_used,
        reason = "rows have a column or more, as `open_columns` checks, and positions are below their number"
    )]
    fn check_finite(&self) -> Result<()> {
        let (mut row, mut bad, cols) = (0, None, self.cols());
        let in_file = |column: usize| self.chosen.as_ref().map_or(column, |chosen| chosen[column]);
        self.for_each_block(&mut |values| {
            if bad.is_none() {
                let found = values.iter().position(|value| !value.is_finite());
                bad = found.map(|i| (row + i / cols, in_file(i % cols), values[i]));
            }
            row += values.len() / cols;
        })?;
        match bad {
            None => Ok(()),
            Some((row, column, value)) => {
                let (place, column) = (Place::file(&self.path), format!("column {column}"));
                Err(Error::NonFinite { place, row, line: None, column, value })
            }
        }
    }

    /// Appends the values of `count` rows from `first` on.
    #[expect(
        clippy::indexing_slicing,
        reason = "rows have a column or more, as `open_columns` checks, and positions are below their number"
    )]
    fn read_run(&self, first: usize, count: usize, values: &mut Vec<f64>) -> Result<()> {
        let width = self.of * self.element.size();
        let mut bytes = vec![0; count * width];
        let offset = self.start + first as u64 * width as u64;
        read_exact_at(&self.file, &mut bytes, offset).map_err(|e| {
            let place = Place::file(&self.path);
            match e.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    let expected = self.rows as u64 * width as u64;
                    let len = self.file.metadata().map_or(0, |m| m.len());
                    Error::Truncated { place, expected, found: len.saturating_sub(self.start) }
                }
                _ => Error::io("read", &place)(e),
            }
        })?;
        let Some(chosen) = &self.chosen else {
            self.element.decode(&bytes, values);
            return Ok(());
        };
        let mut all = Vec::with_capacity(count * self.of);
        self.element.decode(&bytes, &mut all);
        values.extend(all.chunks_exact(self.of).flat_map(|row| chosen.iter().map(|&j| row[j])));
        Ok(())
    }
}

/// Reads at a position without moving any other reader.
#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Reads at a position, with a reader of its own.
#[cfg(not(unix))]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    use std::sync::{Mutex, PoisonError};
    /// Clones of a file share its position: one reader at a time.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

impl RowReader for NpyFile {
    fn rows(&self) -> usize {
        self.rows
    }

    fn cols(&self) -> usize {
        Self::cols(self)
    }

    fn read(&self, rows: &[usize]) -> Result<Vec<f64>, SourceError> {
        let mut values = Vec::with_capacity(rows.len() * self.cols());
        // Rows that follow one another in the file are one read.
        let runs = rows.chunk_by(|a, b| a.checked_add(1) == Some(*b));
        for run in runs {
            match (run.first(), run.last()) {
                (Some(&first), Some(&last)) if last < self.rows => {
                    self.read_run(first, run.len(), &mut values)?;
                }
                _ => {
                    let (path, rows) = (self.path.display(), self.rows);
                    let found = run.last().copied().unwrap_or(0);
                    return Err(
                        format!("{path}: expected a row below {rows}, found {found}").into()
                    );
                }
            }
        }
        Ok(values)
    }
}
