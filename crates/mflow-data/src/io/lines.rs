//! The lines of a text file, with their numbers.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use crate::{Error, Place, Result};

/// Reads one line after the other.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    path: PathBuf,
    /// Bytes of a line, its end included, at most.
    limit: u64,
    line: u64,
    bytes: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The lines of the file at `path`, none of which may be longer than `limit` bytes.
    pub(super) fn new(reader: R, path: &Path, limit: u64) -> Self {
        Self { reader, path: path.to_path_buf(), limit, line: 0, bytes: Vec::new() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the last line that was read, from 1; 0 before the first.
    pub(super) fn number(&self) -> u64 {
        self.line
    }

    /// The next line, without its end, and its number; none at the end of the file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::LongLine`].
    pub(super) fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
        self.bytes.clear();
        let read = self.reader.by_ref().take(self.limit).read_until(b'\n', &mut self.bytes);
        let read = read.map_err(Error::io("read", &Place::file(&self.path)))?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        let ended = self.bytes.ends_with(b"\n");
        if !ended && read as u64 == self.limit {
            let (path, line, limit) = (self.path.clone(), self.line, self.limit);
            return Err(Error::LongLine { path, line, limit });
        }
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let len = self.bytes.iter().rposition(|byte| !is_end(byte)).map_or(0, |last| last + 1);
        self.bytes.truncate(len);
        Ok(Some((self.line, &self.bytes)))
    }
}
