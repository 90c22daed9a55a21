//! NumPy's format for several arrays, `.npz`: a zip archive of `.npy` files.

use std::fs::File;
use std::io::{BufReader, Cursor, Write};
use std::path::Path;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::npy::{read_from, write_to};
use super::unpacked::Unpacked;
use super::{Array, Loaded, ReadOptions, Table, write_atomically};
use crate::{Error, Place, Result};

/// Entries larger than this need the format's 64-bit extension; some bytes are left for headers.
const LARGE: usize = u32::MAX as usize - (1 << 20);

/// Reads a table from a `.npz` archive: the array called `x` if there is one, else the only one.
///
/// # Errors
///
/// [`Error::WhichArray`] where there are several arrays or none, and those of [`read_npz_array`].
pub fn read_npz(path: &Path) -> Result<Table> {
    Ok(load(path, &ReadOptions::default())?.table)
}

/// As [`read_npz`], but as the options say, which may name an array that goes before `x`.
pub(super) fn load(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    let mut archive = open(path)?;
    let mut names = array_names(&archive, path)?;
    let name = match (options.array.as_ref(), names.as_slice()) {
        (Some(array), names) if names.contains(array) => array.clone(),
        (_, [only]) => only.clone(),
        (_, names) if names.iter().any(|name| name == "x") => "x".to_owned(),
        _ => {
            names.sort();
            return Err(Error::WhichArray { path: path.to_path_buf(), names });
        }
    };
    read_entry(&mut archive, path, &name, options)
}

/// Reads the array called `name` from a `.npz` archive, stored or deflated.
///
/// # Errors
///
/// [`Error::Zip`] where the archive cannot be read, [`Error::NoSuchArray`] where it has no such
/// array, and those of [`read_npy`](super::read_npy). The size that the archive states for the
/// array is compared with its header first, and with its data as they are unpacked, so that
/// memory grows with the data that there really are. Data that unpack to more than 256 MiB and more than 100 times their
/// size are refused with [`Error::Io`].
pub fn read_npz_array(path: &Path, name: &str) -> Result<Table> {
    Ok(read_entry(&mut open(path)?, path, name, &ReadOptions::default())?.table)
}

/// The names of the arrays of a `.npz` archive, sorted.
///
/// # Errors
///
/// [`Error::Zip`] where the archive cannot be read, and [`Error::Io`].
pub fn npz_names(path: &Path) -> Result<Vec<String>> {
    let mut names = array_names(&open(path)?, path)?;
    names.sort();
    Ok(names)
}

/// Writes arrays with their names to a `.npz` archive, uncompressed like NumPy's `savez`,
/// [atomically](write_atomically). The same arrays give the same bytes.
///
/// The archive is put together in memory, which takes as much again as the arrays.
///
/// # Errors
///
/// [`Error::F32Overflow`] for a finite value that single precision cannot hold, [`Error::Zip`]
/// where two arrays have the same name, and those of [`write_atomically`].
pub fn write_npz(path: &Path, arrays: &[(&str, Array<'_>)]) -> Result<()> {
    // In memory, as the zip writer prints to the standard error where a file fails it.
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        let place = Place::archive(path, name);
        let numbers = array.numbers(&place)?;
        let options = SimpleFileOptions::DEFAULT
            .compression_method(CompressionMethod::Stored)
            .large_file(numbers.byte_len() > LARGE);
        archive
            .start_file(format!("{name}.npy"), options)
            .map_err(|error| zip_error("write", place.clone(), error))?;
        write_to(&mut archive, &array.shape(), &numbers).map_err(Error::io("write", &place))?;
    }
    let bytes = archive.finish();
    let bytes = bytes.map_err(|error| zip_error("write", Place::file(path), error))?;
    write_atomically(path, |writer| writer.write_all(bytes.get_ref()))
}

fn open(path: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let place = Place::file(path);
    let file = File::open(path).map_err(Error::io("open", &place))?;
    ZipArchive::new(BufReader::new(file)).map_err(|error| zip_error("read", place, error))
}

fn array_names(archive: &ZipArchive<BufReader<File>>, path: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for name in archive.file_names() {
        let name = name.map_err(|error| zip_error("read", Place::file(path), error))?;
        // Other files may lie in the archive: NumPy does not count them as arrays either.
        names.extend(name.strip_suffix(".npy").map(str::to_owned));
    }
    Ok(names)
}

fn read_entry(
    archive: &mut ZipArchive<BufReader<File>>,
    path: &Path,
    name: &str,
    options: &ReadOptions,
) -> Result<Loaded> {
    let place = Place::archive(path, name);
    let mut names = array_names(archive, path)?;
    if !names.iter().any(|n| n == name) {
        names.sort();
        return Err(Error::NoSuchArray { path: path.to_path_buf(), name: name.to_owned(), names });
    }
    let entry = archive.by_name(&format!("{name}.npy"));
    let mut entry = entry.map_err(|error| zip_error("read", place.clone(), error))?;
    let (len, packed) = (entry.size(), entry.compressed_size());
    let found = std::fs::metadata(path).map_err(Error::io("read", &place))?.len();
    // What the archive says of sizes may be a lie.
    let mut entry = Unpacked::new(&mut entry, packed.min(found));
    read_from(&mut entry, Some(len), &place, options)
}

fn zip_error(action: &'static str, place: Place, error: ZipError) -> Error {
    match error {
        ZipError::Io(source) => Error::Io { action, place, source },
        error => Error::Zip { place, source: Box::new(error) },
    }
}
