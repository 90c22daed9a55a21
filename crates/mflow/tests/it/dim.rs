//! `mflow dim`. Oracle: the circle of data.csv, in 3 dimensions and nearly without noise.
use crate::folder::Folder;
use serde_json::Value;

fn json(folder: &Folder, arguments: &str) -> Value {
    serde_json::from_str(&folder.succeeds(arguments)).expect("JSON")
}

#[test]
fn a_circle_has_one_dimension_in_words_in_json_and_in_a_picture() {
    let folder = Folder::new();
    let told = folder.succeeds("dim data.csv --out dim.svg");
    assert!(told.contains("recommended: 1: in neighbourhoods of"), "{told}");
    let picture = String::from_utf8(folder.read("dim.svg")).expect("text");
    assert!(picture.contains("recommended: 1"), "the picture says it too");
    let json = json(&folder, "dim data.csv --json");
    assert_eq!(json["recommended"], 1, "{json}");
    assert_eq!(json["curves"].as_array().map(Vec::len), Some(4), "{json}");
}

#[test]
fn what_rows_cannot_say_is_told_and_no_failure() {
    let folder = Folder::new();
    folder.write("few.csv", b"1,2\n3,4\n5,7\n");
    let told = folder.run("dim few.csv --out few.png");
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("no recommendation: there are too few rows"), "{told:?}");
    assert!(told.err.contains("no picture"), "{told:?}");
    folder.write("equal.csv", "1,2\n".repeat(50).as_bytes());
    let json = json(&folder, "dim equal.csv --json");
    assert_eq!(json["recommended"], Value::Null, "{json}");
}

#[test]
fn a_fit_without_a_dimension_names_the_command() {
    Folder::new().fails("fit data.csv --out run", 2, &["--manifold-dim", "mflow dim data.csv"]);
}
