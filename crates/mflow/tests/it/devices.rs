//! Where the program computes: what it has, what it refuses, and what it says then.
use crate::folder::Folder;
use std::fs;

#[test]
fn the_program_says_what_it_can_use() {
    let folder = Folder::new();
    let out = folder.succeeds("info --threads 3");
    assert!(out.starts_with(&format!("mflow {}\n", env!("CARGO_PKG_VERSION"))), "version: {out}");
    assert!(out.contains("threads        3\n"), "{out}");
    assert!(out.contains("device         cpu: always there\n"), "{out}");
    folder.fails("info --context data.csv", 2, &["required", "MODEL"]);
}

#[test]
fn a_name_that_is_no_device_is_bad_usage() {
    let folder = Folder::new();
    let parts = ["'gpu'", "--device", "expected a device: cpu, cuda, cuda:N or metal"];
    for verb in ["score run data.csv --out s.npz", "fit data.csv --out run", "run a.toml --out run"]
    {
        folder.fails(&format!("{verb} --device gpu"), 2, &parts);
    }
    let parts = ["--set device", "expected a device: cpu, cuda, cuda:N or metal", "found `gpu`"];
    folder.fails("fit data.csv --config small.toml --set device=gpu --out run", 2, &parts);
}

#[cfg(not(feature = "metal"))]
#[test]
fn a_build_without_the_device_says_how_to_build_one() {
    let folder = Folder::fitted();
    folder.succeeds("encode run data.csv --device cpu --out u.npy");
    let parts = ["the device metal cannot be used", "--features metal", "or use the device cpu"];
    for verb in [
        "fit data.csv --config small.toml --out other",
        "score run data.csv --out s.npz",
        "sample run -n 3 --out x.npy",
        "project run data.csv --out x.npy",
        "encode run data.csv --out u.npy",
        "decode run u.npy --out x.npy",
        "info run",
        "plot run --out page",
    ] {
        folder.fails(&format!("{verb} --device metal"), 1, &parts);
    }
    let parts = ["the device metal cannot be used", "no double precision", "use f32"];
    folder.fails("score run data.csv --out s.npz --device metal --dtype f64", 1, &parts);
    for name in ["other", "s.npz", "x.npy", "page"] {
        assert!(!folder.path(name).exists(), "{name}: nothing was written");
    }
}

#[cfg(not(feature = "metal"))]
#[test]
fn the_device_is_a_field_of_configs_that_the_option_overrides() {
    let folder = Folder::new();
    let small = fs::read_to_string(folder.path("small.toml")).expect("a config");
    folder.write("there.toml", format!("device = \"metal\"\n{small}").as_bytes());
    let parts = ["the device metal cannot be used"];
    folder.fails("fit data.csv --config there.toml --out run", 1, &parts);
    assert!(!folder.path("run").exists(), "no folder for a run that cannot start");
    folder.succeeds("fit data.csv --config there.toml --epochs 2 --device cpu --out run");
    // The device of a run is part of what it is.
    let identity = String::from_utf8(folder.read("run/run.json")).expect("text");
    assert!(identity.contains("\"device\": \"cpu\""), "{identity}");
    folder.write("run/run.json", identity.replace("\"cpu\"", "\"cuda:1\"").as_bytes());
    let parts = ["started differently", "`device` was \"cuda:1\", now it is \"cpu\""];
    folder.fails("fit data.csv --resume auto --out run", 1, &parts);

    let experiment = "name = \"toy\"\ndevice = \"metal\"\n\
        [data]\nsimulator = \"circle\"\nrows = 100\n\
        [model]\nkind = \"m-flow\"\ndata_dim = 2\nmanifold_dim = 1\n\
        [train]\nschedule = \"sequential\"\nepochs = 2\n";
    folder.write("toy.toml", experiment.as_bytes());
    folder.fails("run toy.toml --out toy", 1, &["the device metal cannot be used"]);
    assert!(!folder.path("toy").exists(), "no folder either");
}
