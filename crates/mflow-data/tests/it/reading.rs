//! Tables of text as other programs write them, columns that are chosen, values that are missing.

use mflow_data::Result;
use mflow_data::io::{
    Choice, Columns, Delimiter, Loaded, Missing, Pick, ReadOptions, align_rows, read,
};

use crate::files::{assert_error, directory, file, fixture};

fn options() -> ReadOptions {
    ReadOptions::default()
}

fn load(text: &str, options: &ReadOptions) -> Result<Loaded> {
    read(&file(&directory(), "table.csv", text.as_bytes()), options)
}

fn picks(text: &str) -> Vec<Pick> {
    text.split(',').map(|pick| pick.parse().unwrap()).collect()
}

fn only(text: &str) -> ReadOptions {
    ReadOptions { columns: Columns::Only(picks(text)), ..options() }
}

fn except(text: &str) -> ReadOptions {
    ReadOptions { columns: Columns::Except(picks(text)), ..options() }
}

fn dropping() -> ReadOptions {
    ReadOptions { missing: Missing::Drop, ..options() }
}

#[test]
fn what_divides_fields_is_recognised() {
    for text in [
        "a,b\n1,2.5\n-3,4e1\n",
        "a;b\n1;2.5\n-3;4e1\n",
        "a\tb\n1\t2.5\n-3\t4e1\n",
        "a b\n1  2.5\n -3 4e1\n",
        "\u{feff}\"a\";\"b\"\r\n\"1\";2.5\r\n-3;4e1",
    ] {
        let table = load(text, &options()).expect(text).table;
        assert_eq!(table.values(), [1., 2.5, -3., 40.], "{text:?}");
        assert_eq!(table.columns().unwrap(), ["a", "b"], "{text:?}");
    }
    // What divides both lines alike counts, and not what else names hold.
    let table = load("mass; kg,energy; GeV\n1,2\n", &options()).unwrap().table;
    assert_eq!(table.columns().unwrap(), ["mass; kg", "energy; GeV"]);
    let table = load("a name with blanks\n1\n2\n", &options()).unwrap().table;
    assert_eq!((table.rows(), table.cols()), (2, 1), "one column");
    assert_eq!(load("1;2\n", &options()).unwrap().table.values(), [1., 2.], "one line");

    let bar = ReadOptions { delimiter: Some("|".parse().unwrap()), ..options() };
    assert_eq!(load("a|b,c\n1|2\n", &bar).unwrap().table.columns().unwrap(), ["a", "b,c"]);
    assert_eq!("tab".parse(), Ok(Delimiter::Char(b'\t')));
    for text in ["", "1", ".", "ab", "\"", "é"] {
        assert!(text.parse::<Delimiter>().is_err(), "{text:?}");
    }
}

#[test]
fn comments_are_skipped_on_request_and_named_otherwise() {
    let skipping = ReadOptions { comment: Some("#".to_owned()), ..options() };
    let text = "# made by hand\nx,y\n1,2\n # more\n3,4\n# end\n";
    let table = load(text, &skipping).unwrap().table;
    assert_eq!((table.values(), table.columns().unwrap().len()), ([1., 2., 3., 4.].as_slice(), 2));
    assert_error(load(text, &options()), &["table.csv, line 1", "`#`", "`comment`"]);
    assert_error(load("x,y\n1,2\n# a, b\n", &options()), &["line 3", "`#`", "`comment`"]);
    let blanks = read(&fixture("blanks.csv"), &skipping).unwrap().table;
    assert_eq!(blanks.row(1).unwrap(), [0.25, 2., 2_147_483_649., -0.5], "as NumPy writes text");
    assert_error(read(&fixture("blanks.csv"), &options()), &["blanks.csv, line 1", "`comment`"]);
}

#[test]
fn a_header_that_counts_is_named() {
    let path = fixture("counted.csv");
    assert_error(read(&path, &options()), &["counted.csv, line 1", "0 to 3", "`header`"]);
    let with = |header| read(&path, &ReadOptions { header: Some(header), ..options() }).unwrap();
    assert_eq!((with(true).table.rows(), with(false).table.rows()), (5, 6));
    assert_eq!(with(true).table.columns().unwrap(), ["0", "1", "2", "3"]);
    // Under an index there is no doubt, as a row has no empty field.
    let indexed = load(",0,1\n7,5,6\n9,7,8\n11,1,2\n", &options()).unwrap();
    assert_eq!(indexed.table.columns().unwrap(), ["", "0", "1"]);
    assert_eq!(indexed.warnings.len(), 1, "{:?}", indexed.warnings);
}

#[test]
fn a_decimal_comma_is_named() {
    for (text, line, found) in [
        ("1,5;2,5\n3,5;4,5\n", "line 1", "1,5"),
        ("a;b\n1;2\n3,5;4\n", "line 3", "3,5"),
        ("a,b\n1,5,2,5\n", "line 2", "1,5"),
        ("a\tb\n1\t-2,5e3\n", "line 2", "-2,5e3"),
    ] {
        assert_error(load(text, &options()), &["table.csv", line, "decimal comma", found]);
    }
}

#[test]
fn a_row_index_is_named() {
    let loaded = read(&fixture("index.csv"), &options()).unwrap();
    assert_eq!(loaded.table.cols(), 5, "it is read all the same");
    let warning = loaded.warnings[0].to_string();
    assert!(warning.contains("index.csv: column 0 seems to number the rows"), "{warning}");
    for (text, warned) in [
        ("id,x\n0,5\n1,6\n2,7\n", true),
        ("id,x\n1,5\n2,6\n3,7\n", true),
        ("1,5\n2,6\n3,7\n", true),
        (",x\n4,5\n9,6\n2,7\n", true),
        (",x\n4,5\n9.5,6\n2,7\n", false),
        ("id,x\n4,5\n9,6\n2,7\n", false),
        ("id,x\n0,5\n1,6\n", false),
        ("t\n0\n1\n2\n", false),
    ] {
        let loaded = load(text, &options()).expect(text);
        assert_eq!(!loaded.warnings.is_empty(), warned, "{text:?}: {:?}", loaded.warnings);
    }
    // Who names it wants it; who drops it is not warned of it.
    assert!(load("id,x\n0,5\n1,6\n2,7\n", &only("id,x")).unwrap().warnings.is_empty());
    assert!(load("id,x\n0,5\n1,6\n2,7\n", &except("id")).unwrap().warnings.is_empty());
    // The rows that are left out count.
    let text = "id,x,y\n0,5,1\n1,NA,1\n2,7,1\n3,8,1\n";
    assert_eq!(load(text, &dropping()).unwrap().warnings.len(), 2);
}

#[test]
fn columns_are_chosen_by_name_and_position() {
    let text = "name,x,y,z\nfirst,1,2,3\nsecond,4,5,6\n";
    for (options, values, positions) in [
        (only("z,x"), vec![3., 1., 6., 4.], vec![3, 1]),
        (only("z,1.."), vec![3., 1., 2., 6., 4., 5.], vec![3, 1, 2]),
        (only("1..3"), vec![1., 2., 4., 5.], vec![1, 2]),
        (except("name"), vec![1., 2., 3., 4., 5., 6.], vec![1, 2, 3]),
        (except("0,2.."), vec![1., 4.], vec![1]),
    ] {
        let loaded = load(text, &options).unwrap();
        assert_eq!(loaded.table.values(), values, "{options:?}");
        assert_eq!(loaded.choice, Some(Choice { positions, of: 4 }), "{options:?}");
    }
    let first = load(text, &only("z,x")).unwrap();
    assert_eq!(first.table.columns().unwrap(), ["z", "x"]);
    // As they were chosen of an earlier table.
    let like = ReadOptions {
        columns: Columns::As {
            names: first.table.columns().map(<[String]>::to_vec),
            choice: first.choice.unwrap(),
        },
        ..options()
    };
    for (text, values) in [
        ("x,other,z,q,p\n1,a,2,3,4\n", [2., 1.]),
        ("a,b,c,d\nt,1,2,3\n", [3., 1.]),
        ("t,1,2,3\n", [3., 1.]),
        ("z,x\n8,9\n", [8., 9.]),
        ("8,9\n", [8., 9.]),
    ] {
        assert_eq!(load(text, &like).expect(text).table.values(), values, "{text:?}");
    }

    assert_error(load(text, &only("w")), &["table.csv", "column `w`", "`name`, `x`, `y`, `z`"]);
    for wrong in ["4", "2..5", "3..3", "-1", "1..a", "18446744073709551615", ""] {
        assert_error(load(text, &only(wrong)), &[&format!("column `{wrong}`")]);
    }
    assert_error(load("1,2\n", &except("2")), &["column `2`", "2 columns without names"]);
    assert_error(load(text, &except("0..")), &["holds no columns"]);
    assert_error(load(text, &options()), &["line 2, column 0 (\"name\")", "found \"first\""]);
    assert_error(load("x,y\n1,2\n3,b\n", &only("y")), &["line 3, column 1 (\"y\")", "found \"b\""]);
}

#[test]
fn rows_with_missing_values_are_dropped_and_counted_on_request() {
    let text = "x,y\n1,2\n,3\n4,NA\n5,nan\nNULL,N/A\n6,7\n";
    let loaded = load(text, &dropping()).unwrap();
    assert_eq!(
        (loaded.table.values(), loaded.dropped.clone()),
        ([1., 2., 6., 7.].as_slice(), vec![1, 2, 3, 4])
    );
    let warning = loaded.warnings[0].to_string();
    assert!(warning.contains("table.csv: 4 of 6 rows are left out"), "{warning}");
    assert_error(load(text, &options()), &["line 3, column 0 (\"x\")", "found nothing"]);
    // What is not asked for may be missing.
    let y = ReadOptions { missing: Missing::Drop, ..only("y") };
    assert_eq!(load(text, &y).unwrap().table.values(), [2., 3., 7.]);
    assert_eq!(load("NA,1\n2,3\n", &dropping()).unwrap().table.values(), [2., 3.], "no header");
    assert_error(load("x\nNA\n", &dropping()), &["without a missing value", "among 1 rows"]);
    assert_error(
        load("x,y\n1,NA\n1,inf\n", &dropping()),
        &["row 1 (counting from 0; line 3)", "inf"],
    );
    assert_error(load("x\n1\nfoo\n", &dropping()), &["line 3", "found \"foo\""]);
}

#[test]
fn rows_that_belong_together_are_dropped_together() {
    let load = |text: &str| load(text, &dropping()).unwrap();
    let tables = vec![load("1,2\n3,NA\n5,6\n7,8\n"), load("1\n2\nNA\n4\n"), load("9\n")];
    let tables = align_rows(tables).unwrap();
    let values: Vec<&[f64]> = tables.iter().map(|loaded| loaded.table.values()).collect();
    assert_eq!(values, [&[1., 2., 7., 8.][..], &[1., 4.], &[9.]]);
    let none = align_rows(vec![load("1\nNA\n"), load("NA\n2\n")]);
    assert_error(none, &["without a missing value", "2 rows"]);
}
