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
    let options = UnrollOptions { method, ..UnrollOptions::default() };
    unroll(x, cols, n, &options).unwrap()
}

#[test]
fn coordinates_are_the_true_ones_moved() {
    // Relative errors, each twice what is found: paths along a graph are a little too long, and planes that are fitted to
    // curved neighbourhoods a little turned.
    let bounds = [
        ("swiss roll", [0.012, 0.006]),
        ("s-curve", [0.01, 0.006]),
        ("helix", [4e-4, 2e-4]),
        ("plane", [0.007, 1e-6]),
    ];
    for (case, (name, bounds)) in known(2000).into_iter().zip(bounds) {
        assert_eq!(case.name, name);
        for (method, bound) in METHODS.into_iter().zip(bounds) {
            let found = by(method, &case.x, case.cols, case.n);
            assert_eq!(found.pieces.len(), 1);
            let error = error(&found.coordinates, &case.u, case.n);
            assert!(error < bound, "{name} by {method:?}: {error}");
            let piece = &found.pieces[0];
            assert!(piece.stretch < 0.005, "{name} by {method:?}: stretch {}", piece.stretch);
            assert!(piece.overlap < 0.001, "{name} by {method:?}: overlap {}", piece.overlap);
        }
    }
}

#[test]
fn more_rows_than_the_graph_has_nodes_are_placed_between() {
    let case = known(10_000).swap_remove(0);
    let found = by(UnrollMethod::TangentAlignment, &case.x, case.cols, case.n);
    assert_eq!(found.piece, vec![0; 10_000]);
    let error = error(&found.coordinates, &case.u, case.n);
    assert!(error < 0.004, "{error}");
}

#[test]
fn a_hole_does_not_bend_aligned_planes() {
    // A strip on a cylinder without the middle of it: paths around the hole are too long for Isomap.
    let known = known(4000).swap_remove(1);
    let outside = |u: &[f64]| u[0].abs() > 2. || (u[1] - 2.).abs() > 1.2;
    let rows = || known.x.chunks(3).zip(known.u.chunks(2)).filter(|(_, u)| outside(u));
    let x: Vec<f64> = rows().flat_map(|(x, _)| x).copied().collect();
    let u: Vec<f64> = rows().flat_map(|(_, u)| u).copied().collect();
    let [isomap, aligned] = METHODS.map(|method| error(&by(method, &x, 3, 2).coordinates, &u, 2));
    assert!(aligned < 0.004, "{aligned}");
    assert!(isomap < 0.05, "{isomap}");
}

/// Points of the unit sphere, the torus with radii 2 and 1, and the unit circle, as rows of `cols` numbers on a manifold
/// of dimension `n`.
fn closed(rows: usize) -> [(&'static str, Vec<f64>, usize, usize); 3] {
    let mut stream = Stream::new(1, "closed");
    let on_sphere = |v: &[f64]| {
        let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        [v[0] / length, v[1] / length, v[2] / length]
    };
    let sphere = stream.normal(3 * rows).chunks(3).flat_map(on_sphere).collect();
    let (a, b) = (stream.uniform(rows, 0., 2. * PI), stream.uniform(rows, 0., 2. * PI));
    let on_torus = |(a, b): (&f64, &f64)| {
        let radius = 2. + b.cos();
        [radius * a.cos(), radius * a.sin(), b.sin()]
    };
    let torus = a.iter().zip(&b).flat_map(on_torus).collect();
    let circle = a.iter().flat_map(|a| [a.cos(), a.sin()]).collect();
    [("sphere", sphere, 3, 2), ("torus", torus, 3, 2), ("circle", circle, 2, 1)]
}

#[test]
fn a_closed_manifold_is_told_by_its_overlap() {
    for (name, x, cols, n) in closed(1500) {
        for method in METHODS {
            let overlap = by(method, &x, cols, n).pieces[0].overlap;
            assert!(overlap > 0.2, "{name} by {method:?}: {overlap}");
        }
    }
}

fn sizes(x: &[f64], cols: usize, n: usize) -> Vec<usize> {
    // Few landmarks are fast, and pieces do not depend on them.
    let options = UnrollOptions { landmarks: 10, ..UnrollOptions::default() };
    let found = unroll(x, cols, n, &options).unwrap();
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

#[test]
fn a_spiral_that_thins_out_is_followed_to_its_end() {
    // The last rows of each are as far apart as the turns are, and see rows of the turn below among their nearest.
    for seed in 0..8 {
        let share = Stream::new(seed, "spiral").uniform(10_000, 0., 1.);
        let angle: Vec<f64> =
            share.iter().map(|s| 3. * PI * (-0.3 * (1. - s).ln()).sqrt()).collect();
        let at = |z: &f64| [-z / 3. * z.cos(), z / 3. * z.sin()];
        let x: Vec<f64> = angle.iter().flat_map(at).collect();
        let found = by(UnrollMethod::Isomap, &x, 2, 1);
        assert_eq!(found.pieces.len(), 1, "seed {seed}");
        assert!(found.outliers.len() <= 3, "seed {seed}: {:?}", found.outliers);
        let known = |row: &usize| !found.outliers.contains(row);
        let rows: Vec<usize> = (0..10_000).filter(known).collect();
        let length = |z: f64| (z * z.hypot(1.) + z.asinh()) / 6.;
        let (u, truth): (Vec<f64>, Vec<f64>) =
            rows.iter().map(|&row| (found.coordinates[row], length(angle[row]))).unzip();
        // Across the wide gaps at the end a chord is shorter than the arc, and the last row may join another turn.
        let error = error(&u, &truth, 1);
        assert!(error < 0.1, "seed {seed}: {error}");
        let mut order: Vec<usize> = (0..rows.len()).filter(|&i| truth[i] < 30.).collect();
        order.sort_by(|&i, &j| truth[i].total_cmp(&truth[j]));
        let sign = (u[order[order.len() - 1]] - u[order[0]]).signum();
        let back = |pair: &&[usize]| sign * (u[pair[1]] - u[pair[0]]) < -0.1;
        assert_eq!(order.windows(2).find(back), None, "seed {seed}: a turn is on another");
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

#[test]
fn outliers_are_named_and_bend_nothing() {
    let case = known(2000).swap_remove(0);
    let mut x = case.x.clone();
    // Inside and far outside of the roll.
    x.extend([0., 10., 0., 300., -40., 8.]);
    for method in METHODS {
        let found = by(method, &x, 3, 2);
        assert_eq!(found.outliers, [2000, 2001], "{method:?}");
        let error = error(&found.coordinates[..4000], &case.u, 2);
        assert!(error < 0.012, "{method:?}: {error}");
    }
}

#[test]
fn duplicates_change_nothing() {
    let case = known(5000).swap_remove(0);
    let single = by(UnrollMethod::Isomap, &case.x, 3, 2);
    let mut x = case.x.clone();
    (0..5000).for_each(|_| x.extend(&case.x[300..303]));
    let found = by(UnrollMethod::Isomap, &x, 3, 2);
    assert_eq!(found.coordinates[..10_000], single.coordinates);
    assert!(found.coordinates[10_000..].chunks(2).all(|u| u == &single.coordinates[200..202]));
    assert_eq!((found.pieces.len(), found.pieces[0].rows.len()), (1, 10_000));
    assert!(found.outliers.is_empty());
}

#[test]
fn the_seed_decides() {
    // More rows than the graph of an alignment has nodes.
    let case = known(4000).swap_remove(0);
    let mut options =
        UnrollOptions { method: UnrollMethod::TangentAlignment, ..UnrollOptions::default() };
    let once = unroll(&case.x, 3, 2, &options).unwrap();
    assert_eq!(once, unroll(&case.x, 3, 2, &options).unwrap());
    options.seed = 1;
    let other = unroll(&case.x, 3, 2, &options).unwrap();
    assert_ne!(once.coordinates, other.coordinates);
    let case = known(500).swap_remove(0);
    let once = by(UnrollMethod::Isomap, &case.x, 3, 2);
    assert_eq!(once, by(UnrollMethod::Isomap, &case.x, 3, 2));
}

#[test]
fn fewer_dimensions_than_asked_for_are_no_error_where_the_rows_span_them() {
    let case = known(500).swap_remove(2);
    for method in METHODS {
        let found = by(method, &case.x, 3, 2);
        assert!(found.coordinates.iter().all(|v| v.is_finite()));
        assert_eq!(found.pieces.len(), 1, "{method:?}");
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    let message = |x: &[f64], cols: usize, n: usize, options: &UnrollOptions| {
        unroll(x, cols, n, options).unwrap_err().to_string()
    };
    let options = UnrollOptions::default();
    let plane = known(100).swap_remove(3);
    assert_eq!(linear_rank(&plane.x, 5, 5), 2);
    assert_eq!(
        message(&plane.x, 5, 3, &options),
        "unroll: the rows lie in a linear subspace of 2 dimensions, less than the manifold dimension 3"
    );
    let line: Vec<f64> = (0..50).flat_map(|i| [f64::from(i), 1. - f64::from(i) / 7.]).collect();
    assert_eq!(
        message(&line, 2, 2, &options),
        "unroll: the rows lie in a linear subspace of 1 dimension, less than the manifold dimension 2"
    );
    let equal = [1., 2., 3.].repeat(500);
    assert_eq!(linear_rank(&equal, 3, 3), 0);
    assert_eq!(
        message(&equal, 3, 2, &options),
        "unroll: expected `x` with at least 11 different rows, found 1 among 500"
    );
    assert_eq!(
        message(&line[..20].repeat(4), 2, 1, &options),
        "unroll: expected `x` with at least 11 different rows, found 10 among 40"
    );
    assert_eq!(
        message(&[1., f64::NAN], 2, 1, &options),
        "unroll: `x` must be finite, found NaN at row 0, column 1"
    );
    assert_eq!(
        message(&[1., 2., 3.], 2, 1, &options),
        "unroll: expected `x` of shape [rows, 2] with at least one row, found [3]"
    );
    for n in [0, 3] {
        let message = message(&line, 2, n, &options);
        assert!(message.contains("manifold_dim") && message.contains("at most 2"), "{message}");
    }
    let few = UnrollOptions { neighbours: Some(1), ..UnrollOptions::default() };
    let found = message(&line, 2, 1, &few);
    assert!(found.contains("neighbours") && found.contains("at least 2, found 1"), "{found}");
    let few = UnrollOptions { landmarks: 1, ..UnrollOptions::default() };
    let found = message(&line, 2, 1, &few);
    assert!(found.contains("landmarks") && found.contains("at least 2, found 1"), "{found}");
}
