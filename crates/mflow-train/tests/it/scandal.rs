//! Scores beside likelihoods. Oracles: a simulator whose score has a formula; the losses written out by hand.
use crate::toy::{Record, Toy, density, device, manifold, numbers, small_flow};
use mflow_bijectors::Stream;
use mflow_core::candle::{DType, Tensor};
use mflow_core::{ModelConfig, standardize};
use mflow_train::{Alternate, Error, Loss, Phase, RowSource, Rows, Schedule, Stage, TrainConfig};
use std::sync::atomic::AtomicBool;

/// `z ~ N(theta, 1)` on the curve `x = (z, z^2 / 4)`: `x`, `theta`, and the score `d log p(x | theta) / d theta`,
/// which is `z - theta`.
fn gaussian_on_a_curve(rows: usize, name: &str) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let mut stream = Stream::new(1, name);
    let (theta, score) = (stream.uniform(rows, -1., 1.), stream.normal(rows));
    let point = |(theta, score): (&f64, &f64)| {
        let z = theta + score;
        [z, 0.25 * z * z]
    };
    (theta.iter().zip(&score).flat_map(point).collect(), theta, score)
}

fn rows((x, theta, score): (Vec<f64>, Vec<f64>, Vec<f64>)) -> Rows {
    let rows = Rows::new(x, 2, Some((theta, 1)), DType::F64, device()).unwrap();
    rows.with_scores(score).unwrap()
}

/// Few rows of it, a model of one dimension, and a sequential schedule.
fn toy(few: usize) -> Toy {
    let data = gaussian_on_a_curve(few, "few");
    let model = ModelConfig::m_flow(2, 1)
        .with_outer(small_flow())
        .with_inner(small_flow())
        .with_normalization(standardize(&data.0, 2).unwrap())
        .with_context(1);
    let mut phases = vec![manifold(60), density(60)];
    for phase in &mut phases {
        phase.optimizer.set_learning_rate(0.01);
        phase.batch_size = 25;
    }
    let mut config = TrainConfig::new(phases);
    config.shards = 1;
    let validation = Some(rows(gaussian_on_a_curve(100, "validation")));
    Toy { model, data: rows(data), validation, config, ..Toy::parabola(20, vec![manifold(1)]) }
}

/// Mean square of the model's score less the true one, over rows that it has not seen.
fn score_error(toy: &Toy) -> f64 {
    let (mut store, _) = toy.finish();
    let model = toy.model.build(&mut store, |_| false).unwrap();
    let (x, theta, expected) = gaussian_on_a_curve(1000, "test");
    let tensor = |v: Vec<f64>, cols| Tensor::from_vec(v, (1000, cols), device()).unwrap();
    let found = numbers(&model.score(&tensor(x, 2), &tensor(theta, 1)).unwrap());
    found.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 1000.
}

#[test]
fn scores_teach_with_few_rows_what_likelihood_alone_does_not() {
    let mut toy = toy(50);
    let alone = score_error(&toy);
    toy.config.set_scandal(TrainConfig::SCANDAL, &toy.model).unwrap();
    let with_scores = score_error(&toy);
    // A model that ignores the context has the error 1, the variance of the score.
    assert!(with_scores < 0.3, "learned: {with_scores}");
    assert!(with_scores < 0.5 * alone, "{with_scores} with scores, {alone} without");
}

#[test]
fn scores_go_beside_each_likelihood_with_its_weight() {
    let model = ModelConfig::m_flow(3, 2).with_context(1);
    let weights = |schedule: Schedule, weight: f64| {
        let mut config = schedule.config(&model, 9).unwrap();
        config.set_scandal(weight, &model).unwrap();
        config.validate().unwrap();
        assert!(config.uses_scores());
        assert_eq!(Schedule::recognize(&model, &config.phases), Some(schedule), "is what it was");
        let phases = config.phases.iter().flat_map(Stage::phases);
        let of_score = |p: &Phase| {
            let score = p.losses.iter().find(|w| w.loss == Loss::Score {});
            (p.name.clone(), score.map(|w| w.weight))
        };
        phases.map(of_score).collect::<Vec<_>>()
    };
    let phase = |name: &str, weight| (name.to_owned(), weight);
    let of_sequential = [phase("manifold", None), phase("density", Some(3.))];
    assert_eq!(weights(Schedule::Sequential, 3.), of_sequential);
    assert_eq!(weights(Schedule::Alternating, 3.), of_sequential, "in an alternation");
    let of_ot = [phase("divergence", None), phase("density", Some(0.5))];
    assert_eq!(weights(Schedule::OtAlternating, 0.5), of_ot);
    assert_eq!(weights(Schedule::Likelihood, 2.), [phase("likelihood", Some(2.))]);
    // The likelihood beside a reconstruction error has the weight 0.1.
    let of_three = [phase("manifold", None), phase("joint", Some(0.5)), phase("density", Some(5.))];
    assert_eq!(weights(Schedule::Simultaneous, 5.), of_three);
}

#[test]
fn it_is_a_field_of_a_config() {
    let model = ModelConfig::m_flow(2, 1).with_context(2);
    let read = |text: &str| serde_json::from_str::<TrainConfig>(text).unwrap();
    let mut by_name = read(r#"{"schedule": "sequential", "epochs": 8, "scandal": 1.5}"#);
    by_name.resolve(&model).unwrap();
    let mut expected = Schedule::Sequential.config(&model, 8).unwrap();
    assert!(!expected.uses_scores());
    expected.set_scandal(1.5, &model).unwrap();
    assert_eq!(by_name, expected, "beside a schedule");
    assert_eq!(read(&serde_json::to_string(&by_name).unwrap()), by_name, "written out");

    let mut phases = TrainConfig::new(vec![Alternate::new(vec![manifold(1), density(1)], 3)]);
    phases.scandal = Some(4.);
    let message = phases.validate().unwrap_err().to_string();
    assert!(message.contains("`train.scandal` must be resolved"), "{message}");
    phases.resolve(&model).unwrap();
    phases.validate().unwrap();
    // Another weight takes the place of the first.
    phases.set_scandal(2., &model).unwrap();
    let losses = &phases.phases[0].phases()[1].losses;
    assert_eq!(
        losses[..],
        [Loss::coordinate_likelihood().weighted(1.), Loss::Score {}.weighted(2.)]
    );
}

#[test]
fn what_has_no_score_is_refused() {
    let conditional = |model: ModelConfig| model.with_context(1);
    let m_flow = || conditional(ModelConfig::m_flow(3, 2));
    for (schedule, model, weight, parts) in [
        (Schedule::Sequential, m_flow(), 0., ["positive and finite", "found 0"]),
        (Schedule::Sequential, m_flow(), -1., ["positive and finite", "found -1"]),
        (Schedule::Sequential, m_flow(), f64::NAN, ["positive and finite", "found NaN"]),
        (Schedule::Ot, m_flow(), 2., ["needs a phase with a likelihood", "phases divergence"]),
        (Schedule::Sequential, ModelConfig::m_flow(3, 2), 2., ["needs a context", "found none"]),
        (
            Schedule::Sequential,
            m_flow().with_conditional_manifold(),
            2.,
            ["does not depend on the context", "found `conditional_manifold`"],
        ),
        (Schedule::Sequential, conditional(ModelConfig::pae(3, 2)), 2., ["density", "`pae`"]),
        (Schedule::Likelihood, conditional(ModelConfig::vae(3, 2)), 2., ["density", "`vae`"]),
        (Schedule::Likelihood, conditional(ModelConfig::rif(3, 2)), 2., ["density", "`rif`"]),
    ] {
        let mut config = schedule.config(&model, 3).unwrap();
        let before = config.clone();
        let error = config.set_scandal(weight, &model).unwrap_err();
        assert!(matches!(&error, Error::Config { field, .. } if field == "train.scandal"));
        for part in parts {
            assert!(error.to_string().contains(part), "{error} lacks {part:?}");
        }
        assert_eq!(config, before, "left as it was");
    }
}

#[test]
fn rows_without_scores_are_refused_before_the_first_update() {
    let without = || {
        let (x, theta, _) = gaussian_on_a_curve(30, "few");
        Rows::new(x, 2, Some((theta, 1)), DType::F64, device()).unwrap()
    };
    let message = |toy: &Toy| {
        let mut record = Record::default();
        let stop = AtomicBool::new(false);
        let error = toy.train(&mut toy.store(), None, &mut record, &stop).unwrap_err();
        assert!(record.losses.is_empty(), "no update");
        error.to_string()
    };
    let mut toy = toy(30);
    toy.config.set_scandal(1., &toy.model).unwrap();
    let scored = std::mem::replace(&mut toy.data, without());
    assert!(message(&toy).contains("data: expected the joint score of each row"));
    toy.data = scored;
    toy.validation = Some(without());
    assert!(message(&toy).contains("validation data: expected the joint score of each row"));
    assert_ne!(toy.data.fingerprint(), without().fingerprint(), "scores count as data");
}
