//! `mflow sample`: draws from a model.
use super::evaluate::{by_rows, warn_of_non_finite};
use super::exit::{Done, Usage};
use super::model::Opened;
use super::options::ModelOptions;
use super::output::OutFile;
use super::threads;
use anyhow::{Result, bail};
use clap::Args;
use mflow::bijectors::Stream;
use mflow::core::candle::Tensor;

/// Draw points from a model: data [n, D]
///
/// The same seed gives the same points, on any number of threads. A conditional model draws one
/// point for each row of the context, or `-n` points for a context of one row.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mflow sample run -n 10000 --out x.npy\n  \
    mflow sample run --context theta.csv --out x.csv    one point for each row")]
pub(super) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    /// Number of points [default: the rows of the context]
    #[arg(short, value_name = "N", required_unless_present = "context",
        value_parser = clap::value_parser!(u64).range(1..))]
    n: Option<u64>,
    /// Draw points of the manifold from models whose samples lie around it (pie, vae)
    #[arg(long)]
    on_manifold: bool,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// File for the points, [n, D]: .npy, .npz or .csv
    #[arg(long, value_parser = OutFile::array)]
    out: OutFile,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    options.out.check()?;
    let opened = Opened::from_options(&options.model.fitted)?;
    opened.check_generative("samples")?;
    let context = options.model.context.as_deref();
    let rows = match options.n {
        Some(n) => usize::try_from(n)?,
        None => match opened.context_table(context)? {
            Some(table) => table.rows(),
            None => bail!(Usage("give the number of points: -n N".to_owned())),
        },
    };
    let context = opened.context(context, rows)?;
    let pool = threads::pool(options.model.fitted.threads)?;
    let model = opened.model();
    let stream = &mut Stream::new(options.seed, "sample");
    let latents = model.sample_latent(rows, stream)?;
    let noise = model.sample_noise(rows, stream)?.filter(|_| !options.on_manifold);
    let points = match noise {
        None => by_rows(&pool, &latents, context.as_ref(), |u, c| model.decode(u, c))?,
        Some(noise) => {
            let (n, k) = (latents.dim(1)?, noise.dim(1)?);
            let both = Tensor::cat(&[latents, noise], 1)?;
            by_rows(&pool, &both, context.as_ref(), |both, c| {
                let part = |start, len| both.narrow(1, start, len)?.contiguous();
                model.decode_noisy(&part(0, n)?, &part(n, k)?, c)
            })?
        }
    };
    warn_of_non_finite(&points)?;
    options.out.write_points(&points, &opened.loaded.card)?;
    Ok(Done::Finished)
}
