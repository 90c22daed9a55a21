//! Packed files, Parquet files and arrays of more dimensions, written by NumPy, pandas and pyarrow.

use mflow_data::io::{
    Array, Columns, Dtype, Loaded, Missing, NpyFile, ReadOptions, read, read_npy, read_table,
    write_array, write_npy,
};

use crate::files::{assert_error, directory, fixture};

/// The number `name` of row `i`, as `make_tables.py` has it.
fn number(name: &str, i: u32) -> f64 {
    let i = f64::from(i);
    match name {
        "x" => i / 4.,
        "n" => 3. - i,
        "u" => 2_f64.powi(31) + i,
        "flag" => 1. - i % 2.,
        _ => -i / 2.,
    }
}

#[track_caller]
fn assert_numbers(loaded: &Loaded, names: &[&str], rows: &[u32]) {
    let expected: Vec<f64> =
        rows.iter().flat_map(|&i| names.iter().map(move |name| number(name, i))).collect();
    assert_eq!(loaded.table.columns().unwrap(), names, "names");
    assert_eq!(loaded.table.values(), expected, "values");
}

#[test]
fn packed_text_is_unpacked() {
    for name in ["semicolons.csv.gz", "tabs.tsv.gz"] {
        let loaded = read(&fixture(name), &ReadOptions::default()).expect(name);
        assert_numbers(&loaded, &["x", "n", "u", "h"], &[0, 1, 2, 3, 4]);
    }
    let refused = read_table(&fixture("table.npz.gz"));
    assert_error(refused, &["table.npz.gz", ".csv.gz", "found `.gz`"]);
    let out = directory();
    let array = Array::vector(&[1.], Dtype::F64);
    let refused = write_array(&out.path().join("a.tsv"), &array);
    assert_error(refused, &["a.tsv", "expected the extension .npy, .npz or .csv"]);
}

#[test]
fn arrays_of_more_dimensions_are_flattened_and_given_back() {
    let expected: Vec<f64> = (0..60).map(f64::from).collect();
    let out = directory();
    for name in ["images.npy", "images_fortran.npy"] {
        let images = read_npy(&fixture(name)).expect(name);
        assert_eq!((images.rows(), images.cols()), (5, 12), "{name}");
        assert_eq!(images.row_shape().unwrap(), [2, 3, 2], "{name}");
        assert_eq!(images.values(), expected, "{name}");
        let path = out.path().join(name);
        let array = Array::matrix(5, 12, images.values(), Dtype::F64).unwrap();
        write_npy(&path, &array.with_row_shape(&[2, 3, 2]).unwrap()).unwrap();
        let first = std::fs::read(&path).unwrap();
        assert_eq!(first, std::fs::read(fixture("images.npy")).unwrap(), "as NumPy writes it");
        assert_eq!(read_npy(&path).unwrap(), images, "{name}");
        let wrong = array.with_row_shape(&[2, 3]);
        assert_error(wrong, &["5 rows and 6 columns", "60 values"]);
    }
    let stored = NpyFile::open(&fixture("images.npy")).unwrap();
    assert_eq!((stored.rows(), stored.cols(), stored.row_shape().unwrap().len()), (5, 12, 3));
    let columns = Columns::Only(vec!["1".parse().unwrap(), "0".parse().unwrap()]);
    let pixels = ReadOptions { columns, ..ReadOptions::default() };
    let pixels = read(&fixture("images.npy"), &pixels).unwrap().table;
    assert_eq!((pixels.row(1).unwrap(), pixels.row_shape()), ([13., 12.].as_slice(), None));
    let dropping = ReadOptions { missing: Missing::Drop, ..ReadOptions::default() };
    assert_error(read(&fixture("nan.npy"), &dropping), &["row 2", "column 0", "inf"]);
}

#[cfg(feature = "parquet")]
mod parquet {
    use super::*;

    fn except(name: &str) -> ReadOptions {
        let columns = Columns::Except(vec![name.parse().unwrap()]);
        ReadOptions { columns, ..ReadOptions::default() }
    }

    #[test]
    fn every_packing_reads_as_the_same_table() {
        for packing in ["none", "snappy", "gzip", "lz4", "zstd"] {
            let path = fixture(&format!("{packing}.parquet"));
            let loaded = read(&path, &except("label")).expect(packing);
            assert_numbers(&loaded, &["x", "n", "u", "flag", "h"], &[0, 1, 2, 3, 4]);
            let parts = ["column 1 (\"label\")", "found text"];
            assert_error(read_table(&path), &parts);
        }
    }

    #[test]
    fn an_index_and_missing_values_are_named() {
        let loaded = read(&fixture("missing.parquet"), &ReadOptions::default());
        assert_error(loaded, &["missing.parquet, row 1", "column 1 (\"n\")", "found nothing"]);
        let dropping = ReadOptions { missing: Missing::Drop, ..ReadOptions::default() };
        let loaded = read(&fixture("missing.parquet"), &dropping).unwrap();
        assert_numbers(&loaded, &["x", "n", "u", "h"], &[0, 2, 4]);
        assert_eq!(loaded.dropped, [1, 3]);
        // pandas puts an index of its own last.
        let loaded = read(&fixture("index.parquet"), &except("label")).unwrap();
        assert!(loaded.warnings[0].to_string().contains("__index_level_0__"), "{loaded:?}");
    }

    #[test]
    fn types_are_numbers_or_refused() {
        let only = |name: &str| {
            let columns = Columns::Only(vec![name.parse().unwrap()]);
            read(&fixture("types.parquet"), &ReadOptions { columns, ..ReadOptions::default() })
        };
        let values = |name: &str| only(name).expect(name).table.into_values();
        assert_eq!(values("half"), [0.5, -2.]);
        assert_eq!(values("small"), [-1., 2.]);
        assert_eq!(values("large"), [2_f64.powi(63), 1.]);
        assert_error(only("day"), &["types.parquet, column 3 (\"day\")", "found dates or times"]);
        assert_error(only("4"), &["column 4", "list", "found lists"]);
    }
}
