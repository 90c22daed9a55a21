//! NumPy's format for one array, `.npy`.

use std::io::{self, Read, Write};
use std::path::Path;

use super::array::Numbers;
use super::atomic::write_little_endian;
use super::format::open;
use super::loaded::Incoming;
use super::npy_header::{Header, header};
use super::{Array, Loaded, ReadOptions, Table, write_atomically};
use crate::{Error, Place, Result};

/// Bytes read at a time: a multiple of every element's size.
const CHUNK: usize = 1 << 16;

/// Reads a table from a `.npy` file.
///
/// A vector becomes one column, and arrays of more than two dimensions become rows of all the values at their first index, whose
/// shape the table keeps. A file whose name ends in `.gz` is unpacked. Booleans (0 and 1), integers of 1 to 8 bytes and floats of 2, 4
/// and 8 bytes are read, in either byte order, and arrays in C or in Fortran order; integers
/// beyond 2^53 are rounded to the nearest double.
///
/// # Errors
///
/// Those that name what is wrong with the header ([`Error::NotNpy`], [`Error::NpyVersion`],
/// [`Error::NpyHeader`], [`Error::Dtype`], [`Error::Rank`]); [`Error::NoRows`] and
/// [`Error::NoColumns`] for an empty array; [`Error::TooLarge`], [`Error::Truncated`] and
/// [`Error::TrailingBytes`] where the header's shape does not fit the file, all before anything
/// is allocated; [`Error::NonFinite`] for the first value in row-major order that is NaN or
/// infinite; [`Error::Io`].
pub fn read_npy(path: &Path) -> Result<Table> {
    Ok(load(path, &ReadOptions::default())?.table)
}

/// As [`read_npy`], of bytes in memory; errors call them `name`.
///
/// # Errors
///
/// As [`read_npy`].
pub fn read_npy_bytes(mut bytes: &[u8], name: &str) -> Result<Table> {
    let len = Some(bytes.len() as u64);
    let place = Place::file(Path::new(name));
    Ok(read_from(&mut bytes, len, &place, &ReadOptions::default())?.table)
}

/// An array as [`write_npy`] writes it, in memory.
///
/// # Errors
///
/// [`Error::F32Overflow`] for a finite value that single precision cannot hold.
pub fn npy_bytes(array: &Array<'_>) -> Result<Vec<u8>> {
    let numbers = array.numbers(&Place::Memory)?;
    let mut bytes = Vec::new();
    let written = write_to(&mut bytes, &array.shape(), &numbers);
    written.map_err(Error::io("write", &Place::Memory))?;
    Ok(bytes)
}

/// As [`read_npy`], but as the options say.
pub(super) fn load(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    let (mut reader, len) = open(path)?;
    read_from(&mut reader, len, &Place::file(path), options)
}

/// Writes an array to a `.npy` file, [atomically](write_atomically).
///
/// # Errors
///
/// [`Error::F32Overflow`] for a finite value that single precision cannot hold, and those of
/// [`write_atomically`].
pub fn write_npy(path: &Path, array: &Array<'_>) -> Result<()> {
    let numbers = array.numbers(&Place::file(path))?;
    write_atomically(path, |writer| write_to(writer, &array.shape(), &numbers))
}

/// Reads an array of `len` bytes, header included, if that is known, and makes sure that there are no more.
pub(super) fn read_from(
    reader: &mut dyn Read,
    len: Option<u64>,
    place: &Place,
    options: &ReadOptions,
) -> Result<Loaded> {
    let header = Header::read(reader, place)?;
    let too_large = || Error::TooLarge { place: place.clone(), shape: header.shape.clone() };
    let (rows, cols, row_shape) = header.table(place)?;
    // An array without values may claim any number of columns, which would be counted one by one.
    if cols == 0 {
        return Err(Error::NoColumns { place: place.clone() });
    }
    if rows == 0 {
        return Err(Error::NoRows { place: place.clone() });
    }
    let expected = header.elements().and_then(|n| n.checked_mul(header.element.size() as u64));
    let expected = expected.ok_or_else(too_large)?;
    if let Some(len) = len {
        compare(place, expected, len.saturating_sub(header.len))?;
    }
    let values = read_values(reader, &header, expected, place)?;
    let values = match header.fortran_order {
        true => transposed(&values, rows, row_shape.as_deref().unwrap_or(&[cols])),
        false => values,
    };
    let mut incoming = Incoming::new(place.clone(), options, None, cols)?;
    incoming.push_all(values, rows)?;
    incoming.finish(row_shape)
}

/// Writes a header and the numbers.
pub(super) fn write_to(
    writer: &mut dyn Write,
    shape: &[usize],
    numbers: &Numbers<'_>,
) -> io::Result<()> {
    match numbers {
        Numbers::F32(values) => {
            writer.write_all(&header("<f4", shape))?;
            write_little_endian(writer, values, f32::to_le_bytes)
        }
        Numbers::F64(values) => {
            writer.write_all(&header("<f8", shape))?;
            write_little_endian(writer, values, f64::to_le_bytes)
        }
    }
}

/// Reads `expected` bytes of elements, and makes sure that no byte follows.
///
/// Memory grows with what was read, and not with what was claimed: the size that an archive
/// states for an entry may be a lie.
#[expect(clippy::integer_division_remainder_used, reason = "an element has one byte or more")]
fn read_values(
    reader: &mut dyn Read,
    header: &Header,
    expected: u64,
    place: &Place,
) -> Result<Vec<f64>> {
    let element = header.element;
    let mut values = Vec::new();
    let mut bytes = Vec::with_capacity(CHUNK);
    let mut found = 0;
    while found < expected {
        bytes.clear();
        let wanted = (expected - found).min(CHUNK as u64);
        let read = Read::take(&mut *reader, wanted).read_to_end(&mut bytes);
        found += read.map_err(Error::io("read", place))? as u64;
        let room = values.try_reserve(bytes.len() / element.size());
        room.map_err(|_| Error::TooLarge { place: place.clone(), shape: header.shape.clone() })?;
        element.decode(&bytes, &mut values);
        if (bytes.len() as u64) < wanted {
            break;
        }
    }
    // Reading on to the end also makes a zip entry compare its checksum.
    let after = io::copy(reader, &mut io::sink()).map_err(Error::io("read", place))?;
    compare(place, expected, found + after)?;
    Ok(values)
}

/// Complains of a number of bytes other than expected.
pub(super) fn compare(place: &Place, expected: u64, found: u64) -> Result<()> {
    let place = || place.clone();
    match found.cmp(&expected) {
        std::cmp::Ordering::Less => Err(Error::Truncated { place: place(), expected, found }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => {
            Err(Error::TrailingBytes { place: place(), expected, found })
        }
    }
}

/// Rows of this shape, the last index fastest, from the same array with its first index fastest.
#[expect(
    clippy::indexing_slicing,
    reason = "the header's product of dimensions is the number of values that were read"
)]
fn transposed(values: &[f64], rows: usize, row: &[usize]) -> Vec<f64> {
    // Where the values of a row are, in units of the number of rows.
    let (mut places, mut stride) = (vec![0], 1);
    for &dim in row {
        let steps = (0..dim).map(|i| i * stride);
        places =
            places.iter().flat_map(|place| steps.clone().map(move |step| place + step)).collect();
        stride *= dim;
    }
    let mut out = Vec::with_capacity(values.len());
    for i in 0..rows {
        out.extend(places.iter().map(|place| values[place * rows + i]));
    }
    out
}
