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
