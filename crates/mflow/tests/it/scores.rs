//! Joint scores in the program: files, options, experiments. Oracle: the same fit said in another way.
use crate::folder::Folder;
use mflow::data::io::{Array, Dtype, read_table, write_npz};
use mflow::fit::FitConfig;
use mflow::train::{Loss, Stage};

/// With context.csv and scores.csv for data.csv.
fn folder() -> Folder {
    let folder = Folder::new();
    let column = |f: &dyn Fn(f64) -> f64| -> String {
        (0..300).map(|i| format!("{}\n", f(f64::from(i % 7) / 7.))).collect()
    };
    folder.write("context.csv", column(&|t| t).as_bytes());
    folder.write("scores.csv", column(&|t| 2. * t - 1.).as_bytes());
    folder
}

const WITH_CONTEXT: &str = "fit data.csv --context context.csv --config small.toml --epochs 2";

/// The weights of scores in the phases of a run, by the phases' names.
fn weights(folder: &Folder, run: &str) -> Vec<(String, Option<f64>)> {
    let text = String::from_utf8(folder.read(&format!("{run}/config.toml"))).expect("text");
    let config: FitConfig = toml::from_str(&text).expect("a config");
    let phases = config.train.phases.iter().flat_map(Stage::phases);
    let weight = |phase: &mflow::train::Phase| {
        phase.losses.iter().find(|w| w.loss == Loss::Score {}).map(|w| w.weight)
    };
    phases.map(|phase| (phase.name.clone(), weight(phase))).collect()
}

fn phases(of: &[(&str, Option<f64>)]) -> Vec<(String, Option<f64>)> {
    of.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
}

#[test]
fn scores_are_fitted_where_they_are_asked_for() {
    let folder = folder();
    let fit = |rest: &str, out: &str| {
        folder.succeeds(&format!("{WITH_CONTEXT} {rest} --out {out}"));
        weights(&folder, out)
    };
    let with = |weight| phases(&[("manifold", None), ("density", Some(weight))]);
    assert_eq!(fit("--scores scores.csv --scandal", "run"), with(2.), "the default");
    assert_eq!(fit("--scores scores.csv --scandal 0.5", "half"), with(0.5));
    let of_likelihood = fit("--scores scores.csv --scandal=3 --schedule likelihood", "likelihood");
    assert_eq!(of_likelihood, phases(&[("likelihood", Some(3.))]));
    assert_eq!(fit("", "plain"), phases(&[("manifold", None), ("density", None)]));
    let metrics = |run: &str| folder.read(&format!("{run}/metrics.jsonl"));
    assert!(metrics("run") != metrics("plain"), "they change the training");

    // The same by a setting, a config file, and the config of a run.
    folder.write("scandal.toml", &[&folder.read("small.toml")[..], b"scandal = 2.0\n"].concat());
    let by_file = WITH_CONTEXT.replace("small.toml", "scandal.toml");
    let by_run = WITH_CONTEXT.replace("small.toml", "run/config.toml");
    for (fit, out) in [
        (format!("{WITH_CONTEXT} --set train.scandal=2"), "set"),
        (by_file.clone(), "file"),
        (by_run.clone(), "again"),
        (format!("{by_run} --scandal"), "twice"),
    ] {
        folder.succeeds(&format!("{fit} --scores scores.csv --out {out}"));
        assert_eq!(weights(&folder, out), with(2.), "{fit}");
        assert!(metrics(out) == metrics("run"), "{fit}: the same training");
    }
    let other = format!("{by_file} --schedule likelihood --scores scores.csv --out other");
    folder.succeeds(&other);
    assert_eq!(weights(&folder, "other"), phases(&[("likelihood", Some(2.))]), "not lost");

    // Scores are part of the data that a run is resumed with.
    let resumed = format!("{WITH_CONTEXT} --scandal --resume auto --out run");
    folder.succeeds(&format!("{resumed} --scores scores.csv"));
    folder.write("scores.csv", &folder.read("context.csv"));
    folder.fails(&format!("{resumed} --scores scores.csv"), 1, &["started differently", "`data`"]);
}

#[test]
fn scores_that_cannot_be_fitted_are_refused() {
    let folder = folder();
    let refused = |rest: &str, code: i32, parts: &[&str]| {
        folder.fails(&format!("{WITH_CONTEXT} {rest} --out run"), code, parts);
    };
    refused("--scores scores.csv", 2, &["--scores has no effect", "--scandal", "found none"]);
    refused("--scandal", 2, &["expected --scores T", "data.csv", "found none"]);
    for weight in ["0", "-1", "nan", "inf", "much"] {
        refused(&format!("--scores scores.csv --scandal {weight}"), 2, &["--scandal", weight]);
    }
    let scandal = "--scores scores.csv --scandal";
    refused(&format!("{scandal} --stream"), 2, &["--scores", "--stream"]);
    refused("--scandal --stream", 2, &["--scandal", "--stream"]);
    let ot = format!("{scandal} --schedule ot");
    refused(&ot, 1, &["train.scandal", "a phase with a likelihood", "found the phases divergence"]);
    for model in ["pae", "vae", "rif"] {
        let parts = ["train.scandal", "a model with a density", &format!("found `{model}`")];
        let fit = format!("fit data.csv --context context.csv --manifold-dim 1 --model {model}");
        folder.fails(&format!("{fit} {scandal} --out run"), 1, &parts);
    }
    refused(&format!("{scandal} --conditional-manifold"), 1, &["does not depend on the context"]);
    let parts = ["train.scandal", "needs a context", "found none"];
    let without = "fit data.csv --config small.toml --out run";
    folder.fails(&format!("{without} {scandal}"), 1, &parts);

    folder.write("short.csv", b"1\n2\n");
    let parts = ["short.csv", "expected 300 rows", "as many as data.csv", "found 2"];
    refused("--scores short.csv --scandal", 1, &parts);
    let parts = ["data.csv", "expected 1 columns", "each number of the context", "found 3"];
    refused("--scores data.csv --scandal", 1, &parts);
    let scores = String::from_utf8(folder.read("scores.csv")).expect("text");
    folder.write("nan.csv", scores.replacen("-1\n", "nan\n", 1).as_bytes());
    refused("--scores nan.csv --scandal", 1, &["nan.csv", "line 1", "found NaN"]);
    folder.write("huge.csv", scores.replacen("-1\n", "1e300\n", 1).as_bytes());
    refused("--scores huge.csv --scandal", 1, &["huge.csv", "row 0", "32-bit"]);

    let validation = "--validation data.csv --validation-context context.csv";
    let parts = ["expected --validation-scores T", "data.csv", "found none"];
    refused(&format!("{scandal} {validation}"), 2, &parts);
    refused("--validation-scores scores.csv", 2, &["--validation"]);
    let parts = ["--validation-scores has no effect"];
    refused(&format!("{validation} --validation-scores scores.csv"), 2, &parts);
    assert!(!folder.path("run").exists(), "no folder for what cannot be fitted");
    let both = format!("{scandal} {validation} --validation-scores scores.csv");
    folder.succeeds(&format!("{WITH_CONTEXT} {both} --out run"));
}

/// An archive of the tables with these names.
fn archive(folder: &Folder, name: &str, arrays: &[(&str, &str)]) {
    let tables: Vec<_> = arrays
        .iter()
        .map(|(array, file)| (*array, read_table(&folder.path(file)).expect("a table")))
        .collect();
    let arrays: Vec<(&str, Array<'_>)> =
        tables.iter().map(|(name, table)| (*name, Array::table(table, Dtype::F64))).collect();
    write_npz(&folder.path(name), &arrays).expect("an archive");
}

#[test]
fn events_of_one_file_are_those_of_several() {
    let folder = folder();
    let all = [("x", "data.csv"), ("theta", "context.csv"), ("score", "scores.csv")];
    archive(&folder, "events.npz", &all);
    archive(&folder, "plain.npz", &[("x", "data.csv"), ("other", "context.csv")]);
    let fit = |data: &str, rest: &str, out: &str| {
        let fit = format!("fit {data} {rest} --config small.toml --epochs 2 --out {out}");
        let ended = folder.run(&fit);
        assert_eq!(ended.code, Some(0), "{fit}: {}", ended.err);
        (folder.read(&format!("{out}/metrics.jsonl")), ended.err)
    };
    let note = "events.npz has the array `theta`, which is taken for the context";
    let files = "--context context.csv --scores scores.csv --scandal";
    let (expected, _) = fit("data.csv", files, "files");
    let (found, said) = fit("events.npz", "--scandal", "archive");
    assert!(found == expected, "context and scores of the archive");
    assert!(said.contains(note), "{said}");
    // Rows that are kept apart take their scores along.
    let (expected, _) = fit("data.csv", &format!("{files} --holdout 0.2"), "files-apart");
    assert!(fit("events.npz", "--scandal --holdout 0.2", "archive-apart").0 == expected);
    // Without the loss, scores are left aside.
    let (expected, _) = fit("data.csv", "--context context.csv", "context");
    assert!(fit("events.npz", "", "theta").0 == expected, "the context of the archive");
    // What is named goes first, and an archive that is named gives the array that is meant.
    let (found, said) = fit("events.npz", "--context context.csv", "named");
    assert!(found == expected && !said.contains("theta"), "{said}");
    assert!(fit("data.csv", "--context events.npz", "inside").0 == expected);
    // Rows for validation have theirs.
    let (found, said) = fit("events.npz", "--scandal --validation events.npz", "validation");
    let separate = format!(
        "{files} --validation data.csv --validation-context context.csv --validation-scores \
         events.npz"
    );
    assert!(found == fit("data.csv", &separate, "separate").0, "{said}");
    // An archive without a context is what it was.
    let (expected, _) = fit("data.csv", "", "alone");
    let (found, said) = fit("plain.npz", "", "x");
    assert!(found == expected && !said.contains("context"), "{said}");

    folder.succeeds("score theta data.csv --context events.npz --out a.npz");
    folder.succeeds("score theta data.csv --context context.csv --out b.npz");
    assert!(folder.read("a.npz") == folder.read("b.npz"), "the context of an archive");
    archive(
        &folder,
        "short.npz",
        &[("x", "data.csv"), ("theta", "short.csv")].map(|(a, f)| {
            folder.write("short.csv", b"1\n2\n");
            (a, f)
        }),
    );
    let parts = ["short.npz, array `theta`", "expected 300 rows", "found 2"];
    let short = folder.run("fit short.npz --config small.toml --out short");
    assert_eq!(short.code, Some(1), "{}", short.err);
    for part in parts {
        assert!(short.err.contains(part), "{} lacks {part}", short.err);
    }
}

/// An experiment that takes no time.
const TINY: &str = "
name = 'tiny'
data = { simulator = 'conditional-circle', rows = 300 }
evaluation = { samples = 200, test_rows = 200 }
[model]
kind = 'm-flow'
data_dim = 2
manifold_dim = 1
context_dim = 1
outer = { layers = 2, hidden = 8 }
inner = { layers = 2, hidden = 8 }
[train]
schedule = 'sequential'
epochs = 2
scandal = 2.0
";

/// On the circle, the angle of a point and its parameter give the score.
#[test]
fn scores_of_an_experiment_are_those_of_its_points() {
    use mflow::experiment::{DataConfig, ExperimentConfig, training_data, training_joint};
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, TAU};
    let config: ExperimentConfig = toml::from_str(TINY).expect("an experiment");
    let simulator = config.data.simulator().expect("a simulator");
    let (x, theta) = training_data(&config, simulator.as_ref()).expect("points");
    let (joint, same) = training_joint(&config, simulator.as_ref()).expect("scores");
    assert!(joint.x == x && same == theta, "the same points");
    assert_eq!(joint.scores.len(), 300);
    for ((x, theta), found) in x.chunks(2).zip(theta).zip(joint.scores) {
        let difference = (x[1].atan2(x[0]) - FRAC_PI_2 - theta) / TAU;
        let angle = TAU * (difference - difference.round());
        let expected = angle / FRAC_PI_4.powi(2);
        assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
    }
    let torus = DataConfig::simulated("torus", 3, config.data.normalize);
    let config = ExperimentConfig { data: torus, ..config };
    let simulator = config.data.simulator().expect("a simulator");
    let error = training_joint(&config, simulator.as_ref()).unwrap_err().to_string();
    assert!(error.contains("torus"), "{error}");
}

#[test]
fn experiments_take_scores_from_their_simulator() {
    let folder = Folder::new();
    folder.write("tiny.toml", TINY.as_bytes());
    folder.succeeds("run tiny.toml --out with");
    folder.succeeds("run tiny.toml --set train.scandal=20 --out strong");
    folder.write("plain.toml", TINY.replace("scandal = 2.0", "").as_bytes());
    folder.succeeds("run plain.toml --out without");
    let text = String::from_utf8(folder.read("with/config.toml")).expect("text");
    assert!(text.contains("loss = \"score\""), "{text}");
    let metrics = |run: &str| {
        let text = String::from_utf8(folder.read(&format!("{run}/metrics.jsonl"))).expect("text");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let [with, strong, without] = ["with", "strong", "without"].map(metrics);
    assert_eq!(with[0], without[0], "the same points: the manifold knows nothing of scores");
    assert!(with[1] != without[1] && with[1] != strong[1], "the density does");
    let html = String::from_utf8(folder.read("with/report.html")).expect("text");
    assert!(html.contains("M-flow (SCANDAL)"), "the title says so");

    let parts = ["`train` fits joint scores", "`conditional-circle`", "found `torus`"];
    let torus = "--set data.simulator=torus --set model.data_dim=3 \
                   --set model.manifold_dim=2";
    folder.fails(&format!("run tiny.toml {torus} --out no"), 1, &parts);
    let parts = ["train.scandal", "needs a context"];
    folder.fails("run tiny.toml --set model.context_dim=0 --out none", 1, &parts);
}
