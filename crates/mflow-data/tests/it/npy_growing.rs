//! Files that grow over several lives of a process. Oracle: the same array written at once.
use mflow_bijectors::Stream;
use mflow_data::Error;
use mflow_data::io::{Array, Dtype, GrowingNpy, write_npy};
use std::fs;

#[test]
fn what_grew_is_what_is_written_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let values = Stream::new(1, "growing").normal(60);
    for dtype in [Dtype::F32, Dtype::F64] {
        for cols in [None, Some(3)] {
            let width = cols.unwrap_or(1);
            let rows = values.len() / width;
            let array = match cols {
                None => Array::vector(&values, dtype),
                Some(cols) => Array::matrix(rows, cols, &values, dtype).unwrap(),
            };
            write_npy(&path("whole.npy"), &array).unwrap();
            let open = |done| GrowingNpy::open(&path("x.npy"), rows, cols, dtype, done).unwrap();
            let mut first = open(0);
            first.append(&values[..7 * width]).unwrap();
            first.sync().unwrap();
            // These rows are written, but nobody knows: the process dies.
            first.append(&values[..2 * width]).unwrap();
            drop(first);
            assert!(!path("x.npy").exists(), "not before it is whole");
            let mut second = open(7);
            second.append(&values[7 * width..]).unwrap();
            second.finish().unwrap();
            let [found, expected] =
                ["x.npy", "whole.npy"].map(|name| fs::read(path(name)).unwrap());
            assert!(found == expected, "{dtype:?} {cols:?}: the same bytes");
            assert!(!path("x.npy.part").exists(), "nothing is left");
            fs::remove_file(path("x.npy")).unwrap();
        }
    }
}

#[test]
fn a_file_that_has_its_name_already_is_finished_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let open = |done| GrowingNpy::open(&path, 2, None, Dtype::F64, done);
    let mut file = open(0).unwrap();
    file.append(&[1., 2.]).unwrap();
    file.finish().unwrap();
    let before = std::fs::read(&path).unwrap();
    open(2).unwrap().finish().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(open(1).is_err(), "rows that are missing are not taken from there");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn rows_that_are_missing_or_too_many_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let open = |done| GrowingNpy::open(&path, 4, Some(2), Dtype::F64, done);
    let mut file = open(0).unwrap();
    file.append(&[1., 2.]).unwrap();
    assert!(
        matches!(file.append(&[0.; 8]), Err(Error::TrailingBytes { expected: 64, found: 80, .. })),
        "more than the array has"
    );
    let mut file = open(0).unwrap();
    file.append(&[1., 2.]).unwrap();
    assert!(
        matches!(file.finish(), Err(Error::Truncated { expected: 64, found: 16, .. })),
        "less than the array has"
    );
    assert!(
        matches!(open(2), Err(Error::Truncated { expected: 32, found: 16, .. })),
        "less than was there"
    );
    let nowhere = GrowingNpy::open(&folder.path().join("no/x.npy"), 1, None, Dtype::F64, 0);
    assert!(matches!(nowhere, Err(Error::Io { .. })), "no folder");
}
