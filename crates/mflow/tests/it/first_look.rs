//! What `fit` tells of the data before it trains, and of the model on held-out rows when it is done.
use crate::folder::Folder;
use mflow::bijectors::Stream;
use mflow::fit::{HELD_OUT_FILE, HeldOut};
use std::fmt::Write;

fn held_out(folder: &Folder, run: &str) -> HeldOut {
    serde_json::from_slice(&folder.read(&format!("{run}/{HELD_OUT_FILE}"))).expect("JSON")
}

/// A table of `rows` rows that are made of so many normal numbers.
fn table(rows: usize, numbers: usize, row: impl Fn(&[f64]) -> Vec<f64>) -> Vec<u8> {
    let z = Stream::new(11, "first look").normal(rows * numbers);
    let line = |mut text: String, z: &[f64]| {
        let cells: Vec<String> = row(z).iter().map(f64::to_string).collect();
        writeln!(text, "{}", cells.join(",")).expect("a line");
        text
    };
    z.chunks(numbers).fold(String::new(), line).into_bytes()
}

#[test]
fn an_ambient_density_of_copies_is_warned_of() {
    let folder = Folder::new();
    folder.write("copies.csv", &table(300, 2, |z| z.repeat(12)));
    let ended = folder.run("fit copies.csv --model af --epochs 1 --out run");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for part in [
        "300 rows of 24 columns, of rank 2",
        "the same up to units: 2 as 0, 3 as 1",
        "manifold of about 2 dimensions",
        "no bound",
        "--model m-flow --manifold-dim 2",
    ] {
        assert!(ended.err.contains(part), "{part}: {}", ended.err);
    }
}

#[test]
fn a_sphere_is_warned_of_and_what_fills_its_columns_is_not() {
    let folder = Folder::new();
    let on_sphere = |z: &[f64]| {
        let length = z.iter().map(|v| v * v).sum::<f64>().sqrt();
        z.iter().map(|v| v / length).collect()
    };
    folder.write("sphere.csv", &table(500, 3, on_sphere));
    folder.write("normal.csv", &table(500, 6, <[f64]>::to_vec));
    // Correlated, as sums of the same numbers are.
    let sums = |z: &[f64]| (0..5).map(|k| z[..=k].iter().sum::<f64>() + 0.3 * z[5]).collect();
    folder.write("sums.csv", &table(500, 6, sums));
    let warned = |name: &str| {
        let ended = folder.run(&format!("fit {name}.csv --model af --epochs 1 --out {name}"));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.err.contains("no bound")
    };
    assert!(warned("sphere"));
    assert!(!warned("normal") && !warned("sums"));
}

#[test]
fn the_dimension_may_be_left_to_the_data() {
    let folder = Folder::new();
    folder.succeeds("data s-curve -n 600 --out s");
    let fit = "fit s/x.npy --manifold-dim auto --model m-flow --start flat --epochs 2";
    let ended = folder.run(&format!("{fit} --out run"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for part in [
        "dimension of the manifold, by the data: 2:",
        "after short runs:",
        "with --manifold-dim 1,",
        "with --manifold-dim 2\n",
    ] {
        assert!(ended.err.contains(part), "{part}: {}", ended.err);
    }
    let text = String::from_utf8(folder.read("run/config.toml")).expect("text");
    assert!(text.contains("manifold_dim = 2"), "{text}");
    // Nothing is asked again.
    let ended = folder.run(&format!("{fit} --out run --resume auto"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.err.contains("short runs"), "{}", ended.err);
    folder.write("full.csv", &table(300, 3, <[f64]>::to_vec));
    let parts = ["--manifold-dim", "fill all 3 columns", "`af`"];
    folder.fails("fit full.csv --manifold-dim auto --out full", 2, &parts);
}

#[test]
fn a_fit_ends_with_what_held_out_rows_say() {
    let folder = Folder::new();
    folder.succeeds("data s-curve -n 600 --out s");
    let fit = "fit s/x.npy --manifold-dim 2 --model m-flow --start flat --epochs 4";
    let ended = folder.run(&format!("{fit} --out run"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for part in [
        "on 60 held-out rows, which also chose the epochs",
        "reconstruction error",
        "principal components",
        "mean log_prob",
        "outliers",
    ] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
    let chose = held_out(&folder, "run");
    assert_eq!((chose.rows, chose.chose_weights), (60, true));
    let report = String::from_utf8(folder.read("run/report.html")).expect("text");
    assert!(report.contains("On held-out rows"), "the report tells");
    // What to do next can be done.
    assert!(ended.err.contains("next: open run/report.html"), "{}", ended.err);
    let next = ended
        .err
        .split("`mflow ")
        .find_map(|rest| rest.split('`').next().filter(|c| c.starts_with("score")));
    folder.succeeds(next.expect("a command"));
    assert!(folder.path("scores.csv").is_file());

    // Rows apart: the model is that of the others alone, and the numbers are those of `score`.
    folder.succeeds(&format!("{fit} --holdout 0.25 --out apart"));
    let apart = held_out(&folder, "apart");
    assert_eq!((apart.rows, apart.chose_weights), (150, false));
    let parts = ["above 0 and below 1"];
    folder.fails(&format!("{fit} --holdout 1 --out none"), 2, &parts);
}

#[test]
fn held_out_numbers_are_those_of_score() {
    let folder = Folder::new();
    folder.succeeds("data s-curve -n 300 --out s");
    folder.succeeds("data s-curve -n 100 --seed 9 --out t");
    folder.succeeds(
        "fit s/x.npy --validation t/x.npy --manifold-dim 2 --model m-flow --start flat --epochs 2 --out run",
    );
    let found = held_out(&folder, "run");
    folder.succeeds("score run t/x.npy --out scores.csv");
    let text = String::from_utf8(folder.read("scores.csv")).expect("text");
    let mean = |column: &str| {
        let mut lines = text.lines();
        let at = lines.next().and_then(|head| head.split(',').position(|name| name == column));
        let at = at.expect("the column");
        let all: Vec<f64> =
            lines.map(|line| line.split(',').nth(at).expect("it").parse().expect("it")).collect();
        all.iter().sum::<f64>() / all.len() as f64
    };
    let error = found.reconstruction_error.expect("it");
    assert_eq!((found.rows, error.count), (100, 100));
    assert!((error.value - mean("reconstruction_error")).abs() < 1e-6);
    let log_prob = found.log_prob.expect("it");
    assert!((log_prob.value - mean("log_prob")).abs() < 1e-4 * log_prob.value.abs());
    assert!(found.principal_error.is_some());
}
