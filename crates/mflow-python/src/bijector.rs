//! Any invertible map, from its config.
use crate::array::{Numbers, flat};
use crate::errors::Failure;
use mflow::bijectors::{self, BijectorConfig, Diff, Direction, Dual, Mapped, ParamStore};
use mflow::core::candle::{DType, Device, Tensor};
use numpy::{PyArrayDyn, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An invertible map; see `mflow.Bijector`.
#[pyclass(frozen, module = "mflow._mflow")]
#[derive(Debug)]
pub(crate) struct Bijector {
    map: Arc<dyn bijectors::Bijector>,
    store: ParamStore,
}

type Array<'py> = Bound<'py, PyArrayDyn<f64>>;

impl Bijector {
    fn tensor(&self, x: &PyReadonlyArrayDyn<'_, f64>) -> Result<Tensor, Failure> {
        let signature = self.map.signature();
        let tensor = Tensor::from_vec(flat(x), x.shape(), &Device::Cpu)?;
        Ok(bijectors::host::place(&tensor, signature.dtype, &signature.device)?)
    }
}

/// Parameters as tensors, of the types that those of the same names have in `store`: indices and flags are no real numbers.
fn named_like(
    store: &ParamStore,
    parameters: &BTreeMap<String, PyReadonlyArrayDyn<'_, f64>>,
) -> Result<BTreeMap<String, Tensor>, Failure> {
    let like = store.to_named()?;
    let named = parameters.iter().map(|(name, array)| {
        let tensor = Tensor::from_vec(flat(array), array.shape(), &Device::Cpu)?;
        let dtype = like.get(name).map_or(DType::F64, Tensor::dtype);
        Ok((name.clone(), tensor.to_dtype(dtype)?))
    });
    named.collect()
}

/// `forward` or `inverse`.
fn direction(inverse: bool) -> Direction {
    if inverse { Direction::Inverse } else { Direction::Forward }
}

#[pymethods]
impl Bijector {
    /// From its config as JSON: with random weights, or with those of `parameters`.
    #[new]
    #[pyo3(signature = (config, seed=0, double=true, parameters=None))]
    fn new(
        config: &str,
        seed: u64,
        double: bool,
        parameters: Option<BTreeMap<String, PyReadonlyArrayDyn<'_, f64>>>,
    ) -> PyResult<Self> {
        let config: BijectorConfig = serde_json::from_str(config).map_err(Failure::from)?;
        let dtype = if double { DType::F64 } else { DType::F32 };
        let mut store = ParamStore::new(seed, dtype, &Device::Cpu);
        let mut map = store.create(&config).map_err(Failure::from)?;
        if let Some(parameters) = parameters {
            let named = named_like(&store, &parameters)?;
            store = ParamStore::from_named(named, dtype, &Device::Cpu);
            map = store.create(&config).map_err(Failure::from)?;
        }
        Ok(Self { map, store })
    }

    /// Shapes of a latent and of a data point.
    #[getter]
    fn shapes(&self) -> (Vec<usize>, Vec<usize>) {
        let signature = self.map.signature();
        (signature.latent_shape.clone(), signature.data_shape.clone())
    }

    /// Number of context features.
    #[getter]
    fn context_dim(&self) -> Option<usize> {
        self.map.signature().context_dim
    }

    /// Parameters and buffers as files store them.
    fn parameters<'py>(&self, py: Python<'py>) -> PyResult<BTreeMap<String, Array<'py>>> {
        let named = self.store.to_named().map_err(Failure::from)?;
        let array =
            |(name, tensor): (String, Tensor)| Ok((name, Numbers::of(&tensor)?.into_array(py)?));
        named.into_iter().map(array).collect()
    }

    /// The mapped points and the logarithms of the determinants.
    #[pyo3(signature = (x, context=None, inverse=false))]
    fn map<'py>(
        &self,
        py: Python<'py>,
        x: PyReadonlyArrayDyn<'_, f64>,
        context: Option<PyReadonlyArrayDyn<'_, f64>>,
        inverse: bool,
    ) -> PyResult<(Array<'py>, Array<'py>)> {
        let x = self.tensor(&x)?;
        let context = context.as_ref().map(|c| self.tensor(c)).transpose()?;
        let map = &self.map;
        let (value, log_det) = py.detach(|| -> Result<_, Failure> {
            let Mapped { value, log_abs_det } =
                map.map(direction(inverse), &x, context.as_ref())?;
            Ok((Numbers::of(&value)?, Numbers::of(&log_abs_det)?))
        })?;
        Ok((value.into_array(py)?, log_det.into_array(py)?))
    }

    /// The mapped points, the logarithms of the determinants and the images of tangent rows `[B, K, ..]`.
    #[pyo3(signature = (x, tangents, context=None, inverse=false))]
    fn push<'py>(
        &self,
        py: Python<'py>,
        x: PyReadonlyArrayDyn<'_, f64>,
        tangents: PyReadonlyArrayDyn<'_, f64>,
        context: Option<PyReadonlyArrayDyn<'_, f64>>,
        inverse: bool,
    ) -> PyResult<(Array<'py>, Array<'py>, Array<'py>)> {
        let (x, tangents) = (self.tensor(&x)?, self.tensor(&tangents)?);
        let context = context.as_ref().map(|c| self.tensor(c)).transpose()?;
        let map = &self.map;
        let (value, log_det, pushed) = py.detach(|| -> Result<_, Failure> {
            let dual = Dual::new(x, tangents)?;
            let context = context.as_ref().map(Dual::constant);
            let Mapped { value, log_abs_det } =
                map.push(direction(inverse), &dual, context.as_ref())?;
            let pushed = match value.tangents() {
                Some(tangents) => Numbers::of(tangents)?,
                None => Numbers::new(vec![], &[0]),
            };
            Ok((Numbers::of(value.value())?, Numbers::of(log_abs_det.value())?, pushed))
        })?;
        Ok((value.into_array(py)?, log_det.into_array(py)?, pushed.into_array(py)?))
    }
}
