//! Reports as HTML: one file that needs nothing else, with figures that turn and zoom.
//!
//! A `Page` is made of sections, tables and figures; figures are JSON for plotly.js, whose script is in the
//! page. What a run looks like is a `View`: the learned manifold beside the true one and data.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "fields of JSON objects that are made here, columns and components below their number, and models and simulators with a feature or more"
)]
mod compare;
mod components;
mod curves;
mod explore;
mod frame;
mod images;
mod learned;
mod metrics;
mod number;
mod page;
mod plot;
mod posterior;
mod run;
mod schedule;
mod script;
mod sheet;
mod suite;
mod table;
mod truth;
mod variants;
mod view;

pub use explore::{Explored, explorer};

use crate::{Finished, InferredSet, Result};
use mflow_core::write_atomically;
use mflow_train::Pool;
use page::Page;
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
    write(&page, &folder.join(REPORT_FILE))
}

/// Name of the page about posteriors.
pub const POSTERIOR_FILE: &str = "posterior.html";

/// Write the page about the posteriors of a model given some observed sets, of which there is at least one, into
/// `folder`; its path. Of many sets the first ones are shown in full.
///
/// # Errors
/// If a figure cannot be drawn or the file not written.
pub fn write_posteriors(sets: &[InferredSet], model: &str, folder: &Path) -> Result<PathBuf> {
    write(&posterior::page(sets, model)?, &folder.join(POSTERIOR_FILE))
}

fn write(page: &Page, path: &Path) -> Result<PathBuf> {
    let text = page.finish()?;
    write_atomically(path, |file| file.write_all(text.as_bytes()))?;
    Ok(path.to_owned())
}
