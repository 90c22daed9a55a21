//! Points of known manifolds.
use crate::folder::Folder;
use mflow::bijectors::Stream;
use mflow::data::io::read_table;
use mflow::data::{simulator_by_name, simulator_names};

fn numbers(folder: &Folder, file: &str) -> Vec<f64> {
    read_table(&folder.path(file)).expect("a table").into_values()
}

#[test]
fn data_are_those_of_the_simulator_with_their_density() {
    let folder = Folder::new();
    let out = folder.succeeds("data polynomial-surface -n 20 --seed 3 --out d");
    for line in ["x.npy: [20, 3]", "context.npy: [20, 1]", "log_prob.npy: [20]"] {
        assert!(out.contains(line), "{line} in {out}");
    }
    let simulator = simulator_by_name("polynomial-surface").unwrap();
    let (x, theta) = (numbers(&folder, "d/x.npy"), numbers(&folder, "d/context.npy"));
    let mut stream = Stream::new(3, "data");
    assert_eq!(theta, simulator.sample_prior(20, &mut stream));
    assert_eq!(x, simulator.sample(20, &theta, &mut stream).unwrap());
    let log_prob = simulator.log_prob(&x, &theta).unwrap();
    assert_eq!(numbers(&folder, "d/log_prob.npy"), log_prob);
}

#[test]
fn parameters_can_be_set_and_points_moved_off() {
    let folder = Folder::new();
    folder.succeeds("data conditional-sphere -n 5 --at -0.5 --out d");
    assert_eq!(numbers(&folder, "d/context.npy"), [-0.5; 5]);
    folder.succeeds("data torus -n 50 --out-of-distribution --out off");
    assert!(!folder.path("off/log_prob.npy").exists(), "no density off the manifold");
    assert!(!folder.path("off/context.npy").exists(), "no parameters");
    let torus = simulator_by_name("torus").unwrap();
    let distance = torus.distance(&numbers(&folder, "off/x.npy")).unwrap();
    assert!(distance.iter().sum::<f64>() > 50. * 0.04, "{distance:?}");
    // The folder d has parameters and densities of other points.
    folder.fails("data torus -n 5 --out d", 2, &["context.npy", "of other data"]);
    let off = "data conditional-sphere -n 5 --out-of-distribution --out d";
    folder.fails(off, 2, &["log_prob.npy", "of other data"]);
}

#[test]
fn noise_is_in_proportion_and_leaves_the_points_below_as_they_are() {
    let folder = Folder::new();
    folder.succeeds("data s-curve -n 400 --seed 2 --out clean");
    folder.succeeds("data s-curve -n 400 --seed 2 --noise 0 --out none");
    let bytes = |file: &str| std::fs::read(folder.path(file)).expect("a file");
    for file in ["x.npy", "log_prob.npy"] {
        assert_eq!(bytes(&format!("clean/{file}")), bytes(&format!("none/{file}")), "{file}");
    }
    let out = folder.succeeds("data s-curve -n 400 --seed 2 --noise 0.1 --out noisy");
    assert!(out.contains("noise: standard deviation"), "{out}");
    assert!(!folder.path("noisy/log_prob.npy").exists(), "no density off the manifold");
    let mut expected = numbers(&folder, "clean/x.npy");
    let stream = &mut Stream::new(2, "data noise");
    mflow::data::add_noise(&mut expected, 3, 0.1, stream).expect("noise");
    assert_eq!(numbers(&folder, "noisy/x.npy"), expected);
    // With a seed of their own, both points and noise are others.
    folder.succeeds("data s-curve -n 400 --seed 3 --noise 0.1 --out other");
    assert_ne!(numbers(&folder, "other/x.npy"), expected);
    for (options, code, parts) in [
        ("s-curve --noise -0.1 --out bad", 1, ["noise", "0 or more, found -0.1"]),
        ("s-curve --noise NaN --out bad", 1, ["noise", "found NaN"]),
        ("s-curve --noise inf --out bad", 1, ["noise", "found inf"]),
        ("s-curve -n 1 --noise 0.1 --out bad", 1, ["rows that differ", "found 1"]),
        ("s-curve --noise 0.1 --out clean", 2, ["log_prob.npy", "of other data"]),
        ("s-curve --noise 0.1 --out-of-distribution --out bad", 2, ["--noise", "cannot be used"]),
    ] {
        folder.fails(&format!("data {options}"), code, &parts);
    }
    assert!(!folder.path("bad").exists(), "nothing is written");
}

#[test]
fn all_are_listed_and_unknown_ones_refused() {
    let folder = Folder::new();
    let list = folder.succeeds("data");
    for name in simulator_names() {
        assert!(list.lines().any(|line| line.split(' ').next() == Some(name)), "{name}: {list}");
    }
    assert!(list.contains("no exact density"), "lorenz: {list}");
    folder.fails("data nothing --out d", 1, &["nothing", "torus"]);
    folder.fails("data torus", 2, &["--out DIR"]);
    folder.fails("data torus --at 0 --out d", 2, &["torus has no parameters"]);
    folder.fails("data conditional-circle --at 7 --out d", 1, &["theta", "from -1 to 1", "7"]);
    folder.fails("data conditional-circle --at 0,1 --out d", 1, &["parameters"]);
}
