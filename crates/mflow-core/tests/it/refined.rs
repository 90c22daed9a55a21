//! Codes that are improved towards the nearest point. Oracle: the nearest of many points of a curve; decoded points
//! whose coordinates are known; central differences.
use crate::free_form::inverting;
use crate::kinds::{Kind, small, units, with_steps};
use crate::numbers::{close, numbers, tensor};
use mflow_bijectors::Noise;
use mflow_core::candle::Tensor;
use mflow_core::{Model, ModelConfig};

/// An encoder that inverts the decoder but for a factor of 1.1, improved by so many steps.
fn rough(d: usize, n: usize, steps: usize) -> Kind {
    let config = small(ModelConfig::free_form(d, n)).with_normalization(units(d));
    let kind = inverting(with_steps(config, steps), 0.5);
    let mut named = kind.store.to_named().unwrap();
    let name = "encoder.net.final.weight";
    named.insert(name.to_owned(), (&named[name] * 1.1).unwrap());
    kind.store.assign(&named).unwrap();
    kind
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn the_projection_is_the_nearest_point_of_a_curve() {
    let kind = rough(3, 1, 8);
    let embedding = kind.model.embedding().unwrap();
    let u = [-0.8, -0.3, 0.1, 0.5, 0.9];
    let on = embedding.embed(&tensor(u.to_vec(), &[5, 1]), None).unwrap();
    let off = tensor([0.02, -0.03, 0.01].repeat(5), &[5, 3]);
    let x = (on + off).unwrap();
    // Near in units of the normalised data.
    let units = |x: &Tensor| kind.config.normalized(&numbers(x));
    let fine: Vec<f64> = (0..40_001).map(|i| -2. + 1e-4 * f64::from(i)).collect();
    let curve = units(&embedding.embed(&tensor(fine, &[40_001, 1]), None).unwrap());
    let (projected, x) = (units(&kind.model.project(&x, None).unwrap()), units(&x));
    for (x, projected) in x.chunks(3).zip(projected.chunks(3)) {
        let found = distance(x, projected);
        let nearest = curve.chunks(3).map(|p| distance(p, x)).fold(f64::INFINITY, f64::min);
        assert!((found - nearest).abs() < 1e-6, "{found}, the nearest is at {nearest}");
    }
}

#[test]
fn a_few_steps_invert_the_decoder_where_the_encoder_is_rough() {
    for (d, n) in [(3, 1), (3, 2), (6, 3)] {
        let largest = |steps: usize| {
            let kind = rough(d, n, steps);
            let error = kind.model.cycle_error(&kind.latent(20), None).unwrap();
            let largest = |t: &Tensor| numbers(t).into_iter().fold(0., f64::max);
            (largest(&error.data), largest(&error.latent.unwrap()))
        };
        let (data, latent) = largest(0);
        assert!(data > 0.01 && latent > 0.01, "the encoder alone: {data}, {latent}");
        let (data, latent) = largest(6);
        assert!(data < 1e-8 && latent < 1e-8, "{n} in {d}: {data}, {latent}");
    }
}

#[test]
fn no_row_comes_out_further_away_than_the_encoder_put_it() {
    let config = |steps| with_steps(small(ModelConfig::free_form(4, 2)), steps);
    let (raw, refined) = (Kind::new(config(0), 1.5), Kind::new(config(3), 1.5));
    let x = raw.data(200);
    let error = |kind: &Kind| numbers(&kind.model.reconstruction_error(&x, None).unwrap());
    let (before, after) = (error(&raw), error(&refined));
    assert!(before.iter().zip(&after).all(|(b, a)| *a <= b + 1e-12), "none is worse");
    let better = before.iter().zip(&after).filter(|(b, a)| **a < 0.9 * **b).count();
    assert!(better > 100, "{better} of 200 are better");
}

#[test]
fn training_sees_the_codes_as_the_encoder_says_them() {
    let (raw, refined) = (rough(3, 2, 0), rough(3, 2, 3));
    let x = raw.data(9);
    let training = refined.model.training(&Noise::new(1, 2, 3)).unwrap().unwrap();
    let codes = |model: &dyn Model| numbers(&model.coordinates(&x, None).unwrap());
    close("codes", &codes(training.as_ref()), &codes(raw.model.as_ref()), 1e-12);
    let moved = distance(&codes(refined.model.as_ref()), &codes(raw.model.as_ref()));
    assert!(moved > 1e-3, "and else they are improved, by {moved}");
}

/// On the manifold, where the steps have converged: in the point and in the parameters of both networks.
#[test]
fn gradients_of_the_density_are_differences() {
    let kind = rough(3, 1, 8);
    let x = kind.model.decode(&kind.latent(4), None).unwrap().detach();
    let step = 1e-5;
    let total =
        |x: &Tensor| -> f64 { numbers(&kind.model.log_prob(x, None).unwrap()).iter().sum() };
    let found = numbers(&kind.model.log_prob_gradient(&x, None).unwrap().x);
    let values = numbers(&x);
    let slope = |i: usize| {
        let moved = |by: f64| {
            let mut values = values.clone();
            values[i] += by;
            total(&tensor(values, x.dims()))
        };
        (moved(step) - moved(-step)) / (2. * step)
    };
    let expected: Vec<f64> = (0..values.len()).map(slope).collect();
    close("x", &found, &expected, 1e-5);
    let log_prob = kind.model.log_prob(&x, None).unwrap();
    let gradients = log_prob.sum_all().unwrap().backward().unwrap();
    for parameter in kind.store.parameters().filter(|p| !p.name.starts_with("inner")) {
        let start = numbers(parameter.var.as_tensor());
        let gradient = gradients.get(&parameter.var).map(numbers);
        for i in (0..start.len()).step_by(start.len() / 5) {
            let moved = |by: f64| {
                let mut values = start.clone();
                values[i] += by;
                parameter.var.set(&tensor(values, &[start.len()])).unwrap();
                total(&x)
            };
            let expected = (moved(step) - moved(-step)) / (2. * step);
            parameter.var.set(&tensor(start.clone(), &[start.len()])).unwrap();
            // What the encoder says is forgotten once the steps have converged.
            let found = gradient.as_ref().map_or(0., |g| g[i]);
            close(&parameter.name, &[found], &[expected], 1e-4);
        }
    }
}
