//! Devices by their names: where tensors are and operations run.
use crate::{Error, Result};
use candle_core::{DType, Device, DeviceLocation};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A device by its name, as in configs and on the command line: `cpu`, `cuda`, `cuda:N` or `metal`; `cuda` is `cuda:0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DeviceName {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, by its number.
    Cuda(usize),
    /// The GPU of a Mac.
    Metal,
}

impl DeviceName {
    /// The name of an open device.
    pub fn of(device: &Device) -> Self {
        match device.location() {
            DeviceLocation::Cpu => Self::Cpu,
            DeviceLocation::Cuda { gpu_id } => Self::Cuda(gpu_id),
            DeviceLocation::Metal { .. } => Self::Metal,
        }
    }

    /// Whether it is the processor.
    pub fn is_cpu(&self) -> bool {
        *self == Self::Cpu
    }

    /// Open the device, for numbers of type `dtype`. Tensors of a GPU that was opened twice do not mix: open it once and
    /// hand it on.
    ///
    /// # Errors
    /// [`Error::Device`] if this build or this machine has no such device, or it cannot hold `dtype`.
    pub fn open(self, dtype: DType) -> Result<Device> {
        self.check(dtype)?;
        let refused = |reason: String| Error::Device { device: self, reason };
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => open_cuda(number).map_err(refused),
            Self::Metal => open_metal().map_err(refused),
        }
    }

    /// Whether the device can hold numbers of type `dtype`.
    ///
    /// # Errors
    /// [`Error::Device`] if it cannot.
    pub fn check(self, dtype: DType) -> Result<()> {
        if self == Self::Metal && dtype == DType::F64 {
            let reason = "Metal has no double precision: use f32, or the device cpu".to_owned();
            return Err(Error::Device { device: self, reason });
        }
        Ok(())
    }

    /// The devices that this build could use on some machine, each with what this machine has of it.
    pub fn available() -> Vec<(Self, String)> {
        let mut all = vec![(Self::Cpu, "always there".to_owned())];
        all.extend(cuda_devices());
        all.extend(metal_devices());
        all
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = match text {
            "cpu" => return Ok(Self::Cpu),
            "metal" => return Ok(Self::Metal),
            "cuda" => Some(0),
            _ => text.strip_prefix("cuda:").and_then(|number| number.parse().ok()),
        };
        number
            .map(Self::Cuda)
            .ok_or_else(|| format!("expected a device: cpu, cuda, cuda:N or metal; found `{text}`"))
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for DeviceName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(feature = "cuda")]
fn open_cuda(number: usize) -> Result<Device, String> {
    mflow_bijectors::cuda::open(number).map_err(|error| {
        format!("CUDA says `{error}`: check with nvidia-smi, or use the device cpu")
    })
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(_number: usize) -> Result<Device, String> {
    Err(not_built("CUDA", "cuda"))
}

#[cfg(feature = "cuda")]
fn cuda_devices() -> Vec<(DeviceName, String)> {
    use candle_core::cuda_backend::cudarc::driver::CudaContext;
    let count = CudaContext::device_count().ok().and_then(|count| usize::try_from(count).ok());
    let name = |number| {
        let name = CudaContext::new(number).and_then(|context| context.name());
        (DeviceName::Cuda(number), name.unwrap_or_else(|error| format!("does not open: {error}")))
    };
    match count.unwrap_or(0) {
        0 => vec![(DeviceName::Cuda(0), "not found on this machine".to_owned())],
        count => (0..count).map(name).collect(),
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda_devices() -> Vec<(DeviceName, String)> {
    vec![]
}

#[cfg(feature = "metal")]
fn open_metal() -> Result<Device, String> {
    // candle takes the first one without asking whether there is one.
    if candle_metal_kernels::metal::Device::all().is_empty() {
        return Err("this machine has no Metal device: use the device cpu".to_owned());
    }
    Device::new_metal(0).map_err(|error| format!("Metal says `{error}`: use the device cpu"))
}

#[cfg(not(feature = "metal"))]
fn open_metal() -> Result<Device, String> {
    Err(not_built("Metal", "metal"))
}

#[cfg(feature = "metal")]
fn metal_devices() -> Vec<(DeviceName, String)> {
    let here = !candle_metal_kernels::metal::Device::all().is_empty();
    let here = if here { "found; in single precision" } else { "not found on this machine" };
    vec![(DeviceName::Metal, here.to_owned())]
}

#[cfg(not(feature = "metal"))]
fn metal_devices() -> Vec<(DeviceName, String)> {
    vec![]
}

/// Why a device of another build cannot be used.
#[cfg(not(all(feature = "cuda", feature = "metal")))]
fn not_built(what: &str, feature: &str) -> String {
    format!("this build has no {what}: build with `--features {feature}`, or use the device cpu")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (text, name) in [
            ("cpu", DeviceName::Cpu),
            ("cuda:0", DeviceName::Cuda(0)),
            ("cuda:3", DeviceName::Cuda(3)),
            ("metal", DeviceName::Metal),
        ] {
            assert_eq!(text.parse(), Ok(name), "{text}");
            assert_eq!(name.to_string(), text, "written");
            let json = serde_json::to_string(&name).expect("a text");
            assert_eq!(json, format!("\"{text}\""), "as JSON");
            assert_eq!(serde_json::from_str::<DeviceName>(&json).ok(), Some(name), "from JSON");
        }
        assert_eq!("cuda".parse(), Ok(DeviceName::Cuda(0)), "without a number");
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU", "metal:0"] {
            let error = text.parse::<DeviceName>().expect_err(text);
            assert!(
                error.contains("cpu, cuda, cuda:N or metal") && error.contains(text),
                "{error}"
            );
        }
    }

    #[test]
    fn a_device_that_is_not_there_says_what_to_do() {
        assert_eq!(
            DeviceName::of(&DeviceName::Cpu.open(DType::F64).expect("is there")),
            DeviceName::Cpu,
            "cpu"
        );
        let refusal =
            |name: DeviceName, dtype| name.open(dtype).expect_err("is not there").to_string();
        let error = refusal(DeviceName::Metal, DType::F64);
        assert!(error.contains("metal") && error.contains("use f32"), "{error}");
        #[cfg(not(feature = "cuda"))]
        {
            let error = refusal(DeviceName::Cuda(1), DType::F32);
            assert!(error.contains("cuda:1") && error.contains("--features cuda"), "{error}");
        }
        #[cfg(not(feature = "metal"))]
        {
            let error = refusal(DeviceName::Metal, DType::F32);
            assert!(error.contains("metal") && error.contains("--features metal"), "{error}");
        }
        assert_eq!(DeviceName::available()[0].0, DeviceName::Cpu, "comes first");
    }
}
