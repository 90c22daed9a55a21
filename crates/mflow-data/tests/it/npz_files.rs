//! `.npz` archives: NumPy's, and damaged ones.

use std::fs;
use std::io::{Cursor, Write};

use mflow_data::io::{npz_names, read_npz, read_npz_array, read_table};

use crate::files::{BASE, assert_error, directory, file, fixture};

#[test]
fn x_comes_first_then_the_only_array() {
    let several = read_table(&fixture("several.npz")).expect("x");
    assert_eq!((several.cols(), several.values()), (2, BASE.as_slice()), "x among several");
    let only = read_table(&fixture("only.npz")).expect("the only one");
    assert_eq!(only.values(), BASE, "the only array, compressed");
    assert_error(read_table(&fixture("unclear.npz")), &["array `x`", "`a`, `b`"]);
    assert_error(read_table(&fixture("empty.npz")), &["array `x`", "found none"]);
}

#[test]
fn arrays_by_name() {
    let theta = read_npz_array(&fixture("several.npz"), "theta").expect("theta");
    assert_eq!((theta.cols(), theta.values()), (1, [1.0, 3.0, 0.0].as_slice()), "theta");
    let names = npz_names(&fixture("several.npz")).expect("names");
    assert_eq!(names, ["theta", "x"], "the names, sorted");
    assert_error(
        read_npz_array(&fixture("several.npz"), "y"),
        &["an array `y`", "found `theta`, `x`"],
    );
}

#[test]
fn halves_are_those_of_numpy() {
    let halves = read_npz_array(&fixture("halves.npz"), "half").expect("half");
    let doubles = read_npz_array(&fixture("halves.npz"), "double").expect("double");
    assert!(halves.rows() > 3000, "{} halves", halves.rows());
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(halves.values()), bits(doubles.values()), "bit for bit, zeros signed");
}

#[test]
fn what_is_no_archive_is_refused() {
    let directory = directory();
    let foreign = file(&directory, "foreign.npz", b"\x93NUMPY and more");
    assert_error(read_npz(&foreign), &["foreign.npz", ".npz archive"]);
    let bytes = fs::read(fixture("several.npz")).expect("the fixture");
    let cut = file(&directory, "cut.npz", &bytes[..bytes.len() / 2]);
    assert_error(read_npz(&cut), &["cut.npz", ".npz archive"]);
}

#[test]
fn damaged_data_fail_the_checksum() {
    let directory = directory();
    let mut bytes = fs::read(fixture("several.npz")).expect("the fixture");
    // The 100.0 in x: its bytes occur once, as theta has not this value.
    let hundred = 100.0_f64.to_le_bytes();
    let at = bytes.windows(8).position(|w| w == hundred).expect("100.0 is stored plainly");
    bytes[at] ^= 1;
    let path = file(&directory, "damaged.npz", &bytes);
    assert_error(read_npz(&path), &["cannot read", "damaged.npz, array `x`"]);
}

/// An archive with one deflated array, whose header says `[rows, 2]` but which holds 48 bytes of
/// data, and whose directory says that it is `size` bytes long.
fn lying(rows: u64, size: u32) -> Vec<u8> {
    let mut text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, 2), }}");
    text = format!("{text:<118}");
    let array = [b"\x93NUMPY\x01\x00\x76\x00", text.as_bytes(), &[0; 48]].concat();
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::DEFAULT;
    writer.start_file("a.npy", options).expect("an entry");
    writer.write_all(&array).expect("its bytes");
    let mut bytes = writer.finish().expect("an archive").into_inner();
    // The size stands 24 bytes into the entry's record in the central directory.
    let record = bytes.windows(4).position(|w| w == b"PK\x01\x02").expect("a directory");
    bytes[record + 24..record + 28].copy_from_slice(&size.to_le_bytes());
    bytes
}

#[test]
fn a_size_that_lies_is_found_out() {
    let directory = directory();
    let read = |rows, size| read_npz(&file(&directory, "lying.npz", &lying(rows, size)));
    assert_eq!(read(3, 176).expect("no lie").values(), [0.0; 6], "true to its word");
    // The header and the directory disagree.
    for size in [170, 177, 0xf000_0000] {
        assert_error(read(3, size), &["lying.npz, array `a`"]);
    }
    assert_error(read(2, 176), &["array `a`", "expected 32", "found 48"]);
    assert_error(read(4, 176), &["array `a`", "expected 64", "found 48"]);
    // Both lie alike, of 4 GB: what unpacks counts.
    let rows = 251_658_232;
    assert_error(read(rows, 0xf000_0000), &["lying.npz, array `a`"]);
}
