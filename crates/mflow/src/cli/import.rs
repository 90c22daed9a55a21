//! `mflow import`: models that other libraries trained.
use super::exit::Done;
use super::options::Precision;
use super::output::{message, result, values};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use mflow::core::candle::{DType, Device, Tensor};
use mflow::core::{Density, LoadedModel, ModelConfig, save_model};
use mflow::data::io::read_npz_array;
use mflow::import;
use std::path::{Path, PathBuf};

/// Make a model of weights that the Python package nflows trained
///
/// WEIGHTS is the state dict of a `nflows.flows.Flow` (a model `af`), or of an M-flow or PIE of Brehmer & Cranmer's code, from
/// `torch.save(flow.state_dict(), 'flow.pt')` or as a safetensors file. The config says its architecture in the table [model]:
/// as many layers, bins and units, and the same tail bound, which no weight tells. Layers are permutations, LU-linear maps and
/// couplings with splines.
///
/// Let PyTorch compute log-densities of a few rows and give them with --check: a wrong tail bound or another normalisation is
/// found then, and nothing else finds it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    mflow import flow.pt --config flow.toml --out flow.safetensors --check check.npz\n\n\
    In Python, before:\n  \
    torch.save(flow.state_dict(), 'flow.pt')\n  \
    np.savez('check.npz', x=x, log_prob=flow.log_prob(x).detach())\n\n\
    flow.toml:\n  \
    [model]\n  \
    kind = 'af'\n  \
    data_dim = 3\n  \
    inner = { layers = 5, linear = 'lu', bins = 10, tail_bound = 6.0, hidden = 100, blocks = 2 }")]
pub(super) struct Options {
    /// Weights of PyTorch: .pt, .pth or .safetensors
    weights: PathBuf,
    /// Config file with the table [model]
    #[arg(long, value_name = "F.toml")]
    config: PathBuf,
    /// File for the model: .safetensors
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// Rows `x` and their `log_prob` (with `context`, if there is one), to compare with: .npz
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Precision of the model
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    dtype: Precision,
}

/// Largest difference of log-densities in single precision, relative to those that are larger than 1.
const TOLERANCE: f64 = 1e-3;

pub(super) fn run(options: &Options) -> Result<Done> {
    if options.out.extension().is_none_or(|extension| extension != "safetensors") {
        bail!("{}: expected the extension .safetensors", options.out.display());
    }
    let config = read_config(&options.config)?;
    let state = import::read_state(&options.weights)?;
    let loaded = import::from_nflows(&state, &config, options.dtype.into(), &options.weights)?;
    match &options.check {
        Some(path) => {
            let (rows, difference) = compare(&loaded, path)?;
            message(format_args!(
                "log-densities of {rows} rows differ by up to {difference:.1e} nats"
            ));
        }
        None => message(format_args!(
            "note: without --check nobody knows whether tail bounds and normalisation are those of the training"
        )),
    }
    save_model(&options.out, &loaded.card, &loaded.store)?;
    result(format_args!("{}", options.out.display()))?;
    Ok(Done::Finished)
}

fn read_config(path: &Path) -> Result<ModelConfig> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{shown}: cannot read"))?;
    let mut table: toml::Table =
        toml::from_str(&text).with_context(|| format!("{shown}: expected TOML"))?;
    let model =
        table.remove("model").with_context(|| format!("{shown}: expected a table [model]"))?;
    model.try_into().with_context(|| format!("{shown}: `model`"))
}

/// How many rows were compared, and the largest difference of their log-densities; refused if it is no matter of rounding.
fn compare(loaded: &LoadedModel, path: &Path) -> Result<(usize, f64)> {
    let signature = loaded.model.signature();
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
    let found = values(&loaded.model.log_density(density, &x, context.as_ref())?)?;
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
