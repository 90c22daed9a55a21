//! Where tests compute. `MFLOW_TEST_DEVICE` says it: `cpu`, the default; `composed`, the CPU without its kernels, which is
//! what other devices are in some of their parts; `cuda`, `cuda:N` or `metal`.
use mflow_bijectors::candle::Device;
use mflow_bijectors::{Route, compose_everywhere};
use std::env;
use std::sync::LazyLock;

static DEVICE: LazyLock<Device> = LazyLock::new(|| {
    let name = env::var("MFLOW_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let number = name.strip_prefix("cuda").map(|rest| rest.trim_start_matches(':'));
    match (name.as_str(), number) {
        ("cpu", _) => Device::Cpu,
        ("composed", _) => {
            compose_everywhere();
            Device::Cpu
        }
        ("metal", _) => Device::new_metal(0).expect("a Metal device"),
        (_, Some(number)) => {
            let number = if number.is_empty() { 0 } else { number.parse().expect("a number") };
            open_cuda(number)
        }
        _ => {
            panic!("MFLOW_TEST_DEVICE: expected cpu, composed, cuda, cuda:N or metal, found {name}")
        }
    }
});

#[cfg(feature = "cuda")]
fn open_cuda(number: usize) -> Device {
    mflow_bijectors::cuda::open(number).expect("a CUDA device")
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(number: usize) -> Device {
    panic!("MFLOW_TEST_DEVICE: expected a build with the feature cuda for device {number}")
}

/// Whether kernels do the work there: some of them are more exact than tensor operations.
#[allow(dead_code, reason = "not all tests ask")]
pub(crate) fn has_kernels() -> bool {
    Route::Auto.is_cpu_kernel(device())
}

/// The device of all tests.
pub(crate) fn device() -> &'static Device {
    &DEVICE
}
