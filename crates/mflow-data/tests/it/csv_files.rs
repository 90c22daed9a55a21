//! `.csv` files.

use mflow_data::io::{Table, read_table};

use crate::files::{assert_error, directory, file};

fn read(text: &str) -> mflow_data::Result<Table> {
    let directory = directory();
    read_table(&file(&directory, "table.csv", text.as_bytes()))
}

#[test]
fn a_header_is_there_if_it_is_no_number() {
    let bare = read("1,2\n3,4\n").expect("no header");
    assert_eq!((bare.rows(), bare.cols(), bare.columns()), (2, 2, None), "no header");
    assert_eq!(bare.column_name(1), "column 1", "a column without a name");
    let named =
        read("\u{feff}\"mass, in kg\", t\r\n1,-2e3\r\n\"3\", 4.5 \r\n\r\n \n").expect("one");
    assert_eq!(named.values(), [1.0, -2000.0, 3.0, 4.5], "values, quoted and with blanks");
    let names = named.columns().expect("names");
    assert_eq!(names, ["mass, in kg", "t"], "names, without the byte order mark");
    assert_eq!(read("x\n5").expect("one column").values(), [5.0], "no newline at the end");
}

#[test]
fn what_is_wrong_is_named_by_line_and_column() {
    for (text, parts) in [
        ("a,b\n1,2\n3\n", ["line 3", "expected 2 fields, found 1"]),
        ("a,b\n1,2,3\n", ["line 2", "expected 2 fields, found 3"]),
        ("a,b\n1,\n", ["line 2, column 1 (\"b\")", "found nothing"]),
        (",\n1,2\n", ["line 1, column 0", "found nothing"]),
        ("1,\n1,2\n", ["line 1, column 1", "found nothing"]),
        ("a,b\n1,2\n1,x2\n", ["line 3, column 1 (\"b\")", "found \"x2\""]),
        ("a;b\n1;2,x\n", ["line 2, column 1 (\"b\")", "found \"2,x\""]),
        ("1,NA\n1,2\n", ["line 1", "the number \"1\" and \"NA\""]),
        ("a,b\n1,2\n3,inf\n", ["row 1 (counting from 0; line 3), column 1 (\"b\")", "found inf"]),
        ("a\n1\n\n2\n", ["line 3", "blank line"]),
        ("a,b\n", ["table.csv", "no rows"]),
        ("", ["table.csv", "no rows"]),
    ] {
        assert_error(read(text), &parts);
    }
}

#[test]
fn other_bytes_are_no_text() {
    let directory = directory();
    let path = file(&directory, "latin.csv", b"a\n1\n\xe9\n");
    assert_error(read_table(&path), &["latin.csv, line 3", "UTF-8"]);
}
