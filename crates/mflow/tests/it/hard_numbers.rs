//! Data that are degenerate, tiny, huge, heavy-tailed or discrete: a fit works, or stops and says why. Nothing is silently wrong.
use crate::folder::Folder;
use mflow::bijectors::Stream;
use mflow::data::io::{Array, Dtype, read_npz_array, write_npy};
use std::f64::consts::TAU;

const ROWS: usize = 300;

/// What comes of a fit.
enum Fit {
    /// A model, whose scores are finite.
    Works,
    /// The same, and it says this.
    Says(&'static str),
    /// An error that says this.
    Stops(&'static str),
}
use Fit::{Says, Stops, Works};

/// A name, the columns, the values row by row, and what comes of a fit of one dimension.
type Case = (&'static str, usize, Vec<f64>, Fit);

/// Points around a circle, not quite in a plane.
fn circle() -> Vec<[f64; 3]> {
    let mut stream = Stream::new(1, "circle");
    let (t, z) = (stream.uniform(ROWS, 0., TAU), stream.normal(ROWS));
    t.iter().zip(z).map(|(t, z)| [t.cos(), t.sin(), 0.1 * z]).collect()
}

fn each(f: impl Fn(usize, [f64; 3]) -> [f64; 3]) -> Vec<f64> {
    circle().into_iter().enumerate().flat_map(|(i, row)| f(i, row)).collect()
}

fn cases() -> Vec<Case> {
    let mut stream = Stream::new(2, "numbers");
    let mut normal = || stream.normal(3 * ROWS);
    let uniform = Stream::new(3, "uniform").uniform(3 * ROWS, 0., 1.);
    let of_normal = |f: fn(f64) -> f64, x: Vec<f64>| x.into_iter().map(f).collect::<Vec<f64>>();
    let of_uniform = |f: fn(f64) -> f64| uniform.iter().map(|u| f(*u)).collect::<Vec<f64>>();
    let scaled = |s: f64| each(|_, row| row.map(|v| s * v));
    let moved = |s: f64| each(|_, row| row.map(|v| s + v));
    let outlier = |v: f64| each(|i, [a, b, c]| [a, if i == 17 { v } else { b }, c]);
    let rows = |n: usize| each(|_, row| row)[..3 * n].to_vec();
    let precise = "computed in double precision";
    let flat = "the rows lie in a linear subspace of 0 dimensions";
    vec![
        // Degenerate
        ("a constant column", 3, each(|_, [a, b, _]| [a, b, 7.]), Says("constant: 2")),
        ("a column twice", 3, each(|_, [a, b, _]| [a, b, a]), Says("the same up to units: 2 as 0")),
        ("all rows equal", 3, each(|_, _| [1., 2., 3.]), Stops(flat)),
        ("negative zeros", 3, of_uniform(|u| if u > 0.5 { 0. } else { -0. }), Stops(flat)),
        ("one row", 3, rows(1), Stops(flat)),
        ("two rows", 3, rows(2), Says("too few")),
        ("three rows", 3, rows(3), Says("too few")),
        ("ten rows", 3, rows(10), Says("too few held-out rows")),
        ("wider than long", 50, normal(), Says("too few rows to tell their rank")),
        ("one column", 1, normal(), Stops("expected at least 2 columns")),
        ("a line", 3, each(|_, [a, ..]| [a, 2. * a, 3. * a]), Says("they span 1")),
        ("a plane", 3, each(|_, [a, b, _]| [a, b, a + b]), Says("they span 2")),
        ("one row varies", 3, each(|i, [a, b, _]| [a, b, if i == 3 { 6. } else { 5. }]), Works),
        ("each row thirty times", 3, rows(10).repeat(30), Works),
        (
            "sorted",
            3,
            {
                let mut all = circle();
                all.sort_by(|a, b| a[0].total_cmp(&b[0]));
                all.concat()
            },
            Works,
        ),
        (
            "numbers of rows",
            3,
            each(|i, [a, b, _]| [i as f64, a, b]),
            Says("seems to number the rows"),
        ),
        ("nine tenths zeros", 3, of_uniform(|u| if u < 0.9 { 0. } else { u - 0.95 }), Works),
        ("two far clusters", 3, each(|i, row| row.map(|v| v + 1e4 * (i % 2) as f64)), Works),
        // Tiny and huge
        ("scale 1e-12", 3, scaled(1e-12), Works),
        ("scale 1e-30", 3, scaled(1e-30), Works),
        ("scale 1e-37", 3, scaled(1e-37), Stops("another unit")),
        ("scale 1e-300", 3, scaled(1e-300), Stops(flat)),
        ("scale 1e12", 3, scaled(1e12), Works),
        ("scale 1e30", 3, scaled(1e30), Works),
        ("scale 1e300", 3, scaled(1e300), Stops("overflows a 32-bit float")),
        ("scales from 1e-12 to 1e12", 3, each(|_, [a, b, c]| [1e-12 * a, b, 1e12 * c]), Works),
        ("a subnormal column", 3, each(|_, [a, b, c]| [a, b, 1e-319 * c]), Stops("another unit")),
        ("offset 1e3", 3, moved(1e3), Works),
        ("offset 1e6", 3, moved(1e6), Says(precise)),
        ("offset 1e12", 3, moved(1e12), Says(precise)),
        ("last bits", 3, of_uniform(|u| 1. + (4. * u).round() * f64::EPSILON), Says(precise)),
        ("an outlier of 1e6", 3, outlier(1e6), Works),
        ("an outlier of 1e30", 3, outlier(1e30), Works),
        ("an outlier of 1e300", 3, outlier(1e300), Stops("1e300 in row 17")),
        ("NaN", 3, outlier(f64::NAN), Stops("expected finite numbers, found NaN in row 17")),
        (
            "infinite",
            3,
            outlier(f64::INFINITY),
            Stops("expected finite numbers, found inf in row 17"),
        ),
        // Heavy tails
        ("Cauchy", 3, of_uniform(|u| (TAU * (u - 0.5) / 2.).tan()), Works),
        ("Pareto of 0.3", 3, of_uniform(|u| (1. - u).powf(-1. / 0.3)), Works),
        ("log-normal of 5", 3, of_normal(|v| (5. * v).exp(), normal()), Works),
        ("exponential", 3, of_uniform(|u| -(1. - u).ln()), Works),
        // Discrete
        ("zeros and ones", 3, of_uniform(|u| (u > 0.5).into()), Works),
        ("plus or minus one", 3, of_normal(f64::signum, normal()), Works),
        ("digits", 3, of_uniform(|u| (10. * u).floor()), Works),
        (
            "one of three",
            3,
            each(|i, _| [0, 1, 2].map(|k| (i % 3 == k).into())),
            Says("they span 2"),
        ),
        ("years", 3, each(|i, [a, b, _]| [2000. + (i * 7 % 21) as f64, a, b]), Works),
        ("a binary column", 3, each(|i, [a, b, _]| [a, b, (i % 5 / 2) as f64]), Works),
        ("counts of 1e15", 3, of_uniform(|u| (1e15 * u).round()), Works),
    ]
}

#[test]
fn a_fit_works_or_says_why_not() {
    let folder = Folder::new();
    for (number, (name, cols, values, expected)) in cases().into_iter().enumerate() {
        let rows = values.len() / cols;
        let array = Array::matrix(rows, cols, &values, Dtype::F64).unwrap();
        write_npy(&folder.path("x.npy"), &array).unwrap();
        let out = format!("run-{number}");
        let fit = format!("fit x.npy --config small.toml --epochs 3 --threads 1 --out {out}");
        let ended = folder.run(&fit);
        let told = format!("{name}: {}", ended.err);
        if let Stops(why) = expected {
            assert_eq!(ended.code, Some(1), "{told}");
            assert!(ended.err.contains(why), "{told}");
            assert!(!ended.err.contains("diverged"), "a diagnosis, not a symptom: {told}");
            continue;
        }
        assert_eq!(ended.code, Some(0), "{told}");
        if let Says(what) = expected {
            assert!(ended.err.contains(what), "{told}");
        }
        folder.succeeds(&format!("score {out} x.npy --threads 1 --out scores.npz"));
        for array in ["log_prob", "reconstruction_error", "latent"] {
            let found = read_npz_array(&folder.path("scores.npz"), array);
            let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(found.rows(), rows, "{name}: {array}");
        }
    }
}

/// Units of the data change densities by a constant, and distances by their factor: nothing overflows on the way.
#[test]
fn distances_are_right_in_any_units() {
    let folder = Folder::new();
    let scores = |scale: f64| {
        let values = each(|_, row| row.map(|v| scale * v));
        let array = Array::matrix(ROWS, 3, &values, Dtype::F64).unwrap();
        write_npy(&folder.path("x.npy"), &array).unwrap();
        let out = format!("run{scale:e}");
        folder.succeeds(&format!("fit x.npy --config small.toml --epochs 3 --out {out}"));
        folder.succeeds(&format!("score {out} x.npy --out scores.npz"));
        ["log_prob", "reconstruction_error"]
            .map(|name| read_npz_array(&folder.path("scores.npz"), name).unwrap().into_values())
    };
    let [densities, distances] = scores(1.);
    for exponent in [-100, -60, 60, 100] {
        let scale = 2_f64.powi(exponent);
        let [moved_densities, moved_distances] = scores(scale);
        for (found, expected) in moved_distances.iter().zip(&distances) {
            assert!((found / scale / expected - 1.).abs() < 1e-4, "2^{exponent}: {found:e}");
        }
        for (found, expected) in moved_densities.iter().zip(&densities) {
            assert!((found + scale.ln() - expected).abs() < 1e-3, "2^{exponent}: {found}");
        }
    }
}
