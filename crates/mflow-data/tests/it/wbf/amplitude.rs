//! The squared amplitude. Oracle: traces of explicit Dirac matrices, which know nothing of spinors; the closed form without
//! operators; symmetries.

use mflow_data::wbf::{Amplitudes, COUPLING, FourVector, G_F, Line, M_H, M_W, Momenta, Quadratic};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

type Complex = (f64, f64);
type Matrix = [[Complex; 4]; 4];

fn times(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            (0..4).fold((0.0, 0.0), |sum, k| {
                let term = times(a[i][k], b[k][j]);
                (sum.0 + term.0, sum.1 + term.1)
            })
        })
    })
}

fn trace(of: &Matrix) -> Complex {
    (0..4).fold((0.0, 0.0), |sum, i| (sum.0 + of[i][i].0, sum.1 + of[i][i].1))
}

fn combine(terms: &[(f64, Matrix)]) -> Matrix {
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            terms.iter().fold((0.0, 0.0), |sum, (factor, m)| {
                (sum.0 + factor * m[i][j].0, sum.1 + factor * m[i][j].1)
            })
        })
    })
}

/// γ^μ in Dirac's basis.
fn gamma() -> [Matrix; 4] {
    let mut all = [[[(0.0, 0.0); 4]; 4]; 4];
    for i in 0..2 {
        all[0][i][i] = (1.0, 0.0);
        all[0][i + 2][i + 2] = (-1.0, 0.0);
    }
    let pauli: [[[Complex; 2]; 2]; 3] = [
        [[(0.0, 0.0), (1.0, 0.0)], [(1.0, 0.0), (0.0, 0.0)]],
        [[(0.0, 0.0), (0.0, -1.0)], [(0.0, 1.0), (0.0, 0.0)]],
        [[(1.0, 0.0), (0.0, 0.0)], [(0.0, 0.0), (-1.0, 0.0)]],
    ];
    for (k, sigma) in pauli.iter().enumerate() {
        for i in 0..2 {
            for j in 0..2 {
                let (re, im) = sigma[i][j];
                all[k + 1][i][j + 2] = (re, im);
                all[k + 1][i + 2][j] = (-re, -im);
            }
        }
    }
    all
}

const METRIC: [f64; 4] = [1.0, -1.0, -1.0, -1.0];

fn components(p: FourVector) -> [f64; 4] {
    [p.e, p.x, p.y, p.z]
}

fn slash(p: FourVector) -> Matrix {
    let p = components(p);
    let terms: Vec<(f64, Matrix)> =
        gamma().into_iter().enumerate().map(|(i, g)| (METRIC[i] * p[i], g)).collect();
    combine(&terms)
}

/// `(1 - γ_5)/2` with `γ_5 = i γ^0 γ^1 γ^2 γ^3`.
fn left() -> Matrix {
    let g = gamma();
    let fourth = product(&product(&g[0], &g[1]), &product(&g[2], &g[3]));
    let mut projector = [[(0.0, 0.0); 4]; 4];
    for (i, row) in projector.iter_mut().enumerate() {
        for (j, entry) in row.iter_mut().enumerate() {
            let five = times((0.0, 1.0), fourth[i][j]);
            *entry = (-0.5 * five.0, -0.5 * five.1);
        }
        row[i].0 += 0.5;
    }
    projector
}

/// `Σ_spins [ū(b) γ^μ P_L u(a)] [ū(b) γ^ν P_L u(a)]* = tr(b̸ γ^μ P_L a̸ γ^ν P_L)`, with `v` of an antiquark.
fn tensor(line: Line, incoming: FourVector, outgoing: FourVector) -> [[Complex; 4]; 4] {
    let (a, b) = match line {
        Line::Quark => (incoming, outgoing),
        Line::Antiquark => (outgoing, incoming),
    };
    let (g, left) = (gamma(), left());
    std::array::from_fn(|mu| {
        std::array::from_fn(|nu| {
            let first = product(&product(&slash(b), &g[mu]), &left);
            let second = product(&product(&slash(a), &g[nu]), &left);
            trace(&product(&first, &second))
        })
    })
}

/// The sign of a permutation of 0, 1, 2, 3; 0 where two are the same.
fn sign(of: [usize; 4]) -> f64 {
    let mut sign = 1.0;
    for i in 0..4 {
        for j in i + 1..4 {
            sign *= match of[i].cmp(&of[j]) {
                std::cmp::Ordering::Less => 1.0,
                std::cmp::Ordering::Equal => 0.0,
                std::cmp::Ordering::Greater => -1.0,
            };
        }
    }
    sign
}

/// `T_μν`, lower indices, as the documentation has it.
fn vertex(momenta: &Momenta, [c1, c2]: [f64; 2]) -> [[f64; 4]; 4] {
    let q1 = momenta.incoming[0] - momenta.outgoing[0];
    let q2 = momenta.incoming[1] - momenta.outgoing[1];
    let k = q1 + q2;
    let upper = [components(q1), components(q2)];
    let lower = |p: FourVector| {
        let p = components(p);
        [p[0], -p[1], -p[2], -p[3]]
    };
    let (l1, l2, lk) = (lower(q1), lower(q2), lower(k));
    std::array::from_fn(|mu| {
        std::array::from_fn(|nu| {
            let metric = if mu == nu { METRIC[mu] } else { 0.0 };
            let even = q1.dot(k) * metric - lk[mu] * l1[nu] + q2.dot(k) * metric - l2[mu] * lk[nu];
            let mut odd = 0.0;
            for alpha in 0..4 {
                for beta in 0..4 {
                    // ε_0123 = -1.
                    odd -= sign([mu, nu, alpha, beta]) * upper[0][alpha] * upper[1][beta];
                }
            }
            metric + 0.5 * c1 * even + c2 * odd
        })
    })
}

fn g_squared() -> f64 {
    8.0 * M_W * M_W * G_F / std::f64::consts::SQRT_2
}

/// `|M|²` averaged over spins, at θ.
fn by_traces(momenta: &Momenta, lines: [Line; 2], theta: [f64; 2]) -> f64 {
    let Momenta { incoming: [p1, p2], outgoing: [p3, p4] } = *momenta;
    let (first, second) = (tensor(lines[0], p1, p3), tensor(lines[1], p2, p4));
    let t = vertex(momenta, theta.map(|t| COUPLING * t));
    let mut sum = 0.0;
    for (mu, of_mu) in first.iter().enumerate() {
        for (alpha, first) in of_mu.iter().enumerate() {
            for (nu, of_nu) in second.iter().enumerate() {
                for (beta, second) in of_nu.iter().enumerate() {
                    sum += times(*first, *second).0 * t[mu][nu] * t[alpha][beta];
                }
            }
        }
    }
    let (q1, q2) = (p1 - p3, p2 - p4);
    let propagators = (q1.dot(q1) - M_W * M_W) * (q2.dot(q2) - M_W * M_W);
    let coupling = 0.5 * g_squared() * g_squared().sqrt() * M_W;
    0.25 * (coupling / propagators).powi(2) * sum
}

/// Random momenta of a collision at rest, or of one that moves.
fn collision(rng: &mut ChaCha8Rng) -> Momenta {
    let energy = 400.0 + 2000.0 * rng.random::<f64>();
    let beam = |sign: f64| {
        let e = 0.5 * energy;
        FourVector { e, x: 0.0, y: 0.0, z: sign * e }
    };
    // A Higgs and a massless pair of some mass, back to back; the pair decays in its rest frame.
    let mut direction = || {
        let cos = 2.0 * rng.random::<f64>() - 1.0;
        let phi = std::f64::consts::TAU * rng.random::<f64>();
        let sin = (1.0 - cos * cos).sqrt();
        [sin * phi.cos(), sin * phi.sin(), cos]
    };
    let (outer, inner) = (direction(), direction());
    let mass = (energy - M_H) * (0.1 + 0.8 * rng.random::<f64>());
    let e = (energy * energy + mass * mass - M_H * M_H) / (2.0 * energy);
    let p = (e * e - mass * mass).sqrt();
    let pair = FourVector { e, x: p * outer[0], y: p * outer[1], z: p * outer[2] };
    let half = 0.5 * mass;
    let first = FourVector { e: half, x: half * inner[0], y: half * inner[1], z: half * inner[2] };
    let second = FourVector { e: half, ..-first };
    Momenta {
        incoming: [beam(1.0), beam(-1.0)],
        outgoing: [first.boosted(pair), second.boosted(pair)],
    }
}

const LINES: [[Line; 2]; 4] = [
    [Line::Quark, Line::Quark],
    [Line::Quark, Line::Antiquark],
    [Line::Antiquark, Line::Quark],
    [Line::Antiquark, Line::Antiquark],
];

const THETAS: [[f64; 2]; 5] = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-0.7, 2.0], [1.5, -0.4]];

/// How far two values are apart: against the sum of the sizes of what they are sums of, as interference cancels.
fn close(found: f64, expected: f64, of: &Quadratic, theta: [f64; 2]) -> bool {
    let terms = of.0.iter().zip(Quadratic::monomials(theta));
    let size: f64 = terms.map(|(c, m)| (c * m).abs()).sum();
    (found - expected).abs() <= 1e-12 * size
}

#[test]
fn amplitudes_are_those_of_dirac_matrices() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    for _ in 0..20 {
        let momenta = collision(rng);
        for lines in LINES {
            let squared = Amplitudes::new(momenta).squared(lines);
            for theta in THETAS {
                let expected = by_traces(&momenta, lines, theta);
                let found = squared.at(theta);
                assert!(
                    close(found, expected, &squared, theta),
                    "{lines:?} at {theta:?}: {found:e}, traces {expected:e}"
                );
            }
        }
    }
}

#[test]
fn without_operators_there_is_a_closed_form() {
    let rng = &mut ChaCha8Rng::seed_from_u64(2);
    for _ in 0..100 {
        let momenta = collision(rng);
        let Momenta { incoming: [p1, p2], outgoing: [p3, p4] } = momenta;
        let (q1, q2) = (p1 - p3, p2 - p4);
        let propagators = (q1.dot(q1) - M_W * M_W) * (q2.dot(q2) - M_W * M_W);
        let expected =
            g_squared().powi(3) * M_W * M_W * p1.dot(p2) * p3.dot(p4) / (propagators * propagators);
        let found = Amplitudes::new(momenta).squared([Line::Quark, Line::Quark]).0[0];
        assert!((found / expected - 1.0).abs() < 1e-12, "{found:e}, expected {expected:e}");
    }
}

#[test]
fn frames_do_not_matter() {
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    for _ in 0..50 {
        let momenta = collision(rng);
        // Any massive momentum is a frame.
        let frame = FourVector { e: 9.0, x: 2.0, y: -3.0, z: 6.0 };
        let (sin, cos) = 0.7_f64.sin_cos();
        let turned =
            |p: FourVector| FourVector { y: cos * p.y - sin * p.z, z: sin * p.y + cos * p.z, ..p };
        let moved = |f: &dyn Fn(FourVector) -> FourVector| Momenta {
            incoming: momenta.incoming.map(f),
            outgoing: momenta.outgoing.map(f),
        };
        for other in [moved(&|p| p.boosted(frame)), moved(&turned)] {
            for lines in LINES {
                let [found, expected] =
                    [&other, &momenta].map(|m| Amplitudes::new(*m).squared(lines));
                for theta in THETAS {
                    let (a, b) = (found.at(theta), expected.at(theta));
                    assert!(close(a, b, &expected, theta), "{lines:?}: {a:e}, {b:e}");
                }
            }
        }
    }
}

#[test]
fn a_reflection_flips_what_is_odd() {
    let rng = &mut ChaCha8Rng::seed_from_u64(4);
    for _ in 0..50 {
        let momenta = collision(rng);
        let mirror = |p: FourVector| FourVector { y: -p.y, ..p };
        let reflected = Momenta {
            incoming: momenta.incoming.map(mirror),
            outgoing: momenta.outgoing.map(mirror),
        };
        for lines in LINES {
            let [a, b] = [momenta, reflected].map(|m| Amplitudes::new(m).squared(lines).0);
            for (i, parity) in [1.0, 1.0, -1.0, 1.0, -1.0, 1.0].into_iter().enumerate() {
                let scale = (a[0] * a[5]).sqrt().max(a[i].abs());
                assert!((b[i] - parity * a[i]).abs() < 1e-11 * scale, "{i}: {} {}", a[i], b[i]);
            }
        }
    }
}

#[test]
fn the_lines_can_change_places() {
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    for _ in 0..20 {
        let momenta = collision(rng);
        let Momenta { incoming: [p1, p2], outgoing: [p3, p4] } = momenta;
        let swapped = Momenta { incoming: [p2, p1], outgoing: [p4, p3] };
        for lines in LINES {
            let a = Amplitudes::new(momenta).squared(lines);
            let b = Amplitudes::new(swapped).squared([lines[1], lines[0]]);
            for theta in THETAS {
                assert!(close(b.at(theta), a.at(theta), &a, theta), "{lines:?}");
            }
        }
    }
}
