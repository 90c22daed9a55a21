//! Headers that NumPy would not write.

use mflow_data::io::read_npy;
use proptest::prelude::*;

use crate::files::{assert_error, directory, file};

/// A file of version 1.0 with this dictionary and this many bytes of data.
fn npy(dictionary: &str, data: usize) -> Vec<u8> {
    let len = u16::try_from(dictionary.len()).expect("a short dictionary").to_le_bytes();
    [b"\x93NUMPY\x01\x00", len.as_slice(), dictionary.as_bytes(), &vec![0; data]].concat()
}

#[test]
fn a_claimed_size_is_compared_with_the_file_before_memory_is_taken() {
    let directory = directory();
    let read = |shape: &str| {
        let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        read_npy(&file(&directory, "huge.npy", &npy(&text, 48)))
    };
    assert_eq!(read("(3, 2)").expect("a table").rows(), 3, "the true size");
    assert_eq!(read("(3L, 2L)").expect("a table").rows(), 3, "as Python 2 wrote it");
    assert_error(read("(1000000000000, 2)"), &["expected 16000000000000", "found 48"]);
    // Products that overflow 64 bits, one of them to exactly 0.
    assert_error(read("(9223372036854775808, 2)"), &["more values than fit"]);
    assert_error(read("(9223372036854775807, 9223372036854775807)"), &["more values than fit"]);
    assert_error(read("(99999999999999999999, 2)"), &["shape", "99999999999999999999"]);
    assert_error(read("(-3, -2)"), &["shape", "whole numbers", "(-3, -2)"]);
}

#[test]
fn broken_headers_say_what_is_wrong() {
    let directory = directory();
    let deep = "(".repeat(60_000);
    for (text, parts) in [
        ("", ["dictionary", "header"]),
        (deep.as_str(), ["dictionary", "header"]),
        ("{'descr': '<f8'}", ["'fortran_order'", "found none"]),
        ("{'descr' '<f8'}", ["'key': value", "header"]),
        ("{'descr': '<f8', 'fortran_order': 1, 'shape': (1, 1)}", ["True or False", "found 1"]),
        ("{'descr': '<f16', 'fortran_order': False, 'shape': (1, 1)}", ["another size", "f16"]),
        ("{'descr': 'f', 'fortran_order': False, 'shape': (1, 1)}", ["unknown type", "'f'"]),
        ("{'descr': 'é', 'fortran_order': False, 'shape': (1, 1)}", ["unknown type", "é"]),
    ] {
        assert_error(read_npy(&file(&directory, "broken.npy", &npy(text, 8))), &parts);
    }
    let version = file(&directory, "version.npy", b"\x93NUMPY\x09\x01\x10\x00");
    assert_error(read_npy(&version), &["found 9.1"]);
    let long = file(&directory, "long.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff");
    assert_error(read_npy(&long), &["at most 65536", "found 4294967295"]);
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(text in "[{}()\\[\\]'\":, a-z0-9<>|é-]{0,80}") {
        let directory = directory();
        // Whatever it returns: that it does is the test.
        let _ = read_npy(&file(&directory, "any.npy", &npy(&text, 8)));
        let shape = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({text})}}");
        let _ = read_npy(&file(&directory, "any.npy", &npy(&shape, 8)));
    }
}
