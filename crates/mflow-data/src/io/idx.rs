//! The format in which MNIST is given away, idx: two bytes 0, one for the type, one for the number of dimensions, the dimensions
//! in 4 bytes each, then the numbers. All of it is big-endian.

use std::io::{self, BufRead, Read};
use std::path::Path;

use super::format::open_by_content;
use super::loaded::Incoming;
use super::npy::compare;
use super::npy_dtype::Element;
use super::{Loaded, ReadOptions, Table};
use crate::{Error, Place, Result};

/// As many dimensions as are read: labels, rows, images of one channel, images of several.
const MAX_DIMS: u8 = 4;

/// Bytes read at a time, at least one row.
const BLOCK: usize = 1 << 20;

/// Reads a table from an idx file, plain or packed by gzip: labels `[n]` become one column, images `[n, H, W]` rows of `H * W`
/// values with the shape `[H, W, 1]`, and `[n, H, W, C]` rows with the shape `[H, W, C]`.
///
/// Bytes with and without sign, integers of 2 and 4 bytes and floats of 4 and 8 bytes are read.
///
/// # Errors
///
/// [`Error::Idx`] where the header is that of no such file; [`Error::NoRows`], [`Error::NoColumns`], [`Error::TooLarge`],
/// [`Error::Truncated`], [`Error::TrailingBytes`] and [`Error::NonFinite`] as for [`read_npy`](super::read_npy); [`Error::Io`].
pub fn read_idx(path: &Path) -> Result<Table> {
    Ok(load(path, &ReadOptions::default())?.table)
}

/// As [`read_idx`], but as the options say.
pub(super) fn load(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    let idx = Idx::open(path)?;
    let (rows, cols, shape) = (idx.rows, idx.cols, idx.row_shape.clone());
    let mut values = Vec::new();
    idx.for_each_block(&mut |block| {
        values.extend_from_slice(block);
        Ok(())
    })?;
    // Only now is it known that the columns are as many as the header claims, so that they may be listed.
    let mut incoming = Incoming::new(Place::file(path), options, None, cols)?;
    incoming.push_all(values, rows)?;
    incoming.finish(shape)
}

/// Whether the first bytes, unpacked, are those of an idx file.
pub(super) fn is_idx(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = open_by_content(path).and_then(|mut reader| {
        let read = reader.read_exact(&mut start);
        read.map_err(Error::io("read", &Place::file(path)))
    });
    read.is_ok() && start[..2] == [0, 0] && element(start[2]).is_some() && is_rank(start[3])
}

/// An idx file whose header was read.
pub(super) struct Idx {
    reader: Box<dyn BufRead>,
    place: Place,
    element: Element,
    /// The first dimension.
    pub(super) rows: usize,
    /// Values at each first index.
    pub(super) cols: usize,
    /// `[H, W, C]` of images; none for labels and for plain rows.
    pub(super) row_shape: Option<Vec<usize>>,
    /// Bytes of the numbers.
    expected: u64,
}

impl Idx {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// Those of [`read_idx`] that the header brings about.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let place = Place::file(path);
        let mut reader = open_by_content(path)?;
        let bad = |problem: String| Error::Idx { place: place.clone(), problem };
        let start = read_up_to(&mut reader, 4, &place)?;
        let &[0, 0, code, rank] = start.as_slice() else {
            let found = start.escape_ascii();
            return Err(bad(format!("expected two bytes 0 first, found \"{found}\"")));
        };
        let element = element(code).ok_or_else(|| {
            bad(format!("expected the type 08, 09, 0b, 0c, 0d or 0e, found {code:02x}"))
        })?;
        if !is_rank(rank) {
            return Err(bad(format!("expected 1 to {MAX_DIMS} dimensions, found {rank}")));
        }
        let lengths = read_up_to(&mut reader, 4 * usize::from(rank), &place)?;
        let (dims, rest) = lengths.as_chunks::<4>();
        if dims.len() < usize::from(rank) || !rest.is_empty() {
            return Err(bad(format!("expected {rank} dimensions, but the file ends before them")));
        }
        let shape: Vec<u64> = dims.iter().map(|dim| u32::from_be_bytes(*dim).into()).collect();
        let too_large = || Error::TooLarge { place: place.clone(), shape: shape.clone() };
        let dims: Option<Vec<usize>> = shape.iter().map(|&dim| usize::try_from(dim).ok()).collect();
        let dims = dims.ok_or_else(too_large)?;
        let (&rows, row) = dims.split_first().ok_or_else(too_large)?;
        let cols = row.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim));
        let cols = cols.ok_or_else(too_large)?;
        let sizes = [rows as u64, cols as u64, element.size() as u64];
        let expected = sizes.iter().try_fold(1_u64, |all, n| all.checked_mul(*n));
        let expected = expected.ok_or_else(too_large)?;
        let row_shape = match dims.as_slice() {
            [_, height, width] => Some(vec![*height, *width, 1]),
            [_, row @ ..] if row.len() > 2 => Some(row.to_vec()),
            _ => None,
        };
        if rows == 0 {
            return Err(Error::NoRows { place });
        }
        if cols == 0 {
            return Err(Error::NoColumns { place });
        }
        Ok(Self { reader, place, element, rows, cols, row_shape, expected })
    }

    /// Shows all values to `see`, whole rows at a time, in order, and makes sure that no byte follows. Memory grows with what
    /// was read, not with what the header claims.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`], [`Error::TrailingBytes`], [`Error::Io`], and those of `see`.
    #[expect(clippy::integer_division_remainder_used, reason = "columns and sizes are 1 or more")]
    pub(super) fn for_each_block(
        mut self,
        see: &mut dyn FnMut(&[f64]) -> Result<()>,
    ) -> Result<()> {
        let width = self.cols.saturating_mul(self.element.size());
        let block = (BLOCK / width).max(1) as u64 * width as u64;
        let (mut found, mut bytes, mut values) = (0, Vec::new(), Vec::new());
        while found < self.expected {
            bytes.clear();
            let wanted = (self.expected - found).min(block);
            let read = Read::take(&mut self.reader, wanted).read_to_end(&mut bytes);
            found += read.map_err(Error::io("read", &self.place))? as u64;
            if (bytes.len() as u64) < wanted {
                break;
            }
            values.clear();
            self.element.decode(&bytes, &mut values);
            see(&values)?;
        }
        let after = io::copy(&mut self.reader, &mut io::sink());
        compare(&self.place, self.expected, found + after.map_err(Error::io("read", &self.place))?)
    }
}

/// The type of the numbers by its code.
fn element(code: u8) -> Option<Element> {
    let descr = match code {
        0x08 => "|u1",
        0x09 => "|i1",
        0x0b => ">i2",
        0x0c => ">i4",
        0x0d => ">f4",
        0x0e => ">f8",
        _ => return None,
    };
    Element::parse(descr).ok()
}

fn is_rank(rank: u8) -> bool {
    (1..=MAX_DIMS).contains(&rank)
}

/// Reads `len` bytes, fewer at the end of the file.
fn read_up_to(reader: &mut dyn Read, len: usize, place: &Place) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(len);
    let mut limited = Read::take(reader, len as u64);
    limited.read_to_end(&mut bytes).map_err(Error::io("read", place))?;
    Ok(bytes)
}
