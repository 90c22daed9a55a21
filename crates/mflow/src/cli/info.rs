//! `mflow info`: what a model is, and how exactly it inverts.
use super::exit::Done;
use super::model::{self, Opened};
use super::options::{Place, Threads};
use super::output::{result, values};
use super::threads;
use anyhow::Result;
use clap::Args;
use mflow::ask::by_rows;
use mflow::bijectors::{FeatureAffineConfig, NetConfig, SplineFlowConfig, Stream};
use mflow::core::candle::{DType, Tensor};
use mflow::core::{
    self, Charts, Density, DeviceName, Model, ModelParts, NetworkConfig, VectorFlowConfig,
    gram_log_det,
};
use mflow::cycle::{self, Cycle};
use mflow::train::Pool;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Describe a model, and check how exactly it inverts; without a model, say what this program can use
///
/// The check is on points drawn from the model itself, which lie on its manifold: all of its
/// numbers would be 0 in exact arithmetic, but for models whose encoder is a network of its own (`me-flow`,
/// `free-form`, `free-form-atlas`, `pae`, `vae`, `rif`) and only near the inverse. The density of `me-flow`,
/// `free-form` and `free-form-atlas` is exact only where it is the inverse: the last lines say how near it
/// comes. Numbers in f32 far above 1e-3 of the data's scale say that the flow inverts badly in single
/// precision: add `--dtype f64` to `score`, `sample`, `encode`, `decode` or `project`. No new fit is needed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mflow info run           what the model of a run is\n  \
    mflow info run --json    the same for programs\n  \
    mflow info               version, threads and devices of this program")]
pub(super) struct Options {
    /// A run folder, or a model file; without one the program itself is described
    model: Option<PathBuf>,
    /// Context for the check of a conditional model, [1, C] or [samples, C]
    #[arg(long, value_name = "CTX", requires = "model")]
    context: Option<PathBuf>,
    /// Write JSON: the model, its config, where it is from, and the check, as lists by precision
    #[arg(long, requires = "model")]
    json: bool,
    /// Points to check with
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    threads: Threads,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    let pool = threads::pool(options.threads)?;
    let Some(model) = &options.model else {
        describe_program(&pool)?;
        return Ok(Done::Finished);
    };
    let device = options.place.device.open(DType::F32)?;
    let opened = model::open(model, None, &device)?;
    let (context, samples) = (options.context.as_deref(), usize::try_from(options.samples)?);
    let is_checked = opened.signature().is_generative()
        && (opened.signature().context_dim.is_none() || context.is_some());
    let mut precisions = vec![DType::F32, DType::F64];
    precisions.retain(|&dtype| is_checked && options.place.device.check(dtype).is_ok());
    let checks = precisions.iter().map(|&dtype| {
        let opened = model::open(&opened.path, Some(dtype), &device)?;
        Ok(Checked { dtype, found: check(&opened, context, samples, &pool)? })
    });
    if options.json {
        let text = as_json(&opened, &checks.collect::<Result<Vec<_>>>()?)?;
        result(format_args!("{text}"))?;
        return Ok(Done::Finished);
    }
    describe(&opened)?;
    if opened.signature().is_generative() && !is_checked {
        result(format_args!("\nTo check how exactly it inverts, give --context CTX."))?;
    }
    if !is_checked {
        // There are no samples to check with.
        return Ok(Done::Finished);
    }
    print(samples, &checks.collect::<Result<Vec<_>>>()?)?;
    if cycle::depends_on_encoder(opened.model()) {
        let context = opened.context(context, samples)?;
        let cycle = Cycle::measure(opened.model(), context.as_ref(), samples, &pool)?;
        result(format_args!("\n{cycle}"))?;
    }
    Ok(Done::Finished)
}

/// What the check found in one precision.
struct Checked {
    dtype: DType,
    /// What should be 0, by name.
    found: Vec<(&'static str, f64)>,
}

/// A column for each precision.
fn print(samples: usize, checks: &[Checked]) -> Result<()> {
    let row = |name: &str, cells: &mut dyn Iterator<Item = String>| {
        let cells: String = cells.map(|cell| format!(" {cell:>9}")).collect();
        result(format_args!("{name:<46}{cells}"))
    };
    result(format_args!(""))?;
    let names = &mut checks.iter().map(|checked| checked.dtype.as_str().to_owned());
    row(&format!("check on {samples} of its samples"), names)?;
    let names = checks.first().map_or(&[][..], |checked| &checked.found);
    for (i, (name, _)) in names.iter().enumerate() {
        let of = |checked: &Checked| Some(format!("{:.1e}", checked.found.get(i)?.1));
        row(&format!("  {name}"), &mut checks.iter().filter_map(of))?;
    }
    Ok(())
}

fn as_json(opened: &Opened, checks: &[Checked]) -> Result<String> {
    let card = &opened.loaded.card;
    let parameters = opened.loaded.store.parameters().map(|p| p.var.elem_count());
    let found = checks.iter().map(|Checked { dtype, found }| {
        let found = found.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        (dtype.as_str().to_owned(), Value::Object(found.collect()))
    });
    let mut all = opened.description();
    all.extend([
        ("file".to_owned(), json!(opened.path.display().to_string())),
        ("parameters".to_owned(), json!(parameters.sum::<usize>())),
        ("config".to_owned(), serde_json::to_value(&card.config)?),
        ("provenance".to_owned(), json!(card.provenance)),
        ("check".to_owned(), Value::Object(found.collect())),
    ]);
    Ok(serde_json::to_string_pretty(&all)?)
}

/// Version, threads and devices.
fn describe_program(pool: &Pool) -> Result<()> {
    let line = |name: &str, text: String| result(format_args!("  {name:<14} {text}"));
    result(format_args!("mflow {}", env!("CARGO_PKG_VERSION")))?;
    line("threads", pool.threads().to_string())?;
    for (device, what) in DeviceName::available() {
        line("device", format!("{device}: {what}"))?;
    }
    Ok(())
}

fn describe(opened: &Opened) -> Result<()> {
    let (signature, card) = (opened.signature(), &opened.loaded.card);
    let (d, n) = (signature.data_dim, signature.manifold_dim);
    let line = |name: &str, text: String| result(format_args!("  {name:<14} {text}"));
    let what = match signature.density {
        Some(Density::Manifold) => "a density on a manifold",
        Some(Density::Ratio) => "ratios of likelihoods, without a density and samples,",
        Some(_) if d == n => "a density",
        Some(_) => "a density around a manifold",
        None => "samples on a manifold, without a density of data,",
    };
    let name = card.config.name();
    let exact = match cycle::depends_on_encoder(opened.model()) {
        true => ", exact where its encoder inverts its decoder",
        false => "",
    };
    if d == n {
        result(format_args!("{name}: {what} in {d} dimensions"))?;
    } else {
        result(format_args!("{name}: {what} of dimension {n} in {d} dimensions{exact}"))?;
    }
    let parameters = opened.loaded.store.parameters().map(|p| p.var.elem_count());
    line("file", opened.path.display().to_string())?;
    line("parameters", format!("{}, {}", parameters.sum::<usize>(), signature.dtype.as_str()))?;
    line("columns", opened.columns().map_or_else(|| format!("{d}, unnamed"), |c| c.join(", ")))?;
    line("latent", signature.latent.clone())?;
    let sizes = &card.config.sizes;
    line(
        "context",
        match (sizes.context_dim, sizes.conditional_manifold) {
            (0, _) => "none".to_owned(),
            (c, false) if !signature.is_generative() => format!("{c} features, for the ratio"),
            (c, false) => format!("{c} features, for the density"),
            (c, true) => format!("{c} features, for the manifold and the density"),
        },
    )?;
    for (name, text) in parts(&card.config.parts) {
        line(name, text)?;
    }
    line("normalisation", normalization(card.config.normalization()))?;
    let provenance = card.provenance.iter().map(|(key, value)| format!("{key} {value}"));
    line("provenance", provenance.collect::<Vec<_>>().join(", "))
}

/// What the model is made of, by name.
fn parts(parts: &ModelParts) -> Vec<(&'static str, String)> {
    match parts {
        ModelParts::Af { inner } => vec![("flow", flow(inner))],
        ModelParts::Fom { chart, inner } => {
            vec![("chart", format!("{chart:?}")), ("inner flow", flow(inner))]
        }
        ModelParts::Pie { outer, inner, epsilon } => vec![
            ("outer flow", flow(outer)),
            ("inner flow", flow(inner)),
            ("epsilon", epsilon.to_string()),
        ],
        ModelParts::MFlow { chart, outer, inner } => {
            let chart = chart.iter().map(|chart| ("chart", format!("{chart:?}")));
            chart.chain([("outer flow", flow(outer)), ("inner flow", flow(inner))]).collect()
        }
        ModelParts::Atlas { charts, outer, inner, tolerance } => vec![
            ("charts", of_charts(charts, *tolerance)),
            ("outer flow", flow(outer)),
            ("inner flow", flow(inner)),
        ],
        ModelParts::MeFlow { outer, inner, encoder } => vec![
            ("outer flow", flow(outer)),
            ("inner flow", flow(inner)),
            ("encoder", coder(encoder)),
        ],
        ModelParts::Pae { encoder, decoder, inner }
        | ModelParts::FreeForm { encoder, decoder, inner, .. }
        | ModelParts::Rif { encoder, decoder, inner } => {
            vec![
                ("encoder", coder(encoder)),
                ("decoder", coder(decoder)),
                ("inner flow", flow(inner)),
            ]
        }
        ModelParts::FreeFormAtlas { charts, encoder, decoder, inner, tolerance, .. } => vec![
            ("charts", of_charts(charts, *tolerance)),
            ("encoder", coder(encoder)),
            ("decoder", coder(decoder)),
            ("inner flow", flow(inner)),
        ],
        ModelParts::Ratio { network: net } => vec![("network", network(net))],
        ModelParts::Vae { encoder, decoder } => {
            vec![("encoder", coder(encoder)), ("decoder", coder(decoder))]
        }
        _ => vec![],
    }
}

fn of_charts(charts: &Charts, tolerance: f64) -> String {
    format!("{}, apart by up to {tolerance} where they overlap", charts.len())
}

fn network(config: &NetConfig) -> String {
    format!("{} blocks of width {}", config.blocks, config.hidden)
}

/// An encoder or a decoder.
fn coder(config: &NetworkConfig) -> String {
    match config {
        NetworkConfig::Vector(config) => network(config),
        NetworkConfig::Image(image) => format!(
            "convolutions of images {}, {} levels of {} blocks from {} channels on",
            shape(&image.shape),
            image.levels,
            image.blocks,
            image.channels
        ),
        _ => "custom".to_owned(),
    }
}

fn shape(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

fn flow(config: &VectorFlowConfig) -> String {
    match config {
        VectorFlowConfig::Image(image) => format!(
            "images {}, {} levels of {} spline couplings, {} bins on [-{}, {}], networks of {}",
            shape(&image.shape),
            image.levels,
            image.steps,
            image.bins,
            image.tail_bound,
            image.tail_bound,
            network(&image.net)
        ),
        VectorFlowConfig::Spline(SplineFlowConfig {
            layers,
            bins,
            tail_bound,
            hidden,
            blocks,
            ..
        }) => format!(
            "{layers} spline couplings, {bins} bins on [-{tail_bound}, {tail_bound}], networks of \
             {blocks} blocks of width {hidden}"
        ),
        VectorFlowConfig::Layers(flow) => {
            format!("{} layers, networks of {}", flow.layers, network(&flow.net))
        }
        VectorFlowConfig::Circular(flow) => {
            let conditioned = flow.net.as_ref().map(network);
            let conditioned =
                conditioned.map_or_else(String::new, |net| format!(", networks of {net}"));
            format!("{} circular splines of {} bins{conditioned}", flow.layers, flow.bins)
        }
        _ => "custom".to_owned(),
    }
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

/// What should be 0, by name, in the precision of the model.
#[expect(
    clippy::indexing_slicing,
    reason = "there is a precision, and all are checked alike, on one sample or more"
)]
fn check(
    opened: &Opened,
    context: Option<&Path>,
    samples: usize,
    pool: &Pool,
) -> Result<Vec<(&'static str, f64)>> {
    let model = opened.model();
    let latents = model.sample_latent(samples, &mut Stream::new(0, "info"))?;
    let context = opened.context(context, samples)?;
    // Of charts that overlap each has latents and a density of its own at a point.
    let one_chart = opened.signature().charts == 1;
    let has_density = opened.signature().density.is_some() && one_chart;
    let checks = by_rows(pool, &latents, context.as_ref(), |u, c| {
        let x = model.decode(u, c)?;
        let latent = model.encode(&x, c)?;
        let moved = (model.project(&x, c)? - model.decode(&latent, c)?)?.sqr()?.sum(1)?.sqrt()?;
        let returned = (u - &latent)?.sqr()?.sum(1)?.sqrt()?;
        let mut columns = vec![model.reconstruction_error(&x, c)?, moved, returned];
        if has_density {
            let on_manifold = model.log_density(Density::Manifold, &x, c)?;
            columns.push((on_manifold - by_decode(model, &latent, c)?)?.abs()?);
        }
        anyhow::Ok(Tensor::stack(&columns, 1)?)
    })?;
    let column = |j: usize| -> Result<Vec<f64>> {
        let mut values = values(&checks.narrow(1, j, 1)?.contiguous()?)?;
        values.sort_by(f64::total_cmp); // NaN last, where the maximum is
        Ok(values)
    };
    let max = |j: usize| Ok::<_, anyhow::Error>(column(j)?.last().copied().unwrap_or(f64::NAN));
    let errors = column(0)?;
    let mut all = vec![
        ("reconstruction error, median", errors[errors.len() / 2]),
        ("reconstruction error, largest", max(0)?),
        ("|decode(encode(x)) - project(x)|, largest", max(1)?),
    ];
    if one_chart {
        all.push(("|latent - encode(decode(latent))|, largest", max(2)?));
    }
    if has_density {
        all.push(("|log_prob - its terms by decode|, largest", max(3)?));
    }
    Ok(all)
}

/// The density on the manifold from the map of the latents alone: that of the latent, less half the
/// log-determinant of the Gram matrix of `decode`.
fn by_decode(model: &dyn Model, latent: &Tensor, c: Option<&Tensor>) -> core::Result<Tensor> {
    let volume = gram_log_det(&model.decode_jacobian(latent, c)?)?;
    Ok((model.latent_log_prob(latent)? - (volume * 0.5)?)?)
}
