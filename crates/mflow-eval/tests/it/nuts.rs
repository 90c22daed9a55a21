//! The no-U-turn sampler and what it needs: draws against known moments, gradients against central differences, the
//! map between bounds against integrals and against its formula at large arguments.
use crate::mcmc::{Cut, check_mean, check_moments_of_cut, model};
use mflow_bijectors::{ParamStore, SplineFlowConfig, Stream};
use mflow_core::candle::{DType, Device, Tensor};
use mflow_core::{Model, ModelConfig};
use mflow_data::{PolynomialSurface, Prior, Simulator};
use mflow_eval::mcmc::{
    Bounded, Chain, DifferentiableTarget, Lengths, Nuts, Tabulated, Target, effective_sample_size,
    r_hat,
};
use mflow_eval::metrics::Evaluated;
use mflow_eval::{Error, Posterior, Result};
use mflow_train::Pool;
use std::collections::BTreeMap;

fn between(low: f64, high: f64) -> Prior {
    Prior::Uniform { low, high }
}

const LENGTHS: Lengths = Lengths { burn_in: 300, draws: 2000 };
const STARTS: [f64; 8] = [0., 0., 0.9, 1., -2., 1., 0.5, -0.5];

impl DifferentiableTarget for Cut {
    fn log_prob_and_gradient(&self, theta: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let [a, b] = [theta[0], theta[1]];
        gradient.copy_from_slice(&[-a + 0.8 * (b - 0.8 * a) / 0.36, -(b - 0.8 * a) / 0.36]);
        self.log_prob(theta)
    }
}

fn within(bounds: &[Prior], threads: usize) -> Vec<Chain> {
    let pool = Pool::new(threads).unwrap();
    Nuts::default().sample_within(&Cut, bounds, &STARTS, LENGTHS, 3, &pool).unwrap()
}

#[test]
fn draws_have_the_moments_of_a_gaussian_that_ends() {
    let chains = within(&[between(-12., 1.), between(-12., 12.)], 2);
    check_moments_of_cut("between bounds", &chains);
    for chain in &chains {
        assert_eq!(chain.draws.len(), 2 * LENGTHS.draws);
        assert!(chain.divergences < 10, "bounds are no walls: {}", chain.divergences);
        assert!((0.7..0.95).contains(&chain.acceptance), "tuned to 0.8: {}", chain.acceptance);
    }
    // Against the wall itself paths are given up, and the law is the same.
    let pool = Pool::new(2).unwrap();
    let lengths = Lengths { draws: 4000, ..LENGTHS };
    let chains = Nuts::default().sample(&Cut, &STARTS, lengths, 4, &pool).unwrap();
    check_moments_of_cut("against a wall", &chains);
    assert!(chains.iter().all(|c| c.divergences > 100), "a wall is met and told");
    let careful = Nuts { target_acceptance: 0.95 };
    let bounds = [between(-12., 1.), between(-12., 12.)];
    let chains = careful.sample_within(&Cut, &bounds, &STARTS, LENGTHS, 3, &pool).unwrap();
    assert!(chains.iter().all(|c| c.acceptance > 0.9), "tuned to 0.95");
}

#[test]
fn draws_have_the_moments_of_a_gaussian_in_a_box() {
    let box_ = [between(-1.5, 1.), between(-0.5, 1.2)];
    let starts = [0., 0., 0.9, 1., -1., 1., 0.5, -0.4];
    let pool = Pool::new(2).unwrap();
    let chains = Nuts::default().sample_within(&Cut, &box_, &starts, LENGTHS, 5, &pool).unwrap();
    // The midpoint rule.
    let cells = 500;
    let at = |p: &Prior, i: usize| p.quantile((i as f64 + 0.5) / cells as f64);
    let mean = |of: &dyn Fn(&[f64]) -> f64| {
        let (mut sum, mut total) = (0., 0.);
        for i in 0..cells * cells {
            let theta = [at(&box_[0], i / cells), at(&box_[1], i % cells)];
            let density = Cut.log_prob(&theta).unwrap().exp();
            (sum, total) = (sum + density * of(&theta), total + density);
        }
        sum / total
    };
    type Moment = (&'static str, fn(&[f64]) -> f64);
    let moments: [Moment; 5] = [
        ("a", |t| t[0]),
        ("b", |t| t[1]),
        ("a^2", |t| t[0] * t[0]),
        ("b^2", |t| t[1] * t[1]),
        ("a b", |t| t[0] * t[1]),
    ];
    for (what, of) in moments {
        check_mean(what, &chains, of, mean(&of));
    }
    for theta in chains.iter().flat_map(|c| c.draws.chunks(2)) {
        assert!(box_.iter().zip(theta).all(|(p, t)| p.contains(*t)), "{theta:?}");
    }
}

#[test]
fn the_way_from_a_far_start_is_forgotten() {
    let pool = Pool::new(1).unwrap();
    let lengths = Lengths { burn_in: 300, draws: 300 };
    let chains = Nuts::default().sample(&Cut, &[-50., -40.], lengths, 5, &pool).unwrap();
    let farthest = chains[0].draws.iter().copied().map(f64::abs).fold(0., f64::max);
    assert!(farthest < 6., "six standard deviations: {farthest}");
    let lengths = Lengths { burn_in: 0, ..lengths };
    let all = Nuts::default().sample(&Cut, &[-50., -40.], lengths, 5, &pool).unwrap();
    assert!(all[0].draws[0] < -6., "without a burn-in the first draws are on the way");
}

#[test]
fn threads_make_no_difference() {
    let bounds = [between(-12., 1.), between(-12., 12.)];
    let (one, three) = (within(&bounds, 1), within(&bounds, 3));
    assert_eq!(one, three);
    assert_ne!(one[0].draws, one[1].draws, "each chain has its own stream");
}

/// Smooth, of two parameters, with no symmetry.
#[derive(Debug)]
struct Smooth;

impl Target for Smooth {
    fn dim(&self) -> usize {
        2
    }
    fn log_prob(&self, theta: &[f64]) -> Result<f64> {
        Ok((theta[0] + 0.3 * theta[1]).sin() - 0.2 * theta[1] * theta[1])
    }
}

impl DifferentiableTarget for Smooth {
    fn log_prob_and_gradient(&self, theta: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let slope = (theta[0] + 0.3 * theta[1]).cos();
        gradient.copy_from_slice(&[slope, 0.3 * slope - 0.4 * theta[1]]);
        self.log_prob(theta)
    }
}

/// Value and gradient agree with the values alone.
fn check_gradient(target: &dyn DifferentiableTarget, theta: &[f64], step: f64, tolerance: f64) {
    let mut gradient = vec![f64::NAN; theta.len()];
    let value = target.log_prob_and_gradient(theta, &mut gradient).unwrap();
    let expected = target.log_prob(theta).unwrap();
    assert!((value - expected).abs() <= 1e-12 * expected.abs(), "{value}, {expected}");
    for (k, found) in gradient.iter().enumerate() {
        let moved = |by: f64| {
            let mut moved = theta.to_vec();
            moved[k] += by;
            target.log_prob(&moved).unwrap()
        };
        let expected = (moved(step) - moved(-step)) / (2. * step);
        let off = (found - expected).abs();
        assert!(off < tolerance * (1. + expected.abs()), "{theta:?}: {found}, {expected}");
    }
}

#[test]
fn the_map_between_bounds_keeps_probabilities() {
    let bounds = [between(-0.5, 2.), between(3., 4.5)];
    let bounded = Bounded::new(&Smooth, &bounds).unwrap();
    // The midpoint rule out to where nothing is left, against that in the box.
    let integral = |low: [f64; 2], high: [f64; 2], density: &dyn Fn(&[f64]) -> f64| {
        let cells = 400;
        let width = [0, 1].map(|k| (high[k] - low[k]) / f64::from(cells));
        let at = |k: usize, i: i32| low[k] + width[k] * (f64::from(i) + 0.5);
        let all = (0..cells * cells).map(|i| density(&[at(0, i / cells), at(1, i % cells)]));
        all.sum::<f64>() * width[0] * width[1]
    };
    let of = |target: &dyn Target, theta: &[f64]| target.log_prob(theta).unwrap().exp();
    let found = integral([-25.; 2], [25.; 2], &|y| of(&bounded, y));
    let expected = integral([-0.5, 3.], [2., 4.5], &|theta| of(&Smooth, theta));
    assert!((found / expected - 1.).abs() < 1e-5, "{found}, {expected}");
    // The lower half as well, whose end costs the rule some digits.
    let found = integral([-25., -25.], [0., 25.], &|y| of(&bounded, y));
    let expected = integral([-0.5, 3.], [0.75, 4.5], &|theta| of(&Smooth, theta));
    assert!((found / expected - 1.).abs() < 1e-4, "{found}, {expected}");
    let thetas = [-0.4, 3.001, 1.9, 4.4, 0.75, 3.75];
    let back = bounded.to_bounded(&bounded.to_unbounded(&thetas));
    for (a, b) in back.iter().zip(&thetas) {
        assert!((a - b).abs() < 1e-14, "{back:?}");
    }
}

#[test]
fn the_gradient_between_bounds_is_that_by_differences() {
    let bounds = [between(-0.5, 2.), between(3., 4.5)];
    let bounded = Bounded::new(&Smooth, &bounds).unwrap();
    for y in [[0.3, -1.2], [2.5, 4.], [-7., 0.], [12., -15.], [40., -60.]] {
        check_gradient(&bounded, &y, 1e-4, 1e-7);
    }
    // Far out: what rounds to a bound is it, and the log-density falls by the distance.
    for y in [100., 750., 1e9] {
        assert_eq!(bounded.to_bounded(&[y, -y]), [2., 3.]);
        assert_eq!(bounded.to_bounded(&[-y, y]), [-0.5, 4.5]);
        let mut gradient = [0.; 2];
        let value = bounded.log_prob_and_gradient(&[y, -y], &mut gradient).unwrap();
        let expected = Smooth.log_prob(&[2., 3.]).unwrap() + (2.5_f64 * 1.5).ln() - 2. * y;
        assert!((value - expected).abs() <= 1e-14 * expected.abs(), "{value}, {expected}");
        assert_eq!(gradient, [-1., 1.]);
    }
    let refused = |low, high| {
        let bounds = [between(low, high), between(0., 1.)];
        matches!(Bounded::new(&Smooth, &bounds), Err(Error::Bounds { .. }))
    };
    assert!(refused(1., 1.) && refused(2., 1.) && refused(0., f64::INFINITY));
    assert!(refused(f64::NAN, 1.) && !refused(0., 1.));
    let one = Bounded::new(&Smooth, &bounds[..1]).unwrap_err();
    assert!(matches!(one, Error::Rows { cols: 2, found: 1 }), "{one}");
}

/// Set every parameter to noise, so that the density depends on the context.
fn randomise(store: &ParamStore, gain: f64) {
    let noise = |(name, old): (String, Tensor)| {
        let mut stream = Stream::new(11, &name);
        let random = stream.normal_tensor(old.dims(), DType::F64, &Device::Cpu).unwrap();
        (name, (random * gain).unwrap())
    };
    let named: BTreeMap<_, _> = store.to_named().unwrap().into_iter().map(noise).collect();
    store.assign(&named).unwrap();
}

/// A small model with weights well away from the start.
pub(crate) fn small(context_dim: usize, conditional_manifold: bool) -> Box<dyn Model> {
    let mut flow = SplineFlowConfig::default();
    (flow.layers, flow.hidden, flow.blocks, flow.bins) = (2, 8, 1, 4);
    let mut config = ModelConfig::m_flow(3, 2)
        .with_outer(flow.clone())
        .with_inner(flow)
        .with_context(context_dim);
    if conditional_manifold {
        config = config.with_conditional_manifold();
    }
    let mut store = ParamStore::new(5, DType::F64, &Device::Cpu);
    let model = config.build(&mut store, |_| false).unwrap();
    randomise(&store, 0.4);
    model
}

#[test]
fn the_gradient_of_a_posterior_is_that_by_differences() {
    let surface = PolynomialSurface;
    let x = surface.sample(20, &[0.3; 20], &mut Stream::new(1, "observed")).unwrap();
    let pool = Pool::new(1).unwrap();
    let prior = [between(-1., 1.), between(0., 3.)];
    for conditional in [false, true] {
        let small = small(2, conditional);
        let large = model(DType::F64, 2, conditional);
        for (model, most) in [(small.as_ref(), 1e-2), (large.as_ref(), 1e-6)] {
            let of = Evaluated { model, pool: &pool };
            let quick = Posterior::new(of, &prior, &x).unwrap();
            let whole = Posterior::with_volume(of, &prior, &x).unwrap();
            let mut gradients = vec![];
            for posterior in [&quick, &whole] {
                let mut gradient = [0.; 2];
                for theta in [[0.31, 1.43], [-0.87, 0.05], [0.99, 2.9]] {
                    check_gradient(posterior, &theta, 1e-6, 2e-6);
                    posterior.log_prob_and_gradient(&theta, &mut gradient).unwrap();
                    assert!(gradient.iter().all(|g| g.abs() > most), "some: {gradient:?}");
                }
                // That of the model, summed over rows.
                let x = of.tensor(&x, 3).unwrap();
                let c = of.context(&[0.99, 2.9].repeat(20)).unwrap();
                let rows = model.log_prob_gradient(&x, c.as_ref()).unwrap().context.unwrap();
                let sums = rows.sum(0).unwrap().to_vec1::<f64>().unwrap();
                for (found, expected) in gradient.iter().zip(sums) {
                    assert!((found - expected).abs() < 1e-9 * (1. + expected.abs()));
                }
                gradients.push(gradient);
                let outside = posterior.log_prob_and_gradient(&[0., 3.5], &mut gradient).unwrap();
                assert_eq!((outside, gradient), (f64::NEG_INFINITY, [0.; 2]), "beyond the prior");
            }
            for k in 0..2 {
                assert!((gradients[0][k] - gradients[1][k]).abs() < 1e-9, "{gradients:?}");
            }
        }
    }
}

#[test]
fn a_posterior_has_the_moments_of_its_table() {
    let surface = PolynomialSurface;
    let x = surface.sample(40, &[0.3; 40], &mut Stream::new(1, "observed")).unwrap();
    let pool = Pool::new(2).unwrap();
    let model = small(1, false);
    let prior = [between(-1., 1.)];
    let posterior =
        Posterior::new(Evaluated { model: model.as_ref(), pool: &pool }, &prior, &x).unwrap();
    let table = Tabulated::new(&posterior, &prior[0], 501).unwrap();
    let moment = |power: i32| {
        let largest = (0..=1000)
            .map(|i| table.log_prob(&[f64::from(i) / 500. - 1.]).unwrap())
            .fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut total) = (0., 0.);
        for i in 0..20_000 {
            let theta = (f64::from(i) + 0.5) / 1e4 - 1.;
            let density = (table.log_prob(&[theta]).unwrap() - largest).exp();
            (sum, total) = (sum + density * theta.powi(power), total + density);
        }
        sum / total
    };
    let (mean, square) = (moment(1), moment(2));
    let width = (square - mean * mean).sqrt();
    assert!(width < 0.4, "data tell something, and the prior's width is 0.58: {width}");
    let lengths = Lengths { burn_in: 200, draws: 700 };
    let chains = Nuts::default()
        .sample_within(&posterior, &prior, &[0., -0.5, 0.5], lengths, 1, &pool)
        .unwrap();
    for (power, expected) in [(1, mean), (2, square)] {
        let of = |c: &Chain| c.draws.iter().map(|t| t.powi(power)).collect::<Vec<f64>>();
        let values: Vec<Vec<f64>> = chains.iter().map(of).collect();
        let refs: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
        let (r_hat, size) = (r_hat(&refs).unwrap(), effective_sample_size(&refs).unwrap());
        assert!(r_hat < 1.02 && size > 300., "{r_hat}, {size}");
        let flat = values.concat();
        let found = flat.iter().sum::<f64>() / flat.len() as f64;
        let spread = flat.iter().map(|v| (v - found).powi(2)).sum::<f64>() / flat.len() as f64;
        let error = (spread / size).sqrt();
        assert!((found - expected).abs() < 4. * error, "{found} +- {error}, {expected}");
    }
}

/// A Gaussian that goes wrong beyond 1.5.
#[derive(Debug)]
struct Wrong {
    value: f64,
    derivative: f64,
    fails: bool,
}

impl Target for Wrong {
    fn dim(&self) -> usize {
        1
    }
    fn log_prob(&self, theta: &[f64]) -> Result<f64> {
        self.log_prob_and_gradient(theta, &mut [0.])
    }
}

impl DifferentiableTarget for Wrong {
    fn log_prob_and_gradient(&self, theta: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let t = theta[0];
        gradient[0] = -t;
        if t <= 1.5 {
            return Ok(-0.5 * t * t);
        }
        if self.fails {
            return Err(Error::NoSamples);
        }
        gradient[0] *= self.derivative;
        Ok(-0.5 * t * t * self.value)
    }
}

#[test]
fn a_density_that_fails_is_an_error() {
    let pool = Pool::new(2).unwrap();
    let right = Wrong { value: 1., derivative: 1., fails: false };
    let run = |target: &Wrong, starts: &[f64]| {
        let lengths = Lengths { burn_in: 100, draws: 200 };
        Nuts::default().sample(target, starts, lengths, 1, &pool)
    };
    let chains = run(&right, &[0., 0.5]).unwrap();
    assert!(chains.iter().any(|c| c.draws.iter().any(|t| *t > 1.5)), "what is to go wrong");
    let what = |target: Wrong| match run(&target, &[0., 0.5]) {
        Err(Error::Density { what, theta, .. }) if theta[0] > 1.5 => what,
        other => panic!("{other:?}"),
    };
    let (nan, infinite) = (f64::NAN, f64::NEG_INFINITY);
    assert_eq!(what(Wrong { value: nan, ..right }), "the log-density");
    assert_eq!(what(Wrong { value: infinite, ..right }), "the log-density");
    assert_eq!(what(Wrong { derivative: nan, ..right }), "a derivative of the log-density");
    let failing = run(&Wrong { fails: true, ..right }, &[0., 0.5]);
    assert!(matches!(failing, Err(Error::NoSamples)), "its own error: {failing:?}");
    // No density beyond: paths that go there are given up, and no chain starts there.
    let cut = Wrong { value: f64::INFINITY, ..right };
    let chains = run(&cut, &[0., 0.5]).unwrap();
    assert!(chains.iter().all(|c| c.divergences > 0 && c.draws.iter().all(|t| *t <= 1.5)));
    let start = run(&cut, &[0., 2.]);
    assert!(matches!(start, Err(Error::Start { chain: 1, .. })), "{start:?}");

    let lengths = Lengths { burn_in: 10, draws: 10 };
    let rows = Nuts::default().sample(&Cut, &[0., 0., 0.], lengths, 1, &pool);
    assert!(matches!(rows, Err(Error::Rows { cols: 2, found: 3 })), "{rows:?}");
    let aim = Nuts { target_acceptance: 1. }.sample(&Cut, &[0., 0.], lengths, 1, &pool);
    assert!(matches!(aim, Err(Error::Acceptance { .. })), "{aim:?}");
    let bounds = [between(-12., 1.), between(-12., 12.)];
    let at_bound = Nuts::default().sample_within(&Cut, &bounds, &[1., 0.], lengths, 1, &pool);
    assert!(matches!(at_bound, Err(Error::Start { chain: 0, .. })), "{at_bound:?}");
}

/// A density that one parameter makes no difference to.
#[derive(Debug)]
struct Flat;

impl Target for Flat {
    fn dim(&self) -> usize {
        2
    }
    fn log_prob(&self, theta: &[f64]) -> Result<f64> {
        Ok(-0.5 * theta[0] * theta[0])
    }
}

impl DifferentiableTarget for Flat {
    fn log_prob_and_gradient(&self, theta: &[f64], gradient: &mut [f64]) -> Result<f64> {
        gradient.copy_from_slice(&[-theta[0], 0.]);
        self.log_prob(theta)
    }
}

#[test]
fn derivatives_that_vanish_are_no_obstacle_between_bounds() {
    let pool = Pool::new(2).unwrap();
    let bounds = [between(-3., 3.), between(0., 1.)];
    // At the start all derivatives are exactly zero.
    let starts = [0., 0.5, 0., 0.5];
    let nuts = Nuts::default();
    let chains = nuts.sample_within(&Flat, &bounds, &starts, LENGTHS, 1, &pool).unwrap();
    check_mean("uniform", &chains, |t| t[1], 0.5);
    check_mean("its square", &chains, |t| t[1] * t[1], 1. / 3.);
    let improper = nuts.sample(&Flat, &[0., 0.5], LENGTHS, 1, &pool);
    assert!(matches!(improper, Err(Error::Sampler { chain: 0, .. })), "{improper:?}");
}

/// A line's slope as log-density: with a Gaussian prior the posterior is that Gaussian, moved.
#[derive(Debug)]
struct Tilted(Prior);

impl Target for Tilted {
    fn dim(&self) -> usize {
        1
    }
    fn log_prob(&self, theta: &[f64]) -> Result<f64> {
        Ok(0.5 * theta[0] + self.0.log_prob(theta[0]))
    }
}

impl DifferentiableTarget for Tilted {
    fn log_prob_and_gradient(&self, theta: &[f64], gradient: &mut [f64]) -> Result<f64> {
        gradient[0] = 0.5 + self.0.gradient(theta[0]);
        self.log_prob(theta)
    }
}

#[test]
fn a_gaussian_prior_has_no_bounds() {
    let prior = Prior::Normal { mean: 1., std: 2. };
    let pool = Pool::new(1).unwrap();
    let starts = [0., 1., 2., 30.];
    let target = Tilted(prior);
    let chains =
        Nuts::default().sample_within(&target, &[prior], &starts, LENGTHS, 7, &pool).unwrap();
    // exp(θ/2) moves the mean by half a variance, and leaves that.
    check_mean("mean", &chains, |t| t[0], 3.);
    check_mean("variance", &chains, |t| (t[0] - 3.).powi(2), 4.);
}
