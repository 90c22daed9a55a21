//! Parquet files that stay on disk. Oracle: the same file read whole.

use std::fs;

use mflow_data::io::{Columns, ParquetFile, Pick, ReadOptions, read};

use crate::files::{assert_error, directory, fixture};

fn only(names: &[&str]) -> Columns {
    Columns::Only(names.iter().map(|name| name.parse::<Pick>().unwrap()).collect())
}

#[test]
fn rows_are_those_of_the_file_read_whole() {
    for packing in ["none", "snappy", "gzip", "lz4", "zstd"] {
        let path = fixture(&format!("{packing}.parquet"));
        let columns = only(&["h", "x"]);
        let options = ReadOptions { columns: columns.clone(), ..ReadOptions::default() };
        let whole = read(&path, &options).unwrap().table;
        let file = ParquetFile::open_columns(&path, &columns).unwrap();
        assert_eq!((file.rows(), file.cols()), (whole.rows(), 2));
        assert_eq!(file.columns(), ["h", "x"]);
        assert!(file.choice().is_some(), "some of the columns");
        // Across row groups, of two rows each, forwards and backwards.
        for first in (0..=whole.rows()).chain((0..=whole.rows()).rev()) {
            for count in 0..=whole.rows() + 1 {
                let end = (first + count).min(whole.rows());
                let found = file.read_rows(first, count).unwrap();
                assert_eq!(
                    found,
                    whole.values()[2 * first..2 * end],
                    "{packing}: {first}, {count}"
                );
            }
        }
        assert!(file.read_rows(usize::MAX, usize::MAX).unwrap().is_empty(), "no such rows");
    }
}

#[test]
fn what_is_no_number_is_refused_when_it_is_opened() {
    let open = |name: &str, columns: &Columns| ParquetFile::open_columns(&fixture(name), columns);
    let missing = open("missing.parquet", &Columns::All);
    assert_error(missing, &["missing.parquet, row 1", "column 1 (\"n\")", "found nothing"]);
    let day = open("types.parquet", &only(&["day"]));
    assert_error(day, &["types.parquet, column 3 (\"day\")", "found dates or times"]);
    let other = open("none.parquet", &only(&["y"]));
    assert_error(other, &["none.parquet", "y"]);
    assert_error(open("nothing.parquet", &Columns::All), &["nothing.parquet"]);
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = fs::read(fixture("snappy.parquet")).unwrap();
    let folder = directory();
    let path = folder.path().join("cut.parquet");
    for len in 0..bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        assert_error(ParquetFile::open_columns(&path, &only(&["x"])), &["cut.parquet"]);
    }
}
