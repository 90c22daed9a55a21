//! The format of MNIST. Oracles: files written by NumPy byte for byte (`fixtures/images/make.py`), every truncation and every
//! changed byte of one.

use mflow_data::io::{Columns, ReadOptions, read, read_idx, read_table};

use crate::files::{assert_error, directory, file, fixture};

const PLAIN: &str = "images/images-idx3-ubyte";

fn bytes() -> Vec<u8> {
    std::fs::read(fixture(PLAIN)).expect("a fixture")
}

#[test]
fn images_and_labels_are_rows_packed_or_not_by_any_name() {
    let expected: Vec<f64> = (0..24).map(f64::from).collect();
    let folder = directory();
    let packed = std::fs::read(fixture("images/images-idx3-ubyte.gz")).unwrap();
    let renamed = [
        file(&folder, "plain.bin", &bytes()),
        file(&folder, "packed without its extension", &packed),
        file(&folder, "plain.gz", &bytes()),
    ];
    let named = [fixture(PLAIN), fixture("images/images-idx3-ubyte.gz")];
    for path in named.iter().chain(&renamed) {
        let table = read_table(path).unwrap();
        assert_eq!((table.rows(), table.cols()), (2, 12), "{path:?}");
        assert_eq!(table.row_shape().unwrap(), [3, 4, 1], "{path:?}");
        assert_eq!(table.values(), expected, "{path:?}");
    }
    let labels = read_idx(&fixture("images/labels-idx1-ubyte")).unwrap();
    assert_eq!((labels.rows(), labels.cols(), labels.row_shape()), (24, 1, None));
    assert_eq!(labels.values(), expected);
}

#[test]
fn every_type_is_read() {
    let expected: Vec<f64> = (-12..12).map(f64::from).collect();
    for code in ["09", "0b", "0c", "0d", "0e"] {
        let table = read_table(&fixture(&format!("images/type_{code}.idx"))).unwrap();
        assert_eq!((table.rows(), table.row_shape().unwrap()), (2, [3, 2, 2].as_slice()), "{code}");
        assert_eq!(table.values(), expected, "{code}");
    }
}

#[test]
fn columns_may_be_picked_as_of_any_table() {
    let columns = Columns::Only(vec!["2..4".parse().unwrap()]);
    let loaded = read(&fixture(PLAIN), &ReadOptions { columns, ..ReadOptions::default() }).unwrap();
    assert_eq!(loaded.table.values(), [2., 3., 14., 15.]);
    assert_eq!(loaded.table.row_shape(), None, "pixels of an image are none");
}

#[test]
fn headers_that_are_none_are_errors_that_name_file_expected_and_found() {
    let folder = directory();
    let of = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes();
        change(&mut bytes);
        read_idx(&file(&folder, "a-idx3-ubyte", &bytes))
    };
    assert_error(of(&|b| b[0] = 1), &["a-idx3-ubyte", "two bytes 0 first", "\\x01"]);
    assert_error(of(&|b| b[2] = 7), &["a-idx3-ubyte", "the type 08, 09", "found 07"]);
    assert_error(of(&|b| b[3] = 5), &["a-idx3-ubyte", "1 to 4 dimensions, found 5"]);
    assert_error(of(&|b| b[3] = 0), &["a-idx3-ubyte", "1 to 4 dimensions, found 0"]);
    assert_error(of(&|b| b.truncate(9)), &["expected 3 dimensions", "ends before"]);
    assert_error(of(&|b| b.truncate(30)), &["truncated", "expected 24 bytes", "found 14"]);
    assert_error(of(&|b| b.push(0)), &["trailing", "expected 24 bytes", "found 25"]);
    assert_error(of(&|b| b[7] = 0), &["no rows"]);
    assert_error(of(&|b| b[11] = 0), &["no columns"]);
    // Claims 2^96 numbers; and, where that can be counted, memory grows with what is there only.
    assert_error(of(&|b| b[4..16].fill(255)), &["more values than fit"]);
    assert_error(of(&|b| b[4..8].fill(255)), &["truncated"]);
    // Of another name too, the start tells that it is none.
    assert_error(
        read_table(&file(&folder, "a.bin", b"\0\x01\x08\x03")),
        &["expected the extension", "idx"],
    );
    assert_error(read_table(&file(&folder, "b-idx3-ubyte", b"text")), &["idx header", "\"text\""]);
    assert_error(read_table(&folder.path().join("none-idx3-ubyte")), &["cannot open"]);
}

#[test]
fn whatever_is_damaged_reading_returns() {
    let folder = directory();
    for packed in [PLAIN, "images/images-idx3-ubyte.gz"] {
        let whole = std::fs::read(fixture(packed)).unwrap();
        for at in 0..whole.len() {
            let cut = read_idx(&file(&folder, "cut-idx3-ubyte", &whole[..at]));
            assert!(cut.is_err(), "{packed}: {at} bytes are no file");
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            if let Ok(table) = read_idx(&file(&folder, "changed-idx3-ubyte", &changed)) {
                assert_eq!(table.values().len(), 24, "{packed}: byte {at}");
            }
        }
    }
}
