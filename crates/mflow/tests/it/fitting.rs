//! `fit` and `run` where all goes well.
use crate::folder::Folder;
use mflow::core::candle::Device;
use mflow::core::{ChartConfig, ModelParts, VectorFlowConfig, load_model};
use mflow::fit::FitConfig;
use mflow::train::Stage;

#[test]
fn a_fit_leaves_a_complete_run_folder() {
    let folder = Folder::new();
    let out = folder.succeeds("fit data.csv --config small.toml --epochs 5 --seed 3 --out run");
    assert!(out.starts_with("run/model.safetensors\n"), "the model file is named: {out}");
    let text = String::from_utf8(folder.read("run/config.toml")).expect("text");
    let config: FitConfig = toml::from_str(&text).expect("a config");
    let ModelParts::MFlow { outer: VectorFlowConfig::Spline(outer), .. } = &config.model.parts
    else {
        panic!("an M-flow: {config:?}")
    };
    let sizes = &config.model.sizes;
    assert_eq!((sizes.data_dim, sizes.manifold_dim, config.seed), (3, 1, 3), "what was asked for");
    assert_eq!((outer.layers, outer.bins), (2, 10), "the file, and a default");
    assert!(sizes.normalization.is_some(), "the data are standardized");
    let epochs: Vec<usize> = config.train.phases.iter().map(Stage::rounds).collect();
    assert_eq!(epochs, [2, 3], "epochs of the two phases");
    let metrics = String::from_utf8(folder.read("run/metrics.jsonl")).expect("text");
    assert_eq!(metrics.lines().count(), 5, "a line for each epoch");

    let path = folder.path("run/model.safetensors");
    let loaded = load_model(&path, None, &Device::Cpu).expect("a model");
    assert_eq!(loaded.card.config, config.model, "the model file and the config agree");
    let columns = loaded.card.columns.expect("names");
    assert_eq!(columns, ["x", "y", "z"], "the columns' names are kept");
    let provenance = loaded.card.provenance;
    assert_eq!(provenance.get("data").map(String::as_str), Some("data.csv"), "{provenance:?}");
}

/// The bytes of the records are tested where they are made; here that each epoch has one.
#[test]
fn losses_are_written_for_tensorboard() {
    let folder = Folder::new();
    folder.succeeds("fit data.csv --config small.toml --epochs 5 --out run --tensorboard");
    let files = std::fs::read_dir(folder.path("run/tensorboard")).expect("a folder");
    let files: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    let [file] = &files[..] else { panic!("one file: {files:?}") };
    let bytes = std::fs::read(file).expect("events");
    let count = |tag: &str| bytes.windows(tag.len()).filter(|part| *part == tag.as_bytes()).count();
    let found = ["manifold/train_loss", "density/train_loss", "density/gradient_norm"].map(count);
    assert_eq!(found, [2, 3, 3], "epochs of the two phases");
    folder.succeeds("fit data.csv --resume auto --out run");
}

#[test]
fn options_override_the_file_and_set_overrides_both() {
    let folder = Folder::new();
    let config = |arguments: &str, out: &str| -> FitConfig {
        folder.succeeds(&format!("fit data.csv --config small.toml {arguments} --out {out}"));
        let text = String::from_utf8(folder.read(&format!("{out}/config.toml"))).expect("text");
        toml::from_str(&text).expect("a config")
    };
    let a = config(
        "--epochs 2 --manifold-dim 2 --batch-size 50 --learning-rate 0.01 --normalize none \
         --dtype f64 --set train.phases[1].batch_size=60 --set model.inner.linear=lu",
        "a",
    );
    let model = &a.model.sizes;
    let phases = || a.train.phases.iter().flat_map(Stage::phases);
    let sizes: Vec<usize> = phases().map(|phase| phase.batch_size).collect();
    assert_eq!((model.manifold_dim, sizes), (2, vec![50, 60]), "an option, and --set over it");
    assert!(phases().all(|p| p.optimizer.learning_rate() == 0.01), "in all phases");
    let normalization = model.normalization.as_ref().expect("the one that does nothing");
    assert_eq!(normalization.scale, [1., 1., 1.], "no normalisation");

    // A resolved config says everything: the same model comes out of it.
    folder.succeeds("fit data.csv --config a/config.toml --out b");
    let (a, b) = (folder.read("a/model.safetensors"), folder.read("b/model.safetensors"));
    assert!(a == b, "the same bytes from the resolved config");
}

#[test]
fn a_closed_curve_is_fitted_from_a_circle() {
    let folder = Folder::new();
    let small = "--epochs 2 --set model.outer.layers=2 --set model.outer.hidden=8";
    folder.succeeds(&format!("fit data.csv --chart circle {small} --out run"));
    let text = String::from_utf8(folder.read("run/config.toml")).expect("text");
    let config: FitConfig = toml::from_str(&text).expect("a config");
    assert_eq!(config.model.chart(), ChartConfig::named("circle").as_ref(), "{text}");
    assert_eq!((config.model.sizes.data_dim, config.model.sizes.manifold_dim), (3, 1));
    let ModelParts::MFlow { inner: VectorFlowConfig::Circular(_), .. } = config.model.parts else {
        panic!("circular on a circle: {text}")
    };
    let info = folder.succeeds("info run");
    for part in ["chart", "dimension 1", "uniform on 1 angles", "circular splines"] {
        assert!(info.contains(part), "{info}");
    }
    // The same by its config, and by the other ways to say it.
    folder.write("chart.toml", b"model = { chart = 'circle' }");
    for (fit, out) in [
        ("--config run/config.toml".to_owned(), "a"),
        (format!("--config chart.toml {small}"), "b"),
        (format!("--set model.chart=circle {small}"), "c"),
    ] {
        folder.succeeds(&format!("fit data.csv {fit} --out {out}"));
        let same = folder.read(&format!("{out}/model.safetensors"));
        assert!(same == folder.read("run/model.safetensors"), "{fit}: the same bytes");
    }
    let wider = "fit data.csv --chart circle --set model.chart.radius=2 --epochs 1 --out wider";
    folder.succeeds(wider);
    let fit = "fit data.csv --chart circle --manifold-dim 2 --out other";
    folder.fails(fit, 1, &["`chart` must fit: it is of dimension 1", "manifold_dim = 2"]);
    folder.fails("fit data.csv --chart circle --model fom --out other", 1, &["`chart` must fit"]);
    folder.fails("fit data.csv --chart circle --model pie --out other", 2, &["--chart", "m-flow"]);
    folder.fails("fit data.csv --chart disc --out other", 2, &["circle", "sphere", "torus"]);
}

#[test]
fn a_finished_run_is_left_as_it_is() {
    let folder = Folder::fitted();
    let before = folder.read("run/model.safetensors");
    folder.succeeds("fit data.csv --resume auto --out run");
    assert!(folder.read("run/model.safetensors") == before, "the same bytes");
}

/// An experiment that takes no time.
const TINY: &str = "
name = 'tiny'
data = { simulator = 'polynomial-surface', rows = 300 }
evaluation = { samples = 200, test_rows = 200 }
[model]
kind = 'm-flow'
data_dim = 3
manifold_dim = 2
context_dim = 1
outer = { layers = 2, hidden = 8 }
inner = { layers = 2, hidden = 8 }
[[train.phases]]
name = 'manifold'
trains = ['outer']
losses = [{ loss = 'reconstruction', weight = 1000.0 }]
epochs = 2
[[train.phases]]
name = 'density'
trains = ['inner']
losses = [{ loss = 'coordinate_likelihood', weight = 1.0 }]
epochs = 1
";

#[test]
fn an_experiment_prints_its_metrics() {
    let folder = Folder::new();
    folder.write("tiny.toml", TINY.as_bytes());
    let out = folder.succeeds("run tiny.toml --set train.phases.0.epochs=1 --out run");
    assert!(out.contains("tiny") && out.contains("reconstruction_error"), "the metrics: {out}");
    assert!(folder.path("run/result.json").is_file(), "the metrics as a file");
    let config = String::from_utf8(folder.read("run/config.toml")).expect("text");
    assert!(!config.contains("epochs = 2"), "the resolved config has what was set: {config}");

    let unknown = "run tiny.toml --set data.row=3 --out other";
    folder.fails(unknown, 2, &["--set data.row", "unknown field `row`", "`rows`"]);
    let unknown = TINY.replace("samples", "sample");
    folder.write("unknown.toml", unknown.as_bytes());
    let parts = ["unknown.toml", "`evaluation.sample`", "`samples`"];
    folder.fails("run unknown.toml --out other", 1, &parts);
    folder.write("missing.toml", TINY.replace("name = 'tiny'", "").as_bytes());
    folder.fails("run missing.toml --out other", 1, &["missing.toml", "missing field `name`"]);
    assert!(!folder.path("other").exists(), "no folder for what cannot run");
}

#[test]
fn what_cannot_be_measured_is_refused_before_the_training() {
    let folder = Folder::new();
    folder.write("tiny.toml", TINY.as_bytes());
    for (set, parts) in [
        ("test_rows=0", ["`evaluation.test_rows`", "at least 1"]),
        ("samples=0", ["`evaluation.samples`", "at least 1"]),
        ("samples=9223372036854775807", ["`evaluation.samples`", "at most"]),
        (
            "parameter=3.0",
            ["`evaluation.parameter`", "prior of `theta`, uniform from -1 to 1, found 3"],
        ),
        ("calibration=19", ["`evaluation.calibration`", "at least 20"]),
        ("test_rows=5 --set evaluation.two_sample=true", ["at least 6", "found 5"]),
        ("test_rows=20 --set evaluation.intrinsic_dimension=true", ["at least 21", "found 20"]),
        (
            "posteriors=2 --set data.simulator=torus --set model.context_dim=0",
            ["`evaluation.posteriors`", "`torus` has no parameters"],
        ),
        ("samples=1 --set model.inner.hidden=9223372036854775807", ["hidden", "at most 32768"]),
        ("samples=1 --set model.context_dim=9223372036854775807", ["context_dim", "at most"]),
    ] {
        folder.fails(&format!("run tiny.toml --set evaluation.{set} --out out"), 1, &parts);
        assert!(!folder.path("out/model.safetensors").exists(), "{set} was trained");
    }
}

#[test]
fn one_column_has_a_report_too() {
    let folder = Folder::new();
    let rows: String = (0..200).map(|i| format!("{}\n", (f64::from(i) * 0.7).sin())).collect();
    folder.write("line.csv", format!("x\n{rows}").as_bytes());
    let text = "
name = 'line'
data = { file = 'line.csv', test_fraction = 0.2 }
model = { kind = 'af', data_dim = 1, inner = { layers = 1, hidden = 4 } }
train = { schedule = 'likelihood', epochs = 1 }
";
    folder.write("line.toml", text.as_bytes());
    folder.succeeds("run line.toml --out run");
    assert!(folder.path("run/report.html").is_file(), "a report");
}

#[test]
fn an_experiment_measures_more_where_it_is_asked() {
    let folder = Folder::new();
    folder.write("tiny.toml", TINY.as_bytes());
    let more = ["calibration=20", "two_sample=true", "intrinsic_dimension=true"];
    let set = more.map(|field| format!("--set evaluation.{field}")).join(" ");
    folder.succeeds(&format!("run tiny.toml {set} --out more"));
    folder.succeeds("run tiny.toml --out plain");
    let metrics = |run: &str| {
        let text = folder.read(&format!("{run}/result.json"));
        let result: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        result["metrics"].as_object().expect("metrics").clone()
    };
    let (more, plain) = (metrics("more"), metrics("plain"));
    let value = |name: &str| more[name]["value"].as_f64().expect("a number");
    for (name, range) in [
        ("calibration_p_value", 0.0..=1.),
        ("coverage_50", 0.0..=1.),
        ("coverage_90", 0.0..=1.),
        ("c2st", 0.4..=1.),
        ("mmd_samples", -0.1..=2.),
        // A surface.
        ("dimension_two_nn", 1.5..=2.6),
        ("dimension_levina_bickel", 1.5..=2.6),
        ("dimension_local_pca", 1.5..=2.6),
    ] {
        assert!(range.contains(&value(name)), "{name}: {}", value(name));
        assert!(!plain.contains_key(name), "{name} is left out");
    }
    assert!(value("coverage_50") <= value("coverage_90"));
    for (name, value) in &plain {
        assert_eq!(value, &more[name], "{name} is what it was");
    }
    let config = String::from_utf8(folder.read("plain/config.toml")).expect("text");
    for field in ["calibration", "two_sample", "intrinsic_dimension"] {
        assert!(!config.contains(field), "the settings of old runs keep their hash: {config}");
    }
}

#[test]
fn the_threads_do_not_change_the_bits() {
    let folder = Folder::new();
    for threads in [1, 2] {
        folder.succeeds(&format!(
            "fit data.csv --config small.toml --epochs 4 --threads {threads} --out {threads}"
        ));
    }
    let [one, two] = ["1/model.safetensors", "2/model.safetensors"].map(|name| folder.read(name));
    assert!(one == two, "the same bytes from 1 and from 2 threads");
    // Without --threads the usual variable is heard.
    let mut command = folder.command("fit data.csv --manifold-dim 1 --epochs 2 --out three");
    let output = command.env("RAYON_NUM_THREADS", "3").output().expect("the program starts");
    assert!(output.status.success(), "a fit on 3 threads");
    let config = String::from_utf8(folder.read("three/config.toml")).expect("text");
    assert!(config.contains("shards = 3"), "one shard for each thread: {config}");
}
