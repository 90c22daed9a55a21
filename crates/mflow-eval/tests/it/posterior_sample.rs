//! Samples of posteriors. Oracle: Gaussians in closed form, cut off and not; integrals over grids; a density with two
//! modes that no chain crosses.
use crate::calibration::Shifted;
use crate::nuts::small;
use mflow_bijectors::Stream;
use mflow_data::{PolynomialSurface, Prior, Simulator};
use mflow_eval::mcmc::{DifferentiableTarget, Lengths, Target, prior_starts, tabulated_plane};
use mflow_eval::metrics::Evaluated;
use mflow_eval::{
    ChainConfig, Error, ParameterSummary, Posterior, PosteriorSample, R_HAT_LIMIT, Result, Sampler,
    sample_posterior,
};
use mflow_train::Pool;
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

const NORMAL: Prior = Prior::Normal { mean: 0., std: 1.5 };

fn config(sampler: Sampler) -> ChainConfig {
    ChainConfig { sampler, ..ChainConfig::default() }
}

/// Mean and standard deviation within four standard errors; that of a standard deviation is at most that of the
/// mean for densities with tails no heavier than a Gaussian's.
#[track_caller]
fn check_moments(what: &str, found: &ParameterSummary, mean: f64, std: f64) {
    assert!(found.r_hat < R_HAT_LIMIT, "{what}: {found:?}");
    assert!(found.effective_sample_size > 1000., "{what}: {found:?}");
    let error = 4. * std / found.effective_sample_size.sqrt();
    assert!((found.mean - mean).abs() < error, "{what}: {found:?}, mean {mean}");
    assert!((found.std - std).abs() < error, "{what}: {found:?}, deviation {std}");
}

/// Four rows of two features.
const X: [f64; 8] = [0.9, 2.4, 1.1, 1.6, -0.2, 2.9, 1.4, 2.3];

#[test]
fn a_gaussian_posterior_is_that_in_closed_form() {
    let (width, pool) = (0.8, Pool::new(2).unwrap());
    let model = Shifted::new(width);
    let priors = [NORMAL, Prior::Normal { mean: 3., std: 0.5 }];
    let posterior = Posterior::new(Evaluated { model: &model, pool: &pool }, &priors, &X).unwrap();
    for sampler in [Sampler::Nuts, Sampler::Slice] {
        let found = sample_posterior(&posterior, &priors, &config(sampler), 1, &pool).unwrap();
        assert_eq!(found.shape, [4, 1000, 2]);
        assert_eq!((found.samples.len(), found.log_prob.len()), (8000, 4000));
        assert_eq!(found.divergences, 0);
        let mut exact = vec![];
        for (k, prior) in priors.iter().enumerate() {
            let Prior::Normal { mean, std } = *prior else { unreachable!("they are normal") };
            let sum: f64 = X.iter().skip(k).step_by(2).sum();
            let precision = std.powi(-2) + 4. / width.powi(2);
            let mean = (mean / std.powi(2) + sum / width.powi(2)) / precision;
            let std = precision.sqrt().recip();
            let summary = &found.parameters[k];
            check_moments(&format!("{sampler:?}, {k}"), summary, mean, std);
            let exact_of = Normal::new(mean, std).unwrap();
            for (quantile, p) in summary.quantiles.into_iter().zip([0.05, 0.5, 0.95]) {
                // The error of a quantile is that of its rank over the density there.
                let expected = exact_of.inverse_cdf(p);
                let error = (p * (1. - p) / summary.effective_sample_size).sqrt();
                let error = error / exact_of.pdf(expected);
                assert!((quantile - expected).abs() < 5. * error, "{quantile}, {expected}");
            }
            exact.push(exact_of);
        }
        // The log-densities are right but for a constant.
        let constants = found.samples.chunks(2).zip(&found.log_prob).map(|(theta, log_prob)| {
            log_prob - exact[0].ln_pdf(theta[0]) - exact[1].ln_pdf(theta[1])
        });
        let constants: Vec<f64> = constants.collect();
        assert!(constants.iter().all(|c| (c - constants[0]).abs() < 1e-9), "{sampler:?}");
        let chain = &found.of_chains(1)[2];
        assert_eq!(chain[17], found.samples[(2 * 1000 + 17) * 2 + 1], "chain, draw, parameter");
    }
}

#[test]
fn a_posterior_ends_where_its_prior_does() {
    let pool = Pool::new(2).unwrap();
    let model = Shifted::new(1.);
    // The rows pull the first parameter to 0.8 and the second one beyond its bound.
    let (low, high) = (-1., 2.);
    let priors = [Prior::Uniform { low: -5., high: 5. }, Prior::Uniform { low, high }];
    let posterior = Posterior::new(Evaluated { model: &model, pool: &pool }, &priors, &X).unwrap();
    for sampler in [Sampler::Nuts, Sampler::Slice] {
        let found = sample_posterior(&posterior, &priors, &config(sampler), 2, &pool).unwrap();
        check_moments("far from bounds", &found.parameters[0], 0.8, 0.5);
        // Truncated between a and b in units of the deviation: Johnson, Kotz & Balakrishnan, section 10.1.
        let (at, std) = (2.3, 0.5);
        let normal = Normal::standard();
        let [a, b] = [low, high].map(|bound| (bound - at) / std);
        let mass = normal.cdf(b) - normal.cdf(a);
        let shift = (normal.pdf(a) - normal.pdf(b)) / mass;
        let spread = 1. + (a * normal.pdf(a) - b * normal.pdf(b)) / mass - shift * shift;
        let summary = &found.parameters[1];
        check_moments("at a bound", summary, at + std * shift, std * spread.sqrt());
        let inside = |theta: &[f64]| priors.iter().zip(theta).all(|(p, t)| p.contains(*t));
        assert!(found.samples.chunks(2).all(inside), "{sampler:?}: within the prior");
    }
}

#[test]
fn a_posterior_on_a_manifold_is_that_of_a_grid() {
    let pool = Pool::new(2).unwrap();
    let model = small(2, false);
    let of = Evaluated { model: model.as_ref(), pool: &pool };
    let x = PolynomialSurface.sample(5, &[0.3; 5], &mut Stream::new(1, "observed")).unwrap();
    let priors = [Prior::Normal { mean: 0.2, std: 0.4 }, Prior::Uniform { low: -1., high: 1. }];
    let posterior = Posterior::new(of, &priors, &x).unwrap();
    let found = sample_posterior(&posterior, &priors, &config(Sampler::Nuts), 3, &pool).unwrap();
    let field = tabulated_plane(&posterior, &priors, 101).unwrap();
    let top = field.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // The trapezoidal rule.
    let ends = |i: usize| if i == 0 || i == 100 { 0.5 } else { 1. };
    let mass = |at: usize| ends(at / 101) * ends(at % 101) * (field.values[at] - top).exp();
    let mean = |of: &dyn Fn([f64; 2]) -> f64| {
        let at = |at: usize| [field.x[at / 101], field.y[at % 101]];
        let all = 0..field.values.len();
        let total: f64 = all.clone().map(mass).sum();
        all.map(|k| mass(k) * of(at(k))).sum::<f64>() / total
    };
    for k in 0..2 {
        let expected = mean(&|theta| theta[k]);
        let std = mean(&|theta| (theta[k] - expected).powi(2)).sqrt();
        let summary = &found.parameters[k];
        let error = 4. * std / summary.effective_sample_size.sqrt();
        assert!(summary.r_hat < 1.02 && summary.effective_sample_size > 400., "{summary:?}");
        assert!((summary.mean - expected).abs() < error, "{summary:?}, mean {expected}");
        assert!((summary.std - std).abs() < error, "{summary:?}, deviation {std}");
    }
}

/// Two narrow Gaussians around -1 and 1, and nothing below -1.5.
#[derive(Debug)]
struct TwoModes;

impl Target for TwoModes {
    fn dim(&self) -> usize {
        1
    }
    fn log_prob(&self, theta: &[f64]) -> Result<f64> {
        self.log_prob_and_gradient(theta, &mut [0.])
    }
}

impl DifferentiableTarget for TwoModes {
    fn log_prob_and_gradient(&self, theta: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let off = theta[0] - 1_f64.copysign(theta[0]);
        gradient[0] = -off / 1e-3;
        Ok(if theta[0] < -1.5 { f64::NEG_INFINITY } else { -0.5 * off * off / 1e-3 })
    }
}

#[test]
fn chains_that_do_not_meet_are_told() {
    let pool = Pool::new(2).unwrap();
    let priors = [Prior::Uniform { low: -2., high: 2. }];
    let lengths = Lengths { burn_in: 100, draws: 200 };
    let config = ChainConfig { chains: 6, lengths, ..ChainConfig::default() };
    let found = sample_posterior(&TwoModes, &priors, &config, 1, &pool).unwrap();
    let summary = &found.parameters[0];
    assert!(summary.r_hat > 1.5 && summary.effective_sample_size < 50., "{summary:?}");
    assert!((summary.mean.abs() - 1.).abs() > 0.05, "some are at either mode: {summary:?}");
}

#[test]
fn starts_are_draws_of_the_prior_where_there_is_density() {
    let priors = [Prior::Uniform { low: -2., high: 2. }];
    let starts = prior_starts(&TwoModes, &priors, 400, 1).unwrap();
    assert_eq!(starts, prior_starts(&TwoModes, &priors, 400, 1).unwrap());
    assert_ne!(starts, prior_starts(&TwoModes, &priors, 400, 2).unwrap());
    assert_eq!(starts[..4], prior_starts(&TwoModes, &priors, 4, 1).unwrap(), "chain by chain");
    assert!(starts.iter().all(|theta| (-1.5..2.).contains(theta)), "where there is density");
    // Uniform from -1.5 to 2: to four standard errors.
    let mean = starts.iter().sum::<f64>() / 400.;
    let variance = starts.iter().map(|theta| (theta - mean).powi(2)).sum::<f64>() / 399.;
    assert!((mean - 0.25).abs() < 4. * (3.5 / 12_f64.sqrt() / 20.), "{mean}");
    assert!((variance.sqrt() / (3.5 / 12_f64.sqrt()) - 1.).abs() < 0.1, "as wide: {variance}");
    let nowhere = [Prior::Uniform { low: -3., high: -2. }];
    let error = prior_starts(&TwoModes, &nowhere, 2, 1).unwrap_err();
    assert!(matches!(error, Error::Start { chain: 0, .. }), "{error}");
    let error = prior_starts(&TwoModes, &[NORMAL, NORMAL], 2, 1).unwrap_err();
    assert!(matches!(error, Error::Rows { cols: 1, found: 2 }), "{error}");
}

#[test]
fn the_seed_decides_and_threads_do_not() {
    let model = Shifted::new(1.);
    let priors = [NORMAL; 2];
    let run = |sampler, seed, threads| -> PosteriorSample {
        let pool = Pool::new(threads).unwrap();
        let of = Evaluated { model: &model, pool: &pool };
        let posterior = Posterior::new(of, &priors, &X).unwrap();
        let lengths = Lengths { burn_in: 50, draws: 50 };
        let config = ChainConfig { lengths, ..config(sampler) };
        sample_posterior(&posterior, &priors, &config, seed, &pool).unwrap()
    };
    for sampler in [Sampler::Nuts, Sampler::Slice] {
        assert_eq!(run(sampler, 1, 1), run(sampler, 1, 3), "{sampler:?}");
        assert_ne!(run(sampler, 1, 1).samples, run(sampler, 2, 1).samples, "{sampler:?}");
    }
}

#[test]
fn chains_that_cannot_be_judged_are_refused() {
    let (model, pool) = (Shifted::new(1.), Pool::new(1).unwrap());
    let of = Evaluated { model: &model, pool: &pool };
    let priors = [NORMAL; 2];
    let posterior = Posterior::new(of, &priors, &X).unwrap();
    let run = |chains, draws| {
        let lengths = Lengths { burn_in: 10, draws };
        let config = ChainConfig { chains, lengths, ..ChainConfig::default() };
        sample_posterior(&posterior, &priors, &config, 1, &pool)
    };
    assert!(matches!(run(0, 10), Err(Error::Chains { chains: 1, .. })), "no chain");
    assert!(matches!(run(2, 7), Err(Error::Chains { draws: 8, .. })), "7 draws");
    assert!(run(1, 8).is_ok(), "8 draws of one chain");
}
