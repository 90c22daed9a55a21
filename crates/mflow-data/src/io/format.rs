//! Formats by the extensions of files: the only place that knows them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::idx::is_idx;
use super::unpacked::Unpacked;
use crate::{Error, Place, Result};

/// A format of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Npy,
    Npz,
    /// Text, whatever divides its fields.
    Csv,
    Parquet,
    /// Of MNIST; known by its first bytes.
    Idx,
    /// A folder of images.
    Folder,
}

/// The extensions that are read.
#[cfg(feature = "parquet")]
const READ: &str = ".npy, .npz, .csv, .tsv, .parquet, .npy.gz, .csv.gz or .tsv.gz (or an idx file, or a folder of images)";
/// The extensions that are read.
#[cfg(not(feature = "parquet"))]
const READ: &str =
    ".npy, .npz, .csv, .tsv, .npy.gz, .csv.gz or .tsv.gz (or an idx file, or a folder of images)";
/// The extensions that are written.
const WRITTEN: &str = ".npy, .npz or .csv";

impl Format {
    /// The format to read a file in.
    ///
    /// # Errors
    ///
    /// [`Error::Extension`].
    pub(super) fn to_read(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(Self::Folder);
        }
        let of_gzip = || is_gzip(path).then(|| Self::of(Path::new(path.file_stem()?))).flatten();
        match Self::of(path).or_else(|| of_gzip().filter(|format| format.is_stream())) {
            Some(format) => Ok(format),
            None if is_called_idx(path) || is_idx(path) => Ok(Self::Idx),
            None => Err(unread(path)),
        }
    }

    /// The format to write a file in.
    ///
    /// # Errors
    ///
    /// [`Error::Extension`].
    pub(super) fn to_write(path: &Path) -> Result<Self> {
        let is_written = |format: &Self| match format {
            Self::Npy | Self::Npz => true,
            Self::Csv => has_extension(path, "csv"),
            Self::Parquet | Self::Idx | Self::Folder => false,
        };
        Self::of(path).filter(is_written).ok_or_else(|| unknown(path, WRITTEN))
    }

    /// By the last extension, in upper or lower case.
    fn of(path: &Path) -> Option<Self> {
        let is = |extension| has_extension(path, extension);
        match () {
            () if is("npy") => Some(Self::Npy),
            () if is("npz") => Some(Self::Npz),
            () if is("csv") || is("tsv") => Some(Self::Csv),
            () if is("parquet") => Some(Self::Parquet),
            () => None,
        }
    }

    /// Whether it is read from its first byte to its last; the others compress by themselves.
    fn is_stream(self) -> bool {
        matches!(self, Self::Npy | Self::Csv)
    }
}

/// Whether a file is compressed as a whole.
fn is_gzip(path: &Path) -> bool {
    has_extension(path, "gz")
}

/// Opens a file, unpacking it if it is compressed. The number of its bytes is known if it is not.
///
/// # Errors
///
/// [`Error::Io`].
pub(super) fn open(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>)> {
    let place = Place::file(path);
    let file = File::open(path).map_err(Error::io("open", &place))?;
    let len = file.metadata().map_err(Error::io("read", &place))?.len();
    let reader = BufReader::new(file);
    Ok(match is_gzip(path) {
        true => (unpacked(reader, len), None),
        false => (Box::new(reader), Some(len)),
    })
}

/// Opens a file, unpacking it if its first bytes are those of gzip, whatever its name.
///
/// # Errors
///
/// [`Error::Io`].
pub(super) fn open_by_content(path: &Path) -> Result<Box<dyn BufRead>> {
    let place = Place::file(path);
    let file = File::open(path).map_err(Error::io("open", &place))?;
    let len = file.metadata().map_err(Error::io("read", &place))?.len();
    let mut reader = BufReader::new(file);
    let is_packed = reader.fill_buf().map_err(Error::io("read", &place))?.starts_with(b"\x1f\x8b");
    Ok(match is_packed {
        true => unpacked(reader, len),
        false => Box::new(reader),
    })
}

/// What a file of `len` bytes unpacks to, as far as that is not far more.
fn unpacked(reader: BufReader<File>, len: u64) -> Box<dyn BufRead> {
    Box::new(BufReader::new(Unpacked::new(MultiGzDecoder::new(reader), len)))
}

/// Whether a file is not packed, so that its rows can be read one by one.
#[cfg(feature = "images")]
pub(super) fn is_plain(path: &Path) -> bool {
    !is_gzip(path)
}

/// Whether a file has a name as those of MNIST: `train-images-idx3-ubyte.gz`, `t10k-labels.idx1-ubyte`.
fn is_called_idx(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.ends_with("-ubyte") && name.contains("idx") || name.ends_with(".idx")
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// That a file is of no format that is read.
pub(super) fn unread(path: &Path) -> Error {
    unknown(path, READ)
}

fn unknown(path: &Path, expected: &'static str) -> Error {
    let found = path.extension().map(|e| format!("`.{}`", e.to_string_lossy()));
    let found = found.unwrap_or_else(|| "none".to_owned());
    Error::Extension { path: path.to_path_buf(), expected, found }
}
