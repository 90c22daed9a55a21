//! `fit` with rows that count differently. Oracle: rows that are there as often as they count.
use crate::folder::Folder;
use mflow::bijectors::Stream;
use mflow::data::io::{Array, Dtype, read_table, write_npy};
use std::fmt::Write;

const ROWS: usize = 120;

/// Points of a noisy parabola, `x.npy`; their weights 1, 2, 3, 1, .., `w.npy`; the points as often as they count,
/// `often.npy`; all of it as text, `x.csv`; points for validation, `v.npy`.
fn folder() -> Folder {
    let folder = Folder::new();
    let write = |name: &str, cols: usize, values: &[f64]| {
        let array = Array::matrix(values.len() / cols, cols, values, Dtype::F64).expect("a table");
        write_npy(&folder.path(name), &array).expect("the file is written");
    };
    let parabola = |name: &str| -> Vec<f64> {
        let z = Stream::new(4, name).normal(2 * ROWS);
        z.chunks(2)
            .flat_map(|z| [z[0], 0.5 * z[0] * z[0] + 0.1 * z[1], -z[0] + 0.1 * z[1]])
            .collect()
    };
    let x = parabola("x");
    let weights: Vec<f64> = (0..ROWS).map(|i| [1., 2., 3.][i % 3]).collect();
    let times = |i: usize| [1, 2, 3][i % 3];
    let often: Vec<f64> =
        x.chunks(3).enumerate().flat_map(|(i, row)| row.repeat(times(i))).collect();
    let mut text = "a,weight,b,c\n".to_owned();
    for (row, w) in x.chunks(3).zip(&weights) {
        writeln!(text, "{},{w},{},{}", row[0], row[1], row[2]).expect("a line");
    }
    folder.write("x.csv", text.as_bytes());
    write("x.npy", 3, &x);
    write("w.npy", 1, &weights);
    write("often.npy", 3, &often);
    write("v.npy", 3, &parabola("v"));
    let signed: Vec<f64> = (0..ROWS).map(|i| if i == 7 { -0.5 } else { 1. }).collect();
    write("signed.npy", 1, &signed);
    write("few.npy", 1, &signed[..9]);
    folder
}

/// One batch an epoch, and nothing that is drawn by row. A flat start would differ: where rows lie does not depend on what
/// they count.
const FIT: &str = "--validation v.npy --dtype f64 --batch-size 1000 --epochs 4 --threads 1";

fn log_prob(folder: &Folder, run: &str, data: &str) -> Vec<f64> {
    folder.succeeds(&format!("score {run} {data} --out {run}.csv"));
    read_table(&folder.path(&format!("{run}.csv"))).expect("scores").values().to_vec()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "as many scores");
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0., f64::max)
}

#[test]
fn a_row_of_weight_three_is_three_rows() {
    let folder = folder();
    for (model, options) in [
        ("af", "--set model.inner.layers=2"),
        ("m-flow", "--manifold-dim 1 --start random --set model.outer.layers=2"),
    ] {
        let fit = |rest: &str, run: &str| {
            folder.succeeds(&format!("fit {rest} --model {model} {options} {FIT} --out {run}"));
            log_prob(&folder, run, "v.npy")
        };
        let often = fit("often.npy", &format!("{model}-often"));
        let weighted = fit("x.npy --weights w.npy", &format!("{model}-weighted"));
        let difference = largest_difference(&often, &weighted);
        assert!(difference < 1e-6, "{model}: {difference}");
        let plain = fit("x.npy", &format!("{model}-plain"));
        assert!(largest_difference(&often, &plain) > 1e-3, "{model}: weights matter");
    }
}

#[test]
fn weights_are_a_file_or_a_column_in_memory_or_not() {
    let folder = folder();
    let fit = format!("--model af --set model.inner.layers=2 {FIT}");
    folder.succeeds(&format!("fit x.npy --weights w.npy {fit} --out file"));
    let ended = folder.run(&format!("fit x.csv --weights weight {fit} --out column"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // (1 + 2 + 3)²/(1 + 4 + 9) of 3 rows, 40 times.
    assert!(ended.err.contains("120 rows count as 102.9 of equal weight"), "{}", ended.err);
    folder.succeeds(&format!("fit x.npy --stream --weights w.npy {fit} --out disk"));
    let expected = log_prob(&folder, "file", "x.npy");
    // The column of weights is left out of what is scored too.
    assert!(largest_difference(&expected, &log_prob(&folder, "column", "x.csv")) < 1e-9);
    assert!(largest_difference(&expected, &log_prob(&folder, "disk", "x.npy")) < 1e-9);
    // Rows that are held out keep their weights.
    folder.succeeds("fit x.csv --weights weight --holdout 0.2 --model af --epochs 1 --out apart");
}

#[test]
fn weights_that_make_no_sense_are_refused() {
    let folder = folder();
    let fit = "--manifold-dim 1 --epochs 2 --out run";
    for (weights, code, parts) in [
        ("none.npy", 1, vec!["none.npy", "expected a file of weights"]),
        ("few.npy", 1, vec!["few.npy", "expected 120 rows", "found 9"]),
        ("v.npy", 1, vec!["v.npy", "expected 1 columns", "the weight of each row", "found 3"]),
        ("signed.npy --model rif", 1, vec!["signed.npy", "none below 0", "-0.5 in row 7"]),
    ] {
        folder.fails(&format!("fit x.npy --weights {weights} {fit}"), code, &parts);
    }
    folder.fails(&format!("fit x.csv --weights mass {fit}"), 1, &["mass", "x.csv"]);
    // A likelihood can do with them.
    let ended =
        folder.run(&format!("fit x.npy --weights signed.npy --model m-flow --start flat {fit}"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("warning: 1 weights are below 0"), "{}", ended.err);
}
