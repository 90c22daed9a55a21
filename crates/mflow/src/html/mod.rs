//! Reports as HTML: one file that needs nothing else, with figures that turn and zoom.
//!
//! A `Page` is made of sections, tables and figures; figures are JSON for plotly.js, whose script is in the
//! page. What a run looks like is a `View`: the learned manifold beside the true one and data.
mod compare;
mod components;
mod curves;
mod frame;
mod learned;
mod metrics;
mod number;
mod page;
mod plot;
mod run;
mod schedule;
mod script;
mod sheet;
mod suite;
mod table;
mod truth;
mod variants;
mod view;

use crate::{Finished, Result};
use mflow_core::write_atomically;
use mflow_train::Pool;
use std::path::{Path, PathBuf};

/// Name of the report in the folder of a run or suite.
pub const REPORT_FILE: &str = "report.html";

/// Write the report on `runs`, of which there is at least one, into `folder`; its path. Of several runs it
/// compares them.
///
/// # Errors
/// If a model cannot be evaluated or the file not written.
pub fn write_report(runs: &[Finished], pool: &Pool, folder: &Path) -> Result<PathBuf> {
    let page = match runs {
        [run] => run::page(run, pool)?,
        runs => suite::page(runs, pool)?,
    };
    let path = folder.join(REPORT_FILE);
    let text = page.finish()?;
    write_atomically(&path, |file| file.write_all(text.as_bytes()))?;
    Ok(path)
}
