//! mflow's side of `cargo xtask bench --compare`: a JSON object per line in, one per line out.
//!
//! `{"open": CASE}` is answered by `{"ready": true}` or `{"lacks": "why"}`, `{"time": K}` by the seconds of
//! `K` repetitions, `{"memory": true}` by the most memory there was, `{"work": CASE}` by the `flops` and `bytes`
//! that a repetition cannot do without, `{"ceilings": DEVICE, "size": N}` by those that a device does in a second.
#![expect(clippy::print_stdout, reason = "answers go to the standard output")]
#![allow(clippy::indexing_slicing, reason = "a benchmark that panics has failed")]

use mflow_benches::{Case, Ceilings, Repeat};
use mflow_core::DeviceName;
use mflow_core::candle::DType;
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::time::Instant;

fn answer(request: &str, open: &mut Option<Repeat>) -> Value {
    let request: Value = serde_json::from_str(request).unwrap_or_default();
    if let Some(case) = request.get("open") {
        *open = None;
        let case = serde_json::from_value::<Case>(case.clone()).map_err(|e| e.to_string());
        return match case.and_then(|case| case.open()) {
            Ok(repeat) => {
                *open = Some(repeat);
                json!({ "ready": true, "note": "" })
            }
            Err(why) => json!({ "lacks": why }),
        };
    }
    if let Some(case) = request.get("work") {
        let case = serde_json::from_value::<Case>(case.clone()).map_err(|e| e.to_string());
        return match case.and_then(|case| case.work()) {
            Ok(work) => json!(work),
            Err(why) => json!({ "lacks": why }),
        };
    }
    if let Some(device) = request.get("ceilings") {
        return match ceilings(device, &request["size"]) {
            Ok(ceilings) => json!(ceilings),
            Err(why) => json!({ "error": why }),
        };
    }
    match (request.get("time").and_then(Value::as_u64), open) {
        (Some(n), Some(repeat)) => {
            let time = |_| {
                let start = Instant::now();
                repeat();
                start.elapsed().as_secs_f64()
            };
            json!({ "seconds": (0..n).map(time).collect::<Vec<f64>>() })
        }
        (Some(_), None) => json!({ "error": "no case is open" }),
        _ if request.get("memory").is_some() => json!({ "bytes": peak_memory() }),
        _ if request.get("versions").is_some() => {
            json!({ "versions": { "mflow": env!("CARGO_PKG_VERSION") } })
        }
        _ => json!({ "error": "not a request" }),
    }
}

fn ceilings(device: &Value, size: &Value) -> Result<Ceilings, String> {
    let device: DeviceName = serde_json::from_value(device.clone()).map_err(|e| e.to_string())?;
    let size = size.as_u64().and_then(|size| usize::try_from(size).ok()).ok_or("no size")?;
    let device = device.open(DType::F32).map_err(|e| e.to_string())?;
    Ceilings::measure(&device, size).map_err(|e| e.to_string())
}

/// The most memory that this process has had resident, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn main() -> std::io::Result<()> {
    let mut open = None;
    for line in std::io::stdin().lock().lines() {
        println!("{}", answer(&line?, &mut open));
        std::io::stdout().flush()?;
    }
    Ok(())
}
