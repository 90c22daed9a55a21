//! Layers that differ while they train. Oracle: runs that must come to the same, and the model's own
//! numbers.
use crate::toy::{Record, StopAfter, Toy, bits, density, manifold, numbers};
use mflow_bijectors::{FlowConfig, NetConfig, Norm, ParamStore};
use mflow_train::{Keep, Phase, RunDir, SgdConfig, Silent};
use std::sync::atomic::AtomicBool;

/// Affine couplings, with dropout or `ActNorm`.
fn flow(dropout: f64, norm: Norm) -> FlowConfig {
    let mut flow = FlowConfig::real_nvp();
    (flow.layers, flow.norm) = (2, norm);
    flow.net = NetConfig::new(8, 1).with_dropout(dropout);
    flow
}

/// A reconstruction phase of three epochs of three batches whose weights rest.
fn still() -> Phase {
    at_rest(manifold(3))
}

/// A phase that changes no weights.
fn at_rest(mut phase: Phase) -> Phase {
    let mut sgd = SgdConfig::default();
    sgd.learning_rate = 0.;
    (phase.optimizer, phase.batch_size, phase.keep) = (sgd.into(), 18, Keep::Last);
    phase
}

fn toy(dropout: f64, norm: Norm, phases: Vec<Phase>) -> Toy {
    let toy = Toy::parabola(60, phases);
    let flow = flow(dropout, norm);
    Toy { model: toy.model.clone().with_outer(flow.clone()).with_inner(flow), ..toy }
}

/// Run from weights away from the start, where the networks do something.
fn run(toy: &Toy) -> (ParamStore, Record) {
    let mut store = toy.store();
    toy.model.build(&mut store, |_| true).unwrap();
    let named = store.to_named().unwrap().into_iter().map(|(name, t)| {
        let same = name.contains("permutation") || name.contains("initialized");
        let moved = if same { t } else { ((t.sin().unwrap() * 3.).unwrap() + 0.1).unwrap() };
        (name, moved)
    });
    store.assign(&named.collect()).unwrap();
    let mut record = Record::default();
    toy.train(&mut store, None, &mut record, &AtomicBool::new(false)).unwrap();
    (store, record)
}

#[test]
fn dropout_acts_on_updates_and_not_on_validation() {
    let (_, plain) = run(&toy(0., Norm::None, vec![still()]));
    let dropping = toy(0.5, Norm::None, vec![still()]);
    let (mut store, record) = run(&dropping);
    assert_ne!(record.losses, plain.losses, "units are dropped");
    let (first, later) = (record.losses[0], record.losses[3]);
    assert_ne!(first, later, "other ones in every update");
    let validation: Vec<f64> = record.epochs.iter().map(|e| e.validation_loss).collect();
    assert!(validation.iter().all(|v| *v == validation[0]), "weights that rest: {validation:?}");
    let same = plain.epochs.iter().map(|e| e.validation_loss).collect::<Vec<_>>();
    assert_eq!(validation, same, "as without dropout");
    // And not on the model that comes out.
    let model = dropping.model.build(&mut store, |_| false).unwrap();
    let x = &dropping.data.all().x;
    let of = || numbers(&model.project(x, None).unwrap());
    assert_eq!(of(), of(), "nothing random is left");
}

#[test]
fn masks_do_not_depend_on_threads_or_shards() {
    let of = |threads: usize, shards: usize| {
        let mut phase = still();
        phase.batch_size = 1000;
        let mut toy = toy(0.5, Norm::None, vec![phase]);
        // 250 rows, so that there can be several shards.
        toy.data = Toy::parabola(250, Vec::<Phase>::new()).data;
        (toy.threads, toy.config.shards) = (threads, shards);
        run(&toy).1.losses
    };
    let one = of(1, 1);
    assert_eq!(one, of(3, 1), "threads");
    for (a, b) in one.iter().zip(of(2, 3)) {
        assert!((a - b).abs() < 1e-9 * a.abs(), "three shards: {b}, one {a}");
    }
}

#[test]
fn act_norm_is_initialised_from_the_first_rows() {
    let with = toy(0., Norm::ActNorm, vec![still()]);
    let mut fresh = with.store();
    with.model.build(&mut fresh, |_| true).unwrap();
    let flags = |store: &ParamStore| -> Vec<f64> {
        let named = store.to_named().unwrap().into_iter();
        let flags = named.filter(|(name, _)| name.ends_with("initialized"));
        flags.flat_map(|(_, t)| numbers(&t)).collect()
    };
    assert!(flags(&fresh).len() == 4 && flags(&fresh).iter().all(|f| *f == 0.), "not yet");
    let mut store = with.store();
    with.train(&mut store, None, &mut Silent, &AtomicBool::new(false)).unwrap();
    let named = store.to_named().unwrap().into_iter();
    for (name, flag) in named.filter(|(name, _)| name.ends_with("initialized")) {
        // The flow of the coordinates waits until the manifold is found.
        let seen = f64::from(u8::from(name.starts_with("outer")));
        assert_eq!(numbers(&flag), [seen], "{name}, by the trainer");
    }
    assert_ne!(bits(&fresh, "outer"), bits(&store, "outer"), "from the data, as nothing trains");
    // All rows for validation, so that those of the training are all: the last layer of f⁻¹ is an
    // ActNorm, whose outputs have mean 0 and deviation 1.
    let with = Toy { validation: Some(with.data.clone()), ..with };
    let mut store = with.store();
    with.train(&mut store, None, &mut Silent, &AtomicBool::new(false)).unwrap();
    let model = with.model.build(&mut store, |_| false).unwrap();
    let latents = numbers(&model.latents(&with.data.all().x, None).unwrap());
    for j in 0..2 {
        let column: Vec<f64> = latents.iter().skip(j).step_by(2).copied().collect();
        let mean = column.iter().sum::<f64>() / 60.;
        let square = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 60.;
        assert!(mean.abs() < 1e-9 && (square - 1.).abs() < 0.05, "{mean}, {square}");
    }
}

#[test]
fn the_flow_of_coordinates_sees_those_of_the_manifold_that_was_found() {
    let moves = toy(0., Norm::ActNorm, vec![manifold(20), at_rest(density(1))]);
    let moves = Toy { validation: Some(moves.data.clone()), ..moves };
    let mut store = moves.store();
    moves.train(&mut store, None, &mut Silent, &AtomicBool::new(false)).unwrap();
    let model = moves.model.build(&mut store, |_| false).unwrap();
    // An ActNorm is the last layer of h⁻¹ too.
    let latents = numbers(&model.encode(&moves.data.all().x, None).unwrap());
    let mean = latents.iter().sum::<f64>() / 60.;
    let square = latents.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 60.;
    assert!(mean.abs() < 1e-9 && (square - 1.).abs() < 0.05, "{mean}, {square}");
}

#[test]
fn what_differs_in_training_resumes_to_the_same_bits() {
    let mut phase = manifold(2);
    phase.batch_size = 18;
    let mut then = density(1);
    then.batch_size = 18;
    let toy = toy(0.3, Norm::ActNorm, vec![phase, then]);
    let folder = tempfile::tempdir().unwrap();
    let mut whole = toy.store();
    toy.train(&mut whole, None, &mut Silent, &AtomicBool::new(false)).unwrap();
    for batches in 1..9 {
        let path = folder.path().join(batches.to_string());
        {
            let run = RunDir::open(&path, false).unwrap();
            let stop = AtomicBool::new(false);
            let mut observer = StopAfter { batches, stop: &stop };
            toy.train(&mut toy.store(), Some(&run), &mut observer, &stop).unwrap();
        }
        let run = RunDir::open(&path, true).unwrap();
        let mut store = toy.store();
        toy.train(&mut store, Some(&run), &mut Silent, &AtomicBool::new(false)).unwrap();
        assert_eq!(bits(&store, ""), bits(&whole, ""), "after {batches}");
    }
}
