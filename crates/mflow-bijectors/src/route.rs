//! Which code does the work on which device: the one place where that is decided.
use crate::univariate::ScalarMap;
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};

/// Which code evaluates a layer; chosen before any graph is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Route {
    /// Fused kernels where the device has them, tensor operations elsewhere.
    #[default]
    Auto,
    /// Tensor operations everywhere: the oracle of the kernels.
    Composed,
}

/// What a route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// Kernels of the CPU.
    CpuKernel,
    /// Kernels of a CUDA device, where there is one for what is computed; else a composition.
    CudaKernel,
    /// A composition of tensor operations, which runs on any device.
    Composition,
}

static COMPOSES: AtomicBool = AtomicBool::new(false);

/// From now on all of this process does without kernels, as on a device that has none: for tests of what runs there.
pub fn compose_everywhere() {
    COMPOSES.store(true, Ordering::Relaxed);
}

impl Route {
    /// The code that runs on `device`.
    pub fn code(self, device: &Device) -> Code {
        match (self, device) {
            (Self::Composed, _) => Code::Composition,
            _ if COMPOSES.load(Ordering::Relaxed) => Code::Composition,
            (Self::Auto, Device::Cpu) => Code::CpuKernel,
            (Self::Auto, Device::Cuda(_)) => Code::CudaKernel,
            (Self::Auto, Device::Metal(_)) => Code::Composition,
        }
    }

    /// Whether an element-wise map is one operation there.
    pub(crate) fn fuses<U: ScalarMap>(self, map: &U, device: &Device) -> bool {
        match self.code(device) {
            Code::CpuKernel => true,
            Code::CudaKernel => map.cuda().is_some(),
            Code::Composition => false,
        }
    }

    /// Whether kernels of the CPU do the work on `device`.
    pub fn is_cpu_kernel(self, device: &Device) -> bool {
        self.code(device) == Code::CpuKernel
    }
}
