//! `mflow data`: points of a known manifold.
use super::exit::{Done, Usage};
use super::options::Threads;
use super::output::result;
use super::{array, images, scenes, wbf};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use mflow::bijectors::Stream;
use mflow::data::io::{Array, Dtype, write_npy};
use mflow::data::{Parameter, add_noise, simulator_by_name, simulator_names};
use std::path::PathBuf;

/// Draw points of a known manifold, with their exact density, to try models on
///
/// Writes x.npy [n, D], for a simulator with parameters context.npy [n, P], and where the density has a
/// formula `log_prob.npy` [n]: nats per area of the manifold, none for points that are moved off it. For wbf and wbf-48,
/// Higgs production in collisions, also the joint scores `scores.npy` [n, 2], and `features.json`. For scenes-K, images
/// [n, H, W, C] of shapes, also their K factors, `factors.npy` [n, K], uniform from -1 to 1.
/// Without a name, lists the simulators. `mflow data images` reads images of files, `mflow data array` tables.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  mflow data\n  mflow data torus -n 10000 --out torus\n  \
    mflow data polynomial-surface -n 1000 --at 0 --out test\n  \
    mflow data s-curve -n 1000 --noise 0.05 --out noisy\n  \
    mflow data wbf -n 100000 --events --out collisions    with joint scores, and what lies behind\n  \
    mflow data scenes-8 -n 10000 --size 32 --channels 3 --out scenes\n  \
    mflow data images photos --size 32 --out photos.npy    of a folder of PNG and JPEG files"
)]
pub(super) struct Options {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// The simulator
    name: Option<String>,
    /// Number of points
    #[arg(short, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u64).range(1..))]
    n: u64,
    /// Parameters of all points, separated by commas [default: drawn from the prior]
    #[arg(
        long,
        visible_alias = "parameters",
        value_name = "THETA",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    at: Vec<f64>,
    /// Move the points off the manifold: Gaussian noise of standard deviation 0.1
    #[arg(long)]
    out_of_distribution: bool,
    /// Add Gaussian noise of S times the spread of the points [default: 0]
    ///
    /// The spread is the root of the summed variances of all features, over the points drawn. The noise
    /// has the standard deviation S * spread / sqrt(D) in each of the D features, so that all of it
    /// together is S times the spread. The points before the noise are those of the same seed without
    /// --noise. There is no `log_prob.npy` for noisy points: they are off the manifold.
    #[arg(
        long,
        value_name = "S",
        allow_negative_numbers = true,
        conflicts_with = "out_of_distribution"
    )]
    noise: Option<f64>,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the files; it is made if there is none
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write `log_prob.npy` for wbf, wbf-48 and scenes-K too, whose densities take time: up to some milliseconds each
    #[arg(long)]
    log_prob: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    wbf: wbf::Options,
    #[command(flatten)]
    scenes: scenes::Options,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Array(array::Options),
    Images(images::Options),
}

/// Files that not all data have.
pub(super) const CONTEXT: &str = "context.npy";
pub(super) const LOG_PROB: &str = "log_prob.npy";

pub(super) fn run(options: &Options) -> Result<Done> {
    match &options.verb {
        Some(Verb::Array(options)) => return array::run(options),
        Some(Verb::Images(options)) => return images::run(options),
        None => {}
    }
    let Some(name) = &options.name else {
        list()?;
        return Ok(Done::Finished);
    };
    let simulator = simulator_by_name(name)?;
    let scenes = options.scenes.scenes(name)?;
    let Some(out) = &options.out else {
        bail!(Usage("give the folder for the files: --out DIR".to_owned()));
    };
    if simulator.parameters().is_empty() && !options.at.is_empty() {
        bail!(Usage(format!("{name} has no parameters: leave out --at")));
    }
    let noise = options.noise.unwrap_or(0.0);
    if let Some(events) = options.wbf.simulator(name)? {
        if options.out_of_distribution || noise != 0.0 {
            bail!(Usage(format!(
                "{name} writes what a detector sees, and its scores: leave out --noise and --out-of-distribution"
            )));
        }
        options.scenes.check_unused(name)?;
        let wanted = wbf::Wanted {
            rows: usize::try_from(options.n)?,
            at: &options.at,
            seed: options.seed,
            log_prob: options.log_prob,
            threads: options.threads,
            out,
        };
        return wbf::run(&events, &options.wbf, &wanted);
    }
    options.wbf.check_unused(name)?;
    if let Some(of) = scenes {
        if options.out_of_distribution || noise != 0.0 {
            bail!(Usage(format!(
                "{name} writes images with their factors: leave out --noise and --out-of-distribution"
            )));
        }
        let wanted = scenes::Wanted {
            rows: usize::try_from(options.n)?,
            seed: options.seed,
            log_prob: options.log_prob,
            threads: options.threads,
            out,
        };
        return scenes::run(&of, &options.scenes, &wanted);
    }
    options.scenes.check_unused(name)?;
    if options.log_prob {
        bail!(Usage(format!(
            "--log-prob is for wbf, wbf-48 and scenes-K; leave it out for {name}, whose densities are written where \
             they have a formula"
        )));
    }
    // The density of a noisy point is not that of the manifold below it.
    let is_on_manifold = !options.out_of_distribution && noise == 0.0;
    let has_density = simulator.is_tractable() && is_on_manifold;
    for (file, is_written) in [(CONTEXT, simulator.parameter_dim() > 0), (LOG_PROB, has_density)] {
        let path = out.join(file);
        if !is_written && path.exists() {
            bail!(Usage(format!(
                "{}: there is a file of other data, which would not fit these points; remove it or \
                 choose another --out",
                path.display()
            )));
        }
    }
    let rows = usize::try_from(options.n)?;
    let stream = &mut Stream::new(options.seed, "data");
    let parameters = match options.at.as_slice() {
        [] => simulator.sample_prior(rows, stream),
        at => at.repeat(rows),
    };
    let draw = |stream: &mut Stream| match options.out_of_distribution {
        false => simulator.sample(rows, &parameters, stream),
        true => simulator.sample_out_of_distribution(rows, &parameters, stream),
    };
    let mut x = draw(stream)?;
    let noise_stream = &mut Stream::new(options.seed, "data noise");
    let deviation = add_noise(&mut x, simulator.data_dim(), noise, noise_stream)?;
    mflow::core::create_folder(out)?;
    let write = |file: &str, array: Array<'_>| -> Result<()> {
        let path = out.join(file);
        write_npy(&path, &array)?;
        result(format_args!("{}: {:?}", path.display(), array.shape()))
    };
    if deviation > 0.0 {
        result(format_args!("noise: standard deviation {deviation:.3e} in each feature"))?;
    }
    write("x.npy", Array::matrix(rows, simulator.data_dim(), &x, Dtype::F64)?)?;
    if simulator.parameter_dim() > 0 {
        let array = Array::matrix(rows, simulator.parameter_dim(), &parameters, Dtype::F64)?;
        write(CONTEXT, array)?;
    }
    if has_density {
        let log_prob = simulator.log_prob(&x, &parameters)?;
        write(LOG_PROB, Array::vector(&log_prob, Dtype::F64))?;
    }
    Ok(Done::Finished)
}

/// All simulators, one on a line.
fn list() -> Result<()> {
    result(format_args!("{:20} {:>9} {:>9}  parameters", "name", "features", "manifold"))?;
    for name in simulator_names() {
        let simulator = simulator_by_name(name)?;
        let range = |p: &Parameter| format!("{} {}", p.name, p.prior);
        let parameters: Vec<String> = simulator.parameters().iter().map(range).collect();
        let (d, n) = (simulator.data_dim(), simulator.manifold_dim());
        let density = if simulator.is_tractable() { "" } else { "no exact density" };
        let notes = [parameters.join(", "), density.to_owned()].join("");
        result(format_args!("{}", format!("{name:20} {d:>9} {n:>9}  {notes}").trim_end()))?;
    }
    Ok(())
}
