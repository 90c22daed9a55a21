//! The losses and their gradients. Oracle: central differences of the loss in every layer's
//! parameters, in f64; values from the model's own public functions and plain sums.
use crate::toy::{Toy, device, numbers, small_flow};
use mflow_bijectors::{Activation, NetConfig, ParamStore, Stream, host};
use mflow_core::ModelConfig;
use mflow_core::candle::{DType, Tensor};
use mflow_train::{
    Compare, Distance, Guide, Loss, Phase, Pool, Rows, SgdConfig, SinkhornConfig, Unit,
    WeightedLoss, sinkhorn,
};
use std::collections::BTreeMap;

/// A phase of one update on all groups that subtracts the gradient, or with a rate of 0 nothing.
fn phase(losses: Vec<WeightedLoss>, rate: f64) -> Phase {
    let mut phase = Phase::new("all", &["*"], losses, 1);
    let mut sgd = SgdConfig::default();
    (sgd.learning_rate, sgd.momentum) = (rate, 0.);
    (phase.optimizer, phase.batch_size, phase.clip_norm) = (sgd.into(), 1000, 0.);
    phase.lr_schedule = mflow_train::LrSchedule::Constant;
    phase.keep = mflow_train::Keep::Last;
    phase
}

/// Those of the rows that train a ratio estimator.
const LABELS: [f64; 12] = [1., 1., 0., 0., 1., 0., 1., 0., 0., 1., 0., 1.];

/// The model on bent data in space, with a context and joint scores if it wants them.
pub(crate) fn toy(model: ModelConfig, losses: Vec<WeightedLoss>, rate: f64) -> Toy {
    let rows = 12;
    let mut stream = Stream::new(1, "losses");
    let (u, c) = (stream.normal(2 * rows), stream.uniform(rows, -1., 1.));
    let point = |(u, c): (&[f64], &f64)| [u[0], 0.5 * u[1] + 0.3 * c, (u[0] + c).sin()];
    let x: Vec<f64> = u.chunks(2).zip(&c).flat_map(point).collect();
    let context = (model.sizes.context_dim > 0).then_some((c, 1));
    let conditional = context.is_some();
    let of_ratios = model.name() == "ratio";
    let mut data = Rows::new(x, 3, context, DType::F64, device()).unwrap();
    if conditional {
        data = data.with_scores(stream.normal(rows)).unwrap();
    }
    if of_ratios {
        let mut log_ratios = stream.normal(rows);
        (log_ratios[1], log_ratios[2]) = (50., -50.);
        data = data.with_ratios(&log_ratios, &LABELS).unwrap();
    }
    let base = Toy::parabola(4, vec![phase(losses, rate)]);
    // All rows train: what validates is never looked at.
    Toy { model, validation: Some(data.clone()), data, weights: 2, ..base }
}

/// Parameters well away from the start, where many gradients vanish.
pub(crate) fn store(toy: &Toy) -> ParamStore {
    let mut store = toy.store();
    toy.model.build(&mut store, |_| true).unwrap();
    let noise = |(name, old): (String, Tensor)| {
        let scale = match old.dims() {
            [_, inputs] => 0.7 / (*inputs as f64).sqrt(),
            _ => 0.2,
        };
        let mut stream = Stream::new(3, &name);
        let t = stream.normal_tensor(old.dims(), DType::F64, device()).unwrap();
        (name, (t * scale).unwrap())
    };
    let named: BTreeMap<_, _> = store.to_named().unwrap().into_iter().map(noise).collect();
    store.assign(&named).unwrap();
    store
}

/// The loss of the first update.
fn value(toy: &Toy, store: &mut ParamStore) -> f64 {
    let mut record = crate::toy::Record::default();
    let stop = std::sync::atomic::AtomicBool::new(false);
    toy.train(store, None, &mut record, &stop).unwrap();
    record.losses[0]
}

pub(crate) fn small(model: ModelConfig) -> ModelConfig {
    let net = NetConfig::new(6, 1).with_activation(Activation::Silu);
    model.with_outer(small_flow()).with_inner(small_flow()).with_networks(net)
}

#[test]
fn gradients_are_differences() {
    let sink = |compare| Loss::Sinkhorn { blur: 1., scaling: 0.998, compare };
    let beta = 0.3;
    let smooth = Loss::Reconstruction { distance: Distance::SmoothL1 { beta } };
    let m = || small(ModelConfig::m_flow(3, 2));
    let conditional = |model: ModelConfig| small(model).with_context(1);
    let cases: Vec<(&str, ModelConfig, Vec<Loss>)> = vec![
        ("reconstruction", m(), vec![Loss::reconstruction()]),
        ("smooth L1", m(), vec![smooth]),
        ("coordinates", m(), vec![Loss::coordinate_likelihood()]),
        ("exact likelihood", m(), vec![Loss::likelihood()]),
        (
            "joint",
            conditional(ModelConfig::m_flow(3, 2)),
            vec![Loss::reconstruction(), Loss::likelihood()],
        ),
        (
            "conditional manifold",
            conditional(ModelConfig::m_flow(3, 2)).with_conditional_manifold(),
            vec![Loss::likelihood()],
        ),
        ("latents", m(), vec![Loss::LatentNorm {}]),
        ("guided", m(), vec![Loss::Guided { by: Guide::Isomap }]),
        (
            "guided networks",
            small(ModelConfig::free_form(3, 2)),
            vec![Loss::Guided { by: Guide::Isomap }, Loss::reconstruction()],
        ),
        (
            "encoder",
            small(ModelConfig::me_flow(3, 2)),
            vec![Loss::reconstruction(), Loss::likelihood()],
        ),
        ("AF", conditional(ModelConfig::af(3)), vec![Loss::likelihood()]),
        ("PIE", conditional(ModelConfig::pie(3, 2)), vec![Loss::likelihood()]),
        (
            "PAE",
            small(ModelConfig::pae(3, 2)),
            vec![Loss::reconstruction(), Loss::coordinate_likelihood()],
        ),
        (
            "free-form",
            conditional(ModelConfig::free_form(3, 2)),
            vec![Loss::reconstruction(), Loss::likelihood()],
        ),
        ("VAE", conditional(ModelConfig::vae(3, 2)), vec![Loss::surrogate()]),
        ("RIF", small(ModelConfig::rif(3, 2)), vec![Loss::surrogate()]),
        ("score", conditional(ModelConfig::m_flow(3, 2)), vec![Loss::Score {}]),
        ("score of AF", conditional(ModelConfig::af(3)), vec![Loss::Score {}]),
        (
            "score of PIE",
            conditional(ModelConfig::pie(3, 2)).with_conditional_manifold(),
            vec![Loss::Score {}, Loss::likelihood()],
        ),
        ("ratio", small(ModelConfig::ratio(3, 1)), vec![Loss::Ratio {}]),
        ("score of a ratio", small(ModelConfig::ratio(3, 1)), vec![Loss::Score {}]),
        ("ALICES", small(ModelConfig::ratio(3, 1)), vec![Loss::Ratio {}, Loss::Score {}]),
        ("divergence", m(), vec![sink(Compare::X)]),
        (
            "divergence with contexts",
            conditional(ModelConfig::m_flow(3, 2)),
            vec![sink(Compare::XAndContext), Loss::reconstruction()],
        ),
    ];
    for (what, model, losses) in cases {
        let weighted: Vec<WeightedLoss> =
            losses.into_iter().enumerate().map(|(i, l)| l.weighted(1.5 + i as f64)).collect();
        let step = toy(model.clone(), weighted.clone(), 1.);
        let still = toy(model, weighted, 0.);
        let mut moved = store(&step);
        let names: Vec<String> = moved.parameters().map(|p| p.name.clone()).collect();
        let before: Vec<Vec<f64>> =
            moved.parameters().map(|p| numbers(p.var.as_tensor())).collect();
        let loss = value(&step, &mut moved);
        assert!(loss.is_finite(), "{what}: {loss}");
        let after: Vec<Vec<f64>> = moved.parameters().map(|p| numbers(p.var.as_tensor())).collect();
        // The gradient of a divergence is that of converged potentials; these are nearly so.
        let tolerance = if what.starts_with("divergence") { 2e-4 } else { 2e-5 };
        let (mut compared, mut largest) = (0, 0_f64);
        let of_each = if names.len() == 1 { 16 } else { 4 };
        for (k, name) in names.iter().enumerate() {
            let n = before[k].len();
            for i in (0..n).step_by((n / of_each).max(1)) {
                let gradient = before[k][i] - after[k][i];
                let at = |by: f64| {
                    let mut store = store(&still);
                    let mut values = before[k].clone();
                    values[i] += by;
                    let parameter = store.parameters().nth(k).unwrap().clone();
                    let t = Tensor::from_vec(values, n, device()).unwrap();
                    parameter.var.set(&t).unwrap();
                    value(&still, &mut store)
                };
                let h = 1e-5;
                let expected = (at(h) - at(-h)) / (2. * h);
                let gap = (gradient - expected).abs();
                assert!(
                    gap < tolerance * (1. + expected.abs()) * (1. + loss.abs()).min(30.),
                    "{what}, {name}[{i}]: {gradient}, by differences {expected}"
                );
                (compared, largest) = (compared + 1, largest.max(expected.abs()));
            }
        }
        assert!(compared >= 8 && largest > 1e-3, "{what}: {compared} entries up to {largest}");
    }
}

#[test]
fn values_are_those_of_the_model() {
    let model = small(ModelConfig::m_flow(3, 2)).with_context(1);
    let of = |loss: Loss| {
        let toy = toy(model.clone(), vec![loss.weighted(2.)], 0.);
        let mut store = store(&toy);
        (value(&toy, &mut store), toy)
    };
    let (_, at) = of(Loss::reconstruction());
    let mut store = store(&at);
    let built = model.build(&mut store, |_| false).unwrap();
    let all = at.data.all();
    let (x, context) = (&all.x, all.context.as_ref());
    let rows = 12.;
    let mean = |t: Tensor| numbers(&t).iter().sum::<f64>() / rows;
    let check = |what: &str, loss: Loss, expected: f64| {
        let found = of(loss).0 / 2.;
        let gap = (found - expected).abs();
        assert!(gap < 1e-10 * (1. + expected.abs()), "{what}: {found}, expected {expected}");
    };
    let log_prob = mean(built.log_prob(x, context).unwrap());
    check("likelihood", Loss::likelihood(), -log_prob);
    let unit = Unit::BitsPerDim;
    let bits = -log_prob / (2. * std::f64::consts::LN_2);
    check("bits per dimension", Loss::Likelihood { unit }, bits);
    let u = built.coordinates(x, context).unwrap();
    let of_u = mean(built.coordinate_log_prob(&u, context).unwrap());
    check("coordinates", Loss::coordinate_likelihood(), -of_u);
    let latents = built.latents(x, context).unwrap();
    assert_eq!(latents.dims(), [12, 3], "on and off the manifold");
    check("latents", Loss::LatentNorm {}, mean(latents.sqr().unwrap()) / 3.);
    let difference = numbers(&(built.project(x, context).unwrap() - x).unwrap());
    let smooth = |beta: f64| {
        let of = |d: &f64| match d.abs() < beta {
            true => d * d / (2. * beta),
            false => d.abs() - beta / 2.,
        };
        difference.iter().map(of).sum::<f64>() / 36.
    };
    for beta in [0.01, 0.5, 100.] {
        let distance = Distance::SmoothL1 { beta };
        check("smooth L1", Loss::Reconstruction { distance }, smooth(beta));
    }
    // The samples of the first update, by the name of their stream, for the contexts in its order.
    let order = Stream::new(at.seed, "shuffle phase 0 epoch 0").permutation(12);
    let batch = mflow_train::RowSource::gather(&at.data, &order).unwrap();
    let (x, context) = (&batch.x, batch.context.as_ref());
    let mut stream = Stream::new(at.seed, "samples phase 0 step 0");
    let latent = built.sample_latent(12, &mut stream).unwrap();
    let samples = built.decode(&latent, context).unwrap();
    let with = |t: &Tensor| Tensor::cat(&[t, context.unwrap()], 1).unwrap();
    let (config, pool) = (SinkhornConfig::new(0.5, 0.8), Pool::new(1).unwrap());
    let of_points = sinkhorn(&config, &samples, x, &pool).unwrap().value;
    let of_both = sinkhorn(&config, &with(&samples), &with(x), &pool).unwrap().value;
    assert!((of_points - of_both).abs() > 1e-3, "contexts tell: {of_points}, {of_both}");
    for (compare, expected) in [(Compare::X, of_points), (Compare::XAndContext, of_both)] {
        check("divergence", Loss::Sinkhorn { blur: 0.5, scaling: 0.8, compare }, expected);
    }
    let (x, context) = (&all.x, all.context.as_ref());
    let score = numbers(&built.score(x, context.unwrap()).unwrap());
    let expected = numbers(all.score.as_ref().unwrap());
    let squares: f64 = score.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum();
    check("score", Loss::Score {}, squares / rows);
}

/// By logarithms of the numbers that the formulas of ALICES have, where they are not too large.
#[test]
fn values_of_ratio_losses_are_their_formulas() {
    let model = small(ModelConfig::ratio(3, 1));
    let of = |loss: Loss| {
        let toy = toy(model.clone(), vec![loss.weighted(2.)], 0.);
        let mut store = store(&toy);
        (value(&toy, &mut store) / 2., toy)
    };
    let (cross_entropy, at) = of(Loss::Ratio {});
    let built = model.build(&mut store(&at), |_| false).unwrap();
    let all = at.data.all();
    let context = all.context.as_ref().unwrap();
    let log_ratio = numbers(&built.log_prob(&all.x, Some(context)).unwrap());
    let joint = numbers(&all.log_ratio().unwrap().unwrap());
    let of_row = |(found, joint): (&f64, &f64)| {
        let [s, true_s] = [found, joint].map(|log| log.exp() / (1. + log.exp()));
        -(true_s * s.ln() + (1. - true_s) * (1. - s).ln())
    };
    let expected = log_ratio.iter().zip(&joint).map(of_row).sum::<f64>() / 12.;
    assert!((cross_entropy - expected).abs() < 1e-12, "{cross_entropy}, expected {expected}");
    // Rows that were drawn at the reference count as rows, but say nothing of the score.
    let score = numbers(&built.score(&all.x, context).unwrap());
    let pairs = score.iter().zip(numbers(all.score.as_ref().unwrap())).zip(LABELS);
    let expected = pairs.map(|((a, b), y)| y * (a - b).powi(2)).sum::<f64>() / 12.;
    let (found, _) = of(Loss::Score {});
    assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
}

#[test]
fn a_score_that_the_data_lack_is_asked_for() {
    let model = small(ModelConfig::m_flow(3, 2)).with_context(1);
    let mut toy = toy(model, vec![Loss::Score {}.weighted(1.)], 0.);
    let all = toy.data.all();
    let plain = Rows::new(
        numbers(&all.x),
        3,
        Some((numbers(all.context.as_ref().unwrap()), 1)),
        DType::F64,
        device(),
    );
    (toy.data, toy.validation) = (plain.unwrap(), None);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let error = toy.train(&mut toy.store(), None, &mut mflow_train::Silent, &stop).unwrap_err();
    assert!(error.to_string().contains("the joint score of each row"), "{error}");
}

/// The exact transport cost between as many points each: the best of all permutations.
fn assignment(x: &[Vec<f64>], y: &[Vec<f64>]) -> f64 {
    fn best(x: &[Vec<f64>], y: &mut Vec<Vec<f64>>) -> f64 {
        let Some((first, rest)) = x.split_first() else { return 0. };
        (0..y.len())
            .map(|j| {
                let taken = y.swap_remove(j);
                let cost: f64 = first.iter().zip(&taken).map(|(a, b)| 0.5 * (a - b).powi(2)).sum();
                let total = cost + best(rest, y);
                // Where it was: swap_remove put the last one there.
                y.push(taken);
                let last = y.len() - 1;
                y.swap(j, last);
                total
            })
            .fold(f64::INFINITY, f64::min)
    }
    best(x, &mut y.to_vec()) / x.len() as f64
}

#[test]
fn a_small_blur_gives_the_cost_of_transport() {
    let mut stream = Stream::new(1, "transport");
    let pool = Pool::new(1).unwrap();
    for d in [1, 2, 3] {
        let mut points = || -> Vec<Vec<f64>> { (0..6).map(|_| stream.normal(d)).collect() };
        let (x, y) = (points(), points());
        let tensor = |p: &[Vec<f64>]| Tensor::from_vec(p.concat(), (6, d), device()).unwrap();
        let config = SinkhornConfig::new(1e-3, 0.99);
        let found = sinkhorn(&config, &tensor(&x), &tensor(&y), &pool).unwrap().value;
        let expected = assignment(&x, &y);
        assert!((found / expected - 1.).abs() < 1e-4, "D = {d}: {found}, exactly {expected}");
    }
}

#[test]
fn a_divergence_vanishes_on_the_diagonal_and_is_symmetric() {
    let mut stream = Stream::new(1, "points");
    let pool = Pool::new(1).unwrap();
    let mut points = |n: usize| Tensor::from_vec(stream.normal(3 * n), (n, 3), device()).unwrap();
    let (x, y) = (points(40), points(30));
    let config = SinkhornConfig::default();
    let of = |x: &Tensor, y: &Tensor| sinkhorn(&config, x, y, &pool).unwrap().value;
    assert!(of(&x, &x).abs() < 1e-12, "of a set from itself");
    let (there, back) = (of(&x, &y), of(&y, &x));
    assert!((there - back).abs() < 1e-10 && there > 0., "{there} and {back}");
    let shifted = |t: &Tensor| (t + 1000.).unwrap();
    let far = of(&shifted(&x), &shifted(&y));
    assert!((far - there).abs() < 1e-9, "differences are all that counts: {far}, {there}");
    let message = |x: &Tensor, y: &Tensor| {
        sinkhorn(&config, x, y, &pool).map(|d| d.value).unwrap_err().to_string()
    };
    let flat = x.narrow(1, 0, 2).unwrap();
    assert!(message(&flat, &y).contains("expected 2 features in both sets, found 3"), "features");
    let single = y.to_dtype(DType::F32).unwrap();
    assert!(message(&x, &single).contains("expected F64 in both sets, found F32"), "dtype");
    let bad = (&y * f64::NAN).unwrap();
    assert!(message(&x, &bad).contains("finite"), "NaN");
    let none = host::zeros((0, 3), DType::F64, device()).unwrap();
    assert!(message(&x, &none).contains("some rows"), "no points");
}
