//! `mflow import`: a flow that was trained elsewhere, as a model file.
use super::exit::Done;
use super::options::Precision;
use super::output::result;
use anyhow::{Context, Result};
use clap::Args;
use mflow::core::{ModelCard, ModelConfig, RowLayout, read_tensors, save_model};
use mflow::{Setting, import_nflows, with_settings};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Make a model file of a flow that was trained with the Python package nflows
///
/// STATE has what `flow.state_dict()` gives, written by `safetensors.torch.save_file`. It is a flow of nflows, or an ambient flow, an
/// M-flow or a PIE of the code of Brehmer & Cranmer (2020). The config says what the file does not: the kind of model, its sizes,
/// and the maps of each flow, from data to latent, as nflows lists them.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    mflow import flow.safetensors --config flow.toml --out model.safetensors\n\n\
    The manual has configs: docs/how-to/import.md")]
pub(super) struct Options {
    /// The state dict, a safetensors file
    state: PathBuf,
    /// A config file with the table [model]
    #[arg(long)]
    config: PathBuf,
    /// The model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Precision of the weights [default: that of the state dict]
    #[arg(long)]
    dtype: Option<Precision>,
}

/// What the config file has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    model: ModelConfig,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    let settings = Setting::of_file(&options.config)?;
    let Config { model: config } = with_settings(&toml::Table::new(), &settings)?;
    let tensors = read_tensors(&options.state)?.tensors;
    let store =
        import_nflows(&config, tensors, options.dtype.map(Into::into)).with_context(|| {
            format!("{} does not fit {}", options.state.display(), options.config.display())
        })?;
    let provenance = BTreeMap::from([
        ("mflow".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("imported".to_owned(), options.state.display().to_string()),
    ]);
    let card = ModelCard { config, columns: None, layout: RowLayout::default(), provenance };
    save_model(&options.out, &card, &store)?;
    result(format_args!("{}: a model; see mflow info", options.out.display()))?;
    Ok(Done::Finished)
}
