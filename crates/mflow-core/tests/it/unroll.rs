//! Oracle: manifolds whose coordinates are known, by the distance that is left after the best rigid motion.
use mflow_bijectors::Stream;
use mflow_core::{UnrollOptions, unroll};
use std::f64::consts::PI;

fn helix(t: f64) -> [f64; 3] {
    [t.cos(), t.sin(), t / 6.]
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
