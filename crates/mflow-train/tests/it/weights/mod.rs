//! Weights of rows. Oracle: rows that are repeated as often as integer weights say; gradients as linear functions of
//! weights; no weights at all; densities that weights describe.
mod data;
mod fits;
mod judging;
mod learning;
mod losses;
mod points;

use crate::toy::{Toy, device, manifold, numbers};
use mflow_core::candle::DType;
use mflow_train::{RowSource, Rows};

/// The same rows, each so many times, with all that goes with them.
pub(super) fn repeated(data: &Rows, times: &[usize]) -> Rows {
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

pub(super) fn real(times: &[usize]) -> Vec<f64> {
    times.iter().map(|n| *n as f64).collect()
}

/// The same problem on other rows, which validate too.
pub(super) fn on(toy: &Toy, data: Rows) -> Toy {
    let (model, config) = (toy.model.clone(), toy.config.clone());
    Toy { model, config, validation: Some(data.clone()), data, ..*toy }
}

pub(super) fn with_weights(toy: &Toy, weights: &[f64]) -> Toy {
    on(toy, toy.data.clone().with_weights(weights).unwrap())
}

#[track_caller]
pub(super) fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let scale = expected.iter().fold(1_f64, |most, v| most.max(v.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "{what}, {i}: {a}, expected {b}");
    }
}

/// As many in all as there are rows, so that a divergence has as many samples.
pub(super) const TIMES: [usize; 12] = [2, 0, 1, 1, 3, 0, 1, 2, 0, 1, 1, 0];

/// The numbers of a problem, without what it is about.
pub(super) fn toy_of(toy: &Toy) -> Toy {
    let base = Toy::parabola(4, vec![manifold(1)]);
    Toy { seed: toy.seed, weights: toy.weights, threads: toy.threads, ..base }
}
