//! Whole fits to weighted rows.
use super::{TIMES, close, on, real, repeated, toy_of, with_weights};
use crate::toy::{Toy, bits, density, device, manifold, numbers, small_flow};
use mflow_bijectors::{FlowConfig, NetConfig, Norm, Stream};
use mflow_core::ModelConfig;
use mflow_core::candle::DType;
use mflow_train::{EpochMetrics, Rows, Schedule, Stage, Start};

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
