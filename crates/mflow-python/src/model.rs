//! A fitted model.
use crate::array::{Numbers, Rows};
use crate::errors::Failure;
use crate::events::{Event, Worker, attended};
use crate::pools;
use mflow::ask::{Draws, Scores, by_rows};
use mflow::core::candle::{DType, Device, Tensor};
use mflow::core::{
    self, Density, LoadedModel, ModelSignature, load_model, load_model_bytes, model_bytes,
    save_model,
};
use numpy::PyArrayDyn;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::path::PathBuf;

/// Rows up to which a question is answered on the thread that asks, where no signal can come between.
const AT_ONCE: usize = 10_000;
/// Rows that one thread answers sooner than it wakes others.
const ALONE: usize = 16;

/// A fitted model; see `mflow.load`.
#[pyclass(frozen, module = "mflow._mflow")]
#[derive(Debug)]
pub(crate) struct Model {
    loaded: LoadedModel,
}

type Answer<'py> = PyResult<Bound<'py, PyArrayDyn<f64>>>;

/// What a question of rows is: `[B, D]` and context to `[B, ..]`.
type Question = fn(&dyn core::Model, &Tensor, Option<&Tensor>) -> core::Result<Tensor>;

impl Model {
    pub(crate) fn model(&self) -> &dyn core::Model {
        self.loaded.model.as_ref()
    }

    fn signature(&self) -> &ModelSignature {
        self.model().signature()
    }

    fn tensor(&self, rows: &Rows<'_>) -> Result<Tensor, Failure> {
        rows.tensor(self.signature().dtype, &self.signature().device)
    }

    /// A context of as many rows, or of one, which is repeated.
    fn context(&self, context: Option<&Rows<'_>>, rows: usize) -> Result<Option<Tensor>, Failure> {
        let Some(context) = context else { return Ok(None) };
        let (found, columns) = context.shape();
        let tensor = self.tensor(context)?;
        Ok(Some(match found {
            1 => tensor.broadcast_as((rows, columns))?.contiguous()?,
            _ => tensor,
        }))
    }

    /// The answer to a question on each row.
    fn ask<'py>(
        &self,
        py: Python<'py>,
        x: &Rows<'_>,
        context: Option<&Rows<'_>>,
        threads: Option<usize>,
        question: &(dyn Fn(&Tensor, Option<&Tensor>) -> core::Result<Tensor> + Sync),
    ) -> Answer<'py> {
        let rows = x.shape().0;
        let x = self.tensor(x)?;
        let context = self.context(context, rows)?;
        if rows <= ALONE {
            let answer = py.detach(|| Numbers::of(&question(&x, context.as_ref())?))?;
            return answer.into_array(py);
        }
        let pool = pools::pool(threads)?;
        let all = |check: &(dyn Fn() -> Result<(), Failure> + Sync)| -> Result<Numbers, Failure> {
            let answers = by_rows(&pool, &x, context.as_ref(), |x, c| {
                check()?;
                Ok::<_, Failure>(question(x, c)?)
            })?;
            Numbers::of(&answers)
        };
        let answer = match rows > AT_ONCE {
            true => {
                let work = |worker: &Worker<'_>| all(&worker.checker());
                attended(py, work, &mut |_, _: Event| Ok(()))?
            }
            false => py.detach(|| all(&|| Ok(())))?,
        };
        answer.into_array(py)
    }
}

/// The density that has a name.
fn density_named(name: &str) -> Result<Density, Failure> {
    match name {
        "manifold" => Ok(Density::Manifold),
        "ambient" => Ok(Density::Ambient),
        "slice" => Ok(Density::Slice),
        _ => Err(Failure::Config(format!(
            "`density`: expected `manifold`, `ambient` or `slice`, found `{name}`"
        ))),
    }
}

fn name_of(density: Density) -> &'static str {
    match density {
        Density::Manifold => "manifold",
        Density::Ambient => "ambient",
        Density::Slice => "slice",
        Density::Ratio => "ratio",
        _ => "other",
    }
}

#[pymethods]
impl Model {
    /// Read a model file.
    #[staticmethod]
    #[pyo3(signature = (path, dtype=None))]
    fn load(py: Python<'_>, path: PathBuf, dtype: Option<&str>) -> PyResult<Self> {
        let dtype = dtype_named(dtype)?;
        let loaded = py.detach(|| load_model(&path, dtype, &Device::Cpu)).map_err(Failure::from)?;
        Ok(Self { loaded })
    }

    /// Of the bytes of a model file.
    #[staticmethod]
    #[pyo3(signature = (data, dtype=None))]
    fn from_bytes(py: Python<'_>, data: &[u8], dtype: Option<&str>) -> PyResult<Self> {
        let (dtype, name) = (dtype_named(dtype)?, "the bytes of a model");
        let loaded = py.detach(|| load_model_bytes(data, name, dtype, &Device::Cpu));
        Ok(Self { loaded: loaded.map_err(Failure::from)? })
    }

    /// The bytes of a model file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let LoadedModel { card, store, .. } = &self.loaded;
        let bytes = py.detach(|| model_bytes(card, store)).map_err(Failure::from)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// For pickle and copy.
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((py.get_type::<Self>().getattr("from_bytes")?, (self.to_bytes(py)?,)))
    }

    /// Write a model file.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let LoadedModel { card, store, .. } = &self.loaded;
        Ok(py.detach(|| save_model(&path, card, store)).map_err(Failure::from)?)
    }

    /// Sizes and capabilities.
    #[getter]
    #[pyo3(name = "signature")]
    fn describe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let signature = self.signature();
        let said = PyDict::new(py);
        said.set_item("model", signature.name)?;
        said.set_item("data_dim", signature.data_dim)?;
        said.set_item("manifold_dim", signature.manifold_dim)?;
        said.set_item("latent_dim", signature.latent_dim())?;
        said.set_item("charts", signature.charts)?;
        said.set_item("context_dim", signature.context_dim)?;
        said.set_item("conditional_manifold", signature.conditional_manifold)?;
        said.set_item("density", signature.density.map(name_of))?;
        said.set_item("is_generative", signature.is_generative())?;
        said.set_item("inverts", self.model().inverts())?;
        said.set_item("latent", &signature.latent)?;
        said.set_item("dtype", if signature.dtype == DType::F64 { "f64" } else { "f32" })?;
        Ok(said)
    }

    /// The config as JSON.
    #[getter]
    fn config(&self) -> PyResult<String> {
        Ok(serde_json::to_string(&self.loaded.card.config).map_err(Failure::from)?)
    }

    /// Names of the data columns.
    #[getter]
    fn columns(&self) -> Option<Vec<String>> {
        self.loaded.card.columns.clone()
    }

    /// Where it comes from.
    #[getter]
    fn provenance(&self) -> std::collections::BTreeMap<String, String> {
        self.loaded.card.provenance.clone()
    }

    /// Names of the columns of `scores`, without the latents.
    #[getter]
    fn score_names(&self) -> Vec<&'static str> {
        let distance = self.signature().is_generative().then_some("reconstruction_error");
        Scores::of(self.signature()).names().chain(distance).collect()
    }

    /// The answer to a question by its name: `log_prob`, `reconstruction_error` `[B]`, `project` `[B, D]`, `encode` `[B, N]`,
    /// `scores` `[B, K]` (densities, distance and latents), `log_prob_gradient` `[B, D]`; of latents `decode` `[B, D]`,
    /// `decode_jacobian` `[B, N, D]`.
    #[pyo3(signature = (what, x, context=None, threads=None))]
    fn _ask<'py>(
        &self,
        py: Python<'py>,
        what: &str,
        x: Rows<'_>,
        context: Option<Rows<'_>>,
        threads: Option<usize>,
    ) -> Answer<'py> {
        let question: Question = match what {
            "log_prob" => |model, x, c| model.log_prob(x, c),
            "reconstruction_error" => |model, x, c| model.reconstruction_error(x, c),
            "project" => |model, x, c| model.project(x, c),
            "encode" => |model, x, c| model.encode(x, c),
            "decode" => |model, u, c| model.decode(u, c),
            "decode_jacobian" => |model, u, c| model.decode_jacobian(u, c),
            "log_prob_gradient" => |model, x, c| Ok(model.log_prob_gradient(x, c)?.x),
            "scores" => |model, x, c| Scores::of(model.signature()).of_rows(model, x, c),
            _ => return Err(Failure::Config(format!("no question is called `{what}`")).into()),
        };
        let model = self.model();
        self.ask(py, &x, context.as_ref(), threads, &|x, c| question(model, x, c))
    }

    /// Log-density of a kind, `[B]`.
    #[pyo3(signature = (density, x, context=None, threads=None))]
    fn log_density<'py>(
        &self,
        py: Python<'py>,
        density: &str,
        x: Rows<'_>,
        context: Option<Rows<'_>>,
        threads: Option<usize>,
    ) -> Answer<'py> {
        let (model, density) = (self.model(), density_named(density)?);
        self.ask(py, &x, context.as_ref(), threads, &|x, c| model.log_density(density, x, c))
    }

    /// Draws, `[n, D]`.
    #[pyo3(signature = (n, context=None, seed=0, on_manifold=false, threads=None))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        n: usize,
        context: Option<Rows<'_>>,
        seed: u64,
        on_manifold: bool,
        threads: Option<usize>,
    ) -> Answer<'py> {
        let context = context.as_ref().map(|rows| self.tensor(rows)).transpose()?;
        let (pool, model) = (pools::pool(threads)?, self.model());
        let draws = Draws { rows: n, context, seed, on_manifold };
        let work = |worker: &Worker<'_>| -> Result<Numbers, Failure> {
            let mut all = vec![];
            draws.draw(model, &pool, &worker.checker(), &mut |points| {
                all.push(points.clone());
                Ok::<_, Failure>(())
            })?;
            Numbers::of(&Tensor::cat(&all, 0)?)
        };
        attended(py, work, &mut |_, _: Event| Ok(()))?.into_array(py)
    }
}

/// A precision by its name.
fn dtype_named(name: Option<&str>) -> Result<Option<DType>, Failure> {
    match name {
        None => Ok(None),
        Some("f32") => Ok(Some(DType::F32)),
        Some("f64") => Ok(Some(DType::F64)),
        Some(other) => {
            Err(Failure::Config(format!("`dtype`: expected `f32` or `f64`, found `{other}`")))
        }
    }
}
