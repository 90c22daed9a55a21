//! Reports on fits.
use crate::errors::Failure;
use crate::pools;
use mflow::core::candle::Device;
use mflow::{Finished, html};
use pyo3::prelude::*;
use std::path::PathBuf;

/// Write report.html on run folders into `out`; its path.
#[pyfunction]
#[pyo3(signature = (folders, out, threads=None))]
pub(crate) fn write_report(
    py: Python<'_>,
    folders: Vec<PathBuf>,
    out: PathBuf,
    threads: Option<usize>,
) -> PyResult<PathBuf> {
    let pool = pools::pool(threads)?;
    let written = py.detach(|| -> Result<PathBuf, Failure> {
        let mut runs = Vec::with_capacity(folders.len());
        for folder in &folders {
            runs.push(Finished::load(folder, &Device::Cpu)?);
        }
        mflow::core::create_folder(&out)?;
        Ok(html::write_report(&runs, &pool, &out)?)
    });
    Ok(written?)
}
