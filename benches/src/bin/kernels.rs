//! Runs a kernel so many times, for `cargo xtask bench --check` to count instructions: the difference between
//! two numbers of repetitions is the kernel's, whatever its set-up takes.
//!
//! Everything is on one thread and seeded, so that the same program always takes the same instructions.

use mflow_benches::{gradient, must, rows};
use mflow_bijectors::{Bijector, Dual, FlowConfig, ParamStore, SplineFlowConfig, gradients};
use mflow_core::candle::{DType, Device, Tensor};
use mflow_core::{ModelConfig, gram_log_det};
use std::sync::Arc;

/// Rows, the size of a shard.
const ROWS: usize = 50;

type Kernel = (&'static str, fn() -> Box<dyn Fn()>);

/// The hot paths, by name.
const KERNELS: [Kernel; 8] = [
    ("spline flow, D = 3, inverse", || spline(3, false)),
    ("spline flow, D = 3, gradient", || spline(3, true)),
    ("spline flow, D = 40, inverse", || spline(40, false)),
    ("spline flow, D = 40, gradient", || spline(40, true)),
    ("autoregressive flow, D = 3, gradient", autoregressive),
    ("M-flow (3, 2), exact log_prob", || exact(false)),
    ("M-flow (3, 2), gradient of exact log_prob", || exact(true)),
    ("Gram log-det, 14 tangents in R^40", gram),
];

fn spline(dim: usize, backward: bool) -> Box<dyn Fn()> {
    let config = must(SplineFlowConfig::default().bijector(dim, 1));
    let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
    let flow = must(store.build(|_| backward, |params| config.build(params)));
    inverse(flow, dim, Some(rows(ROWS, 1, "context")), backward)
}

fn autoregressive() -> Box<dyn Fn()> {
    let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
    let flow = must(store.create(&must(FlowConfig::nsf_autoregressive().bijector(3, 0))));
    inverse(flow, 3, None, true)
}

fn inverse(
    flow: Arc<dyn Bijector>,
    dim: usize,
    context: Option<Tensor>,
    backward: bool,
) -> Box<dyn Fn()> {
    let x = rows(ROWS, dim, "x");
    Box::new(move || {
        let mapped = must(flow.inverse(&x, context.as_ref()));
        if backward {
            gradient(&mapped);
        }
    })
}

fn exact(backward: bool) -> Box<dyn Fn()> {
    let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
    let config = ModelConfig::m_flow(3, 2).with_context(1);
    let model = must(config.build(&mut store, |_| backward));
    let vars: Vec<_> = store.parameters().map(|p| p.var.clone()).collect();
    let (x, context) = (rows(ROWS, 3, "x"), rows(ROWS, 1, "context"));
    Box::new(move || {
        let log_prob = must(model.log_prob(&x, Some(&context)));
        if backward {
            must(gradients(&must(log_prob.sum_all()), &vars));
        }
    })
}

fn gram() -> Box<dyn Fn()> {
    let tangents = must(rows(ROWS, 14 * 40, "tangents").reshape((ROWS, 14, 40)));
    let dual = must(Dual::new(rows(ROWS, 40, "x"), tangents));
    Box::new(move || {
        if let Some(tangents) = dual.tangents() {
            must(gram_log_det(tangents));
        }
    })
}

#[expect(clippy::print_stdout, reason = "the list of kernels is its output")]
fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, times] = &*arguments else {
        KERNELS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let Some((_, open)) = KERNELS.iter().find(|(kernel, _)| kernel == name) else {
        return Err(format!("no kernel is called {name:?}; without arguments they are listed"));
    };
    let times: u32 = times.parse().map_err(|e| format!("{times:?} is no number: {e}"))?;
    let kernel = open();
    (0..times).for_each(|_| kernel());
    Ok(())
}
