//! Statistics of samples, and the dimension of rows.
use crate::array::Rows;
use crate::errors::Failure;
use crate::pools;
use mflow::eval::statistics::{self, Sample};
use mflow::eval::{DimensionConfig, DimensionStudy, Estimate};
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;

/// A value with its standard error.
type Pair = (f64, Option<f64>);

fn pair(estimate: Estimate) -> Pair {
    (estimate.value, estimate.standard_error)
}

/// `compare` of two samples, without the GIL.
fn of_two<T: Send>(
    py: Python<'_>,
    x: &Rows<'_>,
    y: &Rows<'_>,
    compare: impl FnOnce(Sample<'_>, Sample<'_>) -> mflow::eval::Result<T> + Send,
) -> PyResult<T> {
    let (d, x, of_y, y) = (x.shape().1, x.values(), y.shape().1, y.values());
    let result = py.detach(|| compare(Sample::new(&x, d)?, Sample::new(&y, of_y)?));
    Ok(result.map_err(Failure::from)?)
}

/// Estimates of the dimension as JSON.
#[pyfunction]
#[pyo3(signature = (x, standardize=true, seed=0, threads=None))]
pub(crate) fn dimension(
    py: Python<'_>,
    x: Rows<'_>,
    standardize: bool,
    seed: u64,
    threads: Option<usize>,
) -> PyResult<String> {
    let (d, x, pool) = (x.shape().1, x.values(), pools::pool(threads)?);
    let config = DimensionConfig { standardize, seed };
    let study = py.detach(|| DimensionStudy::of(Sample::new(&x, d)?, config, &pool));
    Ok(serde_json::to_string(&study.map_err(Failure::from)?).map_err(Failure::from)?)
}

/// Fréchet distance.
#[pyfunction]
pub(crate) fn frechet_distance(py: Python<'_>, x: Rows<'_>, y: Rows<'_>) -> PyResult<f64> {
    of_two(py, &x, &y, statistics::frechet_distance)
}

/// Kernel distance with its error.
#[pyfunction]
pub(crate) fn kernel_distance(
    py: Python<'_>,
    x: Rows<'_>,
    y: Rows<'_>,
    blocks: usize,
) -> PyResult<Pair> {
    of_two(py, &x, &y, |x, y| statistics::kernel_distance(x, y, blocks)).map(pair)
}

/// Squared maximum mean discrepancy.
#[pyfunction]
#[pyo3(signature = (x, y, scale=None))]
pub(crate) fn squared_mmd(
    py: Python<'_>,
    x: Rows<'_>,
    y: Rows<'_>,
    scale: Option<f64>,
) -> PyResult<f64> {
    of_two(py, &x, &y, |x, y| {
        let scale = scale.map_or_else(|| statistics::median_distance(x), Ok)?;
        statistics::squared_mmd(x, y, scale)
    })
}

/// Accuracy and its deviation.
#[pyfunction]
pub(crate) fn classifier_two_sample(
    py: Python<'_>,
    x: Rows<'_>,
    y: Rows<'_>,
    k: usize,
) -> PyResult<(f64, f64)> {
    let test = of_two(py, &x, &y, |x, y| statistics::c2st(x, y, k))?;
    Ok((test.accuracy, test.deviation))
}

/// Precision, recall, density and coverage.
#[pyfunction]
pub(crate) fn coverage(
    py: Python<'_>,
    real: Rows<'_>,
    generated: Rows<'_>,
    k: usize,
) -> PyResult<[Pair; 4]> {
    let found = of_two(py, &real, &generated, |x, y| statistics::coverage(x, y, k))?;
    Ok([found.precision, found.recall, found.density, found.coverage].map(pair))
}

/// Area under the curve of true against false positives.
#[pyfunction]
pub(crate) fn auc(
    positive: PyReadonlyArray1<'_, f64>,
    negative: PyReadonlyArray1<'_, f64>,
) -> PyResult<f64> {
    let values = |array: &PyReadonlyArray1<'_, f64>| array.as_array().to_vec();
    Ok(statistics::auc(&values(&positive), &values(&negative)).map_err(Failure::from)?)
}

/// Largest difference of two distribution functions.
#[pyfunction]
pub(crate) fn kolmogorov_smirnov(
    a: PyReadonlyArray1<'_, f64>,
    b: PyReadonlyArray1<'_, f64>,
) -> f64 {
    statistics::kolmogorov_smirnov(&a.as_array().to_vec(), &b.as_array().to_vec())
}
