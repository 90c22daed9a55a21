//! Tables as users have them: what the program makes of them, and what a model remembers.
use crate::folder::Folder;
use mflow::data::io::{Array, Dtype, read_npz_array, read_table, write_npy};
use std::fmt::Write;

/// data.csv with a row index, a label and other separators.
fn indexed(folder: &Folder) -> String {
    let text = String::from_utf8(folder.read("data.csv")).unwrap();
    let mut lines = text.lines();
    let mut out = format!(";{};label\n", lines.next().unwrap().replace(',', ";"));
    for (i, line) in lines.enumerate() {
        writeln!(out, "{i};{};row {i}", line.replace(',', ";")).unwrap();
    }
    out
}

#[test]
fn a_model_remembers_its_columns() {
    let folder = Folder::fitted();
    let text = indexed(&folder);
    folder.write("index.csv", text.as_bytes());
    let small = "--config small.toml --epochs 2 --out";
    let refused = format!("fit index.csv {small} other");
    folder.fails(&refused, 1, &["index.csv", "line 2, column 4 (\"label\")", "\"row 0\""]);
    let warned = folder.run(&format!("fit index.csv --drop label {small} warned"));
    assert_eq!(warned.code, Some(0), "{}", warned.err);
    let warning = "warning: index.csv: column 0 seems to number the rows";
    assert!(warned.err.contains(warning), "{}", warned.err);

    folder.succeeds(&format!("fit index.csv --drop 0,label {small} dropped"));
    folder.succeeds(&format!("fit index.csv --columns x,y,z {small} chosen"));
    let scores = |run: &str, data: &str| {
        folder.succeeds(&format!("score {run} {data} --out s.npz"));
        read_npz_array(&folder.path("s.npz"), "log_prob").unwrap().into_values()
    };
    let expected = scores("run", "data.csv");
    for run in ["dropped", "chosen"] {
        assert_eq!(scores(run, "index.csv"), expected, "{run}: the columns are remembered");
        assert_eq!(scores(run, "data.csv"), expected, "{run}: a file of these columns alone");
    }
    assert_eq!(scores("run", "index.csv --columns x,y,z"), expected, "chosen for once");
    let parts = ["index.csv", "expected a column `w`", "`x`, `y`, `z`, `label`"];
    folder.fails("score run index.csv --columns w --out s.npz", 1, &parts);
}

#[test]
fn rows_keep_their_shape() {
    let folder = Folder::new();
    let values = read_table(&folder.path("data.csv")).unwrap().into_values();
    let images = Array::matrix(150, 6, &values, Dtype::F64).unwrap();
    write_npy(&folder.path("images.npy"), &images.with_row_shape(&[3, 2]).unwrap()).unwrap();
    write_npy(&folder.path("turned.npy"), &images.with_row_shape(&[2, 3]).unwrap()).unwrap();
    folder.succeeds("fit images.npy --config small.toml --epochs 2 --out run");
    folder.succeeds("encode run images.npy --out u.npy");
    for command in [
        "sample run -n 4 --out new.npy",
        "project run images.npy --out new.npy",
        "decode run u.npy --out new.npy",
    ] {
        folder.succeeds(command);
        let new = read_table(&folder.path("new.npy")).unwrap();
        assert_eq!(new.row_shape(), Some([3, 2].as_slice()), "{command}");
    }
    let parts = ["turned.npy", "rows of the shape [3, 2]", "found [2, 3]"];
    folder.fails("score run turned.npy --out s.npz", 1, &parts);
}

#[test]
fn missing_values_are_dropped_from_all_tables_of_a_fit() {
    let folder = Folder::conditional();
    let text = String::from_utf8(folder.read("data.csv")).unwrap();
    let gap = |text: &str, line: usize| {
        let mut lines: Vec<&str> = text.lines().collect();
        let row = if text.contains(',') { "NA,1,2" } else { "NA" };
        lines[line] = row;
        lines.join("\n")
    };
    let context = String::from_utf8(folder.read("context.csv")).unwrap();
    folder.write("gaps.csv", gap(&text, 3).as_bytes());
    folder.write("context_gaps.csv", gap(&context, 5).as_bytes());
    let fit = "fit gaps.csv --context context_gaps.csv --config small.toml --epochs 2 --out other";
    folder.fails(fit, 1, &["gaps.csv, line 4, column 0 (\"x\")", "\"NA\""]);
    let ended = folder.run(&format!("{fit} --missing drop"));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    for name in ["gaps.csv", "context_gaps.csv"] {
        let warning = format!("warning: {name}: 1 of 300 rows are left out");
        assert!(ended.err.contains(&warning), "{}", ended.err);
    }
    let config = String::from_utf8(folder.read("other/config.toml")).unwrap();
    assert!(config.contains("data_dim = 3"), "{config}");
    let info = folder.succeeds("info other");
    assert!(info.contains("rows 298"), "both rows are left out: {info}");
    // So are they of what is asked of the model: the other rows have the scores that they have among all.
    let scores = |data: &str, options: &str| -> Vec<String> {
        folder.succeeds(&format!("score other {data} {options} --threads 1 --out scores.csv"));
        let text = String::from_utf8(folder.read("scores.csv")).unwrap();
        text.lines().skip(1).map(str::to_owned).collect()
    };
    let mut all = scores("data.csv", "--context context.csv");
    let some = scores("gaps.csv", "--context context_gaps.csv --missing drop");
    assert_eq!(some.len(), 298);
    // The data have a header, the context has none.
    for row in [5, 3 - 1] {
        all.remove(row);
    }
    let first = |line: &String| -> f64 {
        line.split(',').next().and_then(|v| v.parse().ok()).expect("a number")
    };
    let differ = some.iter().zip(&all).filter(|(a, b)| (first(a) - first(b)).abs() > 1e-4).count();
    assert_eq!(differ, 0, "rows keep their contexts");
}
