//! Posteriors of parameters.
use crate::array::{Numbers, Rows};
use crate::errors::Failure;
use crate::events::{Event, attended};
use crate::model::Model;
use crate::pools;
use mflow::InferredSet;
use mflow::data::Prior;
use mflow::eval::mcmc::Lengths;
use mflow::eval::{ChainConfig, Sampler};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Chains of the posterior given observed rows, judged. A signal is seen when the chains have ended.
#[pyfunction]
#[pyo3(signature = (model, x, priors, names, sampler, chains, draws, burn_in, seed, threads))]
pub(crate) fn sample_posterior<'py>(
    py: Python<'py>,
    model: &Model,
    x: Rows<'_>,
    priors: Vec<String>,
    names: Vec<String>,
    sampler: &str,
    chains: usize,
    draws: usize,
    burn_in: usize,
    seed: u64,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let sampler = match sampler {
        "nuts" => Sampler::Nuts,
        "slice" => Sampler::Slice,
        other => {
            let text = format!("`sampler`: expected `nuts` or `slice`, found `{other}`");
            return Err(Failure::Config(text).into());
        }
    };
    let config = ChainConfig { sampler, chains, lengths: Lengths { burn_in, draws } };
    let parsed: Result<Vec<Prior>, _> = priors.iter().map(|text| text.parse()).collect();
    let (priors, x, pool) = (parsed.map_err(Failure::from)?, x.values(), pools::pool(threads)?);
    let work = |_: &crate::events::Worker<'_>| {
        Ok(mflow::infer(model.model(), &priors, &x, &config, (seed, 0), &pool)?)
    };
    let sample = attended(py, work, &mut |_, _: Event| Ok(()))?;
    let title = "the observed rows".to_owned();
    let set = InferredSet { title, names, priors, truth: None, config, sample };
    let said = PyDict::new(py);
    let [chains, draws, parameters] = set.sample.shape;
    let column = |of: fn(&mflow::eval::ParameterSummary) -> f64| {
        let values = set.sample.parameters.iter().map(of).collect();
        Numbers::new(values, &[parameters])
    };
    said.set_item("r_hat", column(|p| p.r_hat).into_array(py)?)?;
    said.set_item("ess", column(|p| p.effective_sample_size).into_array(py)?)?;
    said.set_item("mean", column(|p| p.mean).into_array(py)?)?;
    said.set_item("std", column(|p| p.std).into_array(py)?)?;
    said.set_item("divergences", set.sample.divergences)?;
    said.set_item("acceptance", set.sample.acceptance)?;
    said.set_item("warnings", set.warnings())?;
    said.set_item("table", set.to_string())?;
    let log_prob = Numbers::new(set.sample.log_prob, &[chains, draws]).into_array(py)?;
    said.set_item("log_prob", log_prob)?;
    let samples = Numbers::new(set.sample.samples, &[chains, draws, parameters]);
    said.set_item("samples", samples.into_array(py)?)?;
    Ok(said)
}
