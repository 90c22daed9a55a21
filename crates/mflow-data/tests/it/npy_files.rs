//! `.npy` files written by NumPy.

use std::fs;

use mflow_data::Error;
use mflow_data::io::{read_npy, read_table};

use crate::files::{BASE, assert_error, directory, file, fixture};

#[test]
fn every_type_and_order_reads_as_the_same_table() {
    let mut names: Vec<String> =
        ["i1", "u1", "f8_fortran", "f4_big_fortran", "version2", "version3"]
            .map(str::to_owned)
            .to_vec();
    for code in ["f2", "f4", "f8", "i2", "i4", "i8", "u2", "u4", "u8"] {
        names.push(format!("{code}_little"));
        names.push(format!("{code}_big"));
    }
    for name in names {
        let table = read_table(&fixture(&format!("{name}.npy"))).expect(&name);
        assert_eq!((table.rows(), table.cols()), (3, 2), "shape of {name}");
        assert_eq!(table.values(), BASE, "values of {name}");
    }
}

#[test]
fn booleans_vectors_and_extreme_integers() {
    let read = |name: &str| read_npy(&fixture(name)).expect(name);
    assert_eq!(read("bool.npy").values(), [1.0, 0.0, 0.0, 1.0, 1.0, 1.0], "booleans");
    let vector = read("vector.npy");
    assert_eq!((vector.rows(), vector.cols()), (3, 1), "a vector is one column");
    assert_eq!(vector.values(), [2.0, 100.0, 7.0], "a vector's values");
    assert_eq!(read("signed.npy").values(), [-128.0, 127.0], "signs");
    // 2^53 + 1 rounds to even.
    let two = 2.0_f64;
    assert_eq!(read("i8_large.npy").values(), [two.powi(53), -two.powi(63)], "64-bit integers");
    assert_eq!(read("u8_large.npy").values(), [two.powi(64), two.powi(63)], "unsigned ones");
}

#[test]
fn what_is_no_table_of_numbers_is_refused() {
    for (name, parts) in [
        ("complex", ["complex numbers", "<c16"]),
        ("string", ["strings", "<U2"]),
        ("object", ["Python objects", "|O"]),
        ("structured", ["structured", "('b', '<f8')"]),
        ("date", ["dates", "M8[D]"]),
        ("scalar", ["[rows, columns]", "found []"]),
        ("no_rows", ["no_rows.npy", "holds no rows"]),
        ("no_columns", ["no_columns.npy", "holds no columns"]),
        // Row 1 comes before row 2, also in a file that goes column by column.
        ("nan", ["found NaN in row 1 (counting from 0)", "column 1"]),
    ] {
        assert_error(read_table(&fixture(&format!("{name}.npy"))), &parts);
    }
}

#[test]
fn every_truncation_is_an_error_and_so_is_a_byte_too_many() {
    let directory = directory();
    let bytes = fs::read(fixture("f8_little.npy")).expect("the fixture");
    let (header, data) = (bytes.len() - 48, 48);
    for len in 0..bytes.len() {
        let path = file(&directory, "cut.npy", &bytes[..len]);
        match read_npy(&path).expect_err("an error") {
            Error::Truncated { expected, found, .. } if len >= header => {
                assert_eq!((expected, found), (data, (len - header) as u64), "cut at {len}");
            }
            Error::NotNpy { .. } | Error::NpyHeader { .. } if len < header => {}
            error => panic!("cut at {len}: {error}"),
        }
    }
    let path = file(&directory, "more.npy", &[bytes.as_slice(), b"!"].concat());
    assert_error(read_npy(&path), &["trailing", "expected 48", "found 49"]);
}

#[test]
fn foreign_files_are_refused() {
    let directory = directory();
    for (bytes, part) in
        [(&b"PK\x03\x04zip"[..], "PK\\x03\\x04zip"), (b"a,b\n1,2\n", "a,b\\n"), (b"", "found \"\"")]
    {
        let path = file(&directory, "foreign.npy", bytes);
        assert_error(read_npy(&path), &["foreign.npy", "expected a NumPy array", part]);
    }
    assert_error(read_table(&fixture("make.py")), &[".npy, .npz, .csv", "`.py`"]);
    assert_error(read_table(&fixture("none")), &[".npy, .npz, .csv", "found none"]);
    assert_error(read_table(&fixture("missing.npy")), &["cannot open", "missing.npy"]);
}
