//! A `.npy` file that is written a few rows at a time.

use std::io::Write;
use std::path::Path;

use super::array::Dtype;
use super::atomic::{Pending, write_little_endian};
use super::npy_header::{count, header};
use super::table::narrow;
use crate::{Error, Place, Result};

/// What a number is written as.
#[derive(Debug, Clone, Copy)]
enum Element {
    Byte,
    Single,
    Double,
}

impl Element {
    /// As headers have it.
    fn descr(self) -> &'static str {
        match self {
            Self::Byte => "|u1",
            Self::Single => "<f4",
            Self::Double => "<f8",
        }
    }

    /// Bytes that it takes.
    fn size(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Single => 4,
            Self::Double => 8,
        }
    }
}

/// Writes an array, in double or single precision or as bytes, whose rows come one after the other, and do not fit into memory
/// together. The file is there when it is [finished](Self::finish), and not before.
#[derive(Debug)]
pub struct NpyWriter {
    pending: Pending,
    place: Place,
    element: Element,
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
        let shape: Vec<usize> = std::iter::once(rows).chain(cols).collect();
        Self::of(path, &shape, Element::Double)
    }

    /// For an array of this shape, in this precision; in single precision numbers that are too large become infinite.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_as(path: &Path, shape: &[usize], dtype: Dtype) -> Result<Self> {
        Self::of(
            path,
            shape,
            match dtype {
                Dtype::F32 => Element::Single,
                Dtype::F64 => Element::Double,
            },
        )
    }

    /// For numbers from 0 to 255, such as those of images `[n, H, W, C]`, as bytes: each is rounded to the nearest whole
    /// number. What lies beyond becomes 0 or 255, and what is no number 0.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_bytes(path: &Path, shape: &[usize]) -> Result<Self> {
        Self::of(path, shape, Element::Byte)
    }

    /// In single precision, each number rounded to the nearest, and to infinity where it is too large.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_single(path: &Path, shape: &[usize]) -> Result<Self> {
        Self::of(path, shape, Element::Single)
    }

    fn of(path: &Path, shape: &[usize], element: Element) -> Result<Self> {
        let place = Place::file(path);
        let expected = count(shape, element.size(), &place)?;
        let mut pending = Pending::create(path)?;
        pending.write(|writer| writer.write_all(&header(element.descr(), shape)))?;
        Ok(Self { pending, place, element, expected, written: 0 })
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
            let [expected, found] = self.lengths();
            return Err(Error::TrailingBytes { place: self.place.clone(), expected, found });
        }
        self.pending.write(|writer| match self.element {
            Element::Byte => write_little_endian(writer, values, |value| [byte(value)]),
            Element::Single => write_little_endian(writer, values, |v| narrow(v).to_le_bytes()),
            Element::Double => write_little_endian(writer, values, f64::to_le_bytes),
        })
    }

    /// Puts the file at its place.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] where numbers are missing, and those of [`write_atomically`](super::write_atomically).
    pub fn finish(self) -> Result<()> {
        if self.written < self.expected {
            let [expected, found] = self.lengths();
            return Err(Error::Truncated { place: self.place, expected, found });
        }
        self.pending.finish()
    }

    /// Bytes that are expected, and those so far.
    fn lengths(&self) -> [u64; 2] {
        [self.expected, self.written].map(|n| n as u64 * self.element.size())
    }
}

/// The nearest byte.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn byte(value: f64) -> u8 {
    value.round() as u8
}
