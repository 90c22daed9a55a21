//! Where manifolds start. Oracle: the parameter of a curve that the rows were made from; principal components.
use crate::toy::{Record, Toy, device, manifold, numbers};
use mflow_bijectors::{Activation, NetConfig, Stream};
use mflow_core::candle::DType;
use mflow_core::{ChartConfig, ModelConfig, PrincipalAxes, standardize};
use mflow_train::{Guide, Loss, Phase, Pool, Rows, Schedule, Stage, Start, TrainConfig, Trainer};
use std::sync::atomic::AtomicBool;

/// A helix of three turns at these parameters.
fn helix(rows: usize) -> (Vec<f64>, Vec<f64>) {
    let t = Stream::new(1, "helix").uniform(rows, 0., 18.8);
    let x = t.iter().flat_map(|t| [t.cos(), t.sin(), t / 6.]).collect();
    (t, x)
}

/// Networks that learn it, and one phase.
fn on_helix(rows: usize, phase: Phase) -> (Vec<f64>, Toy) {
    let (t, x) = helix(rows);
    let net = NetConfig::new(32, 2).with_activation(Activation::Silu);
    let model = ModelConfig::free_form(3, 1)
        .with_networks(net)
        .with_normalization(standardize(&x, 3).unwrap());
    let data = Rows::new(x, 3, None, DType::F64, device()).unwrap();
    (t, Toy { model, data, ..Toy::parabola(20, vec![phase]) })
}

fn guided(by: Guide, epochs: usize) -> Phase {
    let losses = vec![Loss::Guided { by }.weighted(1000.)];
    let mut phase = Phase::new("start", &["encoder", "decoder"], losses, epochs);
    phase.batch_size = 50;
    phase.optimizer.set_learning_rate(0.005);
    phase
}

/// Spearman's rank correlation.
fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |v: &[f64]| -> Vec<f64> {
        let mut order: Vec<usize> = (0..v.len()).collect();
        order.sort_by(|&i, &j| v[i].total_cmp(&v[j]));
        let mut ranks = vec![0.; v.len()];
        order.iter().enumerate().for_each(|(rank, &i)| ranks[i] = rank as f64);
        ranks
    };
    let n = a.len() as f64;
    let squares = ranks(a).iter().zip(ranks(b)).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    1. - 6. * squares / (n * (n * n - 1.))
}

#[test]
fn guided_coordinates_run_along_the_curve() {
    for by in [Guide::Isomap, Guide::TangentAlignment] {
        let (t, toy) = on_helix(400, guided(by, 60));
        let (mut store, record) = toy.finish();
        let (first, last) = (&record.epochs[0], &record.epochs[59]);
        assert!(last.validation_loss < 0.02 * first.validation_loss, "{first:?}, {last:?}");
        let model = toy.model.build(&mut store, |_| false).unwrap();
        let u = numbers(&model.coordinates(&toy.data.all().x, None).unwrap());
        let found = rank_correlation(&u, &t).abs();
        assert!(found > 0.999, "{by:?}: rank correlation {found}");
        let spread = (u.iter().map(|u| u * u).sum::<f64>() / u.len() as f64).sqrt();
        assert!((1.3..1.7).contains(&spread), "inside of the box of splines: {spread}");
    }
}

#[test]
fn an_autoencoder_guides_a_flow() {
    let mut toy = Toy::parabola(300, vec![manifold(30)]);
    let (model, config) = Start::Autoencoder.apply(toy.model, toy.config, &[]).unwrap();
    (toy.model, toy.config) = (model, config);
    toy.config.phases.truncate(1);
    let t: Vec<f64> = numbers(&toy.data.all().x).chunks(2).map(|x| x[0]).collect();
    let (mut store, _) = toy.finish();
    let model = toy.model.build(&mut store, |_| false).unwrap();
    let u = numbers(&model.coordinates(&toy.data.all().x, None).unwrap());
    assert!(rank_correlation(&u, &t).abs() > 0.9, "{}", rank_correlation(&u, &t));
}

#[test]
fn a_guided_start_is_a_phase_of_the_epochs_of_the_manifold() {
    let model = ModelConfig::m_flow(3, 2);
    let plain = Schedule::Sequential.config(&model, 100).unwrap();
    let (same, guided) = Start::Unrolled.apply(model.clone(), plain.clone(), &[]).unwrap();
    assert_eq!(same, model, "the model is as it was");
    let of = |train: &TrainConfig| -> Vec<(String, usize)> {
        train.phases.iter().map(|s| (s.name(), s.rounds())).collect()
    };
    let name = |s: &str| s.to_owned();
    assert_eq!(of(&plain), [(name("manifold"), 50), (name("density"), 50)]);
    let expected = [(name("start"), 15), (name("manifold"), 35), (name("density"), 50)];
    assert_eq!(of(&guided), expected, "together as many");
    let [start, manifold] = [&guided.phases[0], &guided.phases[1]].map(|s| &s.phases()[0]);
    assert_eq!((&start.trains, start.ema), (&manifold.trains, manifold.ema));
    assert_eq!(start.optimizer, manifold.optimizer, "of the phase that it comes before");
    assert!(!guided.phases[0].reconstructs() && guided.phases[1].reconstructs(), "judged once");
    guided.validate().unwrap();
    let (_, random) = Start::Random.apply(model, plain.clone(), &[]).unwrap();
    assert_eq!(random, plain, "at random nothing changes");
    // One epoch is never cut in two.
    let mut short = plain;
    if let Stage::Phase(phase) = &mut short.phases[0] {
        phase.epochs = 1;
    }
    let (_, guided) = Start::Unrolled.apply(ModelConfig::m_flow(3, 2), short, &[]).unwrap();
    assert_eq!((guided.phases[0].rounds(), guided.phases[1].rounds()), (1, 1));
}

#[test]
fn what_cannot_start_there_is_refused() {
    let circle = || ChartConfig::named("circle").unwrap();
    let conditional = ModelConfig::m_flow(3, 2).with_context(1).with_conditional_manifold();
    for (model, starts, part) in [
        (ModelConfig::af(2), vec![Start::Flat, Start::Unrolled], "known"),
        (ModelConfig::fom(circle()), vec![Start::Flat], "known"),
        (ModelConfig::m_flow_on(circle(), 3), vec![Start::Flat, Start::Unrolled], "in its own way"),
        (ModelConfig::atlas(3, 2, 4), vec![Start::Flat, Start::Autoencoder], "in its own way"),
        (ModelConfig::pae(3, 2), vec![Start::Autoencoder], "autoencoder itself"),
        (ModelConfig::pie(3, 2), vec![Start::Unrolled], "reconstruction error"),
        (conditional, vec![Start::Unrolled], "depends on the context"),
    ] {
        let train = Schedule::of(&model).config(&model, 10).unwrap();
        assert!(Start::Random.obstacle(&model, &train).is_none(), "at random anything starts");
        for start in starts {
            let error = start.apply(model.clone(), train.clone(), &[]).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(&start.to_string()), "{error}");
        }
    }
}

/// Losses of the manifold phase from a flat start: of the first update, and on all rows at the end.
fn flat_losses(x: Vec<f64>) -> [f64; 2] {
    let rows = x.len() / 3;
    let model = ModelConfig::m_flow(3, 2)
        .with_outer(crate::toy::small_flow())
        .with_inner(crate::toy::small_flow())
        .with_normalization(standardize(&x, 3).unwrap());
    let mut phase = manifold(150);
    phase.batch_size = rows;
    phase.optimizer.set_learning_rate(0.01);
    let (model, config) = Start::Flat.apply(model, TrainConfig::new(vec![phase]), &x).unwrap();
    let data = || Rows::new(x.clone(), 3, None, DType::F64, device()).unwrap();
    let validation = Some(data());
    let toy =
        Toy { model, data: data(), validation, config, ..Toy::parabola(20, vec![manifold(1)]) };
    let pool = Pool::new(1).unwrap();
    let mut store = toy.store();
    let mut trainer = Trainer {
        model: &toy.model,
        store: &mut store,
        data: &toy.data,
        validation: toy.validation.as_ref().map(|v| v as _),
        config: &toy.config,
        seed: 1,
        pool: &pool,
        run: None,
    };
    let first = trainer.updates(0).unwrap().step().unwrap();
    let mut record = Record::default();
    toy.train(&mut toy.store(), None, &mut record, &AtomicBool::new(false)).unwrap();
    [first, record.epochs.last().unwrap().validation_loss]
}

#[test]
fn a_flat_start_begins_at_principal_components_and_learns_from_there() {
    let rows = 200;
    let z = Stream::new(1, "plane").normal(2 * rows);
    let bent = |by: f64| -> Vec<f64> {
        z.chunks(2).flat_map(|z| [z[0], z[0] + z[1], 2. - z[1] + by * z[0] * z[0]]).collect()
    };
    let [first, last] = flat_losses(bent(0.));
    assert!(first < 1e-20, "before the first update a plane is found: {first}");
    assert!(last < 1e-4, "and not lost: {last}");
    let x = bent(0.3);
    let [first, last] = flat_losses(x.clone());
    let units = standardize(&x, 3).unwrap();
    let normalized: Vec<f64> =
        x.iter().enumerate().map(|(i, v)| (v - units.shift[i % 3]) / units.scale[i % 3]).collect();
    let squares = PrincipalAxes::of(&normalized, 3).squares;
    let components = 100. * squares[2] / (3 * rows) as f64;
    assert!(
        (first / components - 1.).abs() < 1e-9,
        "{first}, of principal components {components}"
    );
    assert!(last < 0.8 * components, "{last}, of principal components {components}");
}
