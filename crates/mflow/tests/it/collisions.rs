//! Events of collisions, as the program writes them.
use crate::folder::Folder;
use mflow::bijectors::Stream;
use mflow::data::io::read_table;
use mflow::data::simulator_by_name;
use mflow::data::wbf::{Amplitudes, FourVector, Line, Momenta, Quadratic, WeakBosonFusion};

fn numbers(folder: &Folder, file: &str) -> Vec<f64> {
    read_table(&folder.path(file)).expect("a table").into_values()
}

#[test]
fn events_are_those_of_the_simulator_with_what_lies_behind() {
    let folder = Folder::new();
    let out = folder.succeeds("data wbf -n 300 --seed 3 --events --log-prob --out d");
    let files = [
        "x.npy: [300, 40]",
        "context.npy: [300, 2]",
        "scores.npy: [300, 2]",
        "log_prob.npy: [300]",
        "coordinates.npy: [300, 14]",
        "flavours.npy: [300, 4]",
        "momenta.npy: [300, 24]",
        "coefficients.npy: [300, 6]",
        "weights.npy: [300]",
        "features.json",
    ];
    for line in files {
        assert!(out.contains(line), "{line} in {out}");
    }
    let simulator = simulator_by_name(WeakBosonFusion::NAME).unwrap();
    let mut stream = Stream::new(3, "data");
    let theta = simulator.sample_prior(300, &mut stream);
    assert_eq!(numbers(&folder, "d/context.npy"), theta);
    let joint = simulator.sample_joint(300, &theta, &theta, &mut stream).unwrap();
    let x = numbers(&folder, "d/x.npy");
    assert_eq!(x, joint.x);
    assert_eq!(numbers(&folder, "d/scores.npy"), joint.scores);
    let log_prob = numbers(&folder, "d/log_prob.npy");
    assert_eq!(log_prob[..5], simulator.log_prob(&x[..200], &theta[..10]).unwrap());
    // Anyone can check the amplitude from the files alone.
    let (momenta, coefficients) =
        (numbers(&folder, "d/momenta.npy"), numbers(&folder, "d/coefficients.npy"));
    let flavours = numbers(&folder, "d/flavours.npy");
    for (row, p) in momenta.chunks_exact(24).enumerate() {
        let p: Vec<FourVector> =
            p.chunks_exact(4).map(|p| FourVector { e: p[0], x: p[1], y: p[2], z: p[3] }).collect();
        let momenta = Momenta { incoming: [p[0], p[1]], outgoing: [p[2], p[3]] };
        let line =
            |k: usize| if flavours[4 * row + k] > 0. { Line::Quark } else { Line::Antiquark };
        let Quadratic(expected) = Amplitudes::new(momenta).squared([line(0), line(1)]);
        assert_eq!(coefficients[6 * row..6 * row + 6], expected, "row {row}");
    }
    // The same files from one thread, and a part of them without what lies behind.
    folder.succeeds("data wbf -n 300 --seed 3 --threads 1 --out one");
    assert_eq!(folder.read("one/x.npy"), folder.read("d/x.npy"));
    folder.fails("data wbf -n 10 --out d", 2, &["log_prob.npy", "of other data"]);
}

#[test]
fn cuts_and_parameters_are_checked() {
    let folder = Folder::new();
    folder.succeeds(
        "data wbf-48 -n 200 --at 0.2,-0.1 --min-jets-mass 400 --min-delta-eta 2.5 --out d",
    );
    assert_eq!(numbers(&folder, "d/context.npy"), [0.2, -0.1].repeat(200));
    let simulator =
        WeakBosonFusion::new(mflow::data::wbf::FeatureSet::WithAzimuths, Default::default());
    for x in numbers(&folder, "d/x.npy").chunks_exact(48) {
        let seen = simulator.observables(x);
        assert!(seen.jets_mass > 399.9 && seen.delta_eta > 2.499, "{seen:?}");
    }
    for (command, parts) in [
        ("data wbf -n 5 --at 1 --out no", ["1 rows of 2 values", "found 1"]),
        ("data wbf -n 5 --at 1,inf --out no", ["theta_2", "found inf"]),
    ] {
        folder.fails(command, 1, &parts);
    }
    for (command, parts) in [
        ("data wbf -n 5 --noise 0.1 --out no", ["leave out --noise", "wbf"]),
        ("data wbf -n 5 --min-delta-eta -1 --out no", ["--min-delta-eta", "found -1"]),
        ("data torus -n 5 --events --out no", ["--events is for wbf", "torus"]),
    ] {
        folder.fails(command, 2, &parts);
    }
    assert!(!folder.path("no").exists(), "nothing is written before all is checked");
}
