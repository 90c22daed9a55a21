//! A `.npy` file that grows a few rows at a time, over the lives of several processes.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::array::Dtype;
use super::atomic::{failed, sync_directory, write_little_endian};
use super::npy_header::{count, header};
use super::table::narrow;
use crate::{Error, Place, Result};

/// An array whose first rows may be there already: of hours of work that was interrupted, what was [synced](Self::sync) is not
/// lost. While it grows it is called `NAME.part`.
#[derive(Debug)]
pub struct GrowingNpy {
    path: PathBuf,
    part: PathBuf,
    file: File,
    dtype: Dtype,
    /// Numbers in all, and so far.
    expected: usize,
    written: usize,
}

impl GrowingNpy {
    /// For a vector `[rows]` or a matrix `[rows, cols]`, of which `done` rows are there; what is behind them is cut off.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::StorageFull`]; [`Error::Truncated`] where fewer rows are there than `done`, and [`Error::TooLarge`]
    /// for more numbers than can be counted.
    pub fn open(
        path: &Path,
        rows: usize,
        cols: Option<usize>,
        dtype: Dtype,
        done: usize,
    ) -> Result<Self> {
        let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
        name.push(".part");
        let mut part = path.with_file_name(name);
        // A process that died after it gave this file its name, and before it gave all files theirs.
        if done == rows && !part.exists() && path.exists() {
            path.clone_into(&mut part);
        }
        let shape: Vec<usize> = std::iter::once(rows).chain(cols).collect();
        let (descr, size) = match dtype {
            Dtype::F32 => ("<f4", 4),
            Dtype::F64 => ("<f8", 8),
        };
        let expected = count(&shape, size, &Place::file(&part))?;
        let written = count(&[done, cols.unwrap_or(1)], size, &Place::file(&part))?;
        let header = header(descr, &shape);
        let start = header.len() as u64;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&part);
        let mut file = file.map_err(failed(&part, "create"))?;
        let found = file.metadata().map_err(failed(&part, "read"))?.len();
        let kept = written as u64 * size;
        if done > 0 && found < start.saturating_add(kept) {
            let found = found.saturating_sub(start);
            return Err(Error::Truncated { place: Place::file(&part), expected: kept, found });
        }
        let begin = |file: &mut File| {
            file.write_all(&header)?;
            file.set_len(start + kept)?;
            file.seek(SeekFrom::End(0))
        };
        begin(&mut file).map_err(failed(&part, "write"))?;
        Ok(Self { path: path.to_path_buf(), part, file, dtype, expected, written })
    }

    /// The next numbers, in row-major order.
    ///
    /// # Errors
    ///
    /// [`Error::TrailingBytes`] for more numbers than the array has, [`Error::Io`], [`Error::StorageFull`].
    pub fn append(&mut self, values: &[f64]) -> Result<()> {
        self.written += values.len();
        if self.written > self.expected {
            let [expected, found] = self.lengths();
            return Err(Error::TrailingBytes { place: Place::file(&self.part), expected, found });
        }
        match self.dtype {
            Dtype::F32 => write_little_endian(&mut self.file, values, |v| narrow(v).to_le_bytes()),
            Dtype::F64 => write_little_endian(&mut self.file, values, f64::to_le_bytes),
        }
        .map_err(failed(&self.part, "write"))
    }

    /// Returns when all rows so far are on the disk, where a power cut leaves them.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::StorageFull`].
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(failed(&self.part, "write"))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] where numbers are missing, and those of [`sync`](Self::sync).
    pub fn finish(self) -> Result<()> {
        if self.written < self.expected {
            let [expected, found] = self.lengths();
            return Err(Error::Truncated { place: Place::file(&self.part), expected, found });
        }
        self.file.sync_all().map_err(failed(&self.part, "write"))?;
        drop(self.file); // some systems do not rename an open file
        fs::rename(&self.part, &self.path).map_err(failed(&self.path, "replace"))?;
        sync_directory(&self.path);
        Ok(())
    }

    /// Bytes of numbers that are expected, and those so far.
    fn lengths(&self) -> [u64; 2] {
        let size = if self.dtype == Dtype::F32 { 4 } else { 8 };
        [self.expected, self.written].map(|n| n as u64 * size)
    }
}
