//! Samples and settings that nobody would choose: an error or a number, never a panic.
use crate::survival::survives;
use mflow_bijectors::Stream;
use mflow_core::ModelConfig;
use mflow_core::candle::{DType, Device};
use mflow_data::Prior;
use mflow_eval::features::{Features, ImageShape, PcaFeatures, RawFeatures};
use mflow_eval::figures::{Images, animation_of_images, sheet_of_images};
use mflow_eval::mcmc::{
    Bounded, DifferentiableTarget, Lengths, Metropolis, Nuts, Slice, Tabulated, Target,
    effective_sample_size, prior_starts, r_hat, sample_chains, tabulated_plane, tabulated_window,
};
use mflow_eval::metrics::{Evaluated, Section, total_variation};
use mflow_eval::statistics::{
    Calibration, Field, Sample, Window, auc, c2st, central_coverage, correlation_dimension,
    coverage, frechet_distance, frechet_with_error, highest_density_level, histogram, kde_log_prob,
    kernel_distance, kolmogorov_smirnov, levina_bickel, linear_time_mmd, local_pca,
    median_distance, percentiles, rank, roc_curve, scott, smoothed_plane, squared_mmd, two_nn,
};
use mflow_eval::{
    DimensionConfig, DimensionStudy, Error, Estimate, Posterior, Result, to_digits_of,
};
use mflow_train::Pool;

const COUNTS: [usize; 5] = [0, 1, 2, usize::MAX / 2 + 1, usize::MAX];
const NUMBERS: [f64; 7] = [0., -1., 1., f64::MAX, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// Pairs of rows so far from each other that only those of a pair are at a distance with a finite square.
fn far_pairs() -> Vec<f64> {
    (1..=6).flat_map(|k| [f64::from(k) * 1e160, f64::from(k) * 1e160 * (1. + 1e-15)]).collect()
}

/// Samples that can be made, by their columns.
fn samples() -> Vec<(Vec<f64>, usize)> {
    let normal = Stream::new(1, "hostile").normal(60);
    vec![
        (vec![1.], 1),
        (vec![3.; 40], 2),
        (normal.clone(), 1),
        (normal, 3),
        (far_pairs(), 1),
        (vec![f64::MAX, -f64::MAX, 0., f64::MIN_POSITIVE], 1),
    ]
}

#[test]
fn no_sample_and_no_setting_make_a_statistic_panic() {
    let all = samples();
    for (x, d) in &all {
        let sample = Sample::new(x, *d).unwrap();
        let what = format!("{} rows of {d} columns from {}", sample.count(), x[0]);
        survives(&what, || {
            (two_nn(sample).is_ok(), scott(sample).is_ok(), median_distance(sample).is_ok())
        });
        for k in COUNTS {
            let what = format!("{what}, {k} neighbours");
            survives(&what, || levina_bickel(sample, k).is_ok());
            survives(&what, || correlation_dimension(sample, k).is_ok());
            survives(&what, || local_pca(sample, k).is_ok());
            survives(&what, || PcaFeatures::fit(sample, k).is_ok());
            for (y, e) in &all {
                let other = Sample::new(y, *e).unwrap();
                survives(&what, || c2st(sample, other, k).is_ok());
                survives(&what, || coverage(sample, other, k).is_ok());
                survives(&what, || frechet_with_error(sample, other, k).is_ok());
                survives(&what, || kernel_distance(sample, other, k).is_ok());
            }
        }
        for (y, e) in &all {
            let other = Sample::new(y, *e).unwrap();
            survives(&what, || frechet_distance(sample, other).is_ok());
            for scale in NUMBERS {
                survives(&what, || squared_mmd(sample, other, scale).is_ok());
                survives(&what, || linear_time_mmd(sample, other, scale).is_ok());
                survives(&what, || kde_log_prob(sample, other, scale).is_ok());
            }
        }
        let pool = Pool::new(1).unwrap();
        for standardize in [false, true] {
            let config = DimensionConfig { standardize, seed: 0 };
            survives(&what, || DimensionStudy::of(sample, config, &pool).is_ok());
        }
    }
}

#[test]
fn settings_without_a_meaning_are_refused() {
    let normal = Stream::new(1, "hostile").normal(60);
    let x = Sample::new(&normal, 3).unwrap();
    let far = far_pairs();
    let far = Sample::new(&far, 1).unwrap();
    let neighbours = |result: Result<()>| matches!(result, Err(Error::Neighbours { found: 0, .. }));
    assert!(neighbours(c2st(x, x, 0).map(|_| ())), "no neighbours vote");
    assert!(neighbours(coverage(x, x, 0).map(|_| ())), "balls of no neighbours");
    let few = |result: Result<()>| matches!(result, Err(Error::TooFew { .. }));
    assert!(few(coverage(x, x, usize::MAX).map(|_| ())), "more neighbours than can be counted");
    assert!(few(c2st(x, x, usize::MAX).map(|_| ())), "more neighbours than can be counted");
    assert!(few(levina_bickel(x, usize::MAX).map(|_| ())), "more neighbours than can be counted");
    let distances = |result: Result<f64>| matches!(result, Err(Error::Distances { .. }));
    assert!(distances(two_nn(far)), "squares of distances that are not finite");
    assert!(distances(correlation_dimension(far, 2)), "squares of distances that are not finite");
    assert!(Calibration::new(&[0], usize::MAX, 2).is_err(), "ranks that cannot be counted");
    assert_eq!(histogram(&[0.5], [0., 1.], 0), [], "no bins");
}

#[test]
fn lists_of_any_numbers_make_nothing_panic() {
    let lists =
        [vec![], vec![1.], NUMBERS.to_vec(), vec![f64::NAN; 9], vec![2.; 9], vec![f64::MAX; 4]];
    for a in &lists {
        let what = format!("{a:?}");
        survives(&what, || {
            (
                Estimate::mean(a).is_ok(),
                Estimate::median(a).is_ok(),
                Estimate::interquartile_range(a).is_ok(),
            )
        });
        survives(&what, || percentiles(a.iter().copied(), NUMBERS));
        survives(&what, || NUMBERS.map(|share| highest_density_level(a, share).is_ok()));
        survives(&what, || NUMBERS.map(|truth| rank(a, truth).is_ok()));
        survives(&what, || (r_hat(&[a, a]).is_ok(), effective_sample_size(&[a]).is_ok()));
        for b in &lists {
            survives(&what, || {
                (
                    auc(a, b).is_ok(),
                    roc_curve(a, b).is_ok(),
                    kolmogorov_smirnov(a, b),
                    total_variation(a, b),
                )
            });
            survives(&what, || Estimate::weighted_mean(a, b).map(|e| e.to_string()).is_ok());
            survives(&what, || (r_hat(&[a, b]).is_ok(), effective_sample_size(&[a, b]).is_ok()));
            let field = Field { x: a.clone(), y: b.clone(), values: vec![1.; a.len() * b.len()] };
            survives(&what, || NUMBERS.map(|level| field.contour(level).is_ok()));
        }
        for (low, high) in NUMBERS.into_iter().flat_map(|low| NUMBERS.map(|high| (low, high))) {
            survives(&what, || histogram(a, [low, high], 3));
            let section = Section { height: low, edges: a.clone() };
            survives(&what, || section.of_points(&[[high, low, low]], 1.).is_ok());
            let window =
                |cells| Window { limits: [[low, high]; 2], ends: [[true, false]; 2], cells };
            let pairs: Vec<(f64, f64)> = a.iter().map(|v| (*v, *v)).collect();
            survives(&what, || {
                [0, 1, 2, usize::MAX, 1 << 40].map(|c| smoothed_plane(&pairs, &window(c)).is_ok())
            });
        }
    }
    for bins in COUNTS {
        survives("bins", || {
            (Calibration::new(&[1, 2], bins, 2).is_ok(), Calibration::new(&[1], 9, bins).is_ok())
        });
        survives("ranks", || central_coverage(&[bins], 3, 0.5).is_ok());
        if bins < 3 {
            survives("bins", || {
                (Section::new(0., [0., 1.], bins).is_ok(), histogram(&[0.5], [0., 1.], bins))
            });
        }
        survives("bins", || Section::new(0., [1., 0.], bins).is_ok());
    }
    for (x, width) in NUMBERS.into_iter().flat_map(|x| NUMBERS.map(|width| (x, width))) {
        survives("digits", || [0, 1, u8::MAX].map(|digits| to_digits_of(x, width, digits)));
        let value = |standard_error| Estimate { value: x, standard_error, count: 0 }.to_string();
        survives("an estimate", || (value(None), value(Some(width))));
    }
}

/// A density that is the same number everywhere.
#[derive(Debug)]
struct Flat(usize, f64);

impl Target for Flat {
    fn dim(&self) -> usize {
        self.0
    }
    fn log_prob(&self, _: &[f64]) -> Result<f64> {
        Ok(self.1)
    }
}

impl DifferentiableTarget for Flat {
    fn log_prob_and_gradient(&self, _: &[f64], gradient: &mut [f64]) -> Result<f64> {
        gradient.fill(self.1);
        Ok(self.1)
    }
}

#[test]
fn no_density_and_no_prior_make_a_sampler_panic() {
    let pool = Pool::new(1).unwrap();
    let lengths = [Lengths { burn_in: 0, draws: 0 }, Lengths { burn_in: 1, draws: 2 }];
    let priors = NUMBERS.into_iter().flat_map(|a| {
        NUMBERS.into_iter().flat_map(move |b| {
            [Prior::Uniform { low: a, high: b }, Prior::Normal { mean: a, std: b }]
        })
    });
    let priors: Vec<Prior> = priors.collect();
    for (dim, value) in [0, 1, 2].into_iter().flat_map(|dim| NUMBERS.map(|value| (dim, value))) {
        let target = Flat(dim, value);
        let what = format!("{target:?}");
        for starts in [vec![], vec![0.5; 2], vec![f64::NAN; 2], vec![1.; 3]] {
            for lengths in lengths {
                for width in NUMBERS {
                    let slice = Slice { width };
                    survives(&what, || {
                        sample_chains(&slice, &target, &starts, lengths, 1, &pool).is_ok()
                    });
                    let walk = Metropolis { step: width };
                    survives(&what, || {
                        sample_chains(&walk, &target, &starts, lengths, 1, &pool).is_ok()
                    });
                }
                for target_acceptance in [0.8, f64::NAN] {
                    let nuts = Nuts { target_acceptance };
                    survives(&what, || nuts.sample(&target, &starts, lengths, 1, &pool).is_ok());
                }
            }
        }
        for prior in &priors {
            let what = format!("{what} within {prior}");
            for points in [0, 1, 3] {
                survives(&what, || {
                    Tabulated::new(&target, prior, points)
                        .map(|t| {
                            (
                                t.density().is_ok(),
                                t.log_prob(&[]).is_ok(),
                                t.log_prob(&[f64::NAN]).is_ok(),
                                t.sample(2, &mut Stream::new(1, "draws")).is_ok(),
                            )
                        })
                        .is_ok()
                });
                survives(&what, || tabulated_plane(&target, &[*prior; 2], points).is_ok());
                survives(&what, || tabulated_window(&target, [prior.range(); 2], points).is_ok());
            }
            let all = vec![*prior; dim];
            survives(&what, || prior_starts(&target, &all, 2, 1).is_ok());
            survives(&what, || {
                Bounded::new(&target, &all)
                    .map(|bounded| {
                        let ys = bounded.to_unbounded(&[0.3; 4]);
                        (bounded.to_bounded(&ys), bounded.log_prob(&ys).is_ok())
                    })
                    .is_ok()
            });
        }
    }
    let window = tabulated_window(&Flat(2, 0.), [[1., 0.]; 2], 3);
    assert!(matches!(window, Err(Error::Table { .. })), "bounds the other way round");
    let slice = Slice { width: 0. };
    let chains = sample_chains(&slice, &Flat(1, 0.), &[0.], lengths[1], 1, &pool);
    assert!(matches!(chains, Err(Error::Scale { .. })), "a slice without a width");
}

#[test]
fn a_posterior_at_the_wrong_number_of_parameters_is_an_error() {
    let mut store = mflow_bijectors::ParamStore::new(1, DType::F64, &Device::Cpu);
    let model = ModelConfig::af(2).with_context(2).build(&mut store, |_| false).unwrap();
    let pool = Pool::new(1).unwrap();
    let of = Evaluated { model: model.as_ref(), pool: &pool };
    let prior = [Prior::Normal { mean: 0., std: 1. }; 2];
    let posterior = Posterior::new(of, &prior, &[0.5; 4]).unwrap();
    assert!(posterior.log_prob(&[0.1, 0.2]).is_ok(), "two parameters");
    for theta in [&[][..], &[0.1], &[0.1, 0.2, 0.3], &[0.1; 4]] {
        let rows = |result: Result<f64>| matches!(result, Err(Error::Rows { cols: 2, .. }));
        assert!(rows(posterior.log_prob(theta)), "{theta:?}");
        assert!(rows(posterior.log_prob_and_gradient(theta, &mut [0.; 2])), "{theta:?}");
        let mut gradient = vec![0.; theta.len()];
        assert!(rows(posterior.log_prob_and_gradient(&[0.1, 0.2], &mut gradient)), "{theta:?}");
    }
}

#[test]
fn pictures_and_features_of_no_images_and_of_images_without_end_are_refused() {
    for shape in
        [[0; 3], [1, 1, 2], [usize::MAX, 2, 1], [usize::MAX / 2 + 2, 2, 1], [usize::MAX, 1, 3]]
    {
        survives("images", || {
            (Images::new(&[], shape).is_ok(), Images::new(&[1.; 2], shape).is_ok())
        });
    }
    let images = Images::new(&[1.; 4], [2, 2, 1]).unwrap();
    for columns in [0, 1 << 28, 1 << 40, usize::MAX] {
        assert!(sheet_of_images(images, columns).is_err(), "{columns} columns");
    }
    let long = [0.; 70_000];
    let long = Images::new(&long, [70_000, 1, 1]).unwrap();
    assert!(animation_of_images(long).is_err(), "more lines than a GIF has");
    let shape = ImageShape { height: usize::MAX, width: 2, channels: 3, range: [0., 1.] };
    assert_eq!(shape.pixels(), usize::MAX, "as many as can be counted");
    let sample = Sample::new(&[1.; 4], 2).unwrap();
    assert!(RawFeatures { pixels: 3 }.of(sample).is_err(), "of another size");
}
