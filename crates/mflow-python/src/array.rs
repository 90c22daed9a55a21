//! Arrays of NumPy and tensors.
use crate::errors::Failure;
use mflow::bijectors::host;
use mflow::core::candle::{DType, Device, Tensor};
use numpy::{
    PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArray2, PyReadonlyArrayDyn,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;

/// A matrix of real numbers, `[rows, columns]`, of any strides.
#[derive(FromPyObject)]
pub(crate) enum Rows<'py> {
    /// In double precision.
    Double(PyReadonlyArray2<'py, f64>),
    /// In single precision.
    Single(PyReadonlyArray2<'py, f32>),
}

impl Rows<'_> {
    /// Rows and columns.
    pub(crate) fn shape(&self) -> (usize, usize) {
        let shape = match self {
            Self::Double(array) => array.shape(),
            Self::Single(array) => array.shape(),
        };
        match shape {
            &[rows, columns] => (rows, columns),
            _ => (0, 0),
        }
    }

    /// All values in row-major order.
    pub(crate) fn values(&self) -> Vec<f64> {
        match self {
            Self::Double(array) => array.as_array().iter().copied().collect(),
            Self::Single(array) => array.as_array().iter().map(|v| f64::from(*v)).collect(),
        }
    }

    /// As a tensor of type `dtype` on `device`.
    pub(crate) fn tensor(&self, dtype: DType, device: &Device) -> Result<Tensor, Failure> {
        let shape = self.shape();
        let tensor = match self {
            // In row-major order only: `as_slice` of the array itself takes columns as well.
            Self::Double(array) => match array.as_array().as_slice() {
                Some(slice) => Tensor::from_slice(slice, shape, &Device::Cpu)?,
                None => Tensor::from_vec(self.values(), shape, &Device::Cpu)?,
            },
            Self::Single(array) => {
                let values: Vec<f32> = array.as_array().iter().copied().collect();
                Tensor::from_vec(values, shape, &Device::Cpu)?
            }
        };
        Ok(host::place(&tensor, dtype, device)?)
    }
}

/// Any array in double precision, in row-major order.
pub(crate) fn flat(array: &PyReadonlyArrayDyn<'_, f64>) -> Vec<f64> {
    array.as_array().iter().copied().collect()
}

/// Values and shape of what comes out, without the GIL.
pub(crate) struct Numbers {
    values: Vec<f64>,
    shape: Vec<usize>,
}

impl Numbers {
    pub(crate) fn new(values: Vec<f64>, shape: &[usize]) -> Self {
        Self { values, shape: shape.to_vec() }
    }

    pub(crate) fn of(tensor: &Tensor) -> Result<Self, Failure> {
        Ok(Self { values: host::values_f64(tensor)?, shape: tensor.dims().to_vec() })
    }

    /// As an array that owns them, in double precision.
    pub(crate) fn into_array(self, py: Python<'_>) -> PyResult<Bound<'_, PyArrayDyn<f64>>> {
        PyArray1::from_vec(py, self.values).reshape(self.shape)
    }
}
