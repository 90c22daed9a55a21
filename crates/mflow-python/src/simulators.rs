//! Simulators by name.
use crate::array::{Numbers, Rows};
use crate::errors::Failure;
use mflow::bijectors::Stream;
use mflow::data::{self, simulator_by_name};
use numpy::PyArrayDyn;
use pyo3::prelude::*;

/// A simulator; see `mflow.simulators.get`.
#[pyclass(frozen, module = "mflow._mflow")]
#[derive(Debug)]
pub(crate) struct Simulator {
    simulator: Box<dyn data::Simulator>,
}

type Array<'py> = Bound<'py, PyArrayDyn<f64>>;

/// Names of simulators.
#[pyfunction]
pub(crate) fn simulator_names() -> Vec<&'static str> {
    data::simulator_names()
}

impl Simulator {
    /// Parameters of `rows` points: those given, or for all of them the default ones.
    fn parameters(&self, given: Option<&Rows<'_>>, rows: usize) -> Vec<f64> {
        match given {
            None => self.simulator.default_parameters().repeat(rows),
            Some(given) if given.shape().0 == 1 => given.values().repeat(rows),
            Some(given) => given.values(),
        }
    }
}

#[pymethods]
impl Simulator {
    /// The simulator of a name.
    #[new]
    fn new(name: &str) -> PyResult<Self> {
        Ok(Self { simulator: simulator_by_name(name).map_err(Failure::from)? })
    }

    #[getter]
    fn name(&self) -> &'static str {
        self.simulator.name()
    }

    #[getter]
    fn data_dim(&self) -> usize {
        self.simulator.data_dim()
    }

    #[getter]
    fn manifold_dim(&self) -> usize {
        self.simulator.manifold_dim()
    }

    /// Whether density and projection are known.
    #[getter]
    fn is_tractable(&self) -> bool {
        self.simulator.is_tractable()
    }

    /// Name, prior as text and default of each parameter.
    #[getter]
    fn parameter_list(&self) -> Vec<(&'static str, String, f64)> {
        let parameters = self.simulator.parameters().iter();
        parameters.map(|p| (p.name, p.prior.to_string(), p.default)).collect()
    }

    /// Points, `[n, D]`, and their parameters, `[n, P]`, as `mflow data` draws them.
    #[pyo3(signature = (n, parameters=None, seed=0))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        n: usize,
        parameters: Option<Rows<'_>>,
        seed: u64,
    ) -> PyResult<(Array<'py>, Array<'py>)> {
        let given = parameters.as_ref().map(|given| self.parameters(Some(given), n));
        let simulator = &self.simulator;
        let (x, parameters) = py.detach(|| -> Result<_, Failure> {
            let stream = &mut Stream::new(seed, "data");
            let parameters = given.unwrap_or_else(|| simulator.sample_prior(n, stream));
            Ok((simulator.sample(n, &parameters, stream)?, parameters))
        })?;
        let x = Numbers::new(x, &[n, simulator.data_dim()]).into_array(py)?;
        let parameters = Numbers::new(parameters, &[n, simulator.parameter_dim()]);
        Ok((x, parameters.into_array(py)?))
    }

    /// Log-densities, `[n]`.
    #[pyo3(signature = (x, parameters=None))]
    fn log_prob<'py>(
        &self,
        py: Python<'py>,
        x: Rows<'_>,
        parameters: Option<Rows<'_>>,
    ) -> PyResult<Array<'py>> {
        let rows = x.shape().0;
        let (x, parameters) = (x.values(), self.parameters(parameters.as_ref(), rows));
        let simulator = &self.simulator;
        let found = py.detach(|| simulator.log_prob(&x, &parameters)).map_err(Failure::from)?;
        Numbers::new(found, &[rows]).into_array(py)
    }

    /// Nearest points of the manifold, `[n, D]`.
    fn project<'py>(&self, py: Python<'py>, x: Rows<'_>) -> PyResult<Array<'py>> {
        let (shape, x, simulator) = (x.shape(), x.values(), &self.simulator);
        let found = py.detach(|| simulator.project(&x)).map_err(Failure::from)?;
        Numbers::new(found, &[shape.0, simulator.data_dim()]).into_array(py)
    }

    /// Distances to the manifold, `[n]`.
    fn distance<'py>(&self, py: Python<'py>, x: Rows<'_>) -> PyResult<Array<'py>> {
        let (rows, x, simulator) = (x.shape().0, x.values(), &self.simulator);
        let found = py.detach(|| simulator.distance(&x)).map_err(Failure::from)?;
        Numbers::new(found, &[rows]).into_array(py)
    }
}
