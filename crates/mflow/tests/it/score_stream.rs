//! Scores of rows that stay on disk, and draws of more points than are held. Oracles: the scores of the same file read whole,
//! to the bit; and points drawn by the library at once, up to rounding.
use crate::folder::Folder;
use mflow::bijectors::{Stream, host};
use mflow::core::candle::Device;
use mflow::core::load_model;
use mflow::data::io::{NpyFile, read_npy, read_npz_array};
use std::fs;

const NAMES: [&str; 3] = ["log_prob", "reconstruction_error", "latent"];

#[track_caller]
fn are_those_of_the_whole(folder: &Folder, stream: &str, whole: &str) {
    for name in NAMES {
        let found = read_npy(&folder.path(&format!("{stream}/{name}.npy"))).unwrap();
        let expected = read_npz_array(&folder.path(whole), name).unwrap();
        assert_eq!(found.rows(), expected.rows(), "{name}: rows");
        assert!(found.values() == expected.values(), "{name}: the same bits");
    }
    let names = fs::read_dir(folder.path(stream)).unwrap().count();
    assert_eq!(names, NAMES.len(), "and nothing else in the folder");
}

#[test]
fn streamed_scores_are_those_of_the_whole_file() {
    let folder = Folder::fitted();
    folder.succeeds("sample run -n 70000 --seed 3 --out x.npy");
    folder.succeeds("score run x.npy --out whole.npz");
    let out = folder.succeeds("score run x.npy --stream --out scores");
    assert_eq!(
        out,
        "scores: log_prob.npy [70000], reconstruction_error.npy [70000], latent.npy [70000, 1]\n"
    );
    are_those_of_the_whole(&folder, "scores", "whole.npz");
}

#[test]
fn streamed_contexts_go_with_their_rows() {
    let folder = Folder::conditional();
    folder.succeeds("sample run --context context.csv --out x.npy");
    folder.succeeds("score run x.npy --context context.csv --out whole.npz");
    // As a .npy file: the latents of a model of one dimension have its shape.
    let text = String::from_utf8(folder.read("context.csv")).unwrap();
    let values: Vec<f64> = text.lines().map(|line| line.parse().unwrap()).collect();
    let array = mflow::data::io::Array::matrix(300, 1, &values, mflow::data::io::Dtype::F64);
    mflow::data::io::write_npy(&folder.path("context.npy"), &array.unwrap()).unwrap();
    folder.succeeds("score run x.npy --context context.npy --stream --out scores");
    are_those_of_the_whole(&folder, "scores", "whole.npz");
    folder.write("one.csv", b"0.5\n");
    folder.succeeds("score run x.npy --context one.csv --out one.npz");
    folder.succeeds("score run x.npy --context one.csv --stream --out one");
    are_those_of_the_whole(&folder, "one", "one.npz");
    folder.fails("score run x.npy --stream --out none", 1, &["conditional", "--context"]);
}

#[test]
fn parquet_files_are_read_by_row_groups() {
    let folder = Folder::fitted();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../mflow-data/tests/fixtures/zstd.parquet");
    fs::copy(fixture, folder.path("x.parquet")).unwrap();
    folder.succeeds("score run x.parquet --columns x,n,h --out whole.npz");
    folder.succeeds("score run x.parquet --columns x,n,h --stream --out scores");
    are_those_of_the_whole(&folder, "scores", "whole.npz");
    let out = folder.succeeds("data array x.parquet --columns x,n,h --out x.npy");
    assert_eq!(out, "x.npy: [5, 3]\n");
    folder.succeeds("score run x.npy --stream --out again");
    are_those_of_the_whole(&folder, "again", "whole.npz");
    folder.succeeds("data array data.csv --drop z --out csv.npy");
    let table = read_npy(&folder.path("csv.npy")).unwrap();
    assert_eq!((table.rows(), table.cols()), (300, 2));
    let text = String::from_utf8(folder.read("data.csv")).unwrap();
    let first: Vec<&str> = text.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(table.values()[..2], [first[0], first[1]].map(|v| v.parse::<f64>().unwrap()));
    folder.fails(
        "fit x.parquet --stream --manifold-dim 1 --out fit",
        2,
        &["mflow data array x.parquet"],
    );
    folder.fails("score run data.csv --stream --out no", 2, &["expected a .npy or .parquet file"]);
    folder.fails("data array data.csv --out x.csv", 2, &["--out x.csv", ".npy"]);
}

#[test]
fn interrupted_scores_go_on() {
    let folder = Folder::fitted();
    folder.succeeds("sample run -n 500000 --seed 3 --out x.npy");
    folder.succeeds("score run x.npy --out whole.npz");
    let score = "score run x.npy --stream --out scores";
    let mut interrupted = 0;
    for signal in ["INT", "TERM", "KILL"] {
        let length =
            || fs::metadata(folder.path("scores/latent.npy.part")).map_or(128, |m| m.len());
        let before = length();
        let running = folder.start(&format!("{score} --resume auto"));
        Folder::wait_until("more rows are written", || length() > before);
        if signal == "KILL" {
            running.kill();
            continue;
        }
        running.signal(signal);
        let ended = running.wait();
        interrupted += usize::from(ended.code == Some(130));
        assert!(ended.code == Some(0) || ended.err.contains("--resume auto"), "{}", ended.err);
    }
    assert!(interrupted > 0, "it was never interrupted: make it longer");
    folder.fails(score, 1, &["scores", "not finished", "--resume auto"]);
    let other = "score run data.csv --stream --resume auto --out scores";
    folder.fails(other, 2, &["data.csv", "expected a .npy or .parquet file to --stream"]);
    folder.succeeds("sample run -n 500000 --seed 4 --out y.npy");
    let other = "score run y.npy --stream --resume auto --out scores";
    folder.fails(other, 1, &["scores", "begun differently", "DATA"]);
    let progress = folder.read("scores/progress.json");
    folder.write("scores/progress.json.4711.tmp", b"{");
    folder.succeeds(&format!("{score} --resume auto"));
    are_those_of_the_whole(&folder, "scores", "whole.npz");

    // Killed at its very end, when some of the files had their names.
    let mut progress: serde_json::Value = serde_json::from_slice(&progress).unwrap();
    progress["scored"]["rows"] = 500_000.into();
    folder.write("scores/progress.json", progress.to_string().as_bytes());
    fs::rename(folder.path("scores/latent.npy"), folder.path("scores/latent.npy.part")).unwrap();
    folder.succeeds(&format!("{score} --resume auto"));
    are_those_of_the_whole(&folder, "scores", "whole.npz");
}

#[test]
fn scores_in_use_and_parts_of_files_are_told_apart() {
    let folder = Folder::fitted();
    folder.succeeds("sample run -n 1000 --out x.npy");
    folder.succeeds("score run x.npy --out whole.npz");
    let score = "score run x.npy --stream --out scores";
    // Killed before it wrote how far it was.
    fs::create_dir(folder.path("scores")).unwrap();
    folder.write("scores/progress.json.4711.tmp", b"{");
    let lock = fs::File::open(folder.path("scores")).unwrap();
    if lock.try_lock().is_ok() {
        folder.fails(score, 1, &["scores", "in use by another process"]);
    }
    drop(lock);
    folder.succeeds(score);
    are_those_of_the_whole(&folder, "scores", "whole.npz");
}

#[test]
fn a_stream_is_refused_where_it_cannot_be() {
    let folder = Folder::fitted();
    folder.succeeds("sample run -n 10 --out x.npy");
    folder.fails("score run x.npy --stream --out s.npz", 2, &["expected a folder", "--stream"]);
    folder.fails("score run x.npy --out s", 2, &[".npz or .csv", "--stream"]);
    folder.fails("score run x.npy --resume auto --out s.npz", 2, &["--stream"]);
    let missing = "score run x.npy --missing drop --stream --out s";
    folder.fails(missing, 2, &["--missing drop without --stream"]);
    fs::create_dir(folder.path("mine")).unwrap();
    folder.write("mine/thesis.tex", b"text");
    folder.fails("score run x.npy --stream --out mine", 1, &["mine", "new or empty folder"]);
}

#[test]
fn many_points_are_those_that_are_drawn_at_once() {
    let folder = Folder::fitted();
    // One more than the program draws at a time, and then some.
    let rows = (1 << 20) + 5;
    let out = folder.succeeds(&format!("sample run -n {rows} --seed 3 --out x.npy"));
    assert_eq!(out, format!("x.npy: [{rows}, 3]\n"));
    let file = folder.path("run/model.safetensors");
    let model = load_model(&file, None, &Device::Cpu).unwrap().model;
    let latents = model.sample_latent(rows, &mut Stream::new(3, "sample")).unwrap();
    let found = NpyFile::open(&folder.path("x.npy")).unwrap();
    for first in [0, rows / 2, rows - 1000] {
        let points = model.decode(&latents.narrow(0, first, 1000).unwrap(), None).unwrap();
        let expected = host::values_f64(&points).unwrap();
        for (found, expected) in found.read_rows(first, 1000).unwrap().iter().zip(&expected) {
            // Products of the last five rows alone are rounded differently.
            let close = (found - expected).abs() < 1e-5 * (1. + expected.abs());
            assert!(close, "rows from {first} on: {found}, not {expected}");
        }
    }
}
