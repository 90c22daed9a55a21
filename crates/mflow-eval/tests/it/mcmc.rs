//! Samplers against densities whose moments are known, and posteriors against themselves.

use mflow_bijectors::{ParamStore, Stream};
use mflow_core::candle::{DType, Device};
use mflow_core::{Model, ModelConfig};
use mflow_data::{PolynomialSurface, Prior, Simulator};
use mflow_eval::mcmc::{
    Chain, Kernel, Lengths, Metropolis, Slice, Tabulated, Target, effective_sample_size, r_hat,
    sample_chains,
};
use mflow_eval::metrics::Evaluated;
use mflow_eval::{Error, Posterior, Result};
use mflow_train::Pool;

/// A correlated Gaussian, cut off at 1 in the first parameter.
#[derive(Debug)]
pub(crate) struct Cut;

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

/// Chains of [`Cut`] agree with each other, and with its moments to four standard errors.
pub(crate) fn check_moments_of_cut(what: &str, chains: &[Chain]) {
    // E[a | a < 1] = -phi(1) / Phi(1) and E[b] = 0.8 E[a]; E[a^2] = 1 - phi(1) / Phi(1).
    let ratio = 0.241_970_724_519_143_37 / 0.841_344_746_068_542_9;
    check_mean(&format!("{what}, a"), chains, |t| t[0], -ratio);
    check_mean(&format!("{what}, b"), chains, |t| t[1], -0.8 * ratio);
    check_mean(&format!("{what}, a^2"), chains, |t| t[0] * t[0], 1. - ratio);
    assert!(chains.iter().all(|c| c.draws.chunks(2).all(|t| t[0] <= 1.)), "within the support");
}

/// The mean of a function of two parameters, to four standard errors by the effective sample size.
pub(crate) fn check_mean(
    what: &str,
    chains: &[Chain],
    of: impl Fn(&[f64]) -> f64 + Copy,
    expected: f64,
) {
    let values: Vec<Vec<f64>> =
        chains.iter().map(|c| c.draws.chunks(2).map(of).collect()).collect();
    let refs: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
    let (r_hat, size) = (r_hat(&refs).unwrap(), effective_sample_size(&refs).unwrap());
    assert!(r_hat < 1.01 && size > 1000., "{what}: {r_hat}, {size}");
    let flat: Vec<f64> = values.concat();
    let n = flat.len() as f64;
    let mean = flat.iter().sum::<f64>() / n;
    let width = (flat.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    let error = width / size.sqrt();
    let off = (mean - expected).abs();
    assert!(off < 4. * error, "{what}: {mean} +- {error}, {expected}");
}

#[test]
fn draws_have_the_moments_of_the_density() {
    for kernel in [&Metropolis { step: 0.9 } as &dyn Kernel, &Slice { width: 1.5 }] {
        check_moments_of_cut(&format!("{kernel:?}"), &chains(kernel, 2));
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

/// A model of three features on a surface, given some parameters, with random weights.
pub(crate) fn model(
    dtype: DType,
    context_dim: usize,
    conditional_manifold: bool,
) -> Box<dyn Model> {
    let mut config = ModelConfig::m_flow(3, 2).with_context(context_dim);
    if conditional_manifold {
        config = config.with_conditional_manifold();
    }
    let mut store = ParamStore::new(5, dtype, &Device::Cpu);
    config.build(&mut store, |_| true).unwrap()
}

#[test]
fn differences_of_posteriors_need_no_volume() {
    let surface = PolynomialSurface;
    let x = surface.sample(20, &[0.3; 20], &mut Stream::new(1, "observed")).unwrap();
    let pool = Pool::new(1).unwrap();
    for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 1e-4)] {
        for conditional in [false, true] {
            let model = model(dtype, 1, conditional);
            let of = Evaluated { model: model.as_ref(), pool: &pool };
            let quick = Posterior::new(of, &surface.priors(), &x).unwrap();
            let whole = Posterior::with_volume(of, &surface.priors(), &x).unwrap();
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
    let model = model(DType::F64, 1, false);
    let of = Evaluated { model: model.as_ref(), pool: &pool };
    let error = Posterior::new(of, &[], &x).unwrap_err().to_string();
    assert!(error.contains("expected parameters with a prior, found none"), "{error}");
    let two = [surface.priors(), surface.priors()].concat();
    let error = Posterior::new(of, &two, &x).unwrap_err().to_string();
    assert!(error.contains("given 2 context features, found 1"), "{error}");
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
    let parameter = Prior::Uniform { low: -1., high: 1. };
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

/// A density of one parameter on (0, 1) that only some of the table's intervals have.
#[derive(Debug)]
struct Jagged;

impl Target for Jagged {
    fn dim(&self) -> usize {
        1
    }
    #[expect(clippy::cast_possible_truncation, reason = "a tenth of the unit interval")]
    fn log_prob(&self, theta: &[f64]) -> Result<f64> {
        // At 0, 0.1, ..: nothing, up, level, far down and up again, by thousands of nats.
        let all = [f64::NEG_INFINITY, -3., 1., 1., -5e3, 0.5, -0.2, 0., 2., f64::NEG_INFINITY, 2.];
        Ok(1e4 + all[(theta[0] * 10.).round() as usize])
    }
}

#[test]
#[expect(clippy::cast_possible_truncation, reason = "a bin of the unit interval")]
fn draws_from_a_table_have_its_distribution() {
    let parameter = Prior::Uniform { low: 0., high: 1. };
    let table = Tabulated::new(&Jagged, &parameter, 11).unwrap();
    // The midpoint rule on 50 cells of each interval, of which bins of 5 are counted.
    let cells = 500_000;
    let mut expected = [0.; 100];
    for i in 0..cells {
        let theta = (f64::from(i) + 0.5) / f64::from(cells);
        let density = (table.log_prob(&[theta]).unwrap() - 1e4).exp();
        expected[(theta * 100.) as usize] += density / f64::from(cells);
    }
    let total: f64 = expected.iter().sum();
    let n = 200_000;
    let mut found = [0_u32; 100];
    for theta in table.sample(n, &mut Stream::new(3, "table")).unwrap() {
        found[((theta * 100.) as usize).min(99)] += 1;
    }
    let (mut chi_squared, mut bins) = (0., 0);
    for (expected, found) in expected.iter().zip(found) {
        let expected = expected / total * n as f64;
        if expected > 5. {
            chi_squared += (f64::from(found) - expected).powi(2) / expected;
            bins += 1;
        } else {
            assert!(f64::from(found) <= 20., "{found} where {expected} are expected");
        }
    }
    // Mean and four standard deviations of the law.
    let free = f64::from(bins - 1);
    assert!(bins > 40 && chi_squared < free + 4. * (2. * free).sqrt(), "{chi_squared} of {free}");

    #[derive(Debug)]
    struct Constant(f64);
    impl Target for Constant {
        fn dim(&self) -> usize {
            1
        }
        fn log_prob(&self, theta: &[f64]) -> Result<f64> {
            Ok(if theta[0] == 0. { -1. } else { self.0 })
        }
    }
    for (value, is_refused) in [(f64::NAN, true), (f64::INFINITY, true), (-1., false)] {
        let table = Tabulated::new(&Constant(value), &parameter, 9).unwrap();
        let result = table.sample(5, &mut Stream::new(3, "table"));
        assert_eq!(matches!(result, Err(Error::Density { .. })), is_refused, "{value}: {result:?}");
    }
}

#[test]
fn a_posterior_in_batches_is_that_point_by_point() {
    let surface = PolynomialSurface;
    let x = surface.sample(7, &[0.3; 7], &mut Stream::new(1, "observed")).unwrap();
    let pool = Pool::new(1).unwrap();
    for conditional in [false, true] {
        let model = model(DType::F64, 1, conditional);
        let of = Evaluated { model: model.as_ref(), pool: &pool };
        let posterior = Posterior::new(of, &surface.priors(), &x).unwrap();
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
