//! Small files that unpack to much more: refused, with the memory that docs/limits.md states, or read within it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use mflow::data::io::{Columns, ParquetFile, read_table};
use parquet::data_type::DoubleType;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use peak_alloc::PeakAlloc;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One after the other where tests share a process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const MIB: usize = 1 << 20;
/// What any file may unpack to.
const FREE: usize = 256 * MIB;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// What comes of a file, and the most bytes of memory that it took meanwhile.
fn watched<T>(path: &Path, read: impl FnOnce(&Path) -> T) -> (T, usize) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let read = read(path);
    (read, MEMORY.peak_usage().saturating_sub(before))
}

/// The error and its causes, of a file that takes less than `most` bytes of memory to refuse.
fn refused<T>(
    path: &Path,
    most: usize,
    read: impl FnOnce(&Path) -> mflow::data::Result<T>,
) -> String {
    let size = std::fs::metadata(path).expect("a file").len();
    assert!(size < MIB as u64, "{} has {size} bytes, which is no small file", path.display());
    let (read, memory) = watched(path, read);
    let Err(error) = read else { panic!("{} was read", path.display()) };
    assert!(memory < most, "{}: {} MiB", path.display(), memory / MIB);
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

/// As often as it takes for `bytes` bytes.
fn repeated(piece: &[u8], bytes: usize, writer: &mut dyn Write) {
    let block = piece.repeat(MIB / piece.len());
    for _ in 0..bytes.div_ceil(block.len()) {
        writer.write_all(&block).expect("a temporary file");
    }
}

/// A header that says so many bytes.
fn npy_header(count: usize) -> Vec<u8> {
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, 1), }}");
    let length = u16::try_from(text.len()).expect("a short header").to_le_bytes();
    [b"\x93NUMPY\x01\x00", length.as_slice(), text.as_bytes()].concat()
}

fn gzip(path: &Path, start: &[u8], piece: &[u8], bytes: usize) -> PathBuf {
    let file = std::fs::File::create(path).expect("a temporary file");
    let mut packer = GzEncoder::new(file, Compression::best());
    packer.write_all(start).expect("a temporary file");
    repeated(piece, bytes, &mut packer);
    packer.finish().expect("a temporary file");
    path.to_owned()
}

#[test]
fn packed_arrays_and_texts() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let bytes = FREE + 2 * MIB;
    let array = gzip(&at("x.npy.gz"), &npy_header(bytes), &[0], bytes);
    // Bytes become doubles, in a list that grows by doubling.
    let message = refused(&array, 13 * FREE, read_table);
    assert!(message.contains("x.npy.gz") && message.contains("unpack it first"), "{message}");
    let line = gzip(&at("line.csv.gz"), b"", b"0", bytes);
    let message = refused(&line, 3 * FREE, read_table);
    assert!(message.contains("line.csv.gz") && message.contains("unpack it first"), "{message}");
    let mut idx = vec![0, 0, 8, 2];
    idx.extend(u32::try_from(bytes).expect("it fits").to_be_bytes());
    idx.extend([0, 0, 0, 1]);
    let idx = gzip(&at("x-idx"), &idx, &[0], bytes);
    let message = refused(&idx, 13 * FREE, read_table);
    assert!(message.contains("x-idx") && message.contains("unpack it first"), "{message}");
}

#[test]
fn archives() {
    let folder = folder();
    let path = folder.path().join("x.npz");
    let bytes = FREE + 2 * MIB;
    let mut archive = ZipWriter::new(std::fs::File::create(&path).expect("a temporary file"));
    let options = SimpleFileOptions::DEFAULT.compression_method(CompressionMethod::Deflated);
    archive.start_file("x.npy", options).expect("an entry");
    archive.write_all(&npy_header(bytes)).expect("a temporary file");
    repeated(&[0], bytes, &mut archive);
    archive.finish().expect("an archive");
    let message = refused(&path, 13 * FREE, read_table);
    assert!(message.contains("x.npz") && message.contains("unpack it first"), "{message}");
}

#[test]
fn parquet_files_of_one_value() {
    let folder = folder();
    let path = folder.path().join("x.parquet");
    let schema = Arc::new(
        parse_message_type("message m { REQUIRED DOUBLE a; REQUIRED DOUBLE b; }")
            .expect("a schema"),
    );
    let properties = Arc::new(WriterProperties::builder().build());
    let file = std::fs::File::create(&path).expect("a temporary file");
    let mut writer = SerializedFileWriter::new(file, schema, properties).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    let rows = FREE / 8 / 2 + 1000;
    let block = vec![1.5; 1 << 20];
    while let Some(mut column) = group.next_column().expect("a column") {
        let mut left = rows;
        while left > 0 {
            let some = &block[..left.min(block.len())];
            column.typed::<DoubleType>().write_batch(some, None, None).expect("values");
            left -= some.len();
        }
        column.close().expect("a column");
    }
    group.close().expect("a row group");
    writer.close().expect("a file");
    // Its claims are enough to refuse it.
    for message in [
        refused(&path, MIB, read_table),
        refused(&path, MIB, |path| ParquetFile::open_columns(path, &Columns::All)),
    ] {
        assert!(message.contains("x.parquet") && message.contains("unpack it first"), "{message}");
    }
}

/// A PNG image of zeros, as wide and high as it says.
fn png(path: &Path, width: u32, height: u32) {
    let file = std::fs::File::create(path).expect("a temporary file");
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().expect("a header");
    let mut stream = writer.stream_writer().expect("a stream");
    repeated(&[0], (width * height) as usize, &mut stream);
    stream.finish().expect("an image");
}

#[test]
fn images() {
    // 2^29 and 2^27 bytes are the limits of what is unpacked and of what is kept.
    for (side, limit) in [(24_576, "536870912"), (12_288, "134217728")] {
        let folder = folder();
        png(&folder.path().join("x.png"), side, side);
        let path = folder.path().to_owned();
        let error = |path: &Path| read_table(path.parent().expect("a folder"));
        let message = refused(&path.join("x.png"), 3 * FREE, error);
        assert!(message.contains("x.png") && message.contains(limit), "{message}");
    }
}

/// The claims of headers cost nothing.
#[test]
fn headers_that_claim_much() {
    let folder = folder();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a temporary file");
        path
    };
    for path in [
        write("x.npy", &npy_header(1 << 50)),
        write("x.npy.gz.npy", &npy_header(usize::MAX)),
        write("x.idx", b"\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x01"),
    ] {
        refused(&path, MIB, read_table);
    }
    let safetensors = [&(1_u64 << 40).to_le_bytes()[..], b"{\"a\":{}}"].concat();
    let path = write("x.safetensors", &safetensors);
    let (read, memory) = watched(&path, mflow::core::read_tensors);
    let error = read.expect_err("no such header").to_string();
    assert!(error.contains("x.safetensors"), "{error}");
    assert!(memory < MIB, "a header's length is no allocation");
}

/// Files that are what they say, with one number more than lists hold before they double: the most for their size.
#[test]
fn files_that_are_not_packed() {
    let folder = folder();
    let count = (1 << 22) + 1;
    let doubles = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({count}, 1), }}");
    let length = u16::try_from(doubles.len()).expect("a short header").to_le_bytes();
    let doubles = [b"\x93NUMPY\x01\x00", length.as_slice(), doubles.as_bytes()].concat();
    for (name, start, number, times) in [
        ("doubles.npy", doubles, &[0; 8][..], 3),
        ("bytes.npy", npy_header(count), &[0], 24),
        ("short.csv", vec![], b"1\n", 12),
    ] {
        let path = folder.path().join(name);
        let bytes = [start, number.repeat(count)].concat();
        std::fs::write(&path, &bytes).expect("a temporary file");
        let (table, memory) = watched(&path, read_table);
        assert_eq!(table.expect("a table").rows(), count, "{name}");
        let most = bytes.len() * times;
        assert!(memory < most + MIB, "{name}: {memory} bytes of {most}");
        // The number in the table is no larger than need be.
        assert!(2 * memory > most, "{name}: only {memory} bytes of {most}");
    }
}
