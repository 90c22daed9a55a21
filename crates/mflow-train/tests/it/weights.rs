//! Weights of rows. Oracle: rows that are repeated as often as integer weights say; gradients as linear functions of
//! weights; no weights at all.
use crate::losses::{small, store, toy};
use crate::toy::{Record, Toy, bits, density, device, manifold, numbers, small_flow};
use mflow_bijectors::{FlowConfig, NetConfig, Norm, Stream};
use mflow_core::ModelConfig;
use mflow_core::candle::{DType, Tensor};
use mflow_train::{
    Attempt, Compare, Distance, EpochMetrics, Error, Guide, Keep, Loss, Observer, Outcome, Points,
    Pool, Progress, RowReader, RowSource, Rows, RunDir, Schedule, Silent, SinkhornConfig,
    SourceError, Stage, Start, Stored, WeightedLoss, sinkhorn,
};
use std::sync::atomic::AtomicBool;

/// The same rows, each so many times, with all that goes with them.
fn repeated(data: &Rows, times: &[usize]) -> Rows {
    let order = times.iter().enumerate().flat_map(|(row, n)| std::iter::repeat_n(row, *n));
    let all = data.gather(&order.collect::<Vec<_>>()).unwrap();
    let context = all.context.as_ref().map(|c| (numbers(c), c.dims()[1]));
    let mut rows =
        Rows::new(numbers(&all.x), data.data_dim(), context, DType::F64, device()).unwrap();
    if let Some(scores) = &all.score {
        rows = rows.with_scores(numbers(scores)).unwrap();
    }
    if let (Some(log_ratios), Some(labels)) = (all.log_ratio().unwrap(), all.label().unwrap()) {
        rows = rows.with_ratios(&numbers(&log_ratios), &numbers(&labels)).unwrap();
    }
    rows
}

fn real(times: &[usize]) -> Vec<f64> {
    times.iter().map(|n| *n as f64).collect()
}

/// The same problem on other rows, which validate too.
fn on(toy: &Toy, data: Rows) -> Toy {
    let (model, config) = (toy.model.clone(), toy.config.clone());
    Toy { model, config, validation: Some(data.clone()), data, ..*toy }
}

fn with_weights(toy: &Toy, weights: &[f64]) -> Toy {
    on(toy, toy.data.clone().with_weights(weights).unwrap())
}

/// Loss, validation loss and gradient in all parameters, of an update that subtracts the gradient.
fn update(toy: &Toy) -> (f64, f64, Vec<f64>) {
    let mut store = store(toy);
    let all = |store: &mflow_bijectors::ParamStore| -> Vec<f64> {
        store.parameters().flat_map(|p| numbers(p.var.as_tensor())).collect()
    };
    let before = all(&store);
    let mut record = Record::default();
    toy.train(&mut store, None, &mut record, &AtomicBool::new(false)).unwrap();
    let gradient = before.iter().zip(all(&store)).map(|(a, b)| a - b).collect();
    (record.losses[0], record.epochs[0].validation_loss, gradient)
}

#[track_caller]
fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let scale = expected.iter().fold(1_f64, |most, v| most.max(v.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "{what}, {i}: {a}, expected {b}");
    }
}

/// All losses, with models that have them.
fn cases() -> Vec<(&'static str, ModelConfig, Vec<Loss>)> {
    let m = || small(ModelConfig::m_flow(3, 2));
    let conditional = |model: ModelConfig| small(model).with_context(1);
    let smooth = Loss::Reconstruction { distance: Distance::SmoothL1 { beta: 0.3 } };
    let sink = Loss::Sinkhorn { blur: 0.5, scaling: 0.8, compare: Compare::X };
    vec![
        ("reconstruction", m(), vec![Loss::reconstruction()]),
        ("smooth L1", m(), vec![smooth]),
        ("coordinates", m(), vec![Loss::coordinate_likelihood()]),
        ("exact likelihood", m(), vec![Loss::likelihood()]),
        (
            "joint",
            conditional(ModelConfig::m_flow(3, 2)),
            vec![Loss::reconstruction(), Loss::likelihood()],
        ),
        ("latents", m(), vec![Loss::LatentNorm {}]),
        ("guided", m(), vec![Loss::Guided { by: Guide::Isomap }, Loss::reconstruction()]),
        ("AF", conditional(ModelConfig::af(3)), vec![Loss::likelihood()]),
        ("VAE", conditional(ModelConfig::vae(3, 2)), vec![Loss::surrogate()]),
        ("RIF", small(ModelConfig::rif(3, 2)), vec![Loss::surrogate()]),
        ("score", conditional(ModelConfig::m_flow(3, 2)), vec![Loss::Score {}]),
        ("ALICES", small(ModelConfig::ratio(3, 1)), vec![Loss::Ratio {}, Loss::Score {}]),
        ("divergence", m(), vec![sink, Loss::reconstruction()]),
    ]
}

fn problem(model: ModelConfig, losses: Vec<Loss>) -> Toy {
    let weighted: Vec<WeightedLoss> =
        losses.into_iter().enumerate().map(|(i, l)| l.weighted(1.5 + i as f64)).collect();
    toy(model, weighted, 1.)
}

/// As many in all as there are rows, so that a divergence has as many samples.
const TIMES: [usize; 12] = [2, 0, 1, 1, 3, 0, 1, 2, 0, 1, 1, 0];

#[test]
fn integer_weights_are_repeated_rows_in_every_loss() {
    for (what, model, losses) in cases() {
        // These draw noise for each row, or look at where rows lie: see the next test.
        if ["VAE", "RIF", "guided"].contains(&what) {
            continue;
        }
        let toy = problem(model, losses);
        // In any unit.
        let weights: Vec<f64> = real(&TIMES).iter().map(|w| 0.3 * w).collect();
        let (loss, validation, gradient) = update(&with_weights(&toy, &weights));
        let (by_rows, validation_by_rows, expected) =
            update(&on(&toy, repeated(&toy.data, &TIMES)));
        assert!(expected.iter().any(|g| g.abs() > 1e-3), "{what}: there is a gradient");
        close(what, &[loss], &[by_rows], 1e-10);
        close(&format!("{what}, gradient"), &gradient, &expected, 1e-10);
        // A divergence compares samples of models that have moved by rounding.
        let found = (validation, validation_by_rows);
        close(&format!("{what}, validation"), &[found.0], &[found.1], 1e-8);
        let (plain, _, _) = update(&toy);
        assert!((plain - loss).abs() > 1e-4, "{what}: weights tell, {plain} and {loss}");
    }
}

#[test]
fn gradients_are_linear_in_weights() {
    let weights = [0.5, 2., 0., 1.25, 0.75, 3., 1., 0.1, 2.5, 0.6, 1.5, 0.9];
    let rest = weights.map(|w| 4. - w);
    for (what, model, losses) in cases() {
        let is_divergence = losses.iter().any(|l| matches!(l, Loss::Sinkhorn { .. }));
        if is_divergence {
            continue;
        }
        let toy = problem(model, losses);
        let of = |weights: &[f64]| {
            let (loss, _, gradient) = update(&with_weights(&toy, weights));
            let total: f64 = weights.iter().sum();
            gradient.into_iter().chain([loss]).map(|v| v * total).collect::<Vec<f64>>()
        };
        let (loss, _, gradient) = update(&toy);
        let plain: Vec<f64> = gradient.into_iter().chain([loss]).map(|v| v * 48.).collect();
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<_>>();
        let parts = (of(&weights), of(&rest));
        close(what, &sum(&parts.0, &parts.1), &plain, 1e-10);
        let half: Vec<f64> = plain.iter().map(|v| v / 2.).collect();
        let gap = parts.0.iter().zip(&half).map(|(a, b)| (a - b).abs()).fold(0., f64::max);
        assert!(gap > 1e-2, "{what}: weights tell");
    }
}

#[test]
fn negative_weights_have_a_sign_in_densities_and_a_size_on_manifolds() {
    let weights = [0.5, 2., -1., 1.25, 0.75, 3., 1., -0.1, 2.5, 0.6, -1.5, 0.9];
    for (what, model, losses) in cases() {
        let toy = problem(model, losses);
        let signed = matches!(what, "coordinates" | "exact likelihood" | "AF" | "score");
        let by_size = matches!(what, "reconstruction" | "smooth L1" | "latents" | "guided");
        let allowed = toy.config.allows_negative_weights();
        assert_eq!(allowed, signed || by_size || what == "joint", "{what}");
        if signed {
            let of = |weights: &[f64]| {
                let (loss, _, gradient) = update(&with_weights(&toy, weights));
                let total: f64 = weights.iter().sum();
                gradient.into_iter().chain([loss]).map(|v| v * total).collect::<Vec<f64>>()
            };
            let expected: Vec<f64> = of(&weights.map(|w| w + 2.))
                .iter()
                .zip(of(&[2.; 12]))
                .map(|(a, b)| a - b)
                .collect();
            close(what, &of(&weights), &expected, 1e-10);
        } else if by_size {
            let (loss, validation, gradient) = update(&with_weights(&toy, &weights));
            let expected = update(&with_weights(&toy, &weights.map(f64::abs)));
            close(what, &[loss, validation], &[expected.0, expected.1], 1e-12);
            close(what, &gradient, &expected.2, 1e-12);
        } else if !allowed {
            let weighted = with_weights(&toy, &weights);
            let error = weighted
                .train(&mut store(&weighted), None, &mut Silent, &AtomicBool::new(false))
                .unwrap_err();
            let loss = toy.config.phases[0].phases()[0].losses[0].loss.name();
            let expected = |found: &str| {
                format!(
                    "data do not fit the model: weights: expected none below 0, for the loss `{loss}` of the \
                     phase `all`, found {found} in row 2"
                )
            };
            let of_config = toy.config.check_weights(&weights).unwrap_err();
            assert_eq!(of_config.to_string(), expected("-1"), "{what}, before a fit");
            assert!(matches!(error, Error::Data { what: "weights", .. }), "{error:?}");
            let relative = weighted.data.weights().unwrap()[2];
            let found = format!("{relative} times the mean size");
            assert_eq!(error.to_string(), expected(&found), "{what}");
        }
    }
}

/// By hand: samples at the contexts of rows count as much as the rows.
#[test]
fn samples_with_contexts_have_the_weights_of_their_rows() {
    let model = small(ModelConfig::m_flow(3, 2)).with_context(1);
    let loss = Loss::Sinkhorn { blur: 0.5, scaling: 0.8, compare: Compare::XAndContext };
    let toy = with_weights(&toy(model, vec![loss.weighted(2.)], 0.), &real(&TIMES));
    let (found, _, _) = update(&toy);
    let built = toy.model.build(&mut store(&toy), |_| false).unwrap();
    let order = Stream::new(toy.seed, "shuffle phase 0 epoch 0").permutation(12);
    let batch = toy.data.gather(&order).unwrap();
    let mut stream = Stream::new(toy.seed, "samples phase 0 step 0");
    let latent = built.sample_latent(12, &mut stream).unwrap();
    let context = batch.context.as_ref().unwrap();
    let samples = built.decode(&latent, Some(context)).unwrap();
    let with = |t: &Tensor| {
        let t = Tensor::cat(&[t, context], 1).unwrap();
        let rows = t.to_vec2::<f64>().unwrap().into_iter().zip(&order);
        let rows: Vec<f64> =
            rows.flat_map(|(row, i)| std::iter::repeat_n(row, TIMES[*i]).flatten()).collect();
        Tensor::from_vec(rows, (12, 4), device()).unwrap()
    };
    let (x, y, pool) = (with(&samples), with(&batch.x), Pool::new(1).unwrap());
    let expected = sinkhorn(&SinkhornConfig::new(0.5, 0.8), &x, &y, &pool).unwrap().value;
    close("divergence", &[found], &[2. * expected], 1e-10);
}

#[test]
fn weighted_points_are_repeated_points() {
    let mut stream = Stream::new(1, "points");
    let pool = Pool::new(1).unwrap();
    let (a, b) = (stream.normal(12 * 3), stream.normal(12 * 3));
    // A point without weight is not there, however far it is.
    let (mut a, mut b) = (a, b);
    (a[1 * 3], b[5 * 3]) = (1e3, -1e3);
    for dtype in [DType::F64, DType::F32] {
        let tensor = |v: Vec<f64>, shape: &[usize]| {
            Tensor::from_vec(v, shape, device()).unwrap().to_dtype(dtype).unwrap()
        };
        let (x, y) = (tensor(a.clone(), &[12, 3]), tensor(b.clone(), &[12, 3]));
        let again = |v: &[f64]| {
            let rows = v.chunks(3).zip(TIMES);
            tensor(rows.flat_map(|(row, n)| row.repeat(n)).collect(), &[12, 3])
        };
        let weights = tensor(real(&TIMES).iter().map(|w| w * 1e-3).collect(), &[12]);
        let config = SinkhornConfig::default();
        let points = |x| Points { x, weights: Some(&weights) };
        let found = sinkhorn(&config, points(&x), points(&y), &pool).unwrap();
        let expected = sinkhorn(&config, &again(&a), &again(&b), &pool).unwrap();
        let tolerance = if dtype == DType::F64 { 1e-12 } else { 1e-5 };
        close("value", &[found.value], &[expected.value], tolerance);
        // Of each row the sum over its copies.
        let mut rows = numbers(&expected.gradient)
            .chunks(3)
            .map(<[f64]>::to_vec)
            .collect::<Vec<_>>()
            .into_iter();
        let of_row = TIMES.iter().flat_map(|n| {
            rows.by_ref()
                .take(*n)
                .fold(vec![0.; 3], |sum, row| sum.iter().zip(row).map(|(a, b)| a + b).collect())
        });
        let of_row: Vec<f64> = of_row.collect();
        close("gradient", &numbers(&found.gradient), &of_row, tolerance);
        let message = |weights: &[f64]| {
            let weights = tensor(weights.to_vec(), &[weights.len()]);
            let y = Points { x: &y, weights: Some(&weights) };
            sinkhorn(&config, &x, y, &pool).unwrap_err().to_string()
        };
        for (weights, part) in [
            (vec![1.; 11], "expected 12 values, one a point, found 11"),
            (vec![0.; 12], "expected one above 0, at least, found 0 in every row"),
            ([vec![1.; 11], vec![-0.5]].concat(), "not below 0, found -0.5 in row 11"),
            ([vec![f64::NAN], vec![1.; 11]].concat(), "not below 0, found NaN in row 0"),
        ] {
            assert!(message(&weights).contains(part), "{}", message(&weights));
        }
    }
}

/// All phases on one batch an epoch.
fn whole(mut toy: Toy) -> Toy {
    for phase in toy.config.phases.iter_mut().flat_map(Stage::phases_mut) {
        phase.batch_size = 10_000;
    }
    toy
}

/// A fit to rows with weights, and the numbers that it is told by: parameters and buffers, losses.
fn fit(toy: &Toy) -> (Vec<f64>, Vec<f64>) {
    let (store, record) = toy.finish();
    let named = store.to_named().unwrap();
    let all = named.values().flat_map(numbers).collect();
    let of = |e: &EpochMetrics| [e.train_loss, e.validation_loss];
    (all, record.epochs.iter().flat_map(of).collect())
}

/// Fits that look at the data in all ways: layers that observe, coordinates that are found once, a divergence.
fn fits(rows: usize) -> Vec<(&'static str, Toy)> {
    let norm = |layers| {
        let mut flow = FlowConfig::real_nvp();
        (flow.layers, flow.norm, flow.net) = (layers, Norm::ActNorm, NetConfig::new(8, 1));
        flow
    };
    let mut quantiles = small_flow();
    quantiles.gaussianize = true;
    let m_flow = ModelConfig::m_flow(2, 1).with_outer(norm(2)).with_inner(quantiles.clone());
    let af = ModelConfig::af(2).with_inner(quantiles);
    let plain = ModelConfig::m_flow(2, 1).with_outer(small_flow()).with_inner(small_flow());
    let cases = [
        ("sequential", m_flow.clone(), Schedule::Sequential),
        ("alternating", m_flow.clone(), Schedule::Alternating),
        ("simultaneous", m_flow, Schedule::Simultaneous),
        ("AF", af, Schedule::Likelihood),
        ("OT", plain, Schedule::Ot),
    ];
    let of = |(what, model, schedule): (_, ModelConfig, Schedule)| {
        let base = Toy::parabola(rows, vec![manifold(1)]);
        let normalization = base.model.normalization().unwrap().clone();
        let mut config = schedule.config(&model, 6).unwrap();
        config.shards = 2;
        let model = model.with_normalization(normalization);
        (what, whole(Toy { model, config, ..base }))
    };
    cases.map(of).into()
}

#[test]
fn whole_fits_are_those_of_repeated_rows() {
    for (what, toy) in fits(60) {
        let times: Vec<usize> = (0..60).map(|i| TIMES[i % 12]).collect();
        let weighted = fit(&with_weights(&toy, &real(&times)));
        let expected = fit(&on(&toy, repeated(&toy.data, &times)));
        close(&format!("{what}, parameters"), &weighted.0, &expected.0, 1e-8);
        close(&format!("{what}, losses"), &weighted.1, &expected.1, 1e-9);
        let plain = fit(&on(&toy, toy.data.clone()));
        let gap = plain.0.iter().zip(&weighted.0).map(|(a, b)| (a - b).abs()).fold(0., f64::max);
        assert!(gap > 1e-4, "{what}: weights tell, {gap:e}");
        if what == "OT" {
            continue;
        }
        // Of another number of rows, which a divergence would compare with another number of samples.
        let times: Vec<usize> = (0..60).map(|i| 1 + i % 3).collect();
        let weighted = fit(&with_weights(&toy, &real(&times)));
        let expected = fit(&on(&toy, repeated(&toy.data, &times)));
        close(&format!("{what}, more rows"), &weighted.0, &expected.0, 1e-8);
    }
}

#[test]
fn shards_change_rounding_only() {
    let weights = Stream::new(1, "weights").uniform(200, 0., 3.);
    for (what, mut toy) in fits(200) {
        toy.data = toy.data.with_weights(&weights).unwrap();
        let mut of = |shards: usize| {
            toy.config.shards = shards;
            fit(&toy)
        };
        let (one, three) = (of(1), of(3));
        close(&format!("{what}, parameters"), &three.0, &one.0, 1e-8);
        close(&format!("{what}, losses"), &three.1, &one.1, 1e-9);
        assert_ne!(one.1, three.1, "{what}: the batch is cut");
    }
}

#[test]
fn equal_weights_are_none_to_the_bit() {
    for dtype in [DType::F64, DType::F32] {
        for (what, toy) in fits(120) {
            let x = numbers(&toy.data.all().x);
            let plain = || Rows::new(x.clone(), 2, None, dtype, device()).unwrap();
            let of = |data: Rows| {
                let (model, config) = (toy.model.clone(), toy.config.clone());
                let (store, record) = Toy { data, dtype, model, config, ..toy_of(&toy) }.finish();
                (bits(&store, ""), record.losses, record.epochs)
            };
            let expected = of(plain());
            for weight in [1., 2.5] {
                let found = of(plain().with_weights(&[weight; 120]).unwrap());
                assert!(found == expected, "{what}, {dtype:?}: weights of {weight} are none");
            }
        }
    }
}

/// The numbers of a problem, without what it is about.
fn toy_of(toy: &Toy) -> Toy {
    let base = Toy::parabola(4, vec![manifold(1)]);
    Toy { seed: toy.seed, weights: toy.weights, threads: toy.threads, ..base }
}

/// Numbers that are read when they are asked for.
#[derive(Debug)]
struct Table(Vec<f64>, usize);

impl RowReader for Table {
    fn rows(&self) -> usize {
        self.0.len() / self.1
    }
    fn cols(&self) -> usize {
        self.1
    }
    fn read(&self, rows: &[usize]) -> Result<Vec<f64>, SourceError> {
        Ok(rows.iter().flat_map(|r| self.0[r * self.1..][..self.1].to_vec()).collect())
    }
}

#[test]
fn weights_go_with_their_rows_wherever_these_are() {
    let x: Vec<f64> = (0..12).map(f64::from).collect();
    let plain = || Rows::new(x.clone(), 2, None, DType::F32, device()).unwrap();
    let weights = [1., 5., 0., 2., 3., 1.];
    let rows = plain().with_weights(&weights).unwrap();
    let stored = || Stored::new(Box::new(Table(x.clone(), 2)), None, DType::F32, device()).unwrap();
    let of_file = stored().with_weights(&weights).unwrap();
    assert_eq!(rows.fingerprint(), of_file.fingerprint(), "the same data");
    assert_eq!(rows.weights().unwrap(), [0.5, 2.5, 0., 1., 1.5, 0.5], "in units of their mean");
    assert_eq!(rows.weights(), of_file.weights(), "all of them");
    for source in [&rows as &dyn RowSource, &of_file] {
        let batch = source.gather(&[1, 4, 1, 0]).unwrap();
        let weights = batch.weights.as_ref().unwrap();
        assert_eq!((weights.dtype(), weights.dims()), (DType::F32, &[4][..]), "as the rows");
        assert_eq!(numbers(weights), [2.5, 1.5, 2.5, 0.5], "of these rows");
        let part = batch.narrow(1, 2).unwrap();
        assert_eq!(numbers(&part.weights.unwrap()), [1.5, 2.5], "of a part");
    }
    assert!(plain().weights().is_none() && plain().all().weights.is_none(), "none");
    // What a resumed run must share.
    let others = [
        plain().fingerprint(),
        plain().with_weights(&[1., 5., 0., 2., 3., 2.]).unwrap().fingerprint(),
    ];
    assert!(!others.contains(&rows.fingerprint()), "weights are part of the data");
    // Too small and too large for single precision, but their ratios are not.
    for unit in [1e-60, 1e60] {
        let rows = plain().with_weights(&weights.map(|w| w * unit)).unwrap();
        close("any unit", rows.weights().unwrap(), &[0.5, 2.5, 0., 1., 1.5, 0.5], 1e-14);
    }
    let bad = |weights: &[f64]| {
        let error = stored().with_weights(weights).unwrap_err().to_string();
        let in_memory = plain().with_weights(weights).unwrap_err();
        assert!(matches!(in_memory, Error::Data { what: "weights", .. }), "{in_memory:?}");
        assert_eq!(error, in_memory.to_string(), "the same message");
        error
    };
    for (weights, expected) in [
        (vec![1.; 5], "expected 6 values, one a row, found 5"),
        (vec![1., 1., 1., f64::NAN, 1., 1.], "expected finite numbers, found NaN in row 3"),
        (vec![f64::INFINITY; 6], "expected finite numbers, found inf in row 0"),
        (vec![0.; 6], "expected one that is not 0, at least, found 0 in every row"),
        (vec![1., 1., 1., -1., -1., -1.], "expected a positive and finite sum, found 0"),
        (vec![-1., 0., 0., 0., 0., 0.5], "expected a positive and finite sum, found -0.5"),
        (vec![1e308; 6], "expected a positive and finite sum, found inf"),
    ] {
        assert_eq!(bad(&weights), format!("data do not fit the model: weights: {expected}"));
    }
}

#[test]
fn rows_on_disk_train_as_those_in_memory() {
    let toy = Toy::parabola(90, vec![manifold(2), density(2)]);
    let weights = Stream::new(1, "weights").uniform(90, 0., 3.);
    let x = numbers(&toy.data.all().x);
    let stored = Stored::new(Box::new(Table(x, 2)), None, DType::F64, device()).unwrap();
    let stored = stored.with_weights(&weights).unwrap();
    let toy = Toy { data: toy.data.with_weights(&weights).unwrap(), ..toy };
    let (expected, record) = toy.finish();
    let (mut store, mut found) = (toy.store(), Record::default());
    let outcome = mflow_train::Trainer {
        model: &toy.model,
        store: &mut store,
        data: &stored,
        validation: None,
        config: &toy.config,
        seed: toy.seed,
        pool: &Pool::new(1).unwrap(),
        run: None,
    }
    .run(&mut found, &AtomicBool::new(false));
    assert_eq!(outcome.unwrap(), Outcome::Finished, "nobody stops it");
    assert_eq!(bits(&store, ""), bits(&expected, ""), "to the bit");
    assert_eq!(found.epochs, record.epochs, "and so are the losses");
}

/// Remembers attempts.
#[derive(Default)]
struct Attempts(Vec<Attempt>);

impl Observer for Attempts {
    fn batch(&mut self, _: Progress<'_>) {}
    fn epoch(&mut self, _: &EpochMetrics) {}
    fn attempt(&mut self, attempt: &Attempt) {
        self.0.push(attempt.clone());
    }
}

#[test]
fn rows_without_weight_do_not_judge_a_manifold() {
    let mut phase = manifold(2);
    phase.keep = Keep::Last;
    let toy = Toy::parabola(200, vec![phase]);
    let error = |validation: Rows| {
        let (data, model, config) = (toy.data.clone(), toy.model.clone(), toy.config.clone());
        let validation = Some(validation);
        let toy = Toy { data, model, config, validation, ..toy_of(&toy) };
        let mut attempts = Attempts::default();
        toy.train(&mut toy.store(), None, &mut attempts, &AtomicBool::new(false)).unwrap();
        attempts.0[0].error
    };
    let mut x = numbers(&toy.data.all().x);
    let plain = error(toy.data.clone());
    x.extend([50., -50., 80., 3.]);
    let with_strays = || Rows::new(x.clone(), 2, None, DType::F64, device()).unwrap();
    let weights: Vec<f64> = (0..202).map(|i| if i < 200 { 1. } else { 0. }).collect();
    let weighted = error(with_strays().with_weights(&weights).unwrap());
    assert!((weighted / plain - 1.).abs() < 1e-12, "{weighted}, without them {plain}");
    assert!(error(with_strays()) > 2. * plain, "they tell");
    // A row with a negative weight is on the manifold too.
    let signed: Vec<f64> = (0..200).map(|i| if i % 3 == 0 { -1. } else { 1. }).collect();
    let by_size = error(toy.data.clone().with_weights(&signed).unwrap());
    assert!((by_size / plain - 1.).abs() < 1e-12, "{by_size}, by size {plain}");
}

#[test]
fn a_share_of_the_rows_without_weight_is_refused() {
    // One trains, one validates.
    let toy = Toy::parabola(2, vec![density(1)]);
    for weights in [[1., 0.], [0., 1.]] {
        let data = toy.data.clone().with_weights(&weights).unwrap();
        let (model, config) = (toy.model.clone(), toy.config.clone());
        let toy = Toy { data, model, config, ..toy_of(&toy) };
        let error =
            toy.train(&mut toy.store(), None, &mut Silent, &AtomicBool::new(false)).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, Error::Data { .. }), "{error:?}");
        assert!(
            message.contains("weights of the") && message.contains("expected a positive sum"),
            "{message}"
        );
    }
}

#[test]
fn a_run_goes_on_with_the_same_weights_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let start = |weights: Option<f64>| {
        let toy = Toy::parabola(40, vec![density(1)]);
        let data = match weights {
            Some(first) => {
                let weights: Vec<f64> = (0..40).map(|i| if i == 0 { first } else { 1. }).collect();
                toy.data.clone().with_weights(&weights).unwrap()
            }
            None => toy.data.clone(),
        };
        let toy = Toy { data, ..toy };
        let run = RunDir::open(&path, true).unwrap();
        toy.train(&mut toy.store(), Some(&run), &mut Silent, &AtomicBool::new(false))
    };
    assert_eq!(start(Some(2.)).unwrap(), Outcome::Finished, "a run");
    assert_eq!(start(Some(2.)).unwrap(), Outcome::Finished, "the same again");
    for other in [Some(3.), None] {
        let error = start(other).unwrap_err();
        assert!(
            matches!(&error, Error::ResumeMismatch { field, .. } if field == "data"),
            "{error:?}"
        );
    }
}

#[test]
fn guided_starts_train_with_weights() {
    let mut toy = Toy::parabola(80, vec![manifold(4), density(1)]);
    let (model, config) = Start::Unrolled.apply(toy.model, toy.config, &[]).unwrap();
    (toy.model, toy.config) = (model, config);
    let weights = Stream::new(1, "weights").uniform(80, 0.5, 3.);
    let of = |data: Rows| {
        let (model, config) = (toy.model.clone(), toy.config.clone());
        Toy { data, model, config, ..toy_of(&toy) }.finish().1.losses
    };
    let plain = of(toy.data.clone());
    let weighted = of(toy.data.clone().with_weights(&weights).unwrap());
    assert_eq!(plain.len(), weighted.len(), "as many updates");
    assert!((plain[0] / weighted[0] - 1.).abs() > 1e-4, "weights tell in the guided phase");
}
