//! `fit` where nobody says which model, or where it starts.
use crate::folder::Folder;
use mflow::bijectors::Stream;
use mflow::core::candle::{DType, Device};
use mflow::core::{ModelConfig, ModelParts, standardize};
use mflow::data::io::{Array, Dtype, read_npy, write_npy};
use mflow::data::simulator_by_name;
use mflow::fit::{FitConfig, Shape, shape_of};
use mflow::train::{Attempt, Rows, TRIAL};
use std::fmt::Write;

fn config(folder: &Folder, run: &str) -> FitConfig {
    let text = String::from_utf8(folder.read(&format!("{run}/config.toml"))).expect("text");
    toml::from_str(&text).expect("a config")
}

fn attempts(folder: &Folder, run: &str) -> Vec<Attempt> {
    serde_json::from_slice(&folder.read(&format!("{run}/attempts.json"))).expect("attempts")
}

fn phases(config: &FitConfig) -> Vec<String> {
    config.train.phases.iter().map(mflow::train::Stage::name).collect()
}

#[test]
fn by_default_short_trials_choose_and_say_so() {
    let folder = Folder::new();
    folder.succeeds("data s-curve -n 700 --out s");
    let fit = "fit s/x.npy --manifold-dim 2 --epochs 2";
    let ended = folder.run(&format!("{fit} --out run"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let all = attempts(&folder, "run");
    let trials: Vec<&Attempt> = all.iter().filter(|a| a.stage == TRIAL).collect();
    let names: Vec<&str> = trials.iter().filter_map(|a| a.start.as_deref()).collect();
    assert_eq!(names, ["free-form, unrolled start", "m-flow, flat start"], "{all:?}");
    let chosen: Vec<&&Attempt> = trials.iter().filter(|a| !a.failed).collect();
    assert_eq!(chosen.len(), 1, "{all:?}");
    let name = chosen[0].start.as_deref().expect("its name");
    assert!(ended.err.contains(&format!("trial of {name}: reconstruction error")), "{}", ended.err);
    assert!(ended.err.contains(&format!("chosen: {name}")), "{}", ended.err);
    assert!(ended.out.contains("chosen of 2 by short trials"), "{}", ended.out);
    assert!(all.iter().any(|a| a.stage == "manifold"), "and then the manifold is learned: {all:?}");
    let report = String::from_utf8(folder.read("run/report.html")).expect("text");
    assert!(report.contains(name) && report.contains("chosen"), "the report tells");
    // The config says what was chosen: no trial is made again, and the same bytes come out.
    folder.succeeds("fit s/x.npy --config run/config.toml --out again");
    let same = folder.read("again/model.safetensors") == folder.read("run/model.safetensors");
    assert!(same, "from the config of the run");
    assert!(attempts(&folder, "again").iter().all(|a| a.stage != TRIAL), "without a trial");
    folder.succeeds(&format!("{fit} --resume auto --out run"));
    assert_eq!(attempts(&folder, "run"), all, "a run that has ended stays as it is");
}

#[test]
fn a_plane_is_found_without_training() {
    let folder = Folder::new();
    let rows: String = (0..200_u32).fold(String::new(), |mut text, i| {
        let (a, b) = (f64::from(i * 37 % 200) / 100. - 1., f64::from(i * 91 % 199) / 100. - 1.);
        writeln!(text, "{a},{b},1").expect("a line");
        text
    });
    folder.write("plane.csv", rows.as_bytes());
    let ended = folder.run("fit plane.csv --manifold-dim 2 --epochs 2 --out run");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("plane of 2 dimensions"), "{}", ended.err);
    assert_eq!(phases(&config(&folder, "run")), ["density"], "nothing else is learned");
    folder.succeeds("score run plane.csv --out scores.csv");
    let scores = String::from_utf8(folder.read("scores.csv")).expect("text");
    let column = |name: &str| {
        let head = scores.lines().next().expect("a header");
        head.split(',').position(|c| c == name).expect("the column")
    };
    let at = column("reconstruction_error");
    let error = |line: &str| -> f64 { line.split(',').nth(at).expect("it").parse().expect("it") };
    let largest = scores.lines().skip(1).map(error).fold(0., f64::max);
    assert!(largest < 1e-5, "principal components are exact, but for rounding: {largest}");
}

#[test]
fn a_start_is_a_phase_or_a_frame() {
    let folder = Folder::new();
    folder.succeeds("data s-curve -n 200 --out s");
    let small = "fit s/x.npy --manifold-dim 2 --epochs 3 --model m-flow --set model.outer.layers=1";
    for (start, expected) in [
        ("flat", vec!["manifold", "density"]),
        ("unrolled", vec!["start", "manifold", "density"]),
        ("autoencoder", vec!["start", "manifold", "density"]),
        ("random", vec!["manifold", "density"]),
    ] {
        folder.succeeds(&format!("{small} --start {start} --out {start}"));
        let config = config(&folder, start);
        assert_eq!(phases(&config), expected, "{start}");
        assert_eq!(config.model.sizes.frame.is_some(), start == "flat", "{start}");
    }
    // All of them are tried if nobody says.
    folder.succeeds(&format!("{small} --out auto"));
    let names: Vec<String> =
        attempts(&folder, "auto").into_iter().filter_map(|a| a.start).collect();
    let expected = ["flat", "unrolled", "autoencoder", "random"];
    assert_eq!(names, expected.map(|start| format!("m-flow, {start} start")));
}

#[test]
fn closed_data_are_tried_on_closed_charts() {
    let folder = Folder::new();
    folder.succeeds("data torus -n 500 --out t");
    let ended = folder.run("fit t/x.npy --manifold-dim 2 --epochs 2 --out run");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("closed"), "{}", ended.err);
    let names: Vec<String> = attempts(&folder, "run").into_iter().filter_map(|a| a.start).collect();
    for part in ["on a sphere", "on a torus", "free-form-atlas", "unrolled"] {
        assert!(names.iter().any(|name| name.contains(part)), "{part}: {names:?}");
    }
}

#[test]
fn a_start_leaves_closed_charts_out_unless_they_are_asked_for() {
    let folder = Folder::new();
    folder.succeeds("data torus -n 500 --out t");
    let fit = "fit t/x.npy --manifold-dim 2 --epochs 2 --start unrolled";
    let names = |run: &str| -> String {
        attempts(&folder, run).into_iter().filter_map(|a| a.start).collect::<Vec<_>>().join("; ")
    };
    folder.succeeds(&format!("{fit} --out alone"));
    assert_eq!(names("alone"), "free-form, unrolled start; m-flow, unrolled start");
    folder.succeeds(&format!("{fit} --chart auto --out both"));
    assert!(names("both").contains("m-flow on a torus; free-form, unrolled"), "{}", names("both"));
    let free = "fit t/x.npy --manifold-dim 2 --model free-form --chart auto --out free";
    folder.fails(free, 2, &["--chart: expected for the models m-flow and fom only"]);
    // A start that was asked for is told what stands in its way.
    let ended = folder.run(&format!("{fit} --model free-form --out told"));
    assert!(ended.err.contains("seems to be closed"), "{}", ended.err);
}

#[test]
fn rows_that_stand_apart_do_not_end_a_fit() {
    let folder = Folder::new();
    folder.succeeds("data torus -n 1500 --out t");
    let torus = read_npy(&folder.path("t/x.npy")).expect("rows").into_values();
    // A number that stands for missing ones, thousands of times; and one typing error.
    let missing = [9.; 3].repeat(3000);
    for (name, others) in [("missing", missing.as_slice()), ("stray", &[100., 100., 100.])] {
        let x = [&torus, others].concat();
        let array = Array::matrix(x.len() / 3, 3, &x, Dtype::F64).expect("a matrix");
        write_npy(&folder.path(&format!("{name}.npy")), &array).expect("written");
        let fit = format!("fit {name}.npy --manifold-dim 2 --epochs 2 --out {name}");
        let ended = folder.run(&fit);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        let names: Vec<String> =
            attempts(&folder, name).into_iter().filter_map(|a| a.start).collect();
        assert!(names.iter().any(|n| n == "free-form-atlas"), "{name}: {names:?}");
        assert!(ended.err.contains("rows far from all others"), "{name}: {}", ended.err);
    }
}

#[test]
fn a_config_has_one_start_at_most() {
    let folder = Folder::new();
    folder.succeeds("data s-curve -n 200 --out s");
    let small = "--epochs 8 --set model.encoder.blocks=1 --set model.decoder.blocks=1";
    let first = "fit s/x.npy --manifold-dim 2 --model free-form --start unrolled";
    folder.succeeds(&format!("{first} {small} --out a"));
    let again = "fit s/x.npy --config a/config.toml";
    for (options, expected) in [
        ("", vec!["start", "manifold", "density"]),
        ("--start unrolled", vec!["start", "manifold", "density"]),
        ("--start random", vec!["manifold", "density"]),
    ] {
        let run = format!("again {options}").replace(' ', "-");
        folder.succeeds(&format!("{again} {options} --out {run}"));
        let config = config(&folder, &run);
        assert_eq!(phases(&config), expected, "{options}");
        let epochs: usize = config.train.phases.iter().map(mflow::train::Stage::rounds).sum();
        assert_eq!(epochs, 8, "{options}: none are lost");
    }
    folder.succeeds(&format!("{again} --start flat --out flat"));
    let plane = "fit s/x.npy --config flat/config.toml";
    let parts = ["start", "flat start already"];
    folder.fails(&format!("{plane} --start unrolled --out b"), 1, &parts);
}

#[test]
fn a_closed_surface_is_told_from_one_that_cannot_be_flattened() {
    // This sphere has few rows on one side, and opens there like a bag. A hyperboloid stretches as much.
    for (name, closed) in [("thin-sphere", true), ("hyperboloid", false)] {
        let simulator = simulator_by_name(name).expect("a simulator");
        let x = simulator.sample(10_000, &[], &mut Stream::new(2, "data")).expect("rows");
        let normalization = standardize(&x, 3).expect("a normalization");
        let model = ModelConfig::m_flow(3, 2).with_normalization(normalization);
        let rows = Rows::new(x, 3, None, DType::F64, &Device::Cpu).expect("a source");
        let shape = shape_of(&model, &rows, 2).expect("a shape");
        assert_eq!(shape, Shape { pieces: 1, closed, outliers: 0, rows: 4000 }, "{name}");
    }
}

#[test]
fn data_that_cannot_be_unrolled_are_told() {
    let folder = Folder::new();
    // On a line, asked for a surface.
    let line: String = (0..100).map(|i| format!("{},{},1\n", 3 * i, 2 * i)).collect();
    folder.write("line.csv", line.as_bytes());
    let fit = |what: &str| format!("fit {what}.csv --manifold-dim 2 --epochs 2");
    folder.fails(&format!("{} --out a", fit("line")), 1, &["linear subspace of 1 dimension", "2"]);
    let equal = "1,2,3\n".repeat(50);
    folder.write("equal.csv", equal.as_bytes());
    folder.fails(&format!("{} --out b", fit("equal")), 1, &["0 dimensions"]);
    // Too few rows for a graph: what asks for one is refused, else another start is taken.
    let few: String = (0..8).map(|i| format!("{},{},{}\n", 3 * i, i * i, (7 * i) % 5)).collect();
    folder.write("few.csv", few.as_bytes());
    let ended = folder.run(&format!("{} --model m-flow --start unrolled --out c", fit("few")));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("different rows, found"), "{}", ended.err);
    let ended = folder.run(&format!("{} --out d", fit("few")));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("no start is guided"), "{}", ended.err);
    let ModelParts::MFlow { .. } = config(&folder, "d").model.parts else { panic!("an M-flow") };
    folder.fails("fit data.csv --model af --start flat --out e", 1, &["flat", "known"]);
    folder.fails("fit data.csv --manifold-dim 1 --start bent --out f", 2, &["bent", "unrolled"]);
}
