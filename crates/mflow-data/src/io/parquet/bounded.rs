//! A file that ends: what it claims to have behind its end is refused before it is allocated, and is not waited for.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};

use bytes::Bytes;
use parquet::errors::Result;
use parquet::file::reader::{ChunkReader, Length};

/// How often a reader may be told that the file ends. Of a list of 10^18 bytes the page headers' parser skips each one behind the end.
const ENDS: usize = 16;

/// A Parquet file for its reader.
#[derive(Debug)]
pub(super) struct Bounded {
    file: File,
    len: u64,
}

impl Bounded {
    /// The whole file.
    pub(super) fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.len
    }
}

impl Length for Bounded {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Bounded {
    type T = BufReader<Ending<File>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let reader = self.file.get_read(start)?.into_inner();
        Ok(BufReader::new(Ending { reader, ends: 0 }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.len) {
            return Err(ended().into());
        }
        self.file.get_bytes(start, length)
    }
}

/// A reader that fails where it is asked for more behind its end, again and again.
#[derive(Debug)]
pub(super) struct Ending<R> {
    reader: R,
    ends: usize,
}

impl<R: Read> Read for Ending<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            self.ends += 1;
        }
        if self.ends > ENDS { Err(ended()) } else { Ok(read) }
    }
}

fn ended() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the file ends before what it claims to have")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_may_see_the_end_a_few_times() {
        let mut reader = Ending { reader: &b"ab"[..], ends: 0 };
        let mut buffer = [0; 4];
        assert_eq!(reader.read(&mut buffer).expect("what is there"), 2);
        for _ in 0..ENDS {
            assert_eq!(reader.read(&mut buffer).expect("the end"), 0);
            assert_eq!(reader.read(&mut []).expect("nothing is asked for"), 0);
        }
        let error = reader.read(&mut buffer).expect_err("once too often");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
