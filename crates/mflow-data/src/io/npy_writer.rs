//! A `.npy` file that is written a few rows at a time.

use std::io::Write;
use std::path::Path;

use super::atomic::{Pending, write_little_endian};
use super::npy_header::header;
use crate::{Error, Place, Result};

/// Writes an array in double precision whose rows come one after the other, and do not fit into memory together. The file is
/// there when it is [finished](Self::finish), and not before.
#[derive(Debug)]
pub struct NpyWriter {
    pending: Pending,
    place: Place,
    /// Numbers in all, and so far.
    expected: usize,
    written: usize,
}

impl NpyWriter {
    /// For a vector `[rows]`, or a matrix `[rows, cols]`.
    ///
    /// # Errors
    ///
    /// Those of [`write_atomically`](super::write_atomically), and [`Error::TooLarge`] for more numbers than can be counted.
    pub fn create(path: &Path, rows: usize, cols: Option<usize>) -> Result<Self> {
        let place = Place::file(path);
        let shape: Vec<usize> = std::iter::once(rows).chain(cols).collect();
        let Some(expected) = rows.checked_mul(cols.unwrap_or(1)) else {
            let shape = shape.iter().map(|d| *d as u64).collect();
            return Err(Error::TooLarge { place, shape });
        };
        let mut pending = Pending::create(path)?;
        pending.write(|writer| writer.write_all(&header("<f8", &shape)))?;
        Ok(Self { pending, place, expected, written: 0 })
    }

    /// The next numbers, in row-major order.
    ///
    /// # Errors
    ///
    /// [`Error::TrailingBytes`] for more numbers than the array has, and those of
    /// [`write_atomically`](super::write_atomically).
    pub fn write(&mut self, values: &[f64]) -> Result<()> {
        self.written += values.len();
        if self.written > self.expected {
            let [expected, found] = self.bytes();
            return Err(Error::TrailingBytes { place: self.place.clone(), expected, found });
        }
        self.pending.write(|writer| write_little_endian(writer, values, f64::to_le_bytes))
    }

    /// Puts the file at its place.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] where numbers are missing, and those of [`write_atomically`](super::write_atomically).
    pub fn finish(self) -> Result<()> {
        if self.written < self.expected {
            let [expected, found] = self.bytes();
            return Err(Error::Truncated { place: self.place, expected, found });
        }
        self.pending.finish()
    }

    /// Expected, and so far.
    fn bytes(&self) -> [u64; 2] {
        [self.expected, self.written].map(|n| n as u64 * size_of::<f64>() as u64)
    }
}
