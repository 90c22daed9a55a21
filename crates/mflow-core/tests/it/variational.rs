//! Surrogates of models without a likelihood. Oracle: the networks evaluated by loops over their named
//! tensors, integrals over the code, and Jacobians by differences.
use crate::kinds::{Kind, half_log_det, log_normal, small, units};
use crate::numbers::{close, normal, numbers, tensor};
use crate::subject::differences;
use mflow_bijectors::FeatureAffineConfig;
use mflow_core::ModelConfig;
use mflow_core::candle::Tensor;
use std::collections::BTreeMap;

/// A network of one residual block, from its named tensors.
fn network(named: &BTreeMap<String, Tensor>, name: &str, x: &[f64], c: Option<&[f64]>) -> Vec<f64> {
    let affine = |layer: &str, x: &[f64]| -> Vec<f64> {
        let weight = numbers(&named[&format!("{name}.net.{layer}.weight")]);
        let bias = numbers(&named[&format!("{name}.net.{layer}.bias")]);
        let row = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        weight.chunks(x.len()).zip(bias).map(|(w, b)| row(w) + b).collect()
    };
    let sigmoid = |v: f64| 1. / (1. + (-v).exp());
    let silu = |x: Vec<f64>| -> Vec<f64> { x.into_iter().map(|v| v * sigmoid(v)).collect() };
    let all = [x, c.unwrap_or_default()].concat();
    let hidden = affine("initial", &all);
    let inner = affine("blocks.0.linear.0", &silu(hidden.clone()));
    let mut block = affine("blocks.0.linear.1", &silu(inner));
    if let Some(c) = c {
        let gate = affine("blocks.0.context", c);
        block.iter_mut().zip(gate).for_each(|(v, g)| *v *= sigmoid(g));
    }
    let sum: Vec<f64> = hidden.iter().zip(block).map(|(h, b)| h + b).collect();
    affine("final", &sum)
}

fn vae(n: usize) -> ModelConfig {
    small(ModelConfig::vae(3, n)).with_normalization(units(3))
}

fn normalized(units: &FeatureAffineConfig, x: &[f64]) -> Vec<f64> {
    (0..x.len()).map(|j| (x[j] - units.shift[j]) / units.scale[j]).collect()
}

#[test]
fn the_bound_of_a_vae_is_its_formula() {
    for config in [vae(2), vae(1).with_context(2), vae(2).with_context(2)] {
        let kind = Kind::new(config, 0.6);
        let (x, context, units) =
            (kind.data(5), kind.context(5), kind.config.normalization().unwrap());
        let (named, n) = (kind.store.to_named().unwrap(), kind.dims().1);
        let noise = normal("noise", &[5, n]);
        let found = kind.model.surrogate_log_prob(&x, context.as_ref(), &noise).unwrap();
        let (x, noise) = (numbers(&x), numbers(&noise));
        let context = context.map(|c| numbers(&c));
        let sigma = numbers(&named["decoder.noise.log_scale"])[0].exp();
        let one = |row: usize| {
            let x = normalized(units, &x[3 * row..][..3]);
            let c = context.as_ref().map(|c| &c[2 * row..][..2]);
            let outputs = network(&named, "encoder", &x, c);
            let s: Vec<f64> = outputs[n..].iter().map(|v| (0.5 * v).exp()).collect();
            let u: Vec<f64> = (0..n).map(|i| outputs[i] + s[i] * noise[n * row + i]).collect();
            let decoded = network(&named, "decoder", &u, c);
            let residual: Vec<f64> = (0..3).map(|j| (x[j] - decoded[j]) / sigma).collect();
            // In data units: dx = σ scale_j dresidual.
            let of_x =
                log_normal(&residual) - (0..3).map(|j| (sigma * units.scale[j]).ln()).sum::<f64>();
            let divergence =
                |i: usize| 0.5 * (outputs[i] * outputs[i] + s[i] * s[i] - 1.) - s[i].ln();
            of_x - (0..n).map(divergence).sum::<f64>()
        };
        let expected: Vec<f64> = (0..5).map(one).collect();
        close(&kind.what, &numbers(&found), &expected, 1e-10);
    }
}

/// With one code, everything is an integral over a line: the mean bound is the evidence less the
/// divergence of the encoder's density from the posterior.
#[test]
fn the_bound_of_a_vae_is_below_its_evidence_by_a_divergence() {
    let kind = Kind::new(vae(1), 0.6);
    let (named, units) = (kind.store.to_named().unwrap(), kind.config.normalization().unwrap());
    let sigma = numbers(&named["decoder.noise.log_scale"])[0].exp();
    let (grid, half) = (4000, 9.);
    let step = 2. * half / grid as f64;
    let line: Vec<f64> = (0..grid).map(|i| -half + (i as f64 + 0.5) * step).collect();
    let latent = tensor(line.clone(), &[grid, 1]);
    let decoded = numbers(&kind.model.decode(&latent, None).unwrap());
    for x in numbers(&kind.data(4)).chunks(3) {
        let joint = |i: usize| {
            let scaled: Vec<f64> =
                (0..3).map(|j| (x[j] - decoded[3 * i + j]) / (sigma * units.scale[j])).collect();
            let volume: f64 = units.scale.iter().map(|s| (sigma * s).ln()).sum();
            log_normal(&[line[i]]) + log_normal(&scaled) - volume
        };
        let joint: Vec<f64> = (0..grid).map(joint).collect();
        let evidence = joint.iter().map(|v| v.exp() * step).sum::<f64>().ln();
        let outputs = network(&named, "encoder", &normalized(units, x), None);
        let deviation = (0.5 * outputs[1]).exp();
        let of_q = |u: f64| log_normal(&[(u - outputs[0]) / deviation]) - deviation.ln();
        let divergence: f64 = line
            .iter()
            .zip(&joint)
            .map(|(u, joint)| of_q(*u).exp() * (of_q(*u) - (joint - evidence)) * step)
            .sum();
        // The mean over noise, by the midpoints of its own line.
        let rows = tensor(x.repeat(grid), &[grid, 3]);
        let bound = kind.model.surrogate_log_prob(&rows, None, &latent).unwrap();
        let mean: f64 = numbers(&bound)
            .iter()
            .zip(&line)
            .map(|(b, w)| b * log_normal(&[*w]).exp() * step)
            .sum();
        assert!(mean < evidence, "a bound: {mean} is below {evidence}");
        assert!(divergence > 0.01, "and not an equality: {divergence}");
        close("evidence less divergence", &[mean], &[evidence - divergence], 1e-5);
    }
}

#[test]
fn a_vae_draws_with_the_noise_of_its_decoder() {
    let kind = Kind::new(vae(1).with_context(2), 0.6);
    let (latent, context) = (kind.latent(6), kind.context(6));
    let noise = normal("of x", &[6, 3]);
    let noisy = kind.model.decode_noisy(&latent, &noise, context.as_ref()).unwrap();
    let plain = kind.model.decode(&latent, context.as_ref()).unwrap();
    let sigma = numbers(&kind.store.to_named().unwrap()["decoder.noise.log_scale"])[0].exp();
    let scale = &kind.config.normalization().unwrap().scale;
    let expected: Vec<f64> =
        numbers(&noise).iter().enumerate().map(|(i, v)| v * sigma * scale[i % 3]).collect();
    close("noise", &numbers(&(noisy - plain).unwrap()), &expected, 1e-12);
}

/// The bound, and `log p_u(u) - ½ log det Jᵀ J` with `J` by differences.
fn bound_and_exact(kind: &Kind) -> (Vec<f64>, Vec<f64>) {
    let (x, context) = (kind.data(9), kind.context(9));
    let context = context.as_ref();
    let none = normal("none", &[9, 0]);
    let bound = kind.model.surrogate_log_prob(&x, context, &none).unwrap();
    let u = kind.model.coordinates(&x, context).unwrap();
    let of_u = numbers(&kind.model.coordinate_log_prob(&u, context).unwrap());
    let embed = |u: &Tensor| kind.model.embedding().unwrap().embed(u, context).unwrap();
    let volume = half_log_det(&differences(&u, &embed));
    (numbers(&bound), of_u.iter().zip(volume).map(|(p, v)| p - v).collect())
}

#[test]
fn the_bound_of_a_rif_is_below_the_exact_density() {
    let config = |n| small(ModelConfig::rif(3, n)).with_normalization(units(3));
    for config in [
        config(2),
        config(2).with_context(2),
        config(2).with_context(2).with_conditional_manifold(),
    ] {
        let kind = Kind::new(config, 0.6);
        let (bound, exact) = bound_and_exact(&kind);
        let below = bound.iter().zip(&exact).all(|(b, e)| *b < e - 1e-3);
        assert!(below, "{}: {bound:?} below {exact:?}", kind.what);
    }
    // One singular value is equal to itself.
    let (bound, exact) = bound_and_exact(&Kind::new(config(1), 0.6));
    close("of curves", &bound, &exact, 1e-6);
}

#[test]
fn the_bound_of_a_rif_is_tight_for_similarities() {
    let kind = Kind::new(small(ModelConfig::rif(3, 2)), 0.6);
    let mut named = kind.store.to_named().unwrap();
    for layer in ["initial", "blocks.0.linear.0", "blocks.0.linear.1", "final"] {
        let weight = named.get_mut(&format!("decoder.net.{layer}.weight")).unwrap();
        let (rows, columns) = weight.dims2().unwrap();
        let mut values = vec![0.; rows * columns];
        // Two units carry the code; the block adds nothing; the last map has columns of equal length
        // at right angles.
        match layer {
            "initial" => [(0, 0, 1.), (1, 1, 1.)].iter(),
            "final" => [(0, 0, 2.), (1, 1, 2.)].iter(),
            _ => [].iter(),
        }
        .for_each(|(i, j, v)| values[i * columns + j] = *v);
        *weight = tensor(values, &[rows, columns]);
    }
    kind.store.assign(&named).unwrap();
    let (bound, exact) = bound_and_exact(&kind);
    close("similarity", &bound, &exact, 1e-7);
}
