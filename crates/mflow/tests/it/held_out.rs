//! Experiments on the rows of a file, some of which are held out; places on the sphere.
use crate::folder::Folder;
use mflow::Error;
use mflow::bijectors::Stream;
use mflow::data::io::{Array, Dtype, read_table, write_npy};
use mflow::experiment::{DataConfig, ExperimentConfig, Origin, Split};
use mflow::fit::Normalize;
use std::fmt::Write;

/// `rows` points near the north of the unit sphere, `points.npy`.
fn sphere(folder: &Folder, rows: usize) {
    let mut stream = Stream::new(7, "sphere");
    let mut x = stream.normal(3 * rows);
    for point in x.as_chunks_mut::<3>().0 {
        point[2] += 2.;
        let radius = point.iter().map(|v| v * v).sum::<f64>().sqrt();
        point.iter_mut().for_each(|v| *v /= radius);
    }
    let array = Array::matrix(rows, 3, &x, Dtype::F64).expect("a table");
    write_npy(&folder.path("points.npy"), &array).expect("the file is written");
}

const SCHEDULE: &str = "
[train]
schedule = 'likelihood'
epochs = 2
shards = 1
";

const FOM: &str = "
name = 'north'
seed = 3
[data]
file = 'points.npy'
test_fraction = 0.2
[model]
kind = 'fom'
chart = { kind = 'stereographic', radius = 1.0, center = [0.0, 0.0, 0.0] }
inner = { layers = 2, hidden = 8, blocks = 1 }
";

#[test]
#[expect(clippy::result_large_err, reason = "the error of the library, a few times")]
fn rows_are_held_out_once_and_depend_on_the_seed() {
    let folder = Folder::new();
    let text = (0..50).fold(String::new(), |mut text, i| {
        writeln!(text, "{i},{}", -i).expect("a line");
        text
    });
    folder.write("rows.csv", text.as_bytes());
    let read = |fraction, seed| Split::read(&folder.path("rows.csv"), 2, fraction, None, seed);
    let split = read(0.1, 1).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (2 * 45, 2 * 5));
    let first = |values: &[f64]| values.iter().step_by(2).copied().collect::<Vec<_>>();
    let mut all = [first(&split.train), first(&split.test)].concat();
    assert!(all[..45].is_sorted() && all[45..].is_sorted(), "in the order of the file: {all:?}");
    all.sort_by(f64::total_cmp);
    assert_eq!(all, (0..50).map(f64::from).collect::<Vec<_>>(), "each row in one part");
    for row in [&split.train, &split.test].into_iter().flat_map(|part| part.chunks_exact(2)) {
        assert!((row[0] + row[1]).abs() < 1e-12, "rows stay whole: {row:?}");
    }
    assert_eq!(split, read(0.1, 1).unwrap(), "the same seed, the same rows");
    assert_ne!(split.test, read(0.1, 2).unwrap().test, "another seed, others");
    assert_eq!(read(0.5, 1).unwrap().test.len(), 2 * 25);
    assert_eq!(read(1e-9, 1).unwrap().test.len(), 2, "at least one");
    for fraction in [0., 1., -0.1, f64::NAN, 0.999] {
        let error = read(fraction, 1).unwrap_err();
        assert!(matches!(error, Error::Config { field: "data.test_fraction", .. }), "{error}");
    }
}

#[test]
fn the_log_likelihood_is_that_of_the_held_out_rows() {
    let folder = Folder::new();
    sphere(&folder, 200);
    let split = Split::read(&folder.path("points.npy"), 3, 0.2, None, 3).unwrap();
    let test = Array::matrix(40, 3, &split.test, Dtype::F64).unwrap();
    write_npy(&folder.path("test.npy"), &test).unwrap();
    let ambient =
        "[model]\nkind = 'af'\ndata_dim = 3\ninner = { layers = 2, hidden = 8, blocks = 1 }\n";
    let (head, _) = FOM.split_once("[model]").unwrap();
    for (model, text, metric, other) in [
        ("fom", FOM.to_owned(), "test_log_prob ", "test_log_prob_ambient"),
        ("af", format!("{head}{ambient}"), "test_log_prob_ambient ", "test_log_prob "),
    ] {
        folder.write("north.toml", format!("{text}{SCHEDULE}").as_bytes());
        let out = folder.succeeds(&format!("run north.toml --out {model}"));
        assert!(out.contains("reconstruction_error") && !out.contains(other), "{out}");
        folder.succeeds(&format!("score {model} test.npy --out s.npz"));
        let scores = mflow::data::io::read_npz_array(&folder.path("s.npz"), "log_prob").unwrap();
        let expected = scores.values().iter().sum::<f64>() / 40.;
        let text = folder.read(&format!("{model}/result.json"));
        let result: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let found = &result["metrics"][metric.trim()];
        let value = found["value"].as_f64().unwrap();
        assert!((value - expected).abs() < 1e-4, "{model}: {value}, expected {expected}");
        assert_eq!(found["count"], 40, "{found}");
    }
}

/// Rows without weight are as good as not there, and those that are held out count by theirs.
#[test]
fn an_experiment_counts_rows_by_their_weights() {
    let folder = Folder::new();
    sphere(&folder, 200);
    let weights: Vec<f64> = (0..200).map(|i| f64::from(i % 4)).collect();
    let column = Array::matrix(200, 1, &weights, Dtype::F64).unwrap();
    write_npy(&folder.path("w.npy"), &column).unwrap();
    let text = format!("{FOM}{SCHEDULE}").replace("0.2", "0.2\nweights = 'w.npy'");
    folder.write("weighted.toml", text.as_bytes());
    let experiment: ExperimentConfig = toml::from_str(&text).unwrap();
    let again: ExperimentConfig = toml::from_str(&toml::to_string(&experiment).unwrap()).unwrap();
    assert_eq!(experiment, again, "a config survives a file");
    let path = folder.path("w.npy");
    let split = Split::read(&folder.path("points.npy"), 3, 0.2, Some(&path), 3).unwrap();
    let parts = split.weights.as_ref().unwrap();
    assert_eq!((parts.train.len(), parts.test.len()), (160, 40), "as the rows");
    let all = read_table(&folder.path("points.npy")).unwrap().into_values();
    let known: Vec<(&[f64], f64)> = all.chunks(3).zip(weights).collect();
    let of = |rows: &[f64], weights: &[f64]| {
        rows.chunks(3).zip(weights).all(|(row, w)| known.contains(&(row, *w)))
    };
    assert!(of(&split.train, &parts.train) && of(&split.test, &parts.test), "with their rows");
    folder.succeeds("run weighted.toml --out weighted");
    let test = Array::matrix(40, 3, &split.test, Dtype::F64).unwrap();
    write_npy(&folder.path("test.npy"), &test).unwrap();
    folder.succeeds("score weighted test.npy --out s.npz");
    let scores = mflow::data::io::read_npz_array(&folder.path("s.npz"), "log_prob").unwrap();
    let products = scores.values().iter().zip(&parts.test).map(|(s, w)| s * w);
    let expected = products.sum::<f64>() / parts.test.iter().sum::<f64>();
    let result: serde_json::Value =
        serde_json::from_slice(&folder.read("weighted/result.json")).unwrap();
    let value = result["metrics"]["test_log_prob"]["value"].as_f64().unwrap();
    assert!((value - expected).abs() < 1e-4, "{value}, expected {expected}");
    let plain = scores.values().iter().sum::<f64>() / 40.;
    assert!((value - plain).abs() > 1e-3, "weights tell: {value}, {plain}");
    folder.write("plain.toml", format!("{FOM}{SCHEDULE}").as_bytes());
    folder.succeeds("run plain.toml --out plain");
    let model = |run: &str| folder.read(&format!("{run}/model.safetensors"));
    assert_ne!(model("weighted"), model("plain"), "they train too");
}

#[test]
fn data_come_from_one_place() {
    let folder = Folder::new();
    sphere(&folder, 20);
    let run = |from: &str, to: &str, parts: &[&str]| {
        let text = format!("{FOM}{SCHEDULE}").replace(from, to);
        folder.write("wrong.toml", text.as_bytes());
        folder.fails("run wrong.toml --out wrong", 1, parts);
        assert!(!folder.path("wrong/model.safetensors").exists(), "nothing is trained");
    };
    let file = "file = 'points.npy'\ntest_fraction = 0.2";
    run(file, "simulator = 'torus'\nrows = 9\nfile = 'points.npy'", &["both", "`file`"]);
    run(file, "normalize = 'none'", &["none of", "`simulator`"]);
    run(file, "simulator = 'torus'", &["`data.rows`", "missing"]);
    run(file, "simulator = 'torus'\nrows = 9\ntest_fraction = 0.1", &["`data.test_fraction`"]);
    run(file, "file = 'points.npy'\nrows = 9", &["`data.rows`", "simulator"]);
    run("0.2", "1.5", &["`data.test_fraction`", "1.5"]);
    run(file, "simulator = 'torus'\nrows = 9\nweights = 'w.csv'", &["`data.weights`", "simulator"]);
    folder.write("w.csv", b"1\n2\n3\n");
    run("0.2", "0.2\nweights = 'w.csv'", &["`data.weights`", "3 weights", "20 rows"]);
    run("0.2", "0.2\nweights = 'points.npy'", &["points.npy", "expected 1 columns, found 3"]);
    run("points.npy", "none.npy", &["none.npy", "cannot open"]);
    folder.write("two.csv", b"1,2\n3,4\n");
    run("points.npy", "two.csv", &["two.csv", "expected 3 columns, found 2"]);
}

#[test]
fn a_config_survives_a_file_and_tells_its_simulator() {
    let experiment: ExperimentConfig = toml::from_str(&format!("{FOM}{SCHEDULE}")).unwrap();
    let again: ExperimentConfig = toml::from_str(&toml::to_string(&experiment).unwrap()).unwrap();
    assert_eq!(experiment, again);
    let (path, weights) = ("points.npy".into(), None);
    let origin = Origin::File { path, test_fraction: 0.2, weights };
    assert_eq!(experiment.data, DataConfig { origin, normalize: Normalize::Standardize });
    assert!(matches!(experiment.data.simulator(), Err(Error::Config { .. })), "a file is none");
    let simulated = DataConfig::simulated("torus", 9, Normalize::None);
    let text = toml::to_string(&simulated).unwrap();
    assert_eq!(text, "simulator = \"torus\"\nrows = 9\nnormalize = \"none\"\n");
    assert_eq!(simulated.simulator().unwrap().name(), "torus");
}

#[test]
fn places_become_points_and_places_again() {
    let folder = Folder::new();
    folder.write("places.csv", b"id,Latitude,Longitude\n1,0,90\n2,-90,0\n3,45,-180\n");
    let out = folder.succeeds("geographic places.csv --out points.npy");
    assert!(out.contains("points.npy: [3, 3]"), "{out}");
    let points = read_table(&folder.path("points.npy")).unwrap().into_values();
    let half = 0.5_f64.sqrt();
    for (found, expected) in points.iter().zip([0., 1., 0., 0., 0., -1., -half, 0., half]) {
        assert!((found - expected).abs() < 1e-15, "{points:?}");
    }
    folder.succeeds("geographic points.npy --back --out back.csv");
    let back = read_table(&folder.path("back.csv")).unwrap();
    assert_eq!(back.columns().unwrap(), ["longitude", "latitude"]);
    // Either end of the date line.
    let [date_line, latitude] = [back.values()[4], back.values()[5]];
    assert!((date_line.abs() - 180.).abs() < 1e-9 && (latitude - 45.).abs() < 1e-9, "{back:?}");

    folder.write("pairs.csv", b"90,0\n0,-90\n");
    folder.succeeds("geographic pairs.csv --out pairs.npy");
    assert_eq!(read_table(&folder.path("pairs.npy")).unwrap().values(), &points[..6]);
    folder.fails("geographic data.csv --out p.npy", 1, &["data.csv", "`longitude`", "x, y, z"]);
    folder.write("swapped.csv", b"40,-74\n51,100\n");
    folder.fails("geographic swapped.csv --out p.npy", 1, &["swapped.csv", "row 1", "latitude"]);
    folder.fails("geographic pairs.csv --back --out p.csv", 1, &["expected 3 columns"]);
}
