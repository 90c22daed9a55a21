//! The density integrates to one over the manifold. Oracle: lengths of a polyline and areas of
//! triangles between decoded points; the model's Gram matrix takes no part in them.
use crate::numbers::{CPU, numbers, tensor};
use crate::subject::{Case, Subject};
use mflow_bijectors::Stream;
use mflow_core::Model;
use mflow_core::candle::Tensor;

/// How far from 1 the sums below may be; a density off by 5 % must not pass.
const TOLERANCE: f64 = 0.01;

/// One row of context, for all `rows`.
fn context(subject: &Subject, rows: usize) -> Option<Tensor> {
    let c = subject.case.context;
    (c > 0).then(|| tensor([0.7, -1.1].repeat(rows), &[rows, c]))
}

/// Decoded points at the given latents, row-major, and with `density` the densities there; in blocks,
/// which stay in the cache.
fn evaluate(subject: &Subject, latent: &[f64], density: bool) -> (Vec<f64>, Vec<f64>) {
    let n = subject.case.n;
    let (mut points, mut densities) = (vec![], vec![]);
    for block in latent.chunks(500 * n) {
        let rows = block.len() / n;
        let context = context(subject, rows);
        let latent = tensor(block.to_vec(), &[rows, n]);
        let x = subject.model.decode(&latent, context.as_ref()).unwrap();
        points.extend(numbers(&x));
        if density {
            let log_prob = subject.model.log_prob(&x, context.as_ref()).unwrap();
            densities.extend(numbers(&log_prob).iter().map(|v| v.exp()));
        }
    }
    (points, densities)
}

#[track_caller]
fn check_total(case: &Case, total: f64) {
    let passes = |total: f64| (total - 1.).abs() < TOLERANCE;
    assert!(passes(total), "{case:?}: the density integrates to {total}");
    assert!(!passes(0.95 * total) && !passes(1.05 * total), "{case:?}: 5 % would be noticed");
}

#[test]
fn the_density_on_a_curve_integrates_to_one() {
    let cases = [
        Case::new(3, 1),
        Case::new(3, 1).scaled(),
        Case::new(3, 1).scaled().with_context(2),
        Case::new(3, 1).scaled().with_context(2).with_conditional_manifold(),
        Case::new(6, 1).scaled(),
    ];
    for case in cases {
        let subject = case.build();
        let (cells, half) = (8000, 9.);
        let at = |i: usize| -half + half * i as f64 / cells as f64;
        // Even places are the ends of segments, odd ones their middles.
        let (x, p) = evaluate(&subject, &(0..=2 * cells).map(at).collect::<Vec<_>>(), true);
        let d = case.d;
        let length = |i: usize| {
            let (a, b) = (&x[2 * i * d..][..d], &x[(2 * i + 2) * d..][..d]);
            a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        check_total(&case, (0..cells).map(|i| length(i) * p[2 * i + 1]).sum());
    }
}

/// Area of a triangle in `R^D` by Heron's formula in its stable form, from the sides alone.
fn area(a: &[f64], b: &[f64], c: &[f64]) -> f64 {
    let side =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let mut s = [side(a, b), side(b, c), side(c, a)];
    s.sort_by(f64::total_cmp);
    let [z, y, x] = s;
    let product = (x + (y + z)) * (z - (x - y)) * (z + (x - y)) * (x + (y - z));
    0.25 * product.max(0.).sqrt()
}

#[test]
fn the_density_on_a_surface_integrates_to_one() {
    let cases = [
        Case::new(3, 2),
        Case::new(3, 2).scaled(),
        Case::new(4, 2).scaled().with_context(2).with_conditional_manifold(),
    ];
    // Gentler than elsewhere: the grid has to resolve every bin of every spline.
    for case in cases.map(|c| c.with_gain(0.25)) {
        let subject = case.build();
        let (cells, half) = (180, 5.5);
        let side = cells + 1;
        let line = |i: f64| -half + 2. * half * i / cells as f64;
        let grid = |cells: usize, offset: f64| -> Vec<f64> {
            let at = |i: usize| line(i as f64 + offset);
            (0..cells * cells).flat_map(|k| [at(k / cells), at(k % cells)]).collect()
        };
        let (corners, _) = evaluate(&subject, &grid(side, 0.), false);
        let (centres, p) = evaluate(&subject, &grid(cells, 0.5), true);
        let d = case.d;
        let corner = |i: usize, j: usize| &corners[(i * side + j) * d..][..d];
        let total = (0..cells * cells).map(|k| {
            let (i, j) = (k / cells, k % cells);
            let ring = [corner(i, j), corner(i, j + 1), corner(i + 1, j + 1), corner(i + 1, j)];
            let middle = &centres[k * d..][..d];
            let around = (0..4).map(|e| area(ring[e], ring[(e + 1) % 4], middle));
            p[k] * around.sum::<f64>()
        });
        check_total(&case, total.sum());
    }
}

#[test]
fn samples_fall_where_the_density_says() {
    // Counts over pieces of a curve against the density times lengths on them: chi-square with 19
    // degrees of freedom, whose 0.9999 quantile is 50.8.
    let case = Case::new(3, 1).scaled().with_context(2);
    let subject = case.build();
    let (bins, fine, half) = (20, 400, 2.5);
    let at = |i: usize| -half + half * i as f64 / (bins * fine) as f64;
    let (x, p) = evaluate(&subject, &(0..=2 * bins * fine).map(at).collect::<Vec<_>>(), true);
    let length = |i: usize| {
        let (a, b) = (&x[6 * i..][..3], &x[6 * i + 6..][..3]);
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    let mut expected = vec![0.; bins];
    (0..bins * fine).for_each(|i| expected[i / fine] += length(i) * p[2 * i + 1]);
    let rows = 20_000;
    let context = context(&subject, rows);
    let mut stream = Stream::new(3, "samples");
    let drawn = subject.model.sample(rows, context.as_ref(), &mut stream).unwrap();
    let log_prob = numbers(&subject.model.log_prob(&drawn, context.as_ref()).unwrap());
    assert!(log_prob.iter().all(|v| v.is_finite()), "densities of samples are finite");
    // Where along the curve a sample lies, by its own position: the nearest point of the polyline
    // would do as well, but the latent is monotone along the curve.
    let latent = numbers(&subject.model.encode(&drawn, context.as_ref()).unwrap());
    let mut counts = vec![0.; bins];
    for u in &latent {
        let place = (u + half) / (2. * half) * bins as f64;
        if (0. ..bins as f64).contains(&place) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
            let bin = place as usize;
            counts[bin] += 1.;
        }
    }
    let mut chi_square = 0.;
    for (count, share) in counts.iter().zip(&expected) {
        let expected = share * rows as f64;
        assert!(expected > 20., "every piece is well filled, found {expected}");
        chi_square += (count - expected).powi(2) / expected;
    }
    assert!(chi_square < 50.8, "chi-square of 20 pieces is {chi_square}");
}

#[test]
fn samples_are_normal_in_the_latent() {
    let subject = Case::new(3, 2).scaled().build();
    let rows = 10_000;
    let x = subject.model.sample(rows, None, &mut Stream::new(4, "moments")).unwrap();
    let u = numbers(&subject.model.encode(&x, None).unwrap());
    let mean = |f: &dyn Fn(&[f64]) -> f64| u.chunks(2).map(f).sum::<f64>() / rows as f64;
    let bound = 5. / (rows as f64).sqrt();
    for k in 0..2 {
        let (first, second) = (mean(&|u| u[k]), mean(&|u| u[k] * u[k]));
        assert!(first.abs() < bound, "mean of latent {k} is {first}");
        assert!((second - 1.).abs() < bound * 2_f64.sqrt(), "variance of latent {k} is {second}");
    }
    let product = mean(&|u| u[0] * u[1]);
    assert!(product.abs() < bound, "covariance of the latents is {product}");
    assert_eq!(x.device().location(), CPU.location(), "samples are on the model's device");
}
