//! A server scores rows for months: 100,000 calls of one model must not leave memory behind. Measured is what the system says that
//! the process holds, so the test has a process of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::indexing_slicing, reason = "a test that panics has failed")]

use mflow_bijectors::{ParamStore, SplineFlowConfig};
use mflow_core::candle::{DType, Device, Tensor};
use mflow_core::{Model, ModelConfig};

const CALLS: usize = 100_000;
/// Ten bytes a call would be four times as much.
const MOST: u64 = 256 * 1024;
/// Of the smallest pages that Linux has.
const PAGE: u64 = 4096;

/// Memory that the process holds, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * PAGE
}

/// Requests of one and of three rows in turns, some of them refused.
fn score(model: &dyn Model, calls: usize) {
    let rows = [0.1_f32, -0.2, 0.3, 0.4, 0.5, -0.6, 1., 0., 0.2];
    for call in 0..calls {
        let b = if call % 2 == 0 { 1 } else { 3 };
        let mut request = rows[..3 * b].to_vec();
        if call % 10 == 9 {
            request[1] = f32::NAN;
        }
        let x = Tensor::from_vec(request, (b, 3), &Device::Cpu).unwrap();
        match model.log_prob(&x, None) {
            Ok(log_prob) => assert_eq!(log_prob.dims(), [b], "a density for each row"),
            Err(error) => assert_eq!(call % 10, 9, "only NaN is refused: {error}"),
        }
    }
}

#[test]
fn a_hundred_thousand_calls_leave_nothing_behind() {
    if std::env::var_os("MFLOW_TEST_DEVICE").is_some() {
        // A second run on another device is none of this one.
        return;
    }
    let mut flow = SplineFlowConfig::default();
    (flow.layers, flow.hidden, flow.blocks) = (1, 8, 1);
    let config = ModelConfig::m_flow(3, 2).with_outer(flow.clone()).with_inner(flow);
    let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
    let model = config.build(&mut store, |_| false).unwrap();
    // What a first call sets up stays, and the allocator keeps what it once needed.
    score(model.as_ref(), CALLS / 10);
    let before = resident();
    score(model.as_ref(), CALLS);
    let grown = resident().saturating_sub(before);
    assert!(grown < MOST, "{CALLS} calls left {grown} bytes behind, more than {MOST}");
}
