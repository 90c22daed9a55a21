//! Oracle: manifolds whose coordinates are known, by the distance that is left after the best rigid motion.
use mflow_bijectors::Stream;
use mflow_core::{UnrollMethod, UnrollOptions, Unrolled, linear_rank, unroll};
use std::f64::consts::PI;

const METHODS: [UnrollMethod; 2] = [UnrollMethod::Isomap, UnrollMethod::TangentAlignment];

fn helix(t: f64) -> [f64; 3] {
    [t.cos(), t.sin(), t / 6.]
}

/// Rows `[rows, cols]` of a manifold with their coordinates `[rows, n]`, both at unit speed.
struct Known {
    name: &'static str,
    x: Vec<f64>,
    cols: usize,
    u: Vec<f64>,
    n: usize,
}

/// Manifolds that unroll without stretching.
fn known(rows: usize) -> Vec<Known> {
    let draw = |purpose, low, high| Stream::new(3, purpose).uniform(rows, low, high);
    let pairs = |s: &[f64], h: &[f64]| s.iter().zip(h).flat_map(|(s, h)| [*s, *h]).collect();
    let (t, h) = (draw("roll", 1.5 * PI, 4.5 * PI), draw("height", 0., 21.));
    let length = |t: &f64| (t * t.hypot(1.) + t.asinh()) / 2.;
    let roll = Known {
        name: "swiss roll",
        x: t.iter().zip(&h).flat_map(|(t, h)| [t * t.cos(), *h, t * t.sin()]).collect(),
        cols: 3,
        u: pairs(&t.iter().map(length).collect::<Vec<_>>(), &h),
        n: 2,
    };
    let (t, h) = (draw("s", -1.5 * PI, 1.5 * PI), draw("height", 0., 4.));
    let at = |(t, h): (&f64, &f64)| [t.sin(), *h, t.signum() * (t.cos() - 1.)];
    let s = Known {
        name: "s-curve",
        x: t.iter().zip(&h).flat_map(at).collect(),
        cols: 3,
        u: pairs(&t, &h),
        n: 2,
    };
    let t = draw("helix", 0., 6. * PI);
    let helix = Known {
        name: "helix",
        x: t.iter().flat_map(|t| helix(*t)).collect(),
        cols: 3,
        u: t.iter().map(|t| t * 37_f64.sqrt() / 6.).collect(),
        n: 1,
    };
    let (a, b) = (draw("a", 0., 2.), draw("b", 0., 1.));
    let at = |(a, b): (&f64, &f64)| [0.6 * a, 0.8 * a, 7., 0.28 * b, -0.96 * b];
    let plane = Known {
        name: "plane",
        x: a.iter().zip(&b).flat_map(at).collect(),
        cols: 5,
        u: pairs(&a, &b),
        n: 2,
    };
    vec![roll, s, helix, plane]
}

/// The distance of coordinates `[rows, n]` from the true ones after the best rigid motion, relative to the size of
/// those; `n` is 1 or 2.
fn error(found: &[f64], truth: &[f64], n: usize) -> f64 {
    let centred = |u: &[f64]| -> Vec<f64> {
        let rows = (u.len() / n) as f64;
        let mean = |axis| u.iter().skip(axis).step_by(n).sum::<f64>() / rows;
        let means: Vec<f64> = (0..n).map(mean).collect();
        u.iter().enumerate().map(|(i, v)| v - means[i % n]).collect()
    };
    let (a, b) = (centred(found), centred(truth));
    let product = |i: usize, j: usize| -> f64 {
        a.chunks(n).zip(b.chunks(n)).map(|(a, b)| a[i] * b[j]).sum()
    };
    // The best orthogonal matrix reaches the sum of the singular values of these products.
    let reached = if n == 1 {
        product(0, 0).abs()
    } else {
        let m = [product(0, 0), product(0, 1), product(1, 0), product(1, 1)];
        let determinant = m[0] * m[3] - m[1] * m[2];
        (m.iter().map(|v| v * v).sum::<f64>() + 2. * determinant.abs()).sqrt()
    };
    let square = |u: &[f64]| u.iter().map(|v| v * v).sum::<f64>();
    ((square(&a) + square(&b) - 2. * reached).max(0.) / square(&b)).sqrt()
}

fn by(method: UnrollMethod, x: &[f64], cols: usize, n: usize) -> Unrolled {
    let mut options = UnrollOptions::default();
    options.method = method;
    unroll(x, cols, n, &options).unwrap()
}

#[test]
fn coordinates_are_the_true_ones_moved() {
    for case in known(2000) {
        for method in METHODS {
            let start = std::time::Instant::now();
            let found = by(method, &case.x, case.cols, case.n);
            assert_eq!(found.pieces.len(), 1);
            println!(
                "{} {method:?} {:.5} stretch {:.4} overlap {:.4} {:?}",
                case.name,
                error(&found.coordinates, &case.u, case.n),
                found.pieces[0].stretch,
                found.pieces[0].overlap,
                start.elapsed()
            );
        }
    }
}

#[test]
fn closed() {
    let mut stream = Stream::new(1, "sphere");
    let normal = stream.normal(3 * 2000);
    let sphere: Vec<f64> = normal
        .chunks(3)
        .flat_map(|v| {
            let l = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            [v[0] / l, v[1] / l, v[2] / l]
        })
        .collect();
    let (a, b) = (stream.uniform(2000, 0., 2. * PI), stream.uniform(2000, 0., 2. * PI));
    let torus: Vec<f64> = a
        .iter()
        .zip(&b)
        .flat_map(|(a, b)| [(2. + b.cos()) * a.cos(), (2. + b.cos()) * a.sin(), b.sin()])
        .collect();
    for x in [sphere, torus] {
        for method in METHODS {
            let start = std::time::Instant::now();
            let found = by(method, &x, 3, 2);
            println!(
                "{method:?} stretch {:.4} overlap {:.4} {:?}",
                found.pieces[0].stretch,
                found.pieces[0].overlap,
                start.elapsed()
            );
        }
    }
    let circle: Vec<f64> = a.iter().flat_map(|a| [a.cos(), a.sin()]).collect();
    for method in METHODS {
        let found = by(method, &circle, 2, 1);
        println!(
            "circle {method:?} stretch {:.4} overlap {:.4}",
            found.pieces[0].stretch, found.pieces[0].overlap
        );
    }
}

#[test]
#[ignore]
fn large() {
    for case in known(100_000) {
        for method in METHODS {
            let start = std::time::Instant::now();
            let found = by(method, &case.x, case.cols, case.n);
            println!(
                "{} {method:?} {:.5} stretch {:.4} overlap {:.4} {:?}",
                case.name,
                error(&found.coordinates, &case.u, case.n),
                found.pieces[0].stretch,
                found.pieces[0].overlap,
                start.elapsed()
            );
        }
    }
}

fn sizes(x: &[f64], cols: usize, n: usize) -> Vec<usize> {
    let found = unroll(x, cols, n, &UnrollOptions::default()).unwrap();
    found.pieces.iter().map(|piece| piece.rows.len()).collect()
}

#[test]
fn random_gaps_do_not_split_a_curve() {
    // Without edges over gaps, seven of these eight fall into two pieces.
    for seed in 0..8 {
        let t = Stream::new(seed, "helix").uniform(10_000, 0., 6. * PI);
        let x: Vec<f64> = t.into_iter().flat_map(helix).collect();
        assert_eq!(sizes(&x, 3, 1), [10_000], "seed {seed}");
    }
}

/// Arcs `(t, ±(1 + t²/2))`, each with half of the rows, which are nearest at `t = 0`.
fn arcs(rows: usize, seed: u64) -> Vec<f64> {
    let t = Stream::new(seed, "arcs").uniform(rows, -1., 1.);
    let side = |i: usize| if i.is_multiple_of(2) { 1. } else { -1. };
    t.iter().enumerate().flat_map(|(i, t)| [*t, side(i) * (1. + t * t / 2.)]).collect()
}

/// Half circles that grip each other; the nearest rows are the end of one and the middle of the other, 0.5 apart.
fn moons(rows: usize, seed: u64) -> Vec<f64> {
    let t = Stream::new(seed, "moons").uniform(rows, 0., PI);
    let at = |(i, t): (usize, &f64)| {
        if i.is_multiple_of(2) { [t.cos(), t.sin()] } else { [1. - t.cos(), 0.5 - t.sin()] }
    };
    t.iter().enumerate().flat_map(at).collect()
}

#[test]
fn pieces_that_are_apart_stay_so() {
    for seed in 0..5 {
        for rows in [100, 400, 2000] {
            assert_eq!(sizes(&arcs(rows, seed), 2, 1), [rows / 2; 2], "arcs, {rows}, seed {seed}");
        }
        for rows in [400, 2000] {
            assert_eq!(
                sizes(&moons(rows, seed), 2, 1),
                [rows / 2; 2],
                "moons, {rows}, seed {seed}"
            );
        }
    }
}
