//! Schedules as data. Oracle: the documented defaults, ranges and messages.
use crate::toy::{Toy, density, likelihood, manifold, reconstruction};
use mflow_core::ModelConfig;
use mflow_train::{
    AdamWConfig, Error, Keep, Loss, LrSchedule, OptimizerConfig, Phase, Schedule, Silent, Stage,
    TrainConfig,
};
use std::sync::atomic::AtomicBool;

fn phase(config: &mut TrainConfig, i: usize) -> &mut Phase {
    &mut config.phases[i].phases_mut()[0]
}

fn adamw(config: &mut TrainConfig) -> &mut AdamWConfig {
    match &mut phase(config, 0).optimizer {
        OptimizerConfig::AdamW(config) => config,
        other => panic!("the default optimizer: {other:?}"),
    }
}

#[test]
fn fields_out_of_range_are_named() {
    type Change = fn(&mut TrainConfig);
    let cases: [(Change, &str); 21] = [
        (|c| c.phases.clear(), "`train.phases` must not be empty"),
        (|c| phase(c, 1).epochs = 0, "`train.phases[1].epochs` must be positive, found 0"),
        (|c| phase(c, 0).batch_size = 0, "`train.phases[0].batch_size` must be positive, found 0"),
        (
            |c| phase(c, 0).trains.clear(),
            "`train.phases[0].trains (number of groups)` must be positive, found 0",
        ),
        (
            |c| phase(c, 1).losses.clear(),
            "`train.phases[1].losses (number of losses)` must be positive, found 0",
        ),
        (
            |c| phase(c, 0).losses[0].weight = 0.,
            "`train.phases[0].losses[0].weight` must be positive and finite, found 0",
        ),
        (
            |c| phase(c, 0).losses[0].weight = f64::INFINITY,
            "`train.phases[0].losses[0].weight` must be positive and finite, found inf",
        ),
        (
            |c| phase(c, 0).clip_norm = -1.,
            "`train.phases[0].clip_norm` must be 0 (off) or positive, found -1",
        ),
        (
            |c| phase(c, 0).clip_norm = f64::NAN,
            "`train.phases[0].clip_norm` must be 0 (off) or positive, found NaN",
        ),
        (
            |c| phase(c, 0).optimizer.set_learning_rate(-0.1),
            "`train.phases[0].optimizer.learning_rate` must be in [0, inf), found -0.1",
        ),
        (
            |c| phase(c, 0).optimizer.set_learning_rate(f64::INFINITY),
            "`train.phases[0].optimizer.learning_rate` must be in [0, inf), found inf",
        ),
        (
            |c| adamw(c).weight_decay = f64::NAN,
            "`train.phases[0].optimizer.weight_decay` must be in [0, inf), found NaN",
        ),
        (|c| adamw(c).beta1 = 1., "`train.phases[0].optimizer.beta1` must be in [0, 1), found 1"),
        (
            |c| adamw(c).beta2 = -0.5,
            "`train.phases[0].optimizer.beta2` must be in [0, 1), found -0.5",
        ),
        (|c| adamw(c).epsilon = 0., "`train.phases[0].optimizer.epsilon` must be"),
        (
            |c| c.validation_fraction = 0.,
            "`train.validation_fraction` must be between 0 and 1, found 0",
        ),
        (
            |c| c.validation_fraction = 1.,
            "`train.validation_fraction` must be between 0 and 1, found 1",
        ),
        (
            |c| c.validation_fraction = f64::NAN,
            "`train.validation_fraction` must be between 0 and 1, found NaN",
        ),
        (
            |c| c.checkpoint_seconds = -1.,
            "`train.checkpoint_seconds` must not be negative, found -1",
        ),
        (
            |c| c.checkpoint_seconds = f64::NAN,
            "`train.checkpoint_seconds` must not be negative, found NaN",
        ),
        (
            |c| phase(c, 1).trains.push("iner".into()),
            "`train.phases[1].trains` names the group `iner`, which the model lacks",
        ),
    ];
    for (change, expected) in cases {
        let mut toy = Toy::parabola(20, vec![manifold(1), density(1)]);
        change(&mut toy.config);
        let error = toy
            .train(&mut toy.store(), None, &mut Silent, &AtomicBool::new(false))
            .expect_err(expected);
        assert!(matches!(error, Error::Config { .. }), "{expected}: {error:?}");
        let message = error.to_string();
        assert!(message.starts_with(&format!("invalid config: {expected}")), "{message}");
    }
}

#[test]
fn the_sequential_schedule_is_the_published_one() {
    for (epochs, halves) in [(1, [1, 1]), (2, [1, 1]), (5, [2, 3]), (50, [25, 25])] {
        let config = Schedule::Sequential.config(&ModelConfig::m_flow(3, 2), epochs).unwrap();
        let [Stage::Phase(first), Stage::Phase(second)] = &config.phases[..] else {
            panic!("two phases: {config:?}")
        };
        assert_eq!([first.epochs, second.epochs], halves, "epochs of {epochs}");
        assert_eq!(
            (&first.trains[..], &second.trains[..]),
            (&["outer".to_owned()][..], &["inner".to_owned()][..]),
            "groups"
        );
        assert_eq!(first.losses[0].loss, Loss::reconstruction(), "first the manifold");
        assert_eq!(second.losses[0].loss, Loss::coordinate_likelihood(), "then the density");
        config.validate().unwrap();
    }
}

#[test]
fn phases_are_read_strictly() {
    let text = r#"{"name": "a", "trains": ["outer"], "epochs": 3,
        "losses": [{"loss": "reconstruction", "weight": 2.0}]}"#;
    let phase: Phase = serde_json::from_str(text).unwrap();
    assert_eq!((phase.batch_size, phase.clip_norm), (100, 1.), "defaults");
    assert_eq!(
        (phase.keep, phase.lr_schedule.clone()),
        (Keep::Best, LrSchedule::Cosine),
        "defaults"
    );
    let again: Phase = serde_json::from_str(&serde_json::to_string(&phase).unwrap()).unwrap();
    assert_eq!(again, phase, "round trip");
    for (from, to, what) in [
        ("\"epochs\"", "\"epoch\"", "missing field `epochs`"),
        ("\"epochs\"", "\"epoch\": 2, \"epochs\"", "unknown field `epoch`"),
        ("\"weight\"", "\"wieght\"", "missing field `weight`"),
        ("\"weight\"", "\"wieght\": 2, \"weight\"", "unknown field `wieght`"),
        ("\"reconstruction\"", "\"distance\"", "unknown variant `distance`"),
        (r#""epochs": 3,"#, "", "missing field `epochs`"),
        (r#""epochs""#, r#""optimizer": {"lr": 1}, "epochs""#, "unknown field `lr`"),
        (r#""epochs""#, r#""keep": "first", "epochs""#, "unknown variant `first`"),
    ] {
        let error = serde_json::from_str::<Stage>(&text.replacen(from, to, 1)).unwrap_err();
        assert!(error.to_string().contains(what), "expected `{what}`: {error}");
    }
    let config = TrainConfig::new(vec![
        Phase::new("a", &["outer"], reconstruction(), 1),
        Phase::new("b", &["inner"], likelihood(), 2),
    ]);
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config, "round trip");
    let error = serde_json::from_str::<TrainConfig>(&text.replacen("\"shards\"", "\"threads\"", 1));
    assert!(error.unwrap_err().to_string().contains("unknown field `threads`"), "unknown key");
}
