//! `mflow import`: a flow that was trained elsewhere, as a model file.
use super::exit::Done;
use super::options::Precision;
use super::output::{message, result, values};
use anyhow::{Context, Result, ensure};
use clap::Args;
use mflow::core::candle::{DType, Device, Tensor};
use mflow::core::{Density, Model, ModelCard, ModelConfig, RowLayout, save_model};
use mflow::data::io::read_npz_array;
use mflow::{Setting, import_nflows, read_state_dict, with_settings};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Make a model file of a flow that was trained with the Python package nflows
///
/// STATE has what `flow.state_dict()` gives, written by `torch.save` or `safetensors.torch.save_file`. It is a flow of nflows, or an
/// ambient flow, an M-flow or a PIE of the code of Brehmer & Cranmer (2020). The config says what the file does not: the kind of
/// model, its sizes, and the maps of each flow, from data to latent, as nflows lists them.
///
/// Let PyTorch compute log-densities of a few rows and give them with --check: a wrong tail bound or normalisation changes no shape,
/// and nothing else finds it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    mflow import flow.pt --config flow.toml --out model.safetensors --check check.npz\n\n\
    In Python, before:\n  \
    torch.save(flow.state_dict(), 'flow.pt')\n  \
    np.savez('check.npz', x=x, log_prob=flow.log_prob(x).detach())\n\n\
    The manual has configs: docs/how-to/import.md")]
pub(super) struct Options {
    /// The state dict: .pt, .pth or .safetensors
    state: PathBuf,
    /// A config file with the table [model]
    #[arg(long)]
    config: PathBuf,
    /// The model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Rows `x` and their `log_prob` (with `context`, if there is one), to compare with: .npz
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
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
    let state = read_state_dict(&options.state)?;
    let (model, store) = import_nflows(&config, state, options.dtype.map(Into::into))
        .with_context(|| {
            format!("{} does not fit {}", options.state.display(), options.config.display())
        })?;
    let provenance = BTreeMap::from([
        ("mflow".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("imported".to_owned(), options.state.display().to_string()),
    ]);
    let card = ModelCard { config, columns: None, layout: RowLayout::default(), provenance };
    match &options.check {
        Some(path) => {
            let (rows, apart) = compare(model.as_ref(), path)?;
            message(format_args!("log-densities of {rows} rows differ by up to {apart:.1e} nats"));
        }
        None => message(format_args!(
            "note: without --check nobody knows whether tail bounds and normalisation are those of the training"
        )),
    }
    save_model(&options.out, &card, &store)?;
    result(format_args!("{}: a model; see mflow info", options.out.display()))?;
    Ok(Done::Finished)
}

/// Largest difference of log-densities in single precision, relative to those that are larger than 1.
const TOLERANCE: f64 = 1e-3;

/// How many rows were compared, and the largest difference of their log-densities; refused if it is no matter of rounding.
fn compare(model: &dyn Model, path: &Path) -> Result<(usize, f64)> {
    let signature = model.signature();
    let read = |name: &str, cols: usize| -> Result<Tensor> {
        let array = read_npz_array(path, name)?;
        let (rows, found) = (array.rows(), array.cols());
        ensure!(
            found == cols,
            "{}: `{name}`: expected {cols} columns, found {found}",
            path.display()
        );
        let tensor = Tensor::from_slice(array.values(), (rows, cols), &Device::Cpu)?;
        Ok(tensor.to_dtype(signature.dtype)?)
    };
    let x = read("x", signature.data_dim)?;
    let context = signature.context_dim.map(|cols| read("context", cols)).transpose()?;
    let expected = read("log_prob", 1)?;
    ensure!(
        expected.dim(0)? == x.dim(0)?,
        "{}: expected as many of `log_prob` as of `x`",
        path.display()
    );
    let density = signature.density.unwrap_or(Density::Ambient);
    let found = values(&model.log_density(density, &x, context.as_ref())?)?;
    let expected = values(&expected.to_dtype(DType::F64)?)?;
    let mut most = 0.0_f64;
    for (row, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let difference = (found - expected).abs();
        ensure!(
            difference <= TOLERANCE * (1. + expected.abs()),
            "{}: row {row}: expected the log-density {expected}, the model finds {found}; compare tail bounds, activations and \
             normalisation with those of the training",
            path.display()
        );
        most = most.max(difference);
    }
    Ok((found.len(), most))
}
