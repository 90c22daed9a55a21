//! Features of images. Oracle: the package efficientnet-lite-pytorch with torch in double precision
//! (`xtask/fixtures/images.py` made the fixtures), with weights by a formula, and, of a test that is not run otherwise,
//! with those of `cargo xtask data features`. Those of Inception-v3 are in `inception.rs`.

use mflow_bijectors::Stream;
use mflow_core::candle::{Device, Tensor, safetensors};
use mflow_eval::features::{EfficientNetLite0, Features, ImageShape, PcaFeatures, RawFeatures};
use mflow_eval::statistics::Sample;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where `cargo xtask data features` puts the weights.
const WEIGHTS: &str = "../../target/data/features/source/efficientnet-lite0-57934424.pth";

/// The picture of the fixtures: waves and a step, 0 to 1.
pub(crate) fn image(shape: ImageShape) -> Vec<f64> {
    let ImageShape { height, width, channels, .. } = shape;
    let pixel = |e: usize| {
        let (i, j, c) = (e / (width * channels), e / channels % width, e % channels);
        let (x, y) = (j as f64 / width as f64, i as f64 / height as f64);
        let waves = (12. * y + c as f64).sin() * (7. * x - 0.5 * c as f64).cos();
        0.5 + 0.3 * waves + if i * width > j * height { 0.2 } else { -0.2 }
    };
    (0..shape.pixels()).map(pixel).collect()
}

fn size(of: &Value, name: &str) -> usize {
    usize::try_from(of[name].as_u64().unwrap()).unwrap()
}

/// A network against a fixture, all features of a 16th of them.
pub(crate) fn check<F: Features>(
    load: impl Fn(ImageShape) -> F,
    (name, dim): (&str, usize),
    fixture: &str,
) {
    for of in serde_json::from_str::<Value>(fixture).unwrap().as_array().unwrap() {
        let (channels, height) = (size(of, "channels"), size(of, "height"));
        let shape = ImageShape { channels, height, width: size(of, "width"), range: [0., 1.] };
        let network = load(shape);
        let x = image(shape);
        let found = network.of(Sample::new(&x, shape.pixels()).unwrap()).unwrap();
        assert_eq!(
            (found.len(), network.dim(), network.name()),
            (dim, dim, name),
            "what the network says of itself"
        );
        let mean = found.iter().sum::<f64>() / dim as f64;
        let expected = of["mean"].as_f64().unwrap();
        assert!((mean - expected).abs() < 1e-5, "{shape:?}: mean {mean}, expected {expected}");
        let expected = of["features"].as_array().unwrap();
        assert!(
            expected.iter().any(|v| v.as_f64().unwrap() > 0.1),
            "a fixture that says something"
        );
        assert_eq!(expected.len(), dim / 16, "a 16th");
        for (i, expected) in expected.iter().enumerate() {
            let (found, expected) = (found[16 * i], expected.as_f64().unwrap());
            assert!((found - expected).abs() < 1e-4, "{shape:?}, {i}: {found}, {expected}");
        }
        // Pixels of bytes, and two images at once.
        let network = load(ImageShape { range: [0., 255.], ..shape });
        let twice: Vec<f64> = x.iter().chain(&x).map(|v| 255. * v).collect();
        let twice = network.of(Sample::new(&twice, shape.pixels()).unwrap()).unwrap();
        for (i, twice) in twice.iter().enumerate() {
            assert!((twice - found[i % dim]).abs() < 1e-5, "{i}: {twice}");
        }
    }
}

/// The network with these weights against a fixture.
fn check_efficientnet(weights: &Path, fixture: &str) {
    let load = |shape| EfficientNetLite0::load(weights, shape, 1).unwrap();
    check(load, ("efficientnet-lite0", 1280), fixture);
}

/// The tensors of a batch normalisation.
pub(crate) fn norm(all: &mut Vec<(String, Vec<usize>)>, name: &str, channels: usize) {
    for part in ["weight", "bias", "running_mean", "running_var"] {
        all.push((format!("{name}.{part}"), vec![channels]));
    }
    all.push((format!("{name}.num_batches_tracked"), vec![]));
}

/// The tensors of the network in the order of their names.
fn names() -> Vec<(String, Vec<usize>)> {
    let mut all: Vec<(String, Vec<usize>)> = vec![];
    let push = |all: &mut Vec<_>, name: String, shape: &[usize]| all.push((name, shape.to_vec()));
    push(&mut all, "_conv_stem.weight".to_owned(), &[32, 3, 3, 3]);
    norm(&mut all, "_bn0", 32);
    let stages =
        [(1, 3, 16), (2, 3, 24), (2, 5, 40), (3, 3, 80), (3, 5, 112), (4, 5, 192), (1, 3, 320)];
    let (mut block, mut channels) = (0, 32);
    for (repeats, size, out) in stages {
        for _ in 0..repeats {
            let prefix = format!("_blocks.{block}.");
            let inner = if block == 0 { channels } else { 6 * channels };
            if block > 0 {
                push(&mut all, format!("{prefix}_expand_conv.weight"), &[inner, channels, 1, 1]);
                norm(&mut all, &format!("{prefix}_bn0"), inner);
            }
            push(&mut all, format!("{prefix}_depthwise_conv.weight"), &[inner, 1, size, size]);
            norm(&mut all, &format!("{prefix}_bn1"), inner);
            push(&mut all, format!("{prefix}_project_conv.weight"), &[out, inner, 1, 1]);
            norm(&mut all, &format!("{prefix}_bn2"), out);
            (block, channels) = (block + 1, out);
        }
    }
    push(&mut all, "_conv_head.weight".to_owned(), &[1280, 320, 1, 1]);
    norm(&mut all, "_bn1", 1280);
    push(&mut all, "_fc.weight".to_owned(), &[1]);
    push(&mut all, "_fc.bias".to_owned(), &[1]);
    all
}

/// A file of the weights that `made_up` in the script makes for tensors of these names and shapes.
pub(crate) fn made_up(folder: &Path, mut names: Vec<(String, Vec<usize>)>) -> PathBuf {
    names.sort();
    let mut tensors = HashMap::new();
    for (i, (name, shape)) in names.into_iter().enumerate() {
        if name.ends_with("num_batches_tracked") {
            continue;
        }
        let size: usize = shape.iter().product();
        let values = (0..size).map(|j| {
            let value = ((j * 7919 + i * 104_729) % 10_007) as f64 / 10_007.;
            let is_scale = name.ends_with("weight") && shape.len() == 1;
            let value = match name.ends_with("running_var") || is_scale {
                true => 0.5 + value,
                false if shape.len() > 1 => {
                    (value - 0.5) * (24. * shape[0] as f64 / size as f64).sqrt()
                }
                false => value - 0.5,
            };
            #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
            let value = value as f32;
            value
        });
        let values: Vec<f32> = values.collect();
        tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
    }
    let path = folder.join("made-up.safetensors");
    safetensors::save(&tensors, &path).unwrap();
    path
}

#[test]
fn the_network_computes_what_torch_does() {
    let folder = tempfile::tempdir().unwrap();
    check_efficientnet(
        &made_up(folder.path(), names()),
        include_str!("../image_fixtures/made_up.json"),
    );
}

/// With the weights that photographs trained; to run after `cargo xtask data features`, with `--ignored`.
#[test]
#[ignore = "needs weights that are not in the repository"]
fn trained_weights_are_read_and_give_the_features_of_torch() {
    check_efficientnet(Path::new(WEIGHTS), include_str!("../image_fixtures/efficientnet.json"));
    let shape = ImageShape { channels: 3, height: 64, width: 64, range: [0., 1.] };
    let network = EfficientNetLite0::load(Path::new(WEIGHTS), shape, 1).unwrap();
    let images = image(shape).repeat(32);
    let start = Instant::now();
    network.of(Sample::new(&images, shape.pixels()).unwrap()).unwrap();
    println!("{:.1} images/s on one thread", 32. / start.elapsed().as_secs_f64());
}

#[test]
fn principal_axes_find_a_plane_and_see_nothing_beside_it() {
    // Rows on a plane in 50 and in 5 dimensions, so that each of the two matrices is taken.
    for columns in [50, 5] {
        let mut stream = Stream::new(1, "plane");
        let (a, b) = (stream.normal(columns), stream.normal(columns));
        let row = |u: f64, v: f64| -> Vec<f64> {
            a.iter().zip(&b).map(|(a, b)| 10. + 3. * u * a + v * b).collect()
        };
        let at = stream.normal(2 * 30);
        let rows: Vec<f64> = at.chunks(2).flat_map(|at| row(at[0], at[1])).collect();
        let rows = Sample::new(&rows, columns).unwrap();
        let features = PcaFeatures::fit(rows, 2).unwrap();
        assert_eq!((features.name(), features.dim()), ("pca-2", 2));
        assert!((features.explained() - 1.).abs() < 1e-9, "{}", features.explained());
        let found = features.of(rows).unwrap();
        let distance = |x: &[f64], y: &[f64]| -> f64 {
            x.iter().zip(y).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        let all: Vec<&[f64]> = rows.rows().collect();
        for i in 1..30 {
            let (found, expected) =
                (distance(&found[..2], &found[2 * i..2 * i + 2]), distance(all[0], all[i]));
            assert!((found - expected).abs() < 1e-9 * expected, "{found}, {expected}");
        }
        let (first, second): (Vec<f64>, Vec<f64>) = found.chunks(2).map(|f| (f[0], f[1])).unzip();
        let square = |of: &[f64]| of.iter().map(|v| v * v).sum::<f64>();
        assert!(square(&first) > square(&second), "the largest spread first");
        let product: f64 = first.iter().zip(&second).map(|(a, b)| a * b).sum();
        assert!(product.abs() < 1e-8 * square(&first), "uncorrelated: {product}");
        let one = PcaFeatures::fit(rows, 1).unwrap();
        assert!(one.explained() < 1. && one.of(rows).unwrap().len() == 30, "{}", one.explained());
        for k in [0, 3] {
            let error = PcaFeatures::fit(rows, k).unwrap_err().to_string();
            assert!(
                error.contains("1 to 2 principal axes") && error.contains(&k.to_string()),
                "{error}"
            );
        }
    }
}

#[test]
fn raw_features_are_the_pixels_and_other_sizes_are_refused() {
    let x = [1., 2., 3., 4.];
    let (pairs, all) = (Sample::new(&x, 2).unwrap(), Sample::new(&x, 4).unwrap());
    let raw = RawFeatures { pixels: 2 };
    assert_eq!((raw.name(), raw.of(pairs).unwrap()), ("raw", x.to_vec()));
    assert!(raw.of(all).unwrap_err().to_string().contains("2, found 4"), "columns");
}

#[test]
fn files_and_shapes_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    let shape = ImageShape { channels: 3, height: 8, width: 8, range: [0., 1.] };
    let message = |shape| EfficientNetLite0::load(&path, shape, 1).unwrap_err().to_string();
    assert!(message(shape).contains("cannot read"), "no file");
    std::fs::write(&path, b"no weights").unwrap();
    assert!(message(shape).contains("a safetensors file"), "{}", message(shape));
    let one = Tensor::from_vec(vec![f32::NAN; 864], (32, 3, 3, 3), &Device::Cpu).unwrap();
    let one = HashMap::from([("_bn0.weight".to_owned(), one)]);
    safetensors::save(&one, &path).unwrap();
    let error = message(shape);
    assert!(error.contains("`_bn0.weight`") && error.contains("[32, 3, 3, 3]"), "{error}");
    for wrong in [
        ImageShape { channels: 2, ..shape },
        ImageShape { height: 0, ..shape },
        ImageShape { range: [1., 1.], ..shape },
    ] {
        assert!(message(wrong).contains("1 or 3 channels"), "{}", message(wrong));
    }
}
