//! What is written can be read, by this crate and by others, and is there whole or not at all.

use std::fs;
use std::io::{self, Write};

use mflow_data::Error;
use mflow_data::io::{
    Array, Dtype, NpyWriter, Table, read_npz_array, read_table, write_array, write_atomically,
    write_csv, write_npy, write_npz,
};
use proptest::prelude::*;

use crate::files::{assert_error, directory, file};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tables_come_back_bit_for_bit(
        cols in 1_usize..5,
        bits in prop::collection::vec(any::<f64>(), 1..40),
    ) {
        let rows = bits.len() / cols;
        prop_assume!(rows > 0);
        let values: Vec<f64> =
            bits[..rows * cols].iter().map(|v| if v.is_finite() { *v } else { -0.0 }).collect();
        let names: Vec<String> = (0..cols).map(|j| format!("x\"{j}, or so")).collect();
        let table = Table::new(rows, cols, values).expect("a table");
        let table = table.with_columns(names).expect("names");
        let directory = directory();
        for name in ["t.npy", "t.npz", "t.csv", "T.NPY"] {
            let path = directory.path().join(name);
            write_array(&path, &Array::table(&table, Dtype::F64)).expect(name);
            let read = read_table(&path).expect(name);
            prop_assert_eq!(read.rows(), rows, "rows of {}", name);
            for (a, b) in read.values().iter().zip(table.values()) {
                prop_assert_eq!(a.to_bits(), b.to_bits(), "{} in {}", b, name);
            }
            let kept = if name == "t.csv" { table.columns() } else { None };
            prop_assert_eq!(read.columns(), kept, "names in {}", name);
        }
        // An independent reader.
        let bytes = fs::read(directory.path().join("t.npy")).expect("the file");
        prop_assert_eq!((bytes.len() - 8 * rows * cols) % 64, 0, "the data are aligned");
        let npy = npyz::NpyFile::new(bytes.as_slice()).expect("npyz reads the header");
        prop_assert_eq!(npy.shape(), [rows as u64, cols as u64], "the shape npyz sees");
        let values = npy.into_vec::<f64>().expect("npyz reads the data");
        prop_assert_eq!(values, table.values(), "the values npyz sees");
    }
}

#[test]
fn single_precision_halves_the_file_and_rounds() {
    let directory = directory();
    let values = [0.1, 1.0 / 3.0, -1e-40, 7.0];
    let rounded = [0.1_f32, 1.0 / 3.0, -1e-40, 7.0].map(f64::from);
    let array = Array::matrix(2, 2, &values, Dtype::F32).expect("an array");
    for name in ["t.npy", "t.npz", "t.csv"] {
        let path = directory.path().join(name);
        write_array(&path, &array).expect(name);
        assert_eq!(read_table(&path).expect(name).values().len(), 4, "{name}");
    }
    let npy = directory.path().join("t.npy");
    assert_eq!(read_table(&npy).expect("npy").values(), rounded, "rounded to the nearest");
    assert_eq!(fs::metadata(&npy).expect("the file").len(), 128 + 16, "four bytes each");
    let csv = fs::read_to_string(directory.path().join("t.csv")).expect("text");
    assert_eq!(csv, "0.1,0.33333334\n-1e-40,7.0\n", "the fewest digits");
}

#[test]
fn vectors_and_archives_of_several() {
    let directory = directory();
    let path = directory.path().join("two.npz");
    let (x, p) = ([1.0, 2.0], [-3.5, f64::NEG_INFINITY, 0.0]);
    let x = Array::matrix(1, 2, &x, Dtype::F64).expect("x");
    let arrays = [("x", x), ("log_prob", Array::vector(&p, Dtype::F32))];
    write_npz(&path, &arrays).expect("written");
    let again = directory.path().join("again.npz");
    write_npz(&again, &arrays).expect("written");
    let bytes = |path| fs::read(path).expect("the file");
    assert_eq!(bytes(&path), bytes(&again), "the same bytes");
    assert_eq!(read_npz_array(&path, "x").expect("x").values(), [1.0, 2.0], "x");
    // Writing lets pass what reading refuses: a density may be zero.
    assert_error(read_npz_array(&path, "log_prob"), &["`log_prob`", "found -inf in row 1"]);
    let npy = directory.path().join("v.npy");
    write_npy(&npy, &Array::vector(&p, Dtype::F64)).expect("written");
    let file = bytes(&npy);
    let vector = npyz::NpyFile::new(file.as_slice()).expect("npyz reads it");
    assert_eq!(vector.shape(), [3], "one dimension");
    assert_eq!(vector.into_vec::<f64>().expect("values"), p, "a vector with an infinity");
    let csv = directory.path().join("v.csv");
    let name = ["log_prob".to_owned()];
    let named = Array::vector(&p, Dtype::F64).with_columns(&name).expect("one name");
    write_csv(&csv, &named).expect("written");
    assert_eq!(bytes(&csv), b"log_prob\n-3.5\n-inf\n0.0\n", "one column");
    assert_error(write_npz(&path, &[("a", x), ("a", x)]), &["two.npz, array `a`", "archive"]);
    assert_eq!(bytes(&path), bytes(&again), "a failure leaves the old file");
}

#[test]
fn an_overflow_is_found_before_the_file_is_touched() {
    let directory = directory();
    let values = [1.0, 1e39];
    let array = Array::matrix(1, 2, &values, Dtype::F32).expect("an array");
    for name in ["o.npy", "o.npz", "o.csv"] {
        let path = directory.path().join(name);
        assert_error(write_array(&path, &array), &[name, "row 0", "column 1", "32-bit"]);
        assert!(!path.exists(), "{name} was not created");
    }
}

/// The names of the files in a directory.
fn names(directory: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).expect("the directory");
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.expect("an entry").file_name().to_string_lossy().into_owned()
    };
    entries.map(name).collect()
}

#[test]
fn a_failed_write_leaves_what_was_there_and_nothing_else() {
    let directory = directory();
    let path = file(&directory, "kept.txt", b"old");
    for (kind, full) in [
        (io::ErrorKind::StorageFull, true),
        (io::ErrorKind::QuotaExceeded, true),
        (io::ErrorKind::Other, false),
    ] {
        let error = write_atomically(&path, |writer| {
            writer.write_all(&[b'!'; 100_000])?;
            Err(kind.into())
        });
        let error = error.expect_err("the error of the closure");
        assert_eq!(matches!(error, Error::StorageFull { .. }), full, "{kind}: {error}");
        assert!(error.to_string().contains("kept.txt"), "{error} names the file");
        assert_eq!(fs::read(&path).expect("the file"), b"old", "the old file is there");
        assert_eq!(names(&directory), ["kept.txt"], "and nothing else");
    }
    write_atomically(&path, |writer| writer.write_all(b"new")).expect("written");
    assert_eq!(fs::read(&path).expect("the file"), b"new", "the new file");
    assert_eq!(names(&directory), ["kept.txt"], "and nothing else");
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let directory = directory();
    let missing = directory.path().join("no such directory/a.npy");
    let array = Array::vector(&[1.0], Dtype::F64);
    assert_error(write_array(&missing, &array), &["cannot create", "no such directory"]);
    let folder = directory.path().join("folder.npy");
    fs::create_dir(&folder).expect("a directory");
    assert_error(write_array(&folder, &array), &["cannot create", "folder.npy"]);
    assert_error(write_array(&directory.path().join("a.txt"), &array), &["`.txt`"]);
}

#[test]
fn rows_that_come_one_by_one_make_the_same_file() {
    let directory = directory();
    let [whole, parts] = ["whole.npy", "parts.npy"].map(|name| directory.path().join(name));
    let values: Vec<f64> = (0..60).map(f64::from).collect();
    write_npy(&whole, &Array::matrix(20, 3, &values, Dtype::F64).unwrap()).unwrap();
    let mut writer = NpyWriter::create(&parts, 20, Some(3)).unwrap();
    for part in values.chunks(7) {
        writer.write(part).unwrap();
    }
    assert!(!parts.exists(), "not there before it is finished");
    writer.finish().unwrap();
    assert_eq!(fs::read(&whole).unwrap(), fs::read(&parts).unwrap());
    // Too few and too many numbers leave what was there.
    let short = NpyWriter::create(&parts, 20, Some(3)).unwrap();
    assert!(matches!(short.finish(), Err(Error::Truncated { expected: 480, found: 0, .. })));
    let mut long = NpyWriter::create(&parts, 1, None).unwrap();
    assert!(matches!(long.write(&[1.0, 2.0]), Err(Error::TrailingBytes { .. })));
    drop(long);
    assert_eq!(fs::read(&whole).unwrap(), fs::read(&parts).unwrap());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "no temporary file is left");
    let missing = directory.path().join("none").join("x.npy");
    assert!(matches!(NpyWriter::create(&missing, 1, None), Err(Error::Io { .. })));
}

#[test]
fn images_are_written_as_bytes() {
    let directory = directory();
    let path = directory.path().join("images.npy");
    let mut writer = NpyWriter::create_bytes(&path, &[2, 1, 2, 3]).unwrap();
    writer.write(&[0.4, 0.6, 254.5, 255.4, 300.0, -2.0, 1.0]).unwrap();
    let short = NpyWriter::create_bytes(&path, &[2, 3]).unwrap();
    assert!(matches!(short.finish(), Err(Error::Truncated { expected: 6, found: 0, .. })));
    writer.write(&[2.0, 3.0, 4.0, 5.0, f64::NAN]).unwrap();
    writer.finish().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len() % 64, 12, "a byte each");
    let table = read_table(&path).unwrap();
    assert_eq!(table.row_shape(), Some([1, 2, 3].as_slice()));
    assert_eq!(table.values(), [0., 1., 255., 255., 255., 0., 1., 2., 3., 4., 5., 0.]);
}
