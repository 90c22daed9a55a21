//! Densities of all of `R^D`: the ambient flow, and the pseudo-invertible encoder. Oracle: sums over a
//! grid of the plane, determinants of differences of `decode_noisy`, counts of samples in cells.
use crate::kinds::{Kind, log_normal, small, units, with_epsilon};
use crate::numbers::{close, log_abs_det, matrices, normal, numbers, tensor};
use crate::subject::differences;
use crate::volume::{bin_of, check_counts, check_total};
use mflow_bijectors::Stream;
use mflow_core::candle::Tensor;
use mflow_core::{Density, Model, ModelConfig};

const EPSILON: f64 = 0.3;

fn pie(d: usize, n: usize) -> ModelConfig {
    with_epsilon(small(ModelConfig::pie(d, n)), EPSILON).with_normalization(units(d))
}

/// `log p(x)` at `x = decode_noisy(ũ, w)` with standard normal `(ũ, w)`, from the determinant of all of
/// its differences; `x` comes with it.
pub(crate) fn change_of_variables(
    model: &dyn Model,
    latents: &Tensor,
    context: Option<&Tensor>,
) -> (Tensor, Vec<f64>) {
    let (n, d) = (model.signature().manifold_dim, model.signature().data_dim);
    let part = |t: &Tensor, start, len| t.narrow(1, start, len).unwrap().contiguous().unwrap();
    let map = |t: &Tensor| model.decode_noisy(&part(t, 0, n), &part(t, n, d - n), context).unwrap();
    let jacobian = matrices(&differences(latents, &map));
    let base = numbers(latents);
    let log_prob = base.chunks(d).zip(&jacobian).map(|(w, j)| log_normal(w) - log_abs_det(j));
    (map(latents), log_prob.collect())
}

#[test]
fn the_density_of_a_pie_is_the_change_of_all_variables() {
    let conditional = pie(3, 1).with_context(2);
    for config in
        [pie(2, 1), pie(3, 2), conditional.clone(), conditional.with_conditional_manifold()]
    {
        let kind = Kind::new(config, 0.6);
        let (d, context) = (kind.dims().0, kind.context(9));
        let latents = normal("all latents", &[9, d]);
        let (x, expected) = change_of_variables(kind.model.as_ref(), &latents, context.as_ref());
        let found = numbers(&kind.model.log_prob(&x, context.as_ref()).unwrap());
        close(&format!("{}: log_prob", kind.what), &found, &expected, 1e-6);
        assert_eq!(found, kind.log_density(Density::Ambient, &x), "{}: ambient", kind.what);
    }
}

/// Cells of a rectangle that holds nearly all samples: counts, and the integral of the density over each
/// by `fine x fine` midpoints.
fn cells(kind: &Kind, bins: usize, fine: usize, rows: usize) -> (Vec<f64>, Vec<f64>) {
    let drawn = kind.model.sample(rows, None, &mut Stream::new(6, "cells")).unwrap();
    let drawn = numbers(&drawn);
    let range = |j: usize| {
        let values = || drawn.iter().skip(j).step_by(2).copied();
        let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
        (0.5 * (low + high), 0.55 * (high - low))
    };
    let box_of = [range(0), range(1)];
    let mut counts = vec![0.; bins * bins];
    for x in drawn.chunks(2) {
        let [i, j] = [0, 1].map(|k| bin_of(x[k] - box_of[k].0, box_of[k].1, bins).unwrap());
        counts[i * bins + j] += 1.;
    }
    let side = bins * fine;
    let at =
        |k: usize, i: usize| box_of[k].0 + box_of[k].1 * (2. * (i as f64 + 0.5) / side as f64 - 1.);
    let area = 4. * box_of[0].1 * box_of[1].1 / (side * side) as f64;
    let mut shares = vec![0.; bins * bins];
    for i in 0..side {
        let line: Vec<f64> = (0..side).flat_map(|j| [at(0, i), at(1, j)]).collect();
        let log_prob = kind.model.log_prob(&tensor(line, &[side, 2]), None).unwrap();
        for (j, v) in numbers(&log_prob).iter().enumerate() {
            shares[i / fine * bins + j / fine] += v.exp() * area;
        }
    }
    (counts, shares)
}

#[test]
fn densities_of_the_plane_integrate_to_one_and_samples_agree() {
    let af = small(ModelConfig::af(2)).with_normalization(units(2));
    for config in [af, pie(2, 1)] {
        let kind = Kind::new(config, 0.3);
        let rows = 20_000;
        let (counts, shares) = cells(&kind, 12, 20, rows);
        check_total(&kind.what, shares.iter().sum());
        check_counts(&kind.what, &counts, &shares, rows);
    }
}

#[test]
fn an_ambient_flow_has_one_density() {
    let kind = Kind::new(small(ModelConfig::af(3)).with_normalization(units(3)), 0.6);
    let x = kind.data(9);
    let [ambient, manifold] =
        [Density::Ambient, Density::Manifold].map(|k| kind.log_density(k, &x));
    close("ambient and manifold", &ambient, &manifold, 1e-12);
    let latent = kind.model.encode(&x, None).unwrap();
    let jacobian = differences(&latent, &|u| kind.model.decode(u, None).unwrap());
    let base = numbers(&latent);
    let expected: Vec<f64> = base
        .chunks(3)
        .zip(matrices(&jacobian))
        .map(|(u, j)| log_normal(u) - log_abs_det(&j))
        .collect();
    close("change of variables", &ambient, &expected, 1e-6);
}

#[test]
fn the_slice_is_the_ambient_density_at_the_projection() {
    for config in [pie(3, 2), pie(3, 1).with_context(2).with_conditional_manifold()] {
        let kind = Kind::new(config, 0.6);
        let (x, context) = (kind.data(9), kind.context(9));
        let projected = kind.model.project(&x, context.as_ref()).unwrap();
        let slice = kind.log_density(Density::Slice, &x);
        close("slice", &slice, &kind.log_density(Density::Ambient, &projected), 1e-9);
        // At `v = 0`, which is the zero noise of the same latent.
        let (d, n) = kind.dims();
        let latent = kind.model.encode(&x, context.as_ref()).unwrap();
        let latents = latent.pad_with_zeros(1, 0, d - n).unwrap();
        let (_, expected) = change_of_variables(kind.model.as_ref(), &latents, context.as_ref());
        close("slice at v = 0", &slice, &expected, 1e-6);
    }
}

#[test]
fn clipping_only_adds_and_only_far_off() {
    let kind = Kind::new(pie(3, 1), 0.6);
    let x = kind.data(200);
    let (ambient, clip) = (kind.log_density(Density::Ambient, &x), 2.);
    let clipped = kind.log_density(Density::Clipped { clip }, &x);
    let latents = numbers(&kind.model.latents(&x, None).unwrap());
    let mut far = 0;
    for ((a, c), w) in ambient.iter().zip(&clipped).zip(latents.chunks(3)) {
        let v = [w[1] / EPSILON, w[2] / EPSILON];
        let kept = v.map(|v| v.clamp(-clip, clip));
        let expected = a - log_normal(&v) + log_normal(&kept);
        close("clipped", &[*c], &[expected], 1e-9);
        if v == kept {
            assert_eq!(a, c, "near the manifold nothing is clipped");
        } else {
            assert!(c > a, "clipped {c}, ambient {a}");
            far += 1;
        }
    }
    assert!((20..180).contains(&far), "both happen: {far} of 200 are far off");
}

#[test]
fn without_noise_a_pie_decodes() {
    let kind = Kind::new(pie(3, 1).with_context(2), 0.6);
    let (latent, context) = (kind.latent(9), kind.context(9));
    let noise = normal("none", &[9, 2]).zeros_like().unwrap();
    let noisy = kind.model.decode_noisy(&latent, &noise, context.as_ref()).unwrap();
    let plain = kind.model.decode(&latent, context.as_ref()).unwrap();
    assert_eq!(numbers(&noisy), numbers(&plain), "zero noise is no noise");
    let drawn = kind.model.sample(9, context.as_ref(), &mut Stream::new(2, "off")).unwrap();
    let off = numbers(&kind.model.reconstruction_error(&drawn, context.as_ref()).unwrap());
    assert!(off.iter().all(|e| *e > 1e-4), "samples are off the manifold: {off:?}");
}
