//! How much a packed file may unpack to: a small file that fills the memory is refused.

use std::io::{self, Read};

/// Bytes that any file may unpack to.
const FREE: u64 = 1 << 28;
/// Beyond that, how many times its size. Tables of measured numbers are packed to a half or a tenth; zeros to a thousandth.
const RATIO: u64 = 100;

/// The most bytes that a file of `packed` bytes may unpack to.
pub(super) fn most(packed: u64) -> u64 {
    packed.saturating_mul(RATIO).max(FREE)
}

/// What is wrong with a file of `packed` bytes that unpacks to more.
pub(super) fn refusal(packed: u64) -> String {
    let most = most(packed);
    format!(
        "expected at most {most} bytes when unpacked ({RATIO} times its size, or {FREE}), found more; if it is to be \
         trusted, unpack it first"
    )
}

/// A reader of unpacked bytes that ends with an error behind [`most`] of them.
#[derive(Debug)]
pub(super) struct Unpacked<R> {
    reader: R,
    packed: u64,
    found: u64,
}

impl<R> Unpacked<R> {
    /// What `reader` unpacks of `packed` bytes.
    pub(super) fn new(reader: R, packed: u64) -> Self {
        Self { reader, packed, found: 0 }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.found += read as u64;
        match self.found > most(self.packed) {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, refusal(self.packed))),
            false => Ok(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_grow_a_hundred_times_and_to_some_size_in_any_case() {
        assert_eq!(most(1), FREE);
        assert_eq!(most(FREE), 100 * FREE);
        assert_eq!(most(u64::MAX), u64::MAX);
        let read = |len, packed| {
            let mut reader = Unpacked::new(io::repeat(0).take(len), packed);
            io::copy(&mut reader, &mut io::sink())
        };
        assert_eq!(read(FREE, 1).expect("as much as any file"), FREE);
        let error = read(FREE + 1, 1).expect_err("a byte more").to_string();
        assert!(error.contains("268435456") && error.contains("unpack it first"), "{error}");
        assert_eq!(read(FREE + 1, FREE).expect("a large file"), FREE + 1);
    }
}
