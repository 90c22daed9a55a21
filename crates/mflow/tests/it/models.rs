//! Every model and every schedule through the program: they train, answer what they can, are killed and
//! resumed. Oracle: the documented capabilities, the library's configs, and the bytes of runs that nobody
//! interrupts.
use crate::folder::Folder;
use mflow::bijectors::{NetConfig, SplineFlowConfig, Stream};
use mflow::core::{ChartConfig, DeviceName, ModelConfig};
use mflow::data::io::read_table;
use mflow::experiment::{DataConfig, EvaluationConfig, ExperimentConfig};
use mflow::fit::{DTypeName, Normalize};
use mflow::train::{Schedule, Stage};
use std::time::Duration;

const SCHEDULES: [(&str, Schedule); 6] = [
    ("sequential", Schedule::Sequential),
    ("alternating", Schedule::Alternating),
    ("simultaneous", Schedule::Simultaneous),
    ("ot", Schedule::Ot),
    ("ot-alternating", Schedule::OtAlternating),
    ("likelihood", Schedule::Likelihood),
];

/// `--set` of small parts.
fn small(fields: &[&str]) -> String {
    let mut text = String::new();
    for field in fields {
        let sizes: &[&str] = match *field {
            "outer" | "inner" => &["layers=2", "hidden=8", "blocks=1"],
            _ => &["hidden=8", "blocks=1"],
        };
        for size in sizes {
            text += &format!(" --set model.{field}.{size}");
        }
    }
    text + " --set train.shards=2 --set train.checkpoint_seconds=0.02 --batch-size 60"
}

/// What `fit` is told to make a small model of each kind, on points of the plane through (1, 0, ½) and
/// (0, 1, 0).
fn kinds() -> Vec<(&'static str, String)> {
    let dim = "--manifold-dim 2";
    vec![
        ("af", small(&["inner"])),
        ("fom", format!("--config fom.toml {}", small(&["inner"]))),
        ("pie", format!("{dim} {}", small(&["outer", "inner"]))),
        ("m-flow", format!("{dim} {}", small(&["outer", "inner"]))),
        ("me-flow", format!("{dim} {}", small(&["outer", "inner", "encoder"]))),
        ("pae", format!("{dim} {}", small(&["encoder", "decoder", "inner"]))),
        ("vae", format!("{dim} {}", small(&["encoder", "decoder"]))),
        ("rif", format!("{dim} {}", small(&["encoder", "decoder", "inner"]))),
        ("free-form", format!("{dim} {}", small(&["encoder", "decoder", "inner"]))),
        ("atlas", format!("{dim} {}", small(&["outer", "inner"]))),
    ]
}

const FOM: &str = r#"
[model]
kind = "fom"
chart = { kind = "linear_subspace", basis = [[1, 0, 0.5], [0, 1, 0]], offset = [0, 0, 0] }
"#;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("fom.toml", FOM.as_bytes());
    folder
}

fn numbers(folder: &Folder, name: &str) -> Vec<f64> {
    read_table(&folder.path(name)).expect("a table").into_values()
}

#[test]
fn every_model_is_fitted_and_asked() {
    let folder = folder();
    for (kind, sizes) in kinds() {
        let fit = format!("fit data.csv --model {kind} {sizes} --epochs 2 --out {kind}");
        let fitted = folder.succeeds(&fit);
        let info = folder.succeeds(&format!("info {kind} --samples 20"));
        assert!(info.starts_with(&format!("{kind}: ")), "{info}");
        // Nothing is called exact that hangs on a network.
        let depends = matches!(kind, "me-flow" | "free-form");
        let measured = |text: &str, samples: &str| {
            // The encoder of a free-form flow has the help of steps. That of me-flow was trained for a moment.
            let verdicts = ["The density is NOT exact", "The density is exact where encoder and"];
            let possible = if kind == "me-flow" { &verdicts[..1] } else { &verdicts[..] };
            possible.iter().any(|v| text.contains(v))
                && text.contains(&format!("of {samples} samples."))
        };
        assert_eq!(measured(&fitted, "1000"), depends, "{fitted}");
        assert_eq!(measured(&info, "20"), depends, "{kind}: {info}");
        let report = String::from_utf8(folder.read(&format!("{kind}/report.html"))).expect("text");
        assert_eq!(measured(&report, "1000"), depends, "{kind}: the report");
        assert_eq!(info.contains(", exact where its encoder"), depends, "{kind}: {info}");
        let by_terms = info.contains("its terms by decode");
        let of_one_map = !matches!(kind, "pae" | "vae" | "rif" | "atlas");
        assert_eq!(by_terms, of_one_map, "{kind}: what can be checked: {info}");
        folder.succeeds(&format!("score {kind} data.csv --out s.csv"));
        let scores = read_table(&folder.path("s.csv")).expect("scores");
        let columns = scores.columns().expect("names").to_vec();
        let latents = if kind == "af" { 3 } else { 2 };
        let mut expected = match kind {
            "pae" | "vae" | "rif" => vec![],
            "pie" => vec!["log_prob".to_owned(), "log_prob_manifold".to_owned()],
            _ => vec!["log_prob".to_owned()],
        };
        expected.push("reconstruction_error".to_owned());
        expected.extend((0..latents).map(|i| format!("latent_{i}")));
        expected.extend((kind == "atlas").then(|| "chart".to_owned()));
        assert_eq!(columns, expected, "{kind}: what it can tell");
        folder.succeeds(&format!("encode {kind} data.csv --dtype f64 --out u.npy"));
        folder.succeeds(&format!("decode {kind} u.npy --dtype f64 --out d.npy"));
        folder.succeeds(&format!("project {kind} data.csv --dtype f64 --out p.npy"));
        let pairs = numbers(&folder, "d.npy").into_iter().zip(numbers(&folder, "p.npy"));
        let gap = pairs.map(|(a, b)| (a - b).abs()).fold(0., f64::max);
        assert!(gap < 1e-6, "{kind}: decode(encode(x)) = project(x), to {gap}");
        folder.succeeds(&format!("sample {kind} -n 50 --out a.npy"));
        folder.succeeds(&format!("sample {kind} -n 50 --on-manifold --out b.npy"));
        let (around, on) = (numbers(&folder, "a.npy"), numbers(&folder, "b.npy"));
        let is_noisy = kind == "pie" || kind == "vae";
        assert_eq!(around != on, is_noisy, "{kind}: samples around a manifold or on it");
    }
}

#[test]
fn charts_are_placed_anew_for_other_data() {
    let folder = folder();
    let (_, sizes) = kinds().pop().expect("the atlas");
    folder.succeeds(&format!("fit data.csv --model atlas {sizes} --epochs 2 --out run"));
    let charts = |run: &str| {
        let text = String::from_utf8(folder.read(&format!("{run}/config.toml"))).expect("text");
        let config: toml::Table = text.parse().expect("TOML");
        config["model"]["charts"].clone()
    };
    let places = charts("run");
    assert_eq!(places.as_array().map(Vec::len), Some(4), "{places}");
    let again = "fit data.csv --config run/config.toml --epochs 2";
    folder.succeeds(&format!("{again} --out same"));
    assert_eq!(charts("same"), places, "a run's config is a config");
    folder.succeeds(&format!("{again} --set model.charts=3 --out fewer"));
    assert_eq!(charts("fewer").as_array().map(Vec::len), Some(3));
    folder.succeeds(&format!("{again} --normalize none --out plain"));
    assert_ne!(charts("plain"), places, "in other units");
    folder.fails(&format!("{again} --set model.charts=-1 --out bad"), 2, &["a number of charts"]);
    folder.fails(&format!("{again} --set model.charts=1 --out bad"), 1, &["at least 2, found 1"]);
}

#[test]
fn a_model_without_a_likelihood_says_so() {
    let folder = folder();
    let (_, sizes) = &kinds()[5];
    folder.succeeds(&format!("fit data.csv --model pae {sizes} --epochs 2 --out pae"));
    let ended = folder.run("score pae data.csv --out s.npz");
    assert!(ended.err.contains("pae has no density of data"), "{}", ended.err);
    let parts = ["`likelihood` needs a likelihood", "intractable", "`sequential`"];
    let fit = format!("fit data.csv --model pae {sizes} --schedule likelihood --out other");
    folder.fails(&fit, 1, &parts);
    let fit = format!("fit data.csv --model af {} --schedule ot --out other", kinds()[0].1);
    folder.fails(&fit, 1, &["that of `af` and `fom` is fixed"]);
    folder.fails("fit data.csv --model fom --out other", 2, &["[model.chart]"]);
    folder.fails(
        "fit data.csv --model pae --manifold-dim 2 --set model.outer.layers=3 --out o",
        2,
        &["--set model.outer.layers", "unknown field `outer`"],
    );
}

#[test]
fn interrupted_at_random_every_schedule_resumes_to_the_same_bits() {
    let folder = folder();
    let mut stream = Stream::new(1, "kills");
    let cases = SCHEDULES.map(|(schedule, _)| ("m-flow", schedule));
    for (kind, schedule) in cases.into_iter().chain([
        ("vae", "likelihood"),
        ("me-flow", "alternating"),
        ("atlas", "sequential"),
    ]) {
        let sizes = &kinds().into_iter().find(|(name, _)| *name == kind).expect("a model").1;
        let restarts = match schedule {
            "ot" | "ot-alternating" | "likelihood" => "",
            _ => "--set train.phases.0.restarts=1",
        };
        let fit = format!(
            "fit data.csv --model {kind} {sizes} --schedule {schedule} --epochs 36 {restarts} --out"
        );
        let (whole, run) = (format!("{kind}-{schedule}"), format!("{kind}-{schedule}-killed"));
        folder.succeeds(&format!("{fit} {whole}"));
        let lines = |run: &str| {
            let metrics = std::fs::read_to_string(folder.path(&format!("{run}/metrics.jsonl")));
            metrics.unwrap_or_default().lines().count()
        };
        let total = lines(&whole);
        // From before the folder is complete to the last third of training.
        let mut killed = 0;
        for (i, signal) in ["KILL", "INT", "KILL", "TERM", "KILL"].into_iter().enumerate() {
            let running = folder.start(&format!("{fit} {run} --resume auto"));
            Folder::wait_until("it has come so far", || lines(&run) >= i * total / 7);
            // Then at any moment of the batches that follow.
            let moment = stream.uniform(1, 0., 0.004)[0];
            std::thread::sleep(Duration::from_secs_f64(moment));
            killed += match signal {
                "KILL" => usize::from(running.kill()),
                signal => {
                    running.signal(signal);
                    usize::from(running.wait().code != Some(0))
                }
            };
        }
        assert!(killed >= 3, "{whole}: interrupted in full run only {killed} times");
        folder.succeeds(&format!("{fit} {run} --resume auto"));
        for name in ["model.safetensors", "metrics.jsonl"] {
            let [a, b] = [&whole, &run].map(|out| folder.read(&format!("{out}/{name}")));
            assert!(a == b, "{whole}: {name} differs after {killed} interruptions");
        }
    }
}

#[test]
fn rows_from_disk_train_as_rows_in_memory() {
    let folder = folder();
    folder.succeeds("fit data.csv --config small.toml --epochs 1 --out start");
    folder.succeeds("project start data.csv --dtype f64 --out x.npy");
    let fit = "fit x.npy --config small.toml --epochs 3";
    folder.succeeds(&format!("{fit} --out memory"));
    folder.succeeds(&format!("{fit} --stream --out disk"));
    let [a, b] = ["memory", "disk"].map(|run| folder.read(&format!("{run}/model.safetensors")));
    assert!(a == b, "the same bytes");
    let some = "fit x.npy --manifold-dim 1 --model m-flow --start flat --epochs 2 --columns 2,0";
    folder.succeeds(&format!("{some} --out some"));
    folder.succeeds(&format!("{some} --stream --out some-disk"));
    let [a, b] = ["some", "some-disk"].map(|run| folder.read(&format!("{run}/model.safetensors")));
    assert!(a == b, "the same bytes of the columns that are asked for");
    folder.fails("fit data.csv --manifold-dim 1 --stream --out o", 2, &["data.csv", "a .npy file"]);
}

#[test]
fn a_config_names_a_schedule_and_failures_are_told() {
    let folder = folder();
    let text = "[model]\nkind = 'me-flow'\nmanifold_dim = 1\n[train]\nschedule = 'alternating'\n\
                epochs = 4\nshards = 2\n";
    folder.write("named.toml", text.as_bytes());
    let fit = "fit data.csv --config named.toml --restarts 1 --set model.outer.layers=2 \
               --set model.inner.layers=2 --set model.encoder.blocks=1 --out run";
    let ended = folder.run(fit);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    // Four epochs are not enough: both attempts fail, and say what they cost.
    for part in ["attempt 1: the fit has not found", "attempt 2", "attempt took", "updates", "Try"]
    {
        assert!(ended.err.contains(part), "{} lacks {part:?}", ended.err);
    }
    assert!(ended.out.contains("2 attempts at a manifold, 2 failed"), "{}", ended.out);
    let config = String::from_utf8(folder.read("run/config.toml")).expect("text");
    assert!(config.contains("alternate") && !config.contains("schedule = 'alt"), "{config}");
}

#[test]
fn rows_for_validation_are_read() {
    let folder = folder();
    folder.succeeds("fit data.csv --config small.toml --epochs 2 --validation data.csv --out a");
    folder.succeeds("fit data.csv --config small.toml --epochs 2 --out b");
    let metrics = |run: &str| folder.read(&format!("{run}/metrics.jsonl"));
    assert!(metrics("a") != metrics("b"), "other rows");
    let parts = ["`validation` was", "use another --out"];
    let fit = "fit data.csv --config small.toml --epochs 2 --resume auto --out a";
    folder.fails(fit, 1, &parts);
    folder.write("narrow.csv", b"1,2\n3,4\n");
    let fit = "fit data.csv --config small.toml --validation narrow.csv --out c";
    folder.fails(fit, 1, &["narrow.csv", "expected 3 columns"]);
    folder.write("named.csv", &named("x,y,z"));
    folder.write("turned.csv", &named("y,x,z"));
    let fit = "fit named.csv --manifold-dim 2 --validation turned.csv --out d";
    folder.fails(fit, 1, &["turned.csv", "in the order x, y, z, found y, x, z"]);
}

#[test]
fn too_few_rows_to_judge_a_manifold_are_told() {
    let folder = folder();
    let ended =
        folder.run("fit data.csv --config small.toml --manifold-dim 2 --epochs 2 --out few");
    assert!(ended.err.contains("note: manifold: there are too few held-out rows"), "{}", ended.err);
    let ended = folder.run("fit data.csv --config small.toml --epochs 2 --out enough");
    assert!(!ended.err.contains("too few held-out rows"), "{}", ended.err);
}

/// 400 points of the plane `z = x + y`, with these names of columns.
fn named(columns: &str) -> Vec<u8> {
    let row = |i: u32| {
        let (x, y) = ((f64::from(i) * 0.7).sin(), (f64::from(i) * 1.1).cos());
        format!("{x},{y},{}\n", x + y)
    };
    format!("{columns}\n{}", (0..400).map(row).collect::<String>()).into_bytes()
}

#[test]
fn flat_data_have_a_limit_that_a_flow_can_meet() {
    let folder = folder();
    folder.write("plane.csv", &named("x,y,z"));
    folder.succeeds("fit plane.csv --config small.toml --manifold-dim 2 --epochs 2 --out run");
    let attempts: serde_json::Value =
        serde_json::from_slice(&folder.read("run/attempts.json")).expect("JSON");
    assert_eq!(attempts[0]["limit"].as_f64(), Some(0.01), "{attempts}");
}

/// A small model of each kind for the data of a simulator.
fn models(data_dim: usize, context_dim: usize) -> Vec<ModelConfig> {
    let n = data_dim - 1;
    let (radius, center) = (1., vec![0.; data_dim]);
    let mut flow = SplineFlowConfig::default();
    (flow.layers, flow.hidden, flow.blocks, flow.bins) = (2, 8, 1, 4);
    let mut all = vec![
        ModelConfig::af(data_dim),
        ModelConfig::fom(ChartConfig::Hypersphere { dim: n, radius, center }),
        ModelConfig::pie(data_dim, n),
        ModelConfig::m_flow(data_dim, n),
        ModelConfig::me_flow(data_dim, n),
        ModelConfig::pae(data_dim, n),
        ModelConfig::vae(data_dim, n),
        ModelConfig::rif(data_dim, n),
        ModelConfig::free_form(data_dim, n),
    ];
    if context_dim == 0 {
        all.push(ModelConfig::atlas(data_dim, n, 3));
    }
    let small = |model: ModelConfig| {
        // A circular flow of a circle stays.
        let model = match model.name() {
            "fom" if data_dim == 2 => model,
            _ => model.with_inner(flow.clone()),
        };
        let model = model.with_outer(flow.clone()).with_networks(NetConfig::new(8, 1));
        model.with_context(context_dim)
    };
    all.into_iter().map(small).collect()
}

#[test]
fn experiments_run_with_every_model_and_schedule() {
    let folder = folder();
    let mut runs = 0;
    for (simulator, data_dim, context_dim) in [("circle", 2, 0), ("polynomial-surface", 3, 1)] {
        for model in models(data_dim, context_dim) {
            for (name, schedule) in SCHEDULES {
                let Ok(mut train) = schedule.config(&model, 2) else { continue };
                for phase in train.phases.iter_mut().flat_map(Stage::phases_mut) {
                    phase.batch_size = 50;
                }
                let what = format!("{simulator}-{}-{name}", model.name());
                let normalize = Normalize::Standardize;
                let mut evaluation = EvaluationConfig::default();
                (evaluation.samples, evaluation.test_rows) = (100, 100);
                let config = ExperimentConfig {
                    name: what.clone(),
                    seed: 1,
                    dtype: DTypeName::F32,
                    device: DeviceName::Cpu,
                    data: DataConfig::simulated(simulator, 100, normalize),
                    model: model.clone(),
                    start: None,
                    train,
                    evaluation,
                };
                let text = toml::to_string(&config).expect("a config is TOML");
                folder.write("experiment.toml", text.as_bytes());
                let out = folder.succeeds(&format!("run experiment.toml --out {what}"));
                let has = |metric: &str| out.contains(metric);
                assert!(has("manifold_distance") && has("reconstruction_error"), "{what}: {out}");
                let on_manifold = !matches!(model.name(), "af" | "pae" | "vae" | "rif");
                assert_eq!(has("log_likelihood_gap"), on_manifold, "{what}: {out}");
                runs += 1;
            }
        }
    }
    assert_eq!(runs, 2 * 38 + 6, "every schedule that fits a model");
}
