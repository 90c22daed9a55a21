//! Generators. Oracles: PyTorch 1.13.1, values and Jacobians (`tests/fixtures`); candle's own transposed convolution;
//! numbers by hand; central differences; latents that are known.
use crate::numbers::{close, device, gram, log_abs_det, normal, numbers, tensor};
use mflow_bijectors::Diff;
use mflow_core::candle::{DType, Tensor};
use mflow_core::{
    Embedding, Error, FixedInputs, Generator, GeneratorConfig, GeneratorLayer, NearestConfig,
    write_tensors,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What `xtask/fixtures/generator.py` writes.
#[derive(Deserialize)]
struct Fixture {
    tensors: BTreeMap<String, Stored>,
    u: Vec<f64>,
    x: Vec<f64>,
    jacobians: Vec<f64>,
}

#[derive(Deserialize)]
struct Stored {
    shape: Vec<usize>,
    values: Vec<f64>,
}

const FIXTURE: &str = include_str!("../fixtures/generator.json");

/// The layers of the fixture.
const CONFIG: &str = r#"
    weights = "small.safetensors"
    inputs = 3
    channels_last = true
    layers = [
        { kind = "linear", tensors = "0" },
        { kind = "leaky_relu", slope = 0.2 },
        { kind = "reshape", shape = [2, 2, 2] },
        { kind = "conv_transpose", tensors = "3", stride = 2, padding = 1, output_padding = 1 },
        { kind = "batch_norm", tensors = "4", eps = 1e-3 },
        { kind = "relu" },
        { kind = "conv_transpose", tensors = "6", stride = 2, padding = 1, bias = false },
        { kind = "tanh" },
        { kind = "average", factor = 2 },
        { kind = "scale", factor = 127.5, shift = 127.5 },
    ]
"#;

fn fixture() -> Fixture {
    serde_json::from_str(FIXTURE).unwrap()
}

fn tensors() -> BTreeMap<String, Tensor> {
    let stored = fixture().tensors.into_iter();
    let cpu = mflow_core::candle::Device::Cpu;
    stored.map(|(n, t)| (n, Tensor::from_vec(t.values, t.shape, &cpu).unwrap())).collect()
}

/// The config and its weights as files in a folder.
fn files(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("small.toml"), config).unwrap();
    write_tensors(&folder.path().join("small.safetensors"), &tensors(), BTreeMap::new()).unwrap();
    folder
}

fn load(config: &str) -> Result<Generator, Error> {
    Generator::load(&files(config).path().join("small.toml"), DType::F64, device())
}

fn small() -> Generator {
    load(CONFIG).unwrap()
}

/// A generator of these layers alone.
fn of(
    inputs: usize,
    layers: Vec<GeneratorLayer>,
    tensors: &[(&str, &Tensor)],
) -> Result<Generator, Error> {
    let named = tensors.iter().map(|(name, t)| ((*name).to_owned(), (*t).clone())).collect();
    Generator::build(&GeneratorConfig::new("none", inputs, layers), named, DType::F64, device())
}

fn conv(stride: usize, padding: usize, output_padding: usize) -> GeneratorLayer {
    let tensors = "c".to_owned();
    GeneratorLayer::ConvTranspose { tensors, stride, padding, output_padding, bias: false }
}

fn reshape(shape: [usize; 3]) -> GeneratorLayer {
    GeneratorLayer::Reshape { shape: shape.to_vec() }
}

#[test]
fn values_and_jacobians_are_those_of_pytorch() {
    let (generator, expected) = (small(), fixture());
    assert_eq!(generator.shape(), [4, 4, 3]);
    let u = tensor(expected.u, &[4, 3]);
    let x = generator.embed_with_jacobian(&u, None).unwrap();
    close("values", &numbers(x.value()), &expected.x, 1e-13);
    close("jacobians", &numbers(x.tangents().unwrap()), &expected.jacobians, 1e-12);
    close("forward", &numbers(&generator.forward(&u).unwrap()), &expected.x, 1e-13);
}

#[test]
fn tangents_are_central_differences() {
    let generator = small();
    let (u, h) = (normal("u", &[5, 3]), 1e-5);
    let rows = numbers(generator.embed_with_jacobian(&u, None).unwrap().tangents().unwrap());
    for i in 0..3 {
        let mut step = [0.; 3];
        step[i] = h;
        let step = tensor(step.to_vec(), &[1, 3]);
        let ahead = generator.forward(&u.broadcast_add(&step).unwrap()).unwrap();
        let behind = generator.forward(&u.broadcast_sub(&step).unwrap()).unwrap();
        let slope = ((ahead - behind).unwrap() / (2. * h)).unwrap();
        let found: Vec<f64> =
            rows.chunks(3 * 48).flat_map(|r| r[i * 48..][..48].to_vec()).collect();
        close("tangents", &found, &numbers(&slope), 1e-6);
    }
}

#[test]
fn a_transposed_convolution_by_hand() {
    // Each input pixel adds the kernel times itself where it lies.
    let kernel = tensor(vec![1., 10., 100., 1000.], &[1, 1, 2, 2]);
    let image = tensor(vec![1., 2., 3., 4.], &[1, 4]);
    let apply = |stride, padding| {
        let layers = vec![reshape([1, 2, 2]), conv(stride, padding, 0)];
        numbers(&of(4, layers, &[("c.weight", &kernel)]).unwrap().forward(&image).unwrap())
    };
    assert_eq!(apply(1, 0), [1., 12., 20., 103., 1234., 2040., 300., 3400., 4000.]);
    assert_eq!(apply(1, 1), [1234.]);
    let far = [1., 10., 2., 20., 100., 1e3, 200., 2e3, 3., 30., 4., 40., 300., 3e3, 400., 4e3];
    assert_eq!(apply(2, 0), far);
}

#[test]
fn transposed_convolutions_are_candles() {
    for (k, stride, padding, more) in [
        (4, 1, 0, 0),
        (4, 2, 1, 0),
        (3, 2, 1, 1),
        (5, 3, 2, 2),
        (1, 2, 0, 0),
        (2, 3, 0, 0),
        (3, 1, 1, 0),
    ] {
        let kernel = normal("kernel", &[3, 2, k, k]);
        let images = normal("images", &[2, 3 * 4 * 5]);
        let layers = vec![reshape([3, 4, 5]), conv(stride, padding, more)];
        let generator = of(60, layers, &[("c.weight", &kernel)]).unwrap();
        let expected = images.reshape((2, 3, 4, 5)).unwrap();
        let expected = expected.conv_transpose2d(&kernel, padding, more, stride, 1).unwrap();
        assert_eq!(generator.shape(), &expected.dims()[1..], "kernel {k}, stride {stride}");
        let found = numbers(&generator.forward(&images).unwrap());
        close(&format!("kernel {k}, stride {stride}"), &found, &numbers(&expected), 1e-13);
    }
}

#[test]
fn a_batch_norm_by_hand() {
    let [mean, variance, weight, bias] =
        [[1., -1.], [3., 15.], [4., 8.], [0.5, 0.]].map(|v| tensor(v.to_vec(), &[2]));
    let named = [
        ("n.running_mean", &mean),
        ("n.running_var", &variance),
        ("n.weight", &weight),
        ("n.bias", &bias),
    ];
    let norm = GeneratorLayer::BatchNorm { tensors: "n".to_owned(), eps: 1. };
    let generator = of(4, vec![reshape([2, 1, 2]), norm], &named).unwrap();
    let x = generator.forward(&tensor(vec![1., 2., -1., 3.], &[1, 4])).unwrap();
    // (x - 1) / 2 * 4 + 0.5 and (x + 1) / 4 * 8.
    close("norm", &numbers(&x), &[0.5, 2.5, 0., 8.], 1e-14);
}

#[test]
fn fixed_inputs_stay_and_free_ones_move() {
    let generator = small();
    let part = generator.with_fixed(&[0.3, 9., -0.7], &[1]).unwrap();
    let u = tensor(vec![0.2, -1.5], &[2, 1]);
    let all = tensor(vec![0.3, 0.2, -0.7, 0.3, -1.5, -0.7], &[2, 3]);
    let found = part.embed_with_jacobian(&u, None).unwrap();
    let expected = generator.embed_with_jacobian(&all, None).unwrap();
    close("values", &numbers(found.value()), &numbers(expected.value()), 1e-14);
    let rows = expected.tangents().unwrap().narrow(1, 1, 1).unwrap();
    close("tangents", &numbers(found.tangents().unwrap()), &numbers(&rows), 1e-14);
    let swapped = generator.with_fixed(&[0., 0., 0.4], &[1, 0]).unwrap();
    let x = swapped.forward(&tensor(vec![1., 2.], &[1, 2])).unwrap();
    let y = generator.forward(&tensor(vec![2., 1., 0.4], &[1, 3])).unwrap();
    close("order", &numbers(&x), &numbers(&y), 1e-14);
    for (values, free) in
        [(&[0.; 2][..], &[0][..]), (&[0.; 3], &[]), (&[0.; 3], &[3]), (&[0.; 3], &[1, 1])]
    {
        let error = generator.with_fixed(values, free).unwrap_err();
        assert!(matches!(error, Error::Data { op: "Generator::with_fixed", .. }), "{error}");
    }
}

#[test]
fn the_volume_is_that_of_the_tangents() {
    let (generator, u) = (small(), normal("u", &[3, 3]));
    let rows = numbers(generator.embed_with_jacobian(&u, None).unwrap().tangents().unwrap());
    let expected = rows.chunks(3 * 48).map(|rows| {
        let rows: Vec<Vec<f64>> = rows.chunks(48).map(<[f64]>::to_vec).collect();
        0.5 * log_abs_det(&gram(&rows))
    });
    let found = numbers(&generator.log_volume(&u, None).unwrap());
    close("volume", &found, &expected.collect::<Vec<_>>(), 1e-10);
}

#[test]
fn the_nearest_latent_of_an_image_is_its_own() {
    let (generator, u) = (small(), normal("latents", &[20, 3]));
    let x = generator.forward(&u).unwrap();
    let found = generator.nearest(&x, &NearestConfig::default()).unwrap();
    assert!(found.distances.iter().all(|d| *d < 1e-9), "{:?}", found.distances);
    close("latents", &numbers(&found.latents), &numbers(&u), 1e-7);
    let coordinates = generator.coordinates(&x, None).unwrap();
    close("coordinates", &numbers(&coordinates), &numbers(&found.latents), 0.);
}

/// Oracle: the best of a fine grid. No grid point may be nearer than what the search finds.
#[test]
fn the_nearest_point_is_that_of_a_grid() {
    let generator = small().with_fixed(&[0.3, 0., -0.2], &[1]).unwrap();
    let noise = (normal("noise", &[10, 48]) * 5.).unwrap();
    let x = (generator.forward(&normal("u", &[10, 1])).unwrap() + noise).unwrap();
    let found = generator.nearest(&x, &NearestConfig::default()).unwrap();
    let grid: Vec<f64> = (0..4001).map(|i| -10. + 0.005 * f64::from(i)).collect();
    let points = numbers(&generator.forward(&tensor(grid, &[4001, 1])).unwrap());
    for (x, found) in numbers(&x).chunks(48).zip(&found.distances) {
        let distance =
            |p: &[f64]| p.iter().zip(x).map(|(p, x)| (p - x).powi(2)).sum::<f64>().sqrt();
        let best = points.chunks(48).map(distance).fold(f64::INFINITY, f64::min);
        assert!(*found <= best + 1e-9 && *found > best - 0.01, "{found}, the grid has {best}");
    }
}

#[test]
fn searches_repeat_and_take_no_rows() {
    let generator = small();
    let x = (generator.forward(&normal("u", &[3, 3])).unwrap() + 3.).unwrap();
    let config = NearestConfig::default().with_starts(2, 16).with_steps(5).with_seed(3);
    let [a, b] = [0, 1].map(|_| numbers(&generator.nearest(&x, &config).unwrap().latents));
    assert_eq!(a, b, "the same seed");
    let none = tensor(vec![], &[0, 48]);
    assert_eq!(generator.nearest(&none, &config).unwrap().latents.dims(), [0, 3]);
    let none = tensor(vec![], &[0, 3]);
    let empty = generator.embed_with_jacobian(&none, None).unwrap();
    assert_eq!(empty.tangents().unwrap().dims(), [0, 3, 48]);
    assert_eq!(generator.log_volume(&none, None).unwrap().dims(), [0]);
}

#[test]
fn configs_come_back_from_their_files() {
    let folder = files(CONFIG);
    let read = GeneratorConfig::read(&folder.path().join("small.toml")).unwrap();
    let fixed = FixedInputs { free: vec![2], values: vec![0.1, 0.2, 0.3] };
    let config = read.averaged(2).with_fixed(fixed);
    let path = folder.path().join("other.toml");
    config.write(&path).unwrap();
    assert_eq!(GeneratorConfig::read(&path).unwrap(), config);
    let other = Generator::load(&path, DType::F64, device()).unwrap();
    assert_eq!((other.shape(), other.free_inputs()), ([2, 2, 3].as_slice(), 1));
    let u = tensor(vec![0.4], &[1, 1]);
    let all = numbers(&small().forward(&tensor(vec![0.1, 0.2, 0.4], &[1, 3])).unwrap());
    let mean = |y: usize, x: usize, c: usize| {
        let pixel = |dy: usize, dx: usize| all[((2 * y + dy) * 4 + 2 * x + dx) * 3 + c];
        (pixel(0, 0) + pixel(0, 1) + pixel(1, 0) + pixel(1, 1)) / 4.
    };
    let expected: Vec<f64> = (0..12).map(|i| mean(i / 6, i / 3 % 2, i % 3)).collect();
    close("averages", &numbers(&other.forward(&u).unwrap()), &expected, 1e-13);
}

#[test]
fn what_does_not_fit_is_named() {
    let refused = |from: &str, to: &str, parts: &[&str]| {
        assert!(CONFIG.contains(from), "{from}");
        let error = load(&CONFIG.replacen(from, to, 1)).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "`{part}` in: {error}");
        }
    };
    refused(
        "tensors = \"6\"",
        "tensors = \"7\"",
        &["layer 6", "`7.weight`", "[4, any, any, any]", "none"],
    );
    refused(
        "[2, 2, 2]",
        "[1, 2, 4]",
        &["layer 3", "`3.weight`", "[1, any, any, any]", "[2, 4, 3, 3]"],
    );
    refused("[2, 2, 2]", "[2, 2, 3]", &["layer 2", "12 numbers", "8 of shape [8]"]);
    refused("inputs = 3", "inputs = 4", &["layer 0", "`0.weight`", "[any, 4]", "[8, 3]"]);
    refused("factor = 2", "factor = 3", &["layer 8", "divisor of 8 and 8", "found 3"]);
    refused("stride = 2", "stride = 0", &["layer 3", "stride", "1 to 32"]);
    refused("output_padding = 1", "output_padding = 2", &["layer 3", "at most the padding, 1"]);
    refused(
        ", tensors = \"4\", eps = 1e-3 }",
        ", tensors = \"3\" }",
        &["layer 4", "`3.running_mean`"],
    );
    refused(
        "{ kind = \"reshape\", shape = [2, 2, 2] },",
        "",
        &["layer 2", "images [C, H, W]", "[8]"],
    );
    refused(
        "{ kind = \"batch_norm\", tensors = \"4\", eps = 1e-3 },",
        "",
        &["`4.bias`", "a layer that uses it"],
    );
    refused("\"tanh\"", "\"tan\"", &["small.toml", "unknown variant `tan`"]);
    refused("slope = 0.2", "slop = 0.2", &["small.toml", "slop"]);
    let generator = small();
    let error = generator.forward(&normal("u", &[2, 4])).unwrap_err().to_string();
    assert!(error.contains("Generator::forward") && error.contains("[B, 3]"), "{error}");
    let error = generator.nearest(&normal("x", &[2, 4]), &NearestConfig::default()).unwrap_err();
    assert!(error.to_string().contains("[B, 48]"), "{error}");
    let missing = Generator::load(std::path::Path::new("none.toml"), DType::F64, device());
    assert!(matches!(missing, Err(Error::Io { .. })), "{missing:?}");
}
