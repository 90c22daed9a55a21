//! Gradients with respect to context, data and parameters. Oracle: central differences.
use crate::kinds::{Kind, circle, configs, kinds, small, with_epsilon, with_steps};
use crate::numbers::{close, numbers, tensor};
use crate::subject::differences;
use mflow_core::ModelConfig;
use mflow_core::candle::Tensor;

const ROWS: usize = 4;

/// Gradients of rows of numbers `f(t): [B]` with respect to the same rows of `t`, by differences.
fn gradient(at: &Tensor, f: &dyn Fn(&Tensor) -> Tensor) -> Vec<f64> {
    numbers(&differences(at, &|t| f(t).unsqueeze(1).unwrap()))
}

#[test]
fn scores_are_differences_in_the_context() {
    let mut found = vec![];
    for kind in kinds() {
        let Some(context) = kind.context(ROWS) else { continue };
        let x = kind.data(ROWS);
        let u = kind.model.coordinates(&x, Some(&context)).unwrap();
        let of = |c: &Tensor| kind.model.coordinate_log_prob(&u, Some(c)).unwrap();
        let score = kind.model.coordinate_score(&u, &context).unwrap();
        let what = &kind.what;
        close(&format!("{what}: u"), &numbers(&score), &gradient(&context, &of), 1e-6);
        let moves = numbers(&score).iter().any(|v| v.abs() > 1e-3);
        assert_eq!(moves, kind.name() != "vae", "{what}: the prior of codes knows no context");
        let Ok(score) = kind.model.score(&x, &context) else { continue };
        found.push(kind.name());
        let of = |c: &Tensor| kind.model.log_prob(&x, Some(c)).unwrap();
        close(&format!("{what}: x"), &numbers(&score), &gradient(&context, &of), 1e-6);
    }
    for name in ["af", "fom", "pie", "m-flow", "me-flow", "free-form"] {
        assert!(found.contains(&name), "{name} has scores");
    }
}

#[test]
fn a_score_can_be_part_of_a_loss() {
    let fom = configs().into_iter().find(|c| c.name() == "fom" && c.sizes.context_dim > 0);
    let pie = with_epsilon(small(ModelConfig::pie(3, 1)), 0.3).with_context(2);
    for config in [
        small(ModelConfig::af(2)).with_context(2),
        fom.unwrap(),
        pie.clone(),
        pie.with_conditional_manifold(),
        small(ModelConfig::m_flow(3, 2)).with_context(2),
        small(ModelConfig::me_flow(3, 2)).with_context(2),
        small(with_steps(ModelConfig::free_form(3, 2), 0)).with_context(2),
    ] {
        let kind = Kind::new(config, 0.6);
        let (x, context) = (kind.data(ROWS), kind.context(ROWS).unwrap());
        let loss = || {
            let score = kind.model.score(&x, &context).unwrap();
            score.sqr().unwrap().mean_all().unwrap()
        };
        let gradients = loss().backward().unwrap();
        let mut moved_by = 0;
        for parameter in kind.store.parameters() {
            let start = numbers(parameter.var.as_tensor());
            let gradient = gradients.get(&parameter.var).map(numbers);
            let gradient = gradient.unwrap_or_else(|| vec![0.; start.len()]);
            let set = |values: Vec<f64>| {
                parameter.var.set(&tensor(values, &[start.len()])).unwrap();
            };
            let difference = |i: usize| {
                let at = |by: f64| {
                    let mut values = start.clone();
                    values[i] += by;
                    set(values);
                    numbers(&loss())[0]
                };
                (at(1e-5) - at(-1e-5)) / 2e-5
            };
            let count = start.len().min(6);
            let places: Vec<usize> = (0..count).map(|k| k * start.len() / count).collect();
            let expected: Vec<f64> = places.iter().map(|&i| difference(i)).collect();
            set(start.clone());
            let found: Vec<f64> = places.iter().map(|&i| gradient[i]).collect();
            close(&format!("{}: {}", kind.what, parameter.name), &found, &expected, 1e-5);
            moved_by += usize::from(gradient.iter().any(|g| g.abs() > 1e-6));
        }
        assert!(moved_by >= 2, "{}: the score depends on parameters", kind.what);
    }
}

#[test]
fn a_context_of_no_influence_has_no_score() {
    // A custom flow may ignore the context that the data have.
    let shift =
        mflow_bijectors::BijectorConfig::AngleShift(mflow_bijectors::AngleShiftConfig::new(1));
    let kind = Kind::new(ModelConfig::fom(circle(1.)).with_inner(shift).with_context(2), 0.5);
    let (x, context) = (kind.data(ROWS), kind.context(ROWS).unwrap());
    let score = kind.model.score(&x, &context).unwrap();
    assert_eq!(numbers(&score), vec![0.; 2 * ROWS], "zeros of the shape of the context");
}
