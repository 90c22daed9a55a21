//! `gradients`, the backward pass past candle's store, against `Tensor::backward`.
use crate::device::device;
use crate::numbers::{close, numbers};
use mflow_bijectors::candle::{DType, Tensor, Var};
use mflow_bijectors::{Bijector, BijectorConfig, FlowConfig, ParamStore, Stream, gradients};
use std::sync::Arc;

fn flow(config: &BijectorConfig, dtype: DType) -> (Arc<dyn Bijector>, Vec<Var>) {
    let mut store = ParamStore::new(3, dtype, device());
    let flow = store.create(config).unwrap();
    let vars = store.parameters().map(|p| p.var.clone()).collect();
    (flow, vars)
}

fn points(dtype: DType) -> Tensor {
    Stream::new(3, "x").normal_tensor(&[20, 4], dtype, device()).unwrap()
}

/// There and back through the same layers, and once more: every parameter is used three times.
fn loss(flow: &dyn Bijector, x: &Tensor) -> Tensor {
    let latent = flow.inverse(x, None).unwrap();
    let back = flow.forward(&(&latent.value * 0.5).unwrap(), None).unwrap();
    let again = flow.inverse(&back.value, None).unwrap();
    let sums = [&latent.log_abs_det, &back.log_abs_det].map(|t| t.sum_all().unwrap());
    let squares = (again.value.sqr().unwrap().sum_all().unwrap() + &sums[0]).unwrap();
    (squares + &sums[1]).unwrap()
}

#[test]
fn they_are_those_of_candle() {
    let mut coupling = FlowConfig::nsf_coupling();
    coupling.layers = 2;
    let mut masked = FlowConfig::nsf_autoregressive();
    masked.layers = 2;
    for config in [coupling, masked] {
        let config = config.bijector(4, 0).unwrap();
        for (dtype, limit) in [(DType::F64, 1e-12), (DType::F32, 1e-4)] {
            let (flow, vars) = flow(&config, dtype);
            let x = points(dtype);
            let collected = gradients(&loss(flow.as_ref(), &x), &vars).unwrap();
            let store = loss(flow.as_ref(), &x).backward().unwrap();
            for (var, found) in vars.iter().zip(collected) {
                let (found, expected) = (found.unwrap(), store.get(var).unwrap());
                assert_eq!(found.dims(), expected.dims());
                close("gradient", &found, expected, limit);
            }
        }
    }
}

#[test]
fn what_is_not_asked_for_or_not_used_is_left_alone() {
    let config = FlowConfig::nsf_coupling().bijector(4, 0).unwrap();
    let (flow_, vars) = flow(&config, DType::F64);
    let (_, others) = flow(&config, DType::F64);
    let one = &vars[..1];
    let all = gradients(&loss(flow_.as_ref(), &points(DType::F64)), &vars).unwrap();
    let asked = [one, &others[..1]].concat();
    let found = gradients(&loss(flow_.as_ref(), &points(DType::F64)), &asked).unwrap();
    assert_eq!(numbers(found[0].as_ref().unwrap()), numbers(all[0].as_ref().unwrap()));
    assert!(found[1].is_none(), "a parameter of another flow");
    // Collecting is over: candle's own pass has everything again.
    let store = loss(flow_.as_ref(), &points(DType::F64)).backward().unwrap();
    assert!(vars.iter().all(|var| store.get(var).is_some()));
}

#[test]
fn a_parameter_may_also_be_used_by_other_operations() {
    let config = FlowConfig::nsf_coupling().bijector(4, 0).unwrap();
    let (flow, vars) = flow(&config, DType::F64);
    let loss = || {
        let penalty = vars[0].sqr().unwrap().sum_all().unwrap();
        (loss(flow.as_ref(), &points(DType::F64)) + penalty).unwrap()
    };
    let found = gradients(&loss(), &vars).unwrap();
    let store = loss().backward().unwrap();
    close("gradient", found[0].as_ref().unwrap(), store.get(&vars[0]).unwrap(), 1e-12);
}
