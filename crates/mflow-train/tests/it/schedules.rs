//! Alternations, averages, early endings, separate validation. Oracle: plain runs that must come to the
//! same, and formulas on the weights of such runs.
use crate::toy::{Record, Toy, bits, density, device, manifold, numbers};
use mflow_bijectors::ParamStore;
use mflow_core::ModelConfig;
use mflow_core::candle::DType;
use mflow_train::{
    Alternate, Error, Keep, LrSchedule, Observer, Phase, Progress, Rows, Schedule, Stage, Start,
    TrainConfig, Turn,
};

/// Models that every schedule fits, small.
fn models() -> Vec<ModelConfig> {
    vec![ModelConfig::m_flow(2, 1), ModelConfig::me_flow(2, 1)]
}

const ALL: [Schedule; 6] = [
    Schedule::Sequential,
    Schedule::Alternating,
    Schedule::Simultaneous,
    Schedule::Ot,
    Schedule::OtAlternating,
    Schedule::Likelihood,
];

#[test]
fn schedules_are_data() {
    for model in models() {
        for schedule in ALL {
            for epochs in [1, 2, 12, 50] {
                let config = schedule.config(&model, epochs).unwrap();
                config.validate().unwrap();
                let text = serde_json::to_string(&config).unwrap();
                let again = serde_json::from_str(&text).unwrap();
                assert_eq!(config, again, "{}, {epochs} epochs: round trip", schedule.name());
            }
        }
    }
    let rounds = |schedule: Schedule| -> Vec<usize> {
        let config = schedule.config(&ModelConfig::m_flow(2, 1), 50).unwrap();
        config.phases.iter().map(Stage::rounds).collect()
    };
    // Brehmer & Cranmer's tables of epochs: E//3, E - 2(E//3), E//3; E//2 cycles.
    assert_eq!(rounds(Schedule::Simultaneous), [16, 18, 16], "simultaneous");
    assert_eq!(rounds(Schedule::Alternating), [25], "alternating");
    assert_eq!(rounds(Schedule::OtAlternating), [25], "OT, alternating");
    assert_eq!(rounds(Schedule::Ot), [50], "OT");
}

#[test]
fn settings_are_ours_or_the_published_ones() {
    let model = ModelConfig::m_flow(2, 1);
    let phases = |text: &str| {
        let mut config = serde_json::from_str::<TrainConfig>(text).unwrap();
        config.resolve(&model).unwrap();
        let all = config.phases.iter().flat_map(|stage| stage.phases().to_vec());
        let keep = match &config.phases[0] {
            Stage::Phase(phase) => (phase.keep, phase.restarts),
            Stage::Alternate(alternate) => (alternate.keep, alternate.restarts),
            other => panic!("another kind of stage: {other:?}"),
        };
        let numbers = all.map(|phase| (phase.ema, phase.optimizer.learning_rate()));
        (keep, numbers.collect::<Vec<_>>())
    };
    let ours = vec![(0.999, 2e-3), (0.999, 1e-3)];
    let theirs = vec![(0., 1e-3), (0., 1e-3)];
    for schedule in ["sequential", "alternating"] {
        let of =
            |more: &str| phases(&format!(r#"{{"schedule": "{schedule}", "epochs": 9{more}}}"#));
        assert_eq!(of(""), ((Keep::Best, 0), ours.clone()), "{schedule}");
        assert_eq!(of(r#", "restarts": 3"#), ((Keep::Best, 3), ours.clone()), "{schedule}");
        let published = of(r#", "settings": "published""#);
        assert_eq!(published, ((Keep::Last, 0), theirs.clone()), "{schedule}");
    }
    // Averages of samples that a divergence compares are left alone.
    assert_eq!(phases(r#"{"schedule": "ot", "epochs": 9}"#).1, [(0., 1e-3)], "OT");
}

#[test]
fn a_schedule_by_its_name_is_written_out() {
    let model = ModelConfig::m_flow(2, 1);
    let read = |text: &str| serde_json::from_str::<TrainConfig>(text).unwrap();
    let mut config = read(r#"{"schedule": "ot-alternating", "epochs": 20, "shards": 3}"#);
    assert!(config.validate().is_err(), "not before it is resolved");
    config.resolve(&model).unwrap();
    config.validate().unwrap();
    let expected = Schedule::OtAlternating.config(&model, 20).unwrap();
    assert_eq!((&config.phases, config.shards), (&expected.phases, 3), "the same phases");
    let again = read(&serde_json::to_string(&config).unwrap());
    assert_eq!(again, config, "the name is gone, the phases stay");
    for (text, part) in [
        (r#"{"schedule": "ot"}"#, "`train.epochs` must be given"),
        (r#"{"epochs": 3}"#, "`train.epochs` goes with train.schedule"),
        (r#"{"settings": "published"}"#, "`train.settings` goes with train.schedule"),
        (r#"{"restarts": 2}"#, "`train.restarts` goes with train.schedule"),
        (r#"{"schedule": "ot", "epochs": 3, "restarts": 2}"#, "`restarts` needs a phase"),
    ] {
        let message = read(text).resolve(&model).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
    let mut both = expected;
    (both.schedule, both.epochs) = (Some(Schedule::Ot), Some(3));
    let message = both.resolve(&model).unwrap_err().to_string();
    assert!(message.contains("found both"), "{message}");
    let mut none = Schedule::Ot.config(&model, 3).unwrap();
    assert!(none.set_restarts(2).is_err(), "nothing to judge by");
}

#[test]
fn schedules_that_do_not_fit_say_which_do() {
    for (model, schedule, part) in [
        (ModelConfig::af(2), Schedule::Sequential, "they fit `likelihood`"),
        (
            ModelConfig::pae(2, 1),
            Schedule::Likelihood,
            "intractable; it fits `sequential`, `alternating`",
        ),
        (ModelConfig::pae(2, 1), Schedule::Simultaneous, "intractable"),
        (ModelConfig::vae(2, 1), Schedule::Alternating, "it fits `likelihood` and `ot`"),
    ] {
        let error = schedule.config(&model, 10).unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        assert!(error.to_string().contains(part), "{}: {error}", schedule.name());
        assert!(Schedule::of(&model).config(&model, 10).is_ok(), "its own schedule fits");
    }
    for schedule in ALL {
        let config = schedule.config(&ModelConfig::free_form(2, 1), 10);
        assert!(config.is_ok(), "{}: a density and a manifold to train", schedule.name());
    }
}

#[test]
fn a_manifold_of_its_own_is_learned_first() {
    for model in [
        ModelConfig::m_flow(3, 2),
        ModelConfig::atlas(3, 2, 4),
        ModelConfig::me_flow(3, 2),
        ModelConfig::pae(3, 2),
        ModelConfig::free_form(3, 2),
    ] {
        assert_eq!(Schedule::of(&model), Schedule::Sequential, "{}", model.name());
    }
}

#[test]
fn networks_without_constraint_have_settings_of_their_own() {
    for (model, rate) in
        [(ModelConfig::free_form(3, 2), 5e-3), (ModelConfig::free_form_atlas(3, 2, 8), 3e-3)]
    {
        let epochs = Schedule::default_epochs(&model);
        let config = Schedule::Sequential.config(&model, epochs).unwrap();
        let found = config
            .phases
            .iter()
            .map(|stage| (stage.rounds(), stage.phases()[0].optimizer.learning_rate()));
        assert_eq!(found.collect::<Vec<_>>(), [(240, rate), (60, 1e-3)], "{}", model.name());
        let keeps = |config: &TrainConfig| -> Vec<Keep> {
            config.phases.iter().flat_map(Stage::phases).map(|phase| phase.keep).collect()
        };
        assert_eq!(keeps(&config), [Keep::Last, Keep::Best], "{}", model.name());
        let joint = Schedule::Simultaneous.config(&model, epochs).unwrap();
        assert_eq!(keeps(&joint), [Keep::Last, Keep::Best, Keep::Best], "{}", model.name());
        let turns = Schedule::Alternating.config(&model, epochs).unwrap();
        let Stage::Alternate(Alternate { keep, .. }) = &turns.phases[0] else { panic!("turns") };
        assert_eq!(*keep, Keep::Best, "{}: a density overfits", model.name());
        if Start::Unrolled.obstacle(&model, &config).is_none() {
            let (_, config) = Start::Unrolled.apply(model, config, &[]).unwrap();
            assert_eq!(keeps(&config), [Keep::Last, Keep::Last, Keep::Best]);
        }
    }
    for model in [ModelConfig::m_flow(3, 2), ModelConfig::pae(3, 2), ModelConfig::af(3)] {
        assert_eq!(Schedule::default_epochs(&model), 100, "{}", model.name());
    }
}

/// One update an epoch, so that the order of rows does not matter.
fn whole(mut phase: Phase) -> Phase {
    (phase.batch_size, phase.keep) = (1000, Keep::Last);
    phase.optimizer.set_learning_rate(0.01);
    phase
}

fn weights(store: &ParamStore) -> Vec<f64> {
    store.parameters().flat_map(|p| numbers(p.var.as_tensor())).collect()
}

fn near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let gap = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0., f64::max);
    assert!(gap < tolerance, "{what}: differ by {gap:.1e}");
}

#[test]
fn one_cycle_of_turns_is_one_phase_after_the_other() {
    let mut turns = Alternate::new(vec![reset(manifold(1)), reset(density(1))], 1);
    turns.keep = Keep::Last;
    let (alternating, _) = Toy::parabola(60, vec![turns]).finish();
    let phases = vec![whole(manifold(1)), whole(density(1))];
    let (sequential, _) = Toy::parabola(60, phases).finish();
    near("one cycle", &weights(&alternating), &weights(&sequential), 1e-9);
}

/// As [`whole`], for an alternation, which has the last word on what is kept.
fn reset(phase: Phase) -> Phase {
    let mut phase = whole(phase);
    phase.keep = Keep::Best;
    phase
}

#[test]
fn an_alternation_of_one_phase_is_that_phase() {
    // Optimizer and learning rate run on over the cycles: to the bit the same as over epochs.
    let mut phase = manifold(1);
    phase.batch_size = 20;
    let turns = Alternate::new(vec![phase.clone()], 4);
    phase.epochs = 4;
    let (one, by_turns) = Toy::parabola(60, vec![turns]).finish();
    let (other, by_epochs) = Toy::parabola(60, vec![phase]).finish();
    assert_eq!(bits(&one, ""), bits(&other, ""), "weights");
    assert_eq!(by_turns.epochs, by_epochs.epochs, "metrics");
}

#[derive(Default)]
struct Names(Vec<String>);

impl Observer for Names {
    fn batch(&mut self, progress: Progress<'_>) {
        self.0.push(progress.phase.to_owned());
    }
}

#[test]
fn phases_take_turns_by_epochs_or_batches() {
    let order = |unit: Turn| -> String {
        let (mut a, mut b) = (manifold(1), density(1));
        // 54 rows train: 6 updates and 3.
        (a.batch_size, b.batch_size) = (9, 18);
        (a.name, b.name) = ("a".into(), "b".into());
        let mut turns = Alternate::new(vec![a, b], 2);
        turns.unit = unit;
        let toy = Toy::parabola(60, vec![turns]);
        let mut names = Names::default();
        let stop = std::sync::atomic::AtomicBool::new(false);
        toy.train(&mut toy.store(), None, &mut names, &stop).unwrap();
        names.0.concat()
    };
    assert_eq!(order(Turn::Epoch), "aaaaaabbbaaaaaabbb", "epoch by epoch");
    assert_eq!(order(Turn::Batches(1)), "abababaaaabababaaa", "batch by batch");
    assert_eq!(order(Turn::Batches(2)), "aabbaabaaaabbaabaa", "two by two");
}

#[test]
fn the_density_follows_a_manifold_that_moves() {
    // In an alternation coordinates are not kept: the losses are those of the present manifold.
    let (store, record) = {
        let mut turns = Alternate::new(vec![reset(manifold(1)), reset(density(1))], 3);
        turns.keep = Keep::Last;
        Toy::parabola(60, vec![turns]).finish()
    };
    let toy = Toy::parabola(60, vec![manifold(1)]);
    let mut store = store;
    let model = toy.model.build(&mut store, |_| false).unwrap();
    // All rows validate: the mean over them is the last validation loss.
    let all = Rows::new(numbers(&toy.data.all().x), 2, None, DType::F64, device()).unwrap();
    let mut turns = Alternate::new(vec![reset(manifold(1)), reset(density(1))], 3);
    turns.keep = Keep::Last;
    let mut with = Toy::parabola(60, vec![turns]);
    with.validation = Some(all);
    let (mut other, validated) = with.finish();
    let u = model.coordinates(&toy.data.all().x, None).unwrap();
    let expected =
        -numbers(&model.coordinate_log_prob(&u, None).unwrap()).iter().sum::<f64>() / 60.;
    let found = validated.epochs.last().unwrap();
    assert_eq!((found.phase.as_str(), found.epoch), ("density", 3), "the last line");
    // With rows of their own for validation all 60 train: other weights than above, so again.
    let model = with.model.build(&mut other, |_| false).unwrap();
    let u = model.coordinates(&toy.data.all().x, None).unwrap();
    let exact = -numbers(&model.coordinate_log_prob(&u, None).unwrap()).iter().sum::<f64>() / 60.;
    assert!((found.validation_loss - exact).abs() < 1e-9, "{found:?}, expected {exact}");
    assert!((expected - exact).abs() > 1e-9, "54 rows are not 60");
    assert_eq!(record.epochs.len(), 6, "a line for each phase and cycle");
}

fn last_epoch(record: &Record) -> usize {
    record.epochs.last().unwrap().epoch
}

#[test]
fn patience_ends_a_phase_early() {
    let mut phase = manifold(40);
    (phase.batch_size, phase.lr_schedule) = (50, LrSchedule::Constant);
    phase.optimizer.set_learning_rate(0.3);
    let (_, whole) = Toy::parabola(100, vec![phase.clone()]).finish();
    let losses: Vec<f64> = whole.epochs.iter().map(|e| e.validation_loss).collect();
    for patience in [1, 2] {
        phase.patience = patience;
        let (_, record) = Toy::parabola(100, vec![phase.clone()]).finish();
        // The first epoch with `patience` epochs before it that are all no better than an earlier one.
        let best = |n: usize| (0..n).min_by(|&a, &b| losses[a].total_cmp(&losses[b])).unwrap();
        let expected = (1..=40).find(|&n| n - 1 - best(n) >= patience);
        let expected = expected.unwrap_or_else(|| panic!("patience {patience}: {losses:?}"));
        assert!(expected < 40, "the test shows something");
        assert_eq!(last_epoch(&record), expected, "patience {patience}");
        assert_eq!(record.epochs[..], whole.epochs[..expected], "the same on the way");
    }
}

#[test]
fn averages_are_those_of_the_weights() {
    let phase = |epochs, ema| {
        let mut phase = whole(manifold(epochs));
        (phase.lr_schedule, phase.ema) = (LrSchedule::Constant, ema);
        phase.optimizer.set_learning_rate(0.05);
        phase
    };
    let path: Vec<Vec<f64>> = (0..=6)
        .map(|n| match n {
            0 => {
                let toy = Toy::parabola(60, vec![phase(1, 0.)]);
                let mut store = toy.store();
                toy.model.build(&mut store, |_| true).unwrap();
                weights(&store)
            }
            n => weights(&Toy::parabola(60, vec![phase(n, 0.)]).finish().0),
        })
        .collect();
    for decay in [0.2, 0.9] {
        let (store, record) = Toy::parabola(60, vec![phase(6, decay)]).finish();
        let mut average = path[0].clone();
        for (t, theta) in path.iter().enumerate().skip(1) {
            let d = f64::min(decay, t as f64 / (t as f64 + 9.));
            average.iter_mut().zip(theta).for_each(|(s, v)| *s = d * *s + (1. - d) * v);
        }
        near(&format!("decay {decay}"), &weights(&store), &average, 1e-12);
        let (_, plain) = Toy::parabola(60, vec![phase(6, 0.)]).finish();
        assert_eq!(record.losses, plain.losses, "averages change nothing on the way");
        let last = |r: &Record| r.epochs.last().unwrap().validation_loss;
        assert_ne!(last(&record), last(&plain), "but they are what is validated");
    }
    // The best epoch is judged and kept by its averages.
    let mut best = phase(6, 0.5);
    best.keep = Keep::Best;
    let (store, record) = Toy::parabola(60, vec![best]).finish();
    let losses = record.epochs.iter().map(|e| e.validation_loss);
    let n = losses.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0 + 1;
    let (short, _) = Toy::parabola(60, vec![phase(n, 0.5)]).finish();
    assert_eq!(bits(&store, ""), bits(&short, ""), "the averages of epoch {n}");
}

#[test]
fn rows_for_validation_are_not_trained_on() {
    let toy = Toy::parabola(60, vec![whole(manifold(2))]);
    let other = Toy::parabola(30, vec![whole(manifold(2))]);
    let with = Toy { validation: Some(other.data.clone()), ..toy };
    let (store, record) = with.finish();
    let mut store = store;
    let model = with.model.build(&mut store, |_| false).unwrap();
    let all = other.data.all();
    let difference = (model.project(&all.x, None).unwrap() - &all.x).unwrap();
    let scale = &with.model.normalization().unwrap().scale;
    let squares = numbers(&difference).into_iter().enumerate();
    let sum: f64 = squares.map(|(i, v)| (v / scale[i % 2]).powi(2)).sum();
    let expected = 100. * sum / 60.;
    let found = record.epochs.last().unwrap().validation_loss;
    assert!((found - expected).abs() < 1e-9 * expected, "{found}, expected {expected}");
    // All rows of the data train: one update sees each of them.
    let (_, held_out) = Toy { validation: None, ..with }.finish();
    assert_ne!(record.losses[0], held_out.losses[0], "60 rows, not 54");
}

#[test]
fn data_for_validation_must_fit() {
    let toy = Toy::parabola(60, vec![manifold(1)]);
    let wide = Rows::new(vec![0.; 9], 3, None, DType::F64, device()).unwrap();
    let with = Toy { validation: Some(wide), ..toy };
    let stop = std::sync::atomic::AtomicBool::new(false);
    let error = with.train(&mut with.store(), None, &mut mflow_train::Silent, &stop).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("number of features for validation"), "{message}");
}
