//! The verbs that ask a model.
use crate::folder::{Ended, Folder, circle};
use mflow::core::candle::{DType, Device, Tensor};
use mflow::core::{Model, load_model};
use mflow::data::io::{npz_names, read_npz_array, read_table};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;

/// What the library says of data.csv, as one row of numbers each.
fn from_library(folder: &Folder, ask: impl Fn(&dyn Model, &Tensor) -> Tensor) -> Vec<f64> {
    let path = folder.path("run/model.safetensors");
    let loaded = load_model(&path, None, &Device::Cpu).expect("a model");
    let values = read_table(&folder.path("data.csv")).expect("data").into_values();
    let x = Tensor::from_vec(values, (300, 3), &Device::Cpu).expect("a tensor");
    let x = x.to_dtype(DType::F32).expect("single precision");
    values_of(&ask(loaded.model.as_ref(), &x))
}

fn values_of(t: &Tensor) -> Vec<f64> {
    let t = t.flatten_all().and_then(|t| t.to_dtype(DType::F64)).expect("numbers");
    t.to_vec1().expect("numbers")
}

fn close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * (1. + a.abs()))
}

fn table(path: &Path) -> Vec<f64> {
    read_table(path).expect("a table").into_values()
}

#[test]
fn scores_are_those_of_the_library() {
    let folder = Folder::fitted();
    folder.succeeds("score run data.csv --out s.npz");
    let path = folder.path("s.npz");
    let names = npz_names(&path).expect("an archive");
    assert_eq!(names, ["latent", "log_prob", "reconstruction_error"], "the arrays");
    let array = |name| read_npz_array(&path, name).expect("an array").into_values();
    let log_prob = from_library(&folder, |m, x| m.log_prob(x, None).expect("densities"));
    assert!(close(&array("log_prob"), &log_prob), "log_prob");
    let distance = |m: &dyn Model, x: &Tensor| m.reconstruction_error(x, None).expect("distances");
    assert!(close(&array("reconstruction_error"), &from_library(&folder, distance)), "distances");
    let latent = from_library(&folder, |m, x| m.encode(x, None).expect("latents"));
    assert!(close(&array("latent"), &latent), "latents");

    folder.succeeds("score run/model.safetensors data.csv --out s.csv");
    let csv = read_table(&folder.path("s.csv")).expect("a table");
    let names = csv.columns().expect("names");
    assert_eq!(names, ["log_prob", "reconstruction_error", "latent_0"], "a column for each number");
    let first: Vec<f64> = csv.values().iter().step_by(3).copied().collect();
    assert!(close(&first, &array("log_prob")), "the same numbers in both formats");
}

#[test]
fn decoding_what_was_encoded_is_projecting() {
    let folder = Folder::fitted();
    folder.succeeds("project run data.csv --dtype f64 --out p.csv");
    folder.succeeds("encode run data.csv --dtype f64 --out u.npy");
    folder.succeeds("decode run u.npy --dtype f64 --out d.npz");
    let (projected, decoded) = (folder.path("p.csv"), folder.path("d.npz"));
    assert!(close(&table(&projected), &table(&decoded)), "decode(encode(x)) = project(x)");
    let columns = read_table(&projected).expect("a table").columns().map(<[String]>::to_vec);
    assert_eq!(columns.expect("names"), ["x", "y", "z"], "data columns keep their names");
    assert_eq!(read_table(&folder.path("u.npy")).expect("a table").cols(), 1, "N latents");
}

#[test]
fn samples_depend_on_the_seed_only() {
    let folder = Folder::fitted();
    folder.succeeds("sample run -n 1000 --out a.npy");
    folder.succeeds("sample run -n 1000 --seed 0 --threads 1 --out b.npy");
    folder.succeeds("sample run -n 1000 --seed 1 --out c.npy");
    let [a, b, c] = ["a.npy", "b.npy", "c.npy"].map(|name| folder.read(name));
    assert!(a == b && a != c, "the same seed, the same points; another seed, others");
}

#[test]
fn a_context_has_a_row_for_each_point_or_one_for_all() {
    let folder = Folder::conditional();
    folder.write("one.csv", b"0.5\n");
    folder.succeeds("sample run -n 7 --context one.csv --out a.csv");
    assert_eq!(table(&folder.path("a.csv")).len(), 21, "7 points for one row of context");
    folder.succeeds("sample run --context context.csv --out b.csv");
    assert_eq!(table(&folder.path("b.csv")).len(), 900, "a point for each row of context");
    folder.succeeds("score run data.csv --context context.csv --out s.npz");
    let parts = ["context.csv", "expected 7 rows of context", "or 1 for all", "found 300"];
    folder.fails("sample run -n 7 --context context.csv --out c.csv", 1, &parts);
    let out = folder.succeeds("info run --context one.csv --samples 100");
    assert!(out.contains("1 features, for the density"), "what the context does: {out}");
}

#[test]
fn a_model_tells_what_it_is() {
    let folder = Folder::fitted();
    let out = folder.succeeds("info run");
    for part in [
        "m-flow: a density on a manifold of dimension 1 in 3 dimensions",
        "x, y, z",
        "standard normal on R^1",
        "data data.csv",
        "f32",
        "check on 1000 of its samples",
        "reconstruction error, largest",
    ] {
        assert!(out.contains(part), "{out} lacks {part:?}");
    }
    let double = out.lines().filter_map(|line| line.strip_prefix("  ")?.split("  ").last());
    let exact = double.filter_map(|number| number.trim().parse::<f64>().ok());
    let exact: Vec<f64> = exact.collect();
    assert_eq!(exact.len(), 5, "five numbers in double precision: {out}");
    assert!(exact.iter().all(|&error| error < 1e-9), "exact to rounding: {out}");
    let json: Value = serde_json::from_str(&folder.succeeds("info run --json")).expect("JSON");
    let expected = json!({"model": "m-flow", "data_dim": 3, "manifold_dim": 1, "columns": ["x", "y", "z"], "dtype": "f32"});
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(json[name], *value, "{name}");
    }
    assert_eq!(json["config"]["kind"], "m-flow", "{json}");
    assert_eq!(json["provenance"]["data"], "data.csv", "{json}");
    let checks = json["check"]["f64"].as_object().expect("the check in double precision");
    let found: Vec<String> =
        checks.values().map(|v| format!("{:.1e}", v.as_f64().expect("a number"))).collect();
    assert!(
        found.len() == 5 && found.iter().all(|number| out.contains(number)),
        "{found:?} of {out}"
    );
}

#[test]
fn results_that_are_not_finite_are_counted() {
    let folder = Folder::new();
    folder.write("large.csv", circle(300, 1000.).as_bytes());
    folder.succeeds("fit large.csv --config small.toml --epochs 2 --out run");
    folder.write("latents.csv", b"0\n1e38\n0.5\n-1e38\n");
    let ended = folder.run("decode run latents.csv --out x.npy");
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let warning = "warning: the results of 2 of 4 rows are not finite, the first at row 1";
    assert!(ended.err.contains(warning), "{}", ended.err);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_reported_and_leaves_nothing() {
    use std::process::Command;
    let folder = Folder::fitted();
    // A limit on the size of files is as good as a full disk, and needs no rights.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" sample run -n 5000 --out x.npy";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_mflow")]);
    folder.prepare(&mut command);
    let ended = Ended::new(command.output().expect("the program starts"));
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("x.npy") && ended.err.contains("large"), "{}", ended.err);
    let names = std::fs::read_dir(folder.path(".")).expect("a folder");
    let names: Vec<_> = names.map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("x.npy")), "{names:?}");

    let mut info = folder.command("info run");
    info.stdout(File::create("/dev/full").expect("it opens"));
    let ended = Ended::new(info.output().expect("the program starts"));
    assert_eq!(ended.code, Some(1), "results that cannot be printed: {}", ended.err);
}
