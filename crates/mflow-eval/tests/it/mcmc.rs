//! Samplers against densities whose moments are known, and posteriors against themselves.

use mflow_bijectors::{ParamStore, Stream};
use mflow_core::candle::{DType, Device};
use mflow_core::{Model, ModelConfig};
use mflow_data::{Parameter, PolynomialSurface, Simulator};
use mflow_eval::mcmc::{
    Chain, Kernel, Lengths, Metropolis, Slice, Tabulated, Target, effective_sample_size, r_hat,
    sample_chains,
};
use mflow_eval::metrics::Evaluated;
use mflow_eval::{Error, Posterior, Result};
use mflow_train::Pool;

/// A correlated Gaussian, cut off at 2 in the first parameter.
#[derive(Debug)]
struct Cut;

impl Target for Cut {
    fn dim(&self) -> usize {
        2
    }
    fn log_prob(&self, theta: &[f64]) -> Result<f64> {
        let [a, b] = [theta[0], theta[1]];
        Ok(if a > 1. { f64::NEG_INFINITY } else { -0.5 * (a * a + (b - 0.8 * a).powi(2) / 0.36) })
    }
}

fn chains(kernel: &dyn Kernel, threads: usize) -> Vec<Chain> {
    let lengths = Lengths { burn_in: 200, draws: 8000 };
    let starts = [0., 0., 1., 1., -2., 1., 0.5, -0.5];
    sample_chains(kernel, &Cut, &starts, lengths, 3, &Pool::new(threads).unwrap()).unwrap()
}

#[test]
fn draws_have_the_moments_of_the_density() {
    // E[a | a < 1] = -phi(1) / Phi(1) and E[b] = 0.8 E[a]; E[a^2] = 1 - phi(1) / Phi(1).
    let ratio = 0.241_970_724_519_143_37 / 0.841_344_746_068_542_9;
    for kernel in [&Metropolis { step: 0.9 } as &dyn Kernel, &Slice { width: 1.5 }] {
        let chains = chains(kernel, 2);
        let column = |k: usize| -> Vec<Vec<f64>> {
            chains.iter().map(|c| c.draws.iter().skip(k).step_by(2).copied().collect()).collect()
        };
        let check = |what: &str, values: Vec<Vec<f64>>, expected: f64| {
            let refs: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
            let (r_hat, size) = (r_hat(&refs).unwrap(), effective_sample_size(&refs).unwrap());
            assert!(r_hat < 1.01 && size > 1000., "{kernel:?}: {r_hat}, {size}");
            let flat: Vec<f64> = values.concat();
            let n = flat.len() as f64;
            let mean = flat.iter().sum::<f64>() / n;
            let width = (flat.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
            let error = width / size.sqrt();
            let off = (mean - expected).abs();
            assert!(off < 4. * error, "{kernel:?}, {what}: {mean} +- {error}, {expected}");
        };
        check("a", column(0), -ratio);
        check("b", column(1), -0.8 * ratio);
        let squares = column(0).iter().map(|c| c.iter().map(|a| a * a).collect()).collect();
        check("a^2", squares, 1. - ratio);
        assert!(column(0).iter().flatten().all(|a| *a <= 1.), "within the support");
    }
}

#[test]
fn threads_make_no_difference_and_acceptance_is_told() {
    let kernel = Metropolis { step: 0.9 };
    assert_eq!(chains(&kernel, 1), chains(&kernel, 2));
    for chain in chains(&kernel, 2) {
        let moved = chain.draws.chunks(2).zip(chain.draws.chunks(2).skip(1));
        let moved = moved.filter(|(a, b)| a != b).count() as f64 / 7999.;
        assert!((moved - chain.acceptance).abs() < 1e-3, "{moved}, {}", chain.acceptance);
        assert!((0.2..0.8).contains(&chain.acceptance));
    }
}

#[test]
fn a_start_without_density_is_an_error() {
    let lengths = Lengths { burn_in: 0, draws: 10 };
    let pool = Pool::new(1).unwrap();
    let run = |starts: &[f64]| {
        sample_chains(&Metropolis { step: 1. }, &Cut, starts, lengths, 1, &pool).unwrap_err()
    };
    assert!(matches!(run(&[0., 0., 5., 0.]), Error::Start { chain: 1, .. }));
    assert!(matches!(run(&[0., 0., 5.]), Error::Rows { cols: 2, found: 3 }));
}

/// A model of three features on a surface, given one parameter, with random weights.
fn model(dtype: DType, conditional_manifold: bool) -> Box<dyn Model> {
    let mut config = ModelConfig::m_flow(3, 2).with_context(1);
    if conditional_manifold {
        config = config.with_conditional_manifold();
    }
    let mut store = ParamStore::new(5, dtype, &Device::Cpu);
    Box::new(config.build(&mut store, |_| true).unwrap())
}

#[test]
fn differences_of_posteriors_need_no_volume() {
    let surface = PolynomialSurface;
    let x = surface.sample(20, &[0.3; 20], &mut Stream::new(1, "observed")).unwrap();
    let pool = Pool::new(1).unwrap();
    for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 1e-4)] {
        for conditional in [false, true] {
            let model = model(dtype, conditional);
            let of = Evaluated { model: model.as_ref(), pool: &pool };
            let quick = Posterior::new(of, surface.parameters(), &x).unwrap();
            let whole = Posterior::with_volume(of, surface.parameters(), &x).unwrap();
            let difference = |p: &Posterior<'_>, theta: f64| {
                p.log_prob(&[theta]).unwrap() - p.log_prob(&[0.]).unwrap()
            };
            for k in -10..=10 {
                let theta = f64::from(k) / 10.;
                let off = (difference(&quick, theta) - difference(&whole, theta)).abs();
                assert!(off < tolerance, "{dtype:?} at {theta}: {off} nats");
            }
            let dropped = quick.log_prob(&[0.]).unwrap() - whole.log_prob(&[0.]).unwrap();
            assert_eq!(dropped == 0., conditional, "the volume is dropped where it cancels");
            assert_eq!(quick.log_prob(&[1.5]).unwrap(), f64::NEG_INFINITY, "beyond the prior");
        }
    }
    let model = model(DType::F64, false);
    let of = Evaluated { model: model.as_ref(), pool: &pool };
    let error = Posterior::new(of, &[], &x).unwrap_err().to_string();
    assert!(error.contains("given 0 context features"), "{error}");
}

/// A Gaussian of width 0.1 around 0.2.
#[derive(Debug)]
struct Narrow;

impl Target for Narrow {
    fn dim(&self) -> usize {
        1
    }
    fn log_prob(&self, theta: &[f64]) -> Result<f64> {
        Ok(-0.5 * (theta[0] - 0.2).powi(2) / 0.01)
    }
}

#[test]
fn a_table_is_the_density_within_its_spacing() {
    let parameter = Parameter { name: "theta", low: -1., high: 1., default: 0. };
    let table = Tabulated::new(&Narrow, &parameter, 201).unwrap();
    let bound = 0.01_f64.powi(2) / 8. / 0.01;
    let mut largest = 0_f64;
    for k in 0..=1234 {
        let theta = [(f64::from(k) / 617. - 1.).clamp(-1., 1.)];
        let off = (table.log_prob(&theta).unwrap() - Narrow.log_prob(&theta).unwrap()).abs();
        assert!(off <= bound * 1.001, "{theta:?}: {off}");
        largest = largest.max(off);
    }
    assert!(largest > 0.9 * bound, "the bound is that of lines: {largest}");
    assert_eq!(table.log_prob(&[1.01]).unwrap(), f64::NEG_INFINITY);
    assert!(matches!(Tabulated::new(&Narrow, &parameter, 1), Err(Error::Table { points: 1, .. })));
    assert!(matches!(Tabulated::new(&Cut, &parameter, 9), Err(Error::Rows { cols: 1, found: 2 })));
}

#[test]
fn a_posterior_in_batches_is_that_point_by_point() {
    let surface = PolynomialSurface;
    let x = surface.sample(7, &[0.3; 7], &mut Stream::new(1, "observed")).unwrap();
    let pool = Pool::new(1).unwrap();
    for conditional in [false, true] {
        let model = model(DType::F64, conditional);
        let of = Evaluated { model: model.as_ref(), pool: &pool };
        let posterior = Posterior::new(of, surface.parameters(), &x).unwrap();
        // More than fit into one batch, and some outside of the prior.
        let thetas: Vec<f64> = (0..400).map(|k| f64::from(k) / 180. - 1.1).collect();
        let together = posterior.log_probs(&thetas).unwrap();
        for (theta, together) in thetas.iter().zip(&together) {
            let by_row = |row: &[f64]| -> f64 {
                let x = of.tensor(row, 3).unwrap();
                let c = of.context(&[*theta]).unwrap();
                let u = model.coordinates(&x, c.as_ref()).unwrap();
                let log_prob = match conditional {
                    true => model.log_prob(&x, c.as_ref()),
                    false => model.coordinate_log_prob(&u, c.as_ref()),
                };
                log_prob.unwrap().to_vec1().unwrap()[0]
            };
            if theta.abs() > 1. {
                assert_eq!(*together, f64::NEG_INFINITY, "beyond the prior at {theta}");
            } else {
                let sum: f64 = x.chunks(3).map(by_row).sum();
                assert!((together - sum).abs() < 1e-9, "{theta}: {together}, {sum}");
            }
        }
    }
}
