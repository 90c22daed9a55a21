//! Experiments on images. Oracles: the verb `score` on the same rows, distances of the same samples, decoders of PNG and GIF.
use crate::folder::Folder;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mflow::bijectors::Stream;
use mflow::core::candle::{Device, Tensor};
use mflow::core::write_tensors;
use mflow::data::io::{Array, Dtype, NpyWriter, read_npy, read_npz_array, write_npy};
use mflow::eval::statistics::{Sample, frechet_distance};
use mflow::experiment::{ExperimentConfig, Origin};
use serde_json::Value;
use std::collections::BTreeMap;

const SHAPE: [usize; 3] = [4, 4, 3];
const SIZE: usize = 48;

/// Bright and dark stripes, whose strength depends on a parameter.
fn images(seed: u64, parameters: &[f64]) -> Vec<f64> {
    let strength = Stream::new(seed, "strength").normal(parameters.len());
    let image = |(theta, z): (&f64, f64)| {
        let pixel = move |e: usize| 128. + 20. * (z + theta) * (0.5 * e as f64).sin();
        (0..SIZE).map(pixel).map(|v| v.round().clamp(0., 255.)).collect::<Vec<f64>>()
    };
    parameters.iter().zip(strength).flat_map(image).collect()
}

fn write(folder: &Folder, name: &str, parameters: &[f64], seed: u64) -> Vec<f64> {
    let x = images(seed, parameters);
    let [h, w, c] = SHAPE;
    let path = folder.path(&format!("{name}.npy"));
    let mut writer = NpyWriter::create_bytes(&path, &[parameters.len(), h, w, c]).unwrap();
    writer.write(&x).unwrap();
    writer.finish().unwrap();
    let column = Array::matrix(parameters.len(), 1, parameters, Dtype::F64).expect("a column");
    write_npy(&folder.path(&format!("{name}-theta.npy")), &column).expect("the file is written");
    x
}

const TEXT: &str = "
name = 'stripes'
seed = 3
[data]
normalize = 'together'
[data.images]
train = 'train.npy'
test = 'test.npy'
[data.images.context]
train = 'train-theta.npy'
test = 'test-theta.npy'
observed = 'observed.npy'
truth = 1.0
count = 20
exact = 0.5
[model]
kind = 'm-flow'
data_dim = 48
manifold_dim = 1
context_dim = 1
outer = { kind = 'image', shape = [4, 4, 3], levels = 2, steps = 1, bins = 4, tail_bound = 4.0, net = { hidden = 4, blocks = 1 } }
inner = { layers = 2, hidden = 8, blocks = 1 }
[train]
schedule = 'sequential'
epochs = 6
shards = 1
[evaluation]
samples = 40
test_rows = 40
features = ['raw', 'pca-1']
";

fn folder() -> (Folder, Vec<f64>, Vec<f64>) {
    let folder = Folder::new();
    let train = write(&folder, "train", &Stream::new(1, "theta").normal(200), 1);
    let test = write(&folder, "test", &Stream::new(2, "theta").normal(60), 2);
    write(&folder, "observed", &[1.; 30], 3);
    folder.write("stripes.toml", TEXT.as_bytes());
    (folder, train, test)
}

#[test]
fn a_model_of_images_is_measured_and_drawn() {
    let (folder, train, test) = folder();
    folder.succeeds("run stripes.toml --out run");
    let result: Value = serde_json::from_slice(&folder.read("run/result.json")).unwrap();
    let value = |name: &str| {
        let found = result["metrics"][name]["value"].as_f64();
        found.unwrap_or_else(|| panic!("no {name} in {result}"))
    };
    // The floor: the first 40 training images against the test images.
    let rows = |x: &[f64]| x[..40 * SIZE].to_vec();
    let (of_train, of_test) = (rows(&train), rows(&test));
    let sample = |x| Sample::new(x, SIZE).unwrap();
    let floor = frechet_distance(sample(&of_train), sample(&of_test)).unwrap();
    assert!((value("frechet_raw_floor") - floor).abs() < 1e-6 * (1. + floor), "{floor}");
    for name in ["frechet_raw", "kernel_raw", "precision_pca-1", "recall_pca-1_floor"] {
        assert!(value(name).is_finite(), "{name}");
    }
    assert!(value("log_posterior").is_finite());
    assert!((value("log_posterior_of_truth") - 0.5).abs() < 1e-12);
    // The same rows by another verb.
    folder.succeeds("score run test.npy --context test-theta.npy --out s.npz");
    let errors = read_npz_array(&folder.path("s.npz"), "reconstruction_error").unwrap();
    let expected = errors.values()[..40].iter().sum::<f64>() / 40.;
    let found = value("reconstruction_error");
    assert!((found - expected).abs() < 1e-3 * expected, "{found}, expected {expected}");
    for name in ["samples", "reconstructed", "between", "latents"] {
        let png = folder.read(&format!("run/figures/images-{name}.png"));
        assert!(png.starts_with(b"\x89PNG"), "{name}");
    }
    assert!(folder.read("run/figures/images-tour.gif").starts_with(b"GIF89a"));
    // The report has the same pictures within it.
    let page = String::from_utf8(folder.read("run/report.html")).expect("a page");
    for (name, ending) in [("samples", "png"), ("between", "png"), ("tour", "gif")] {
        let file = folder.read(&format!("run/figures/images-{name}.{ending}"));
        let source = format!("src=\"data:image/{ending};base64,{}\"", STANDARD.encode(file));
        assert!(page.contains(&source), "{name}");
    }
    // What the model draws are images again.
    folder.succeeds("sample run --context test-theta.npy --out drawn.npy");
    let drawn = read_npy(&folder.path("drawn.npy")).expect("an array");
    assert_eq!(drawn.row_shape(), Some(SHAPE.as_slice()));
}

/// Two runs: their pictures one below the other. A fit of the same images, which knows no more of them than their shape.
#[test]
fn reports_of_several_runs_and_of_fits_have_pictures() {
    const PNG: &str = "src=\"data:image/png";
    let (folder, ..) = folder();
    let short = TEXT.replace("epochs = 6", "epochs = 2").replace("features = ['raw', 'pca-1']", "");
    folder.write("a.toml", short.as_bytes());
    folder.write("b.toml", short.replace("'m-flow'", "'me-flow'").as_bytes());
    folder.succeeds("run a.toml --out a");
    folder.succeeds("run b.toml --out b");
    folder.succeeds("plot a b --out both");
    let page = String::from_utf8(folder.read("both/report.html")).expect("a page");
    assert_eq!(page.matches(PNG).count(), 3, "samples, reconstructed, between");
    folder.succeeds("fit train.npy --manifold-dim 1 --epochs 1 --model me-flow --out fit");
    let page = String::from_utf8(folder.read("fit/report.html")).expect("a page");
    assert_eq!(page.matches(PNG).count(), 4, "and a grid of latents");
    assert_eq!(page.matches("src=\"data:image/gif").count(), 1);
}

/// Images of a line: `x = 128 + 20 u w`. Oracle: the distances that rounding to bytes leaves, computed here.
#[test]
fn a_known_generator_and_its_inputs_give_the_floor() {
    let (folder, ..) = folder();
    let weights: Vec<f32> = (0..SIZE).map(|e| (0.5 * e as f32).sin()).collect();
    let tensors = [
        ("line.weight".to_owned(), Tensor::from_slice(&weights, (SIZE, 1), &Device::Cpu).unwrap()),
        ("line.bias".to_owned(), Tensor::full(6.4_f32, SIZE, &Device::Cpu).unwrap()),
    ];
    let tensors = tensors.into_iter().collect();
    write_tensors(&folder.path("line.safetensors"), &tensors, BTreeMap::new()).unwrap();
    let layers = "[[layers]]\nkind = 'linear'\ntensors = 'line'\n[[layers]]\nkind = 'scale'\nfactor = 20.0\nshift = 0.0\n";
    let generator = |more: &str| {
        let start = "weights = 'line.safetensors'\ninputs = 1\n";
        folder.write("line.toml", format!("{start}{layers}{more}").as_bytes());
    };
    generator("");
    let inputs = Stream::new(5, "inputs").normal(60);
    let made: Vec<f64> = inputs
        .iter()
        .flat_map(|u| weights.iter().map(move |w| 128. + 20. * u * f64::from(*w)))
        .collect();
    let bytes: Vec<f64> = made.iter().map(|v| v.round()).collect();
    let [h, w, c] = SHAPE;
    let mut file = NpyWriter::create_bytes(&folder.path("test.npy"), &[60, h, w, c]).unwrap();
    file.write(&bytes).unwrap();
    file.finish().unwrap();
    let column = |name: &str, rows: usize, cols: usize| {
        let array = Array::matrix(rows, cols, &inputs[..rows * cols], Dtype::F64).unwrap();
        write_npy(&folder.path(name), &array).expect("the file is written");
    };
    column("u.npy", 60, 1);
    let truth = "test = 'test.npy'\ngenerator = 'line.toml'\nlatents = 'u.npy'";
    let text = TEXT.replace("test = 'test.npy'", truth).replace("epochs = 6", "epochs = 1");
    let text = text.replace("features = ['raw', 'pca-1']", "nearest = 10");
    folder.write("line-run.toml", text.as_bytes());
    folder.succeeds("run line-run.toml --out run");
    let result: Value = serde_json::from_slice(&folder.read("run/result.json")).unwrap();
    let found = result["metrics"]["manifold_distance_floor"]["value"].as_f64().expect("a floor");
    let distance = |(x, y): (&[f64], &[f64])| {
        x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
    };
    let distances = made.chunks(SIZE).zip(bytes.chunks(SIZE)).take(40).map(distance);
    let expected = distances.sum::<f64>() / 40.;
    assert!((found - expected).abs() < 1e-4 * expected, "{found}, expected {expected}");
    // What does not fit is known before training.
    let refused = |parts: &[&str]| {
        folder.fails("run line-run.toml --out refused", 1, parts);
        assert!(!folder.path("refused/metrics.jsonl").exists(), "no training");
    };
    column("u.npy", 30, 2);
    refused(&["u.npy", "expected 1", "found 2"]);
    column("u.npy", 39, 1);
    refused(&["u.npy", "first 40 test images, found 39"]);
    generator("[[layers]]\nkind = 'reshape'\nshape = [3, 4, 4]\n");
    refused(&["line.toml", "[4, 4, 3]", "train.npy", "found one of shape [3, 4, 4]"]);
    let alone = text.replace("generator = 'line.toml'\n", "");
    folder.write("line-run.toml", alone.as_bytes());
    refused(&["data.images.latents", "needs `generator`"]);
}

/// Oracle: scenes that the library draws are on their manifold.
#[test]
fn scenes_are_drawn_and_distances_from_them_known() {
    let folder = Folder::new();
    let text = "
        name = 'scenes'
        seed = 1
        [data]
        normalize = 'together'
        scenes = { factors = 2, rows = 300 }
        [model]
        kind = 'm-flow'
        data_dim = 256
        manifold_dim = 2
        outer = { kind = 'image', shape = [16, 16, 1], levels = 2, steps = 1, bins = 4, tail_bound = 4.0, net = { hidden = 4, blocks = 1 } }
        inner = { layers = 1, hidden = 8, blocks = 1 }
        [train]
        schedule = 'sequential'
        epochs = 2
        shards = 1
        [evaluation]
        samples = 30
        test_rows = 30
        nearest = 5
        features = ['pca-4']
        ";
    folder.write("scenes.toml", text.as_bytes());
    let said = folder.succeeds("run scenes.toml --out run");
    let result: Value = serde_json::from_slice(&folder.read("run/result.json")).unwrap();
    let value = |name: &str| result["metrics"][name]["value"].as_f64().expect(name);
    assert!(value("manifold_distance_floor") < 1e-2, "{said}");
    assert!(value("manifold_distance") > 1., "a model that was hardly trained: {said}");
    let config = String::from_utf8(folder.read("run/config.toml")).expect("text");
    let again: ExperimentConfig = toml::from_str(&config).expect("an experiment");
    assert!(matches!(again.data.origin, Origin::Scenes(ref scenes) if scenes.size == 16));
    folder.write("none.toml", text.replace("nearest = 5", "nearest = 0").as_bytes());
    let said = folder.succeeds("run none.toml --out none");
    assert!(!said.contains("manifold_distance") && said.contains("frechet_pca-4"), "{said}");
    for (from, to, part) in [
        ("factors = 2", "factors = 65", "factors of a scene"),
        ("rows = 300 }", "rows = 300 }\n rows = 5", "`data.scenes` says all of the data"),
        ("data_dim = 256", "data_dim = 300", "256"),
    ] {
        folder.write("bad.toml", text.replace(from, to).as_bytes());
        folder.fails("run bad.toml --out bad", 1, &[part]);
    }
}

/// Sheets have room for more images than there are.
#[test]
fn few_test_images_are_enough_for_figures() {
    let (folder, ..) = folder();
    write(&folder, "test", &[0.5; 3], 4);
    let few = TEXT.replace("features = ['raw', 'pca-1']", "").replace("epochs = 6", "epochs = 2");
    folder.write("few.toml", few.as_bytes());
    folder.succeeds("run few.toml --out few");
    assert!(folder.read("few/figures/images-between.png").starts_with(b"\x89PNG"));
    write(&folder, "test", &[0.5], 4);
    folder.succeeds("run few.toml --out one");
    assert!(folder.path("one/figures/images-samples.png").is_file());
    assert!(!folder.path("one/figures/images-between.png").exists(), "there is nothing between");
}

#[test]
fn what_does_not_fit_is_named() {
    let (folder, ..) = folder();
    let fails = |from: &str, to: &str, part: &str| {
        folder.write("bad.toml", TEXT.replace(from, to).as_bytes());
        folder.fails("run bad.toml --out bad", 1, &[part]);
    };
    fails("'pca-1'", "'inception'", "`evaluation.features` must be of `raw`, `pca-K`");
    let missing = "`evaluation.feature_weights` must name a file for";
    fails("'pca-1'", "'efficientnet-lite0'", &format!("{missing} `efficientnet-lite0`"));
    fails("'pca-1'", "'inception-v3'", &format!("{missing} `inception-v3`"));
    fails("'pca-1'", "'inception-v3'", "pt_inception-2015-12-05-6726825d.pth");
    for name in ["efficientnet-lite0", "inception-v3"] {
        let weights = format!("features = ['{name}']\nfeature_weights = {{ {name} = 'none.pth' }}");
        let found = format!("names none.pth for `{name}`, which is not there");
        fails("features = ['raw', 'pca-1']", &weights, &found);
    }
    let other = "features = ['raw']\nfeature_weights = { raw = 'none.pth' }";
    fails("features = ['raw', 'pca-1']", other, "found `raw`");
    let no_weights = "features = ['inception-v3']\nfeature_weights.inception-v3 = 'test.npy'";
    fails("features = ['raw', 'pca-1']", no_weights, "a safetensors file");
    let theta = "train = 'test-theta.npy'";
    fails("train = 'train-theta.npy'", theta, "a parameter for each of 200 images, found 60");
    fails("test = 'test.npy'", "test = 'test-theta.npy'", "test-theta.npy");
    fails("[data.images]\n", "rows = 3\n[data.images]\n", "`data.images` says all of the data");
    fails("shape = [4, 4, 3]", "shape = [4, 4, 1]", "must be that of rows of 48 features");
}

#[test]
fn a_config_survives_a_file() {
    let experiment: ExperimentConfig = toml::from_str(TEXT).unwrap();
    assert!(matches!(&experiment.data.origin, Origin::Images(images) if images.dequantize));
    let again: ExperimentConfig = toml::from_str(&toml::to_string(&experiment).unwrap()).unwrap();
    assert_eq!(experiment, again);
}
