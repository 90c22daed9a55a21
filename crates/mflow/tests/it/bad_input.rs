//! Bad input: the exit code, and a message that says where and what.
use crate::folder::Folder;
use mflow::core::candle::{DType, Device, Tensor};
use mflow::core::write_tensors;
use std::collections::BTreeMap;
use std::fs;

#[test]
fn bad_data_are_named_by_file_row_and_column() {
    let folder = Folder::fitted();
    folder.write("two.csv", b"1,2\n3,4\n");
    let parts = ["two.csv", "expected 3 columns", "(x, y, z)", "found 2"];
    folder.fails("score run two.csv --out s.npz", 1, &parts);
    folder.write("nan.csv", b"x,y,z\n1,2,3\n4,nan,6\n");
    let parts = ["nan.csv", "row 1", "line 3", "column 1 (\"y\")", "NaN"];
    folder.fails("score run nan.csv --out s.npz", 1, &parts);
    folder.fails("fit nan.csv --manifold-dim 1 --out other", 1, &parts);
    folder.write("order.csv", b"y,x,z\n1,2,3\n");
    let parts = ["order.csv", "in the order x, y, z", "found y, x, z"];
    folder.fails("score run order.csv --out s.npz", 1, &parts);
    folder.write("huge.csv", b"x,y,z\n1,2,3\n4,5,1e300\n");
    let parts = ["huge.csv", "row 1", "column 2 (\"z\")", "32-bit"];
    folder.fails("score run huge.csv --out s.npz", 1, &parts);
    folder.fails("fit huge.csv --manifold-dim 1 --out other", 1, &parts);
    folder.write("column.csv", b"1\n2\n");
    let parts = ["column.csv", "at least 2 columns"];
    folder.fails("fit column.csv --manifold-dim 1 --out other", 1, &parts);

    folder.succeeds("project run data.csv --out whole.npy");
    let whole = folder.read("whole.npy");
    folder.write("part.npy", &whole[..whole.len() - 5]);
    let parts = ["part.npy", "truncated", "expected 3600 bytes", "found 3595"];
    folder.fails("fit part.npy --manifold-dim 1 --out other", 1, &parts);
    folder.fails("score run absent.npy --out s.npz", 1, &["absent.npy", "No such file"]);
    folder.fails("score run data.txt --out s.npz", 1, &["data.txt", ".npy, .npz, .csv"]);

    let ended = {
        folder.write("renamed.csv", b"a,b,c\n1,2,3\n");
        folder.run("score run renamed.csv --out s.npz")
    };
    assert_eq!(ended.code, Some(0), "other names are no error: {}", ended.err);
    assert!(ended.err.contains("x, y, z") && ended.err.contains("a, b, c"), "{}", ended.err);
    assert!(!folder.path("other").exists(), "no folder for what cannot be fitted");
}

#[test]
fn bad_models_are_named() {
    let folder = Folder::fitted();
    let model = folder.read("run/model.safetensors");
    folder.write("part.safetensors", &model[..model.len() / 2]);
    let parts = ["part.safetensors", "not a readable model file", "expected a complete"];
    folder.fails("score part.safetensors data.csv --out s.npz", 1, &parts);
    let zero = Tensor::zeros(3, DType::F32, &Device::Cpu).expect("a tensor");
    let tensors = BTreeMap::from([("weight".to_owned(), zero)]);
    let foreign = folder.path("foreign.safetensors");
    write_tensors(&foreign, &tensors, BTreeMap::new()).expect("a file");
    let parts = ["foreign.safetensors", "expected the format entry `mflow-model`", "found `none`"];
    folder.fails("info foreign.safetensors", 1, &parts);
    let parts = ["checkpoint.safetensors", "found `mflow-checkpoint`"];
    folder.fails("info run/checkpoint.safetensors", 1, &parts);
    folder.fails("info data.csv", 1, &["data.csv", "not a readable model file"]);
    folder.fails("info absent", 1, &["absent", "No such file"]);
    folder.fails("info .", 1, &["without model.safetensors"]);
    fs::remove_file(folder.path("run/model.safetensors")).expect("removed");
    folder.fails("info run", 1, &["run: training is unfinished", "--resume auto"]);
}

#[test]
fn bad_settings_are_named_by_their_path() {
    let folder = Folder::new();
    let fit = |rest: &str| format!("fit data.csv --config small.toml {rest} --out run");
    let parts = ["--set model.outer.hiden", "unknown field `hiden`", "`hidden`"];
    folder.fails(&fit("--set model.outer.hiden=3 --set seed=1"), 2, &parts);
    folder.fails(&fit("--set foo=3"), 2, &["--set foo", "unknown field", "`train`"]);
    let parts = ["--set train.phases.7.epochs", "below 2", "found `7`"];
    folder.fails(&fit("--set train.phases[7].epochs=1"), 2, &parts);
    folder.fails(&fit("--set seed=many"), 2, &["--set seed", "\"many\""]);
    folder.fails(&fit("--set seed"), 2, &["--set", "FIELD=VALUE"]);
    folder.fails(&fit("--set model.kind=none"), 2, &["--set model.kind", "`m-flow`"]);
    folder.fails(&fit("--model gan"), 2, &["'gan'", "m-flow"]);
    folder.fails(&fit("--schedule ota"), 2, &["'ota'", "sequential"]);
    folder.fails(&fit("--learning-rate -1"), 1, &["learning_rate", "found -1"]);
    folder.fails(&fit("--set train.phases.1.epochs=0"), 1, &["train.phases[1].epochs"]);

    folder.write("typo.toml", b"[model]\nmanifold_dim = 1\n[model.outer]\nbin = 3\n");
    let parts = ["typo.toml", "`model.outer.bin`", "unknown field `bin`", "`bins`"];
    folder.fails("fit data.csv --config typo.toml --out run", 1, &parts);
    folder.write("syntax.toml", b"[model]\nmanifold_dim = = 1\n");
    let parts = ["syntax.toml, line 2"];
    folder.fails("fit data.csv --config syntax.toml --out run", 1, &parts);
    folder.write("wide.toml", b"[model]\nmanifold_dim = 1\ndata_dim = 5\n");
    let parts = ["data.csv", "expected 5 columns", "`model.data_dim`", "found 3"];
    folder.fails("fit data.csv --config wide.toml --out run", 1, &parts);
    assert!(!folder.path("run").exists(), "no folder for what cannot be fitted");
}

#[test]
fn the_dimension_of_the_manifold_is_from_1_to_below_that_of_the_data() {
    let folder = Folder::new();
    let parts = ["--manifold-dim", "the dimension of the manifold", "from 1 to 2"];
    folder.fails("fit data.csv --out run", 2, &parts);
    folder.fails("fit data.csv --manifold-dim 0 --out run", 2, &["--manifold-dim", "'0'"]);
    let parts = ["manifold_dim", "less than data_dim = 3, found 3"];
    folder.fails("fit data.csv --manifold-dim 3 --out run", 1, &parts);
    assert!(!folder.path("run").exists(), "no folder for what cannot be fitted");
}

#[test]
fn context_goes_with_conditional_models_only() {
    let folder = Folder::conditional();
    let parts = ["is conditional", "--context CTX", "1 columns", "found none"];
    folder.fails("score run data.csv --out s.npz", 1, &parts);
    folder.fails("sample run -n 3 --out x.npy", 1, &parts);
    folder.write("wide.csv", b"1,2\n");
    let parts = ["wide.csv", "expected 1 columns", "context", "found 2"];
    folder.fails("sample run -n 3 --context wide.csv --out x.npy", 1, &parts);
    folder.write("short.csv", b"1\n2\n");
    let parts = ["short.csv", "expected 300 rows", "found 2"];
    folder.fails("score run data.csv --context short.csv --out s.npz", 1, &parts);
    let short = "fit data.csv --context short.csv --manifold-dim 1 --out other";
    folder.fails(short, 1, &["short.csv", "expected 300 rows", "as many as data.csv"]);
    let alone = "fit data.csv --conditional-manifold --manifold-dim 1 --out other";
    folder.fails(alone, 2, &["--context"]);

    let folder = Folder::fitted();
    folder.write("context.csv", b"1\n");
    let parts = ["context.csv", "expected no context", "unconditional"];
    folder.fails("score run data.csv --context context.csv --out s.npz", 1, &parts);
    folder.fails("sample run -n 3 --context context.csv --out x.npy", 1, &parts);
}

#[test]
fn outputs_are_checked_before_the_work() {
    let folder = Folder::fitted();
    folder.fails("score run data.csv --out s.npy", 2, &["s.npy", ".npz or .csv", "found .npy"]);
    folder.fails("sample run -n 3 --out x.txt", 2, &["x.txt", "found .txt"]);
    folder.fails("sample run -n 0 --out x.npy", 2, &["'0'"]);
    folder.fails("sample run --out x.npy", 2, &["-n"]);
    folder.fails("sample run -n 3 --out no/x.npy", 1, &["no/x.npy", "there is no folder no"]);
}
