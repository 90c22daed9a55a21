//! `mflow info`: what a model is, and how exactly it inverts.
use super::evaluate::by_rows;
use super::exit::Done;
use super::model::{self, Opened};
use super::options::Threads;
use super::output::{result, values};
use super::threads;
use anyhow::Result;
use clap::Args;
use mflow::bijectors::{FeatureAffineConfig, SplineFlowConfig, Stream};
use mflow::core::candle::{DType, Tensor};
use mflow::core::{Density, ModelConfig, ModelParts, VectorFlowConfig, gram_log_det};
use mflow::train::Pool;
use std::path::{Path, PathBuf};

/// Describe a model, and check how exactly it inverts
///
/// The check is on points drawn from the model itself, which lie on its manifold: all of its
/// numbers would be 0 in exact arithmetic. Numbers in f32 far above 1e-3 of the data's scale call
/// for a fit with `--dtype f64`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mflow info run")]
pub(super) struct Options {
    /// A run folder, or a model file
    model: PathBuf,
    /// Context for the check of a conditional model, [1, C] or [samples, C]
    #[arg(long, value_name = "CTX")]
    context: Option<PathBuf>,
    /// Points to check with
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    #[command(flatten)]
    threads: Threads,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    let opened = model::open(&options.model, None)?;
    describe(&opened)?;
    let context = options.context.as_deref();
    if opened.signature().context_dim.is_some() && context.is_none() {
        result(format_args!("\nTo check how exactly it inverts, give --context CTX."))?;
        return Ok(Done::Finished);
    }
    let pool = threads::pool(options.threads)?;
    let samples = usize::try_from(options.samples)?;
    let single = check(&opened.path, DType::F32, context, samples, &pool)?;
    let double = check(&opened.path, DType::F64, context, samples, &pool)?;
    result(format_args!(
        "\n{:<46} {:>9} {:>9}",
        format!("check on {samples} of its samples"),
        "f32",
        "f64"
    ))?;
    for ((name, single), (_, double)) in single.into_iter().zip(double) {
        result(format_args!("  {name:<44} {single:>9.1e} {double:>9.1e}"))?;
    }
    Ok(Done::Finished)
}

fn describe(opened: &Opened) -> Result<()> {
    let (signature, card) = (opened.signature(), &opened.loaded.card);
    let (d, n) = (signature.data_dim, signature.manifold_dim);
    let line = |name: &str, text: String| result(format_args!("  {name:<14} {text}"));
    result(format_args!(
        "{}: a density on a manifold of dimension {n} in {d} dimensions",
        card.config.name()
    ))?;
    let parameters = opened.loaded.store.parameters().map(|p| p.var.elem_count());
    line("file", opened.path.display().to_string())?;
    line("parameters", format!("{}, {}", parameters.sum::<usize>(), signature.dtype.as_str()))?;
    line("columns", opened.columns().map_or_else(|| format!("{d}, unnamed"), |c| c.join(", ")))?;
    line("latent", format!("standard normal on R^{n}"))?;
    if let ModelConfig::MFlow(config) = &card.config {
        line(
            "context",
            match (config.context_dim, config.conditional_manifold) {
                (0, _) => "none".to_owned(),
                (c, false) => format!("{c} features, for the density"),
                (c, true) => format!("{c} features, for the manifold and the density"),
            },
        )?;
        line("outer flow", flow(&config.outer))?;
        line("inner flow", flow(&config.inner))?;
    }
    line("normalisation", normalization(card.config.normalization()))?;
    let provenance = card.provenance.iter().map(|(key, value)| format!("{key} {value}"));
    line("provenance", provenance.collect::<Vec<_>>().join(", "))
}

fn flow(config: &SplineFlowConfig) -> String {
    let SplineFlowConfig { layers, bins, tail_bound, hidden, blocks, .. } = config;
    format!(
        "{layers} spline couplings, {bins} bins on [-{tail_bound}, {tail_bound}], networks of \
         {blocks} blocks of width {hidden}"
    )
}

fn normalization(config: Option<&FeatureAffineConfig>) -> String {
    /// Columns that fit a line.
    const SHOWN: usize = 8;
    let changes = |a: &&FeatureAffineConfig| {
        a.shift.iter().any(|&v| v != 0.) || a.scale.iter().any(|&v| v != 1.)
    };
    let Some(FeatureAffineConfig { shift, scale, .. }) = config.filter(changes) else {
        return "none".to_owned();
    };
    let list = |values: &[f64]| {
        let shown: Vec<String> = values.iter().take(SHOWN).map(|v| format!("{v:.4}")).collect();
        let more = if values.len() > SHOWN { ", .." } else { "" };
        format!("[{}{more}]", shown.join(", "))
    };
    format!("(x - {}) / {}", list(shift), list(scale))
}

/// What should be 0, by name, in one precision.
fn check(
    path: &Path,
    dtype: DType,
    context: Option<&Path>,
    samples: usize,
    pool: &Pool,
) -> Result<Vec<(&'static str, f64)>> {
    let opened = model::open(path, Some(dtype))?;
    let model = opened.model();
    let base = StandardNormal { dim: opened.signature().manifold_dim };
    let latents = model.sample_latent(samples, &mut Stream::new(0, "info"))?;
    let context = opened.context(context, samples)?;
    let context = context.as_ref();
    let checks = by_rows(pool, &latents, context, |u, c| {
        let x = model.decode(u, c)?;
        let latent = model.encode(&x, c)?;
        let moved = (model.project(&x, c)? - model.decode(&latent, c)?)?.sqr()?.sum(1)?.sqrt()?;
        let volume = gram_log_det(&model.decode_jacobian(&latent, c)?)?;
        let density = (base.log_prob(&latent)? - (volume * 0.5)?)?;
        let density = (model.log_prob(&x, c)? - density)?.abs()?;
        let returned = (u - &latent)?.sqr()?.sum(1)?.sqrt()?;
        let columns = [model.reconstruction_error(&x, c)?, moved, returned, density];
        Ok(Tensor::stack(&columns, 1)?)
    })?;
    let column = |j: usize| -> Result<Vec<f64>> {
        let mut values = values(&checks.narrow(1, j, 1)?.contiguous()?)?;
        values.sort_by(f64::total_cmp); // NaN last, where the maximum is
        Ok(values)
    };
    let max = |j: usize| Ok::<_, anyhow::Error>(column(j)?.last().copied().unwrap_or(f64::NAN));
    let errors = column(0)?;
    Ok(vec![
        ("reconstruction error, median", errors[errors.len() / 2]),
        ("reconstruction error, largest", max(0)?),
        ("|decode(encode(x)) - project(x)|, largest", max(1)?),
        ("|latent - encode(decode(latent))|, largest", max(2)?),
        ("|log_prob - its terms by decode|, largest", max(3)?),
    ])
}
