//! Estimators of likelihood ratios through the program. Oracle: ratios in closed form, and the documented refusals.
use crate::folder::Folder;
use mflow::bijectors::{NetConfig, Stream};
use mflow::core::{DeviceName, ModelConfig};
use mflow::data::io::read_table;
use mflow::experiment::{DataConfig, EvaluationConfig, ExperimentConfig};
use mflow::fit::{DTypeName, Normalize};
use mflow::train::{Loss, Schedule};
use std::fmt::Write;

const ROWS: usize = 1200;
const SMALL: &str =
    "--set model.network.hidden=16 --set model.network.blocks=1 --set train.shards=2";

/// `x ~ N(θ, 1)` in one dimension: x.csv, theta.csv and ratios.csv, all as files of the program have it.
fn folder() -> Folder {
    let folder = Folder::new();
    let mut stream = Stream::new(1, "normal");
    let (theta, noise) = (stream.uniform(ROWS, -1.5, 1.5), stream.normal(ROWS));
    let [mut x, mut context, mut ratios] =
        ["x\n", "theta\n", "log_ratio,label\n"].map(str::to_owned);
    for (i, (t, e)) in theta.iter().zip(noise).enumerate() {
        let is_drawn_there = i % 2 == 0;
        let value = if is_drawn_there { t + e } else { e };
        writeln!(x, "{value}").unwrap();
        writeln!(context, "{t}").unwrap();
        writeln!(ratios, "{},{}", t * value - t * t / 2., u8::from(is_drawn_there)).unwrap();
    }
    for (name, text) in [("x.csv", x), ("theta.csv", context), ("ratios.csv", ratios)] {
        folder.write(name, text.as_bytes());
    }
    folder
}

const FIT: &str = "fit x.csv --context theta.csv --ratios ratios.csv --model ratio";

fn numbers(folder: &Folder, file: &str) -> Vec<f64> {
    read_table(&folder.path(file)).expect("a table").into_values()
}

#[test]
fn ratios_are_fitted_and_scored() {
    let folder = folder();
    folder.succeeds(&format!("{FIT} {SMALL} --epochs 60 --learning-rate 0.005 --out run"));
    let info = folder.succeeds("info run");
    assert!(
        info.starts_with("ratio: ratios of likelihoods, without a density and samples, in 1"),
        "{info}"
    );
    for part in
        ["1 features, for the ratio", "network        1 blocks of width 16", "ratios ratios.csv"]
    {
        assert!(info.contains(part), "{part} in {info}");
    }
    assert!(!info.contains("check on"), "there are no samples to check with: {info}");
    let out = folder.succeeds("score run x.csv --context theta.csv --out s.csv");
    assert!(out.contains("columns log_ratio, 1200 rows"), "{out}");
    let scores = read_table(&folder.path("s.csv")).expect("scores");
    assert_eq!(scores.columns().expect("names"), ["log_ratio"]);
    let exact = numbers(&folder, "ratios.csv");
    let squares: f64 =
        scores.values().iter().zip(exact.chunks(2)).map(|(s, e)| (s - e[0]).powi(2)).sum();
    let error = (squares / ROWS as f64).sqrt();
    assert!(error < 0.15, "{error}");
    let out = folder.succeeds("score run x.csv --context theta.csv --out s.npz");
    assert!(out.contains("log_ratio [1200]") && !out.contains("latent"), "{out}");
    let report = String::from_utf8(folder.read("run/report.html")).expect("text");
    assert!(report.contains("feature, for the ratio"), "a report");
    assert!(!report.contains("Manifold and density"), "without a manifold");
    for (command, what) in [
        ("sample run --context theta.csv --out a.npy", "samples"),
        ("encode run x.csv --context theta.csv --out a.npy", "latents"),
        ("decode run x.csv --context theta.csv --out a.npy", "latents"),
        ("project run x.csv --context theta.csv --out a.npy", "manifold"),
    ] {
        let reason = format!("`ratio` estimates ratios of likelihoods: it has no {what}");
        folder.fails(command, 1, &["model.safetensors", &reason, "`mflow score`"]);
    }
}

#[test]
fn a_config_and_a_resumed_run_fit_the_same() {
    let folder = folder();
    let sizes = format!("{SMALL} --epochs 30 --set train.checkpoint_seconds=0.02");
    folder.succeeds(&format!("{FIT} {sizes} --out whole"));
    let again = "fit x.csv --context theta.csv --ratios ratios.csv --config whole/config.toml";
    folder.succeeds(&format!("{again} --out again"));
    let lines = || {
        let metrics = std::fs::read_to_string(folder.path("killed/metrics.jsonl"));
        metrics.unwrap_or_default().lines().count()
    };
    let running = folder.start(&format!("{FIT} {sizes} --out killed"));
    Folder::wait_until("it has come so far", || lines() > 3);
    assert!(running.kill(), "in full run");
    folder.succeeds(&format!("{FIT} {sizes} --resume auto --out killed"));
    let bytes = |run: &str| folder.read(&format!("{run}/model.safetensors"));
    assert!(bytes("whole") == bytes("again"), "by its config");
    assert!(bytes("whole") == bytes("killed"), "resumed");
}

#[test]
fn what_is_missing_or_does_not_fit_is_told() {
    let folder = folder();
    let out = format!("{SMALL} --epochs 1 --out run");
    let fit = "fit x.csv --context theta.csv --model ratio";
    folder.fails(&format!("{fit} {out}"), 2, &["--context and --ratios for x.csv", "found none"]);
    folder.fails("fit x.csv --ratios ratios.csv --model ratio --out run", 2, &["--context"]);
    let no_model = "fit x.csv --context theta.csv --ratios ratios.csv --out run";
    folder.fails(no_model, 2, &["--model ratio beside --ratios"]);
    folder.write("wide.csv", b"1,1\n2,3\n4,9\n");
    folder.write("c.csv", b"1\n2\n3\n");
    folder.write("r.csv", b"0.5,1\n-1,0\n2,1\n");
    let other =
        "fit wide.csv --context c.csv --ratios r.csv --model m-flow --manifold-dim 1 --out run";
    folder.fails(other, 2, &["r.csv", "the model `ratio` alone, found `m-flow`"]);
    let with = |ratios: &[u8]| {
        folder.write("bad.csv", ratios);
        "fit wide.csv --context c.csv --ratios bad.csv --model ratio --out run"
    };
    folder.fails(with(b"0.5,1\n-1,0\n"), 1, &["bad.csv", "expected 3 rows, as many as wide.csv"]);
    let label = &["bad.csv", "expected the label 0 or 1 in the second column, found 0.5 in row 1"];
    folder.fails(with(b"0.5,1\n-1,0.5\n2,1\n"), 1, label);
    folder.fails(with(b"0.5\n-1\n2\n"), 1, &["bad.csv", "expected 2 columns", "found 1"]);
    folder.fails(with(b"0.5,1\nnan,0\n2,1\n"), 1, &["bad.csv"]);
    let validated = format!("{FIT} {out} --validation x.csv --validation-context theta.csv");
    folder.fails(&validated, 2, &["--validation-ratios"]);
    folder.succeeds(&format!("{validated} --validation-ratios ratios.csv"));
    let schedule = format!("{FIT} {SMALL} --schedule ot --out other");
    folder.fails(&schedule, 1, &["`ratio` has none; it fits `likelihood`"]);
    folder.fails(
        &format!("{FIT} {SMALL} --start flat --out other"),
        1,
        &["the model has no manifold"],
    );
    folder.succeeds("data polynomial-surface -n 20 --out d");
    let stream =
        "fit d/x.npy --context d/context.npy --ratios r.csv --model ratio --stream --out o";
    folder.fails(stream, 2, &["--ratios without --stream"]);
}

fn experiment(simulator: &str, data_dim: usize) -> ExperimentConfig {
    let model = ModelConfig::ratio(data_dim, 1).with_networks(NetConfig::new(32, 1));
    let mut train = Schedule::Likelihood.config(&model, 20).expect("it fits");
    let phase = &mut train.phases[0].phases_mut()[0];
    phase.losses.push(Loss::Score {}.weighted(1.));
    phase.optimizer.set_learning_rate(5e-3);
    let mut evaluation = EvaluationConfig::default();
    (evaluation.samples, evaluation.test_rows, evaluation.calibration) = (100, 1000, 20);
    ExperimentConfig {
        name: "ratios".to_owned(),
        seed: 1,
        dtype: DTypeName::F32,
        device: DeviceName::Cpu,
        data: DataConfig::simulated(simulator, 4000, Normalize::Standardize),
        model,
        start: None,
        train,
        evaluation,
    }
}

#[test]
fn an_experiment_measures_ratios_and_posteriors() {
    let folder = Folder::new();
    let write = |config: &ExperimentConfig| {
        let text = toml::to_string(config).expect("a config is TOML");
        folder.write("experiment.toml", text.as_bytes());
    };
    let config = experiment("polynomial-surface", 3);
    write(&config);
    let out = folder.succeeds("run experiment.toml --out run");
    for metric in ["log_ratio_error", "calibration_p_value", "coverage_50"] {
        assert!(out.contains(metric), "{metric} in {out}");
    }
    for metric in ["reconstruction", "manifold_distance", "log_likelihood", "auc", "round-trip"] {
        assert!(!out.contains(metric), "{metric} in {out}");
    }
    let result: serde_json::Value =
        serde_json::from_slice(&folder.read("run/result.json")).expect("JSON");
    let error = result["metrics"]["log_ratio_error"]["value"].as_f64().expect("a number");
    // The mean square of the ratio itself is 0.45.
    assert!(error < 0.1, "{error}");
    // A report on it beside a model with a manifold.
    let model = ModelConfig::m_flow(3, 2).with_context(1);
    let mut train = Schedule::Sequential.config(&model, 2).expect("it fits");
    train.shards = 1;
    let mut evaluation = config.evaluation.clone();
    evaluation.calibration = 0;
    let data = DataConfig::simulated("polynomial-surface", 200, Normalize::Standardize);
    write(&ExperimentConfig { model, train, evaluation, data, ..config.clone() });
    folder.succeeds("run experiment.toml --out flow");
    folder.succeeds("plot flow run --out both");
    let report = String::from_utf8(folder.read("both/report.html")).expect("text");
    assert!(report.contains("ALICES") && report.contains("error of log-ratios"));
    assert!(
        folder.path("both/surface.png").exists() && folder.path("both/posteriors.png").exists()
    );
    folder.succeeds("plot run run --out alike");

    for (config, part) in [
        (experiment("torus", 3), "a simulator that knows joint likelihood ratios"),
        (
            ExperimentConfig {
                data: DataConfig::file("data.csv", Normalize::Standardize),
                ..config.clone()
            },
            "`mflow fit --ratios`",
        ),
        (
            ExperimentConfig {
                evaluation: EvaluationConfig { two_sample: true, ..config.evaluation.clone() },
                ..config.clone()
            },
            "`evaluation.two_sample` must be false: `ratio` has no samples",
        ),
    ] {
        let mut config = config;
        config.evaluation.calibration = 0;
        write(&config);
        folder.fails("run experiment.toml --out refused", 1, &[part]);
    }
}
