//! The header of a `.npy` array: a magic string, a version, and a Python dictionary.
//!
//! The dictionary is cut into its top-level entries by counting brackets, without recursion, so
//! that no header, however foreign, can exhaust the stack.

use std::io::Read;

use super::npy_dtype::Element;
use crate::place::start_of;
use crate::{Error, Place, Result};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Headers longer than this are not those of arrays of plain numbers.
const MAX_TEXT: usize = 1 << 16;

/// As many dimensions as an array of NumPy may have.
const MAX_DIMS: usize = 64;

/// What is known of an array before its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The type of the elements.
    pub(super) element: Element,
    /// Whether the first index runs fastest.
    pub(super) fortran_order: bool,
    /// As many numbers as dimensions.
    pub(super) shape: Vec<u64>,
    /// Bytes before the data.
    pub(super) len: u64,
}

impl Header {
    /// Reads a header and leaves the reader at the first byte of the data.
    pub(super) fn read(reader: &mut dyn Read, place: &Place) -> Result<Self> {
        let fixed = read_up_to(reader, 8, place)?;
        let &[m0, m1, m2, m3, m4, m5, major, minor] = fixed.as_slice() else {
            return Err(not_npy(place, &fixed));
        };
        if [m0, m1, m2, m3, m4, m5] != *MAGIC {
            return Err(not_npy(place, &fixed));
        }
        let bad = |problem: String| Error::NpyHeader { place: place.clone(), problem };
        let length_size = match (major, minor) {
            (1, 0) => 2,
            (2 | 3, 0) => 4,
            _ => return Err(Error::NpyVersion { place: place.clone(), major, minor }),
        };
        let length = read_up_to(reader, length_size, place)?;
        let text_len = match *length.as_slice() {
            [a, b] => usize::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX),
            _ => return Err(bad("the file ends within it".to_owned())),
        };
        if text_len > MAX_TEXT {
            return Err(bad(format!("expected at most {MAX_TEXT} bytes, found {text_len}")));
        }
        let text = read_up_to(reader, text_len, place)?;
        if text.len() < text_len {
            return Err(bad(format!(
                "expected {text_len} bytes, but the file ends after {}",
                text.len()
            )));
        }
        let text = str::from_utf8(&text).map_err(|_| bad("expected text in UTF-8".to_owned()))?;
        let len = (8 + length_size + text_len) as u64;
        parse(text, place, len)
    }

    /// The array as a table: how many rows, how many values in each, and the shape of a row that has several dimensions.
    ///
    /// # Errors
    ///
    /// [`Error::Rank`], and [`Error::TooLarge`].
    pub(super) fn table(&self, place: &Place) -> Result<(usize, usize, Option<Vec<usize>>)> {
        let shape = || self.shape.clone();
        let too_large = || Error::TooLarge { place: place.clone(), shape: shape() };
        let dims: Option<Vec<_>> = self.shape.iter().map(|&d| usize::try_from(d).ok()).collect();
        let dims = dims.ok_or_else(too_large)?;
        let Some((&rows, row)) = dims.split_first().filter(|_| dims.len() <= MAX_DIMS) else {
            return Err(Error::Rank { place: place.clone(), shape: shape() });
        };
        // An array without values may claim any other dimension.
        let cols = if row.contains(&0) { Some(0) } else { product(row) };
        let cols = cols.ok_or_else(too_large)?;
        Ok((rows, cols, (row.len() > 1).then(|| row.to_vec())))
    }

    /// The number of elements; `None` where it overflows.
    pub(super) fn elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |product, &dim| product.checked_mul(dim))
    }
}

/// The numbers of an array that is to be written, of so many bytes each.
///
/// # Errors
///
/// [`Error::TooLarge`] for more bytes than can be counted.
pub(super) fn count(shape: &[usize], size: u64, place: &Place) -> Result<usize> {
    let bytes = |&numbers: &usize| (numbers as u64).checked_mul(size).is_some();
    product(shape).filter(bytes).ok_or_else(|| {
        let shape = shape.iter().map(|dim| *dim as u64).collect();
        Error::TooLarge { place: place.clone(), shape }
    })
}

fn product(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim))
}

/// The header that says this, padded so that the data start at a multiple of 64 bytes.
pub(super) fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let dims = shape.iter().map(|dim| format!("{dim}, ")).collect::<String>();
    // A tuple of one needs its comma, one of two has none at its end.
    let dims = if shape.len() == 1 { dims.trim_end() } else { dims.trim_end_matches(", ") };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}");
    while !(MAGIC.len() + 4 + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    // At most 64 dimensions of 20 digits are read, and so written: the text is far shorter than 2^16 bytes.
    let text_len = u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
    [MAGIC, [1, 0].as_slice(), &text_len, text.as_bytes()].concat()
}

/// Reads `len` bytes, fewer at the end of the file.
fn read_up_to(reader: &mut dyn Read, len: usize, place: &Place) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(len);
    let mut limited = Read::take(reader, len as u64);
    limited.read_to_end(&mut bytes).map_err(Error::io("read", place))?;
    Ok(bytes)
}

fn not_npy(place: &Place, bytes: &[u8]) -> Error {
    Error::NotNpy { place: place.clone(), found: bytes.escape_ascii().to_string() }
}

/// Interprets the dictionary.
fn parse(text: &str, place: &Place, len: u64) -> Result<Header> {
    let bad = |problem: String| Error::NpyHeader { place: place.clone(), problem };
    let entries = entries(text).map_err(bad)?;
    let get = |key: &str| match entries.iter().find(|(k, _)| *k == key) {
        Some(&(_, value)) => Ok(value),
        None => Err(bad(format!("expected the key '{key}', found none"))),
    };
    let descr = get("descr")?;
    let refused = |kind| Error::Dtype { place: place.clone(), kind, found: start_of(descr) };
    let Some(type_string) = quoted(descr) else {
        return Err(refused("a structured type"));
    };
    let element = Element::parse(type_string).map_err(refused)?;
    let fortran_order = match get("fortran_order")? {
        "True" => true,
        "False" => false,
        other => {
            return Err(bad(format!(
                "fortran_order: expected True or False, found {}",
                start_of(other)
            )));
        }
    };
    let shape = get("shape")?;
    let shape = dimensions(shape).ok_or_else(|| {
        bad(format!("shape: expected a tuple of whole numbers, found {}", start_of(shape)))
    })?;
    Ok(Header { element, fortran_order, shape, len })
}

/// The entries of the dictionary, each value as it is written.
fn entries(text: &str) -> std::result::Result<Vec<(&str, &str)>, String> {
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inner = inner.ok_or("expected a dictionary in braces")?;
    let mut entries = Vec::new();
    for entry in split_at_top_level(inner) {
        let (key, value) = entry.split_once(':').ok_or("expected 'key': value")?;
        let key = quoted(key.trim()).ok_or("expected a key in quotes")?;
        entries.push((key, value.trim()));
    }
    Ok(entries)
}

/// The parts between commas that are in no brackets and no quotes; blank ones are left out.
fn split_at_top_level(text: &str) -> Vec<&str> {
    let (mut depth, mut quote, mut start) = (0_i64, None, 0);
    let mut parts = Vec::new();
    for (i, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'(' | b'[' | b'{') => depth += 1,
            (None, b')' | b']' | b'}') => depth -= 1,
            (None, b',') if depth == 0 => {
                parts.extend(text.get(start..i));
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// The inside of a quoted string without escapes.
fn quoted(text: &str) -> Option<&str> {
    let inner = ["'", "\""]
        .iter()
        .find_map(|quote| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)))?;
    (!inner.contains(['\'', '"', '\\'])).then_some(inner)
}

/// The whole numbers of a tuple; Python 2 marks long ones with an L.
fn dimensions(text: &str) -> Option<Vec<u64>> {
    let inner = text.strip_prefix('(')?.strip_suffix(')')?.trim();
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let inner = inner.strip_suffix(',').unwrap_or(inner);
    inner.split(',').map(|dim| dim.trim().trim_end_matches('L').parse().ok()).collect()
}
