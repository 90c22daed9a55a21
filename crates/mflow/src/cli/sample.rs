//! `mflow sample`: draws from a model.
use super::evaluate::NonFinite;
use super::exit::{Done, Usage};
use super::model::Opened;
use super::options::ModelOptions;
use super::output::{OutFile, Points};
use super::{progress, threads};
use anyhow::{Result, bail};
use clap::Args;
use mflow::bijectors::Stream;
use mflow::core;
use mflow::core::candle::Tensor;
use mflow::train::Pool;

/// Points that are drawn at a time, at most, and numbers of them. Draws of more points depend on it.
const ROWS: usize = 1 << 20;
/// See [`ROWS`].
const NUMBERS: usize = 1 << 25;

/// Draw points from a model: data [n, D]
///
/// A .npy file is written as they are drawn, so there may be more of them than fit in memory. The same seed gives the same points, on any number of threads. A conditional model draws one
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

#[expect(clippy::integer_division_remainder_used, reason = "a model has a feature or more")]
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
    let context = opened.contexts(context, rows)?;
    let pool = threads::pool(options.model.fitted.threads)?;
    let (model, signature) = (opened.model(), opened.signature());
    let stream = &mut Stream::new(options.seed, "sample");
    let at_once = (NUMBERS / signature.data_dim).clamp(1, ROWS);
    let mut points = Points::new(&options.out, rows, signature, &opened.loaded.card)?;
    let mut bad = NonFinite::default();
    let bar = progress::of_rows(rows);
    for first in (0..rows).step_by(at_once) {
        let count = at_once.min(rows - first);
        let context = context.as_ref().map(|all| contexts_of(all, first, count)).transpose()?;
        let latents = model.sample_latent(count, stream)?;
        let noise = model.sample_noise(count, stream)?.filter(|_| !options.on_manifold);
        let drawn = match noise {
            None => decoded(&pool, &latents, context.as_ref(), |u, c| model.decode(u, c))?,
            Some(noise) => {
                let (n, k) = (latents.dim(1)?, noise.dim(1)?);
                let both = Tensor::cat(&[latents, noise], 1)?;
                decoded(&pool, &both, context.as_ref(), |both, c| {
                    let part = |start, len| both.narrow(1, start, len)?.contiguous();
                    model.decode_noisy(&part(0, n)?, &part(n, k)?, c)
                })?
            }
        };
        bad.see(&drawn)?;
        points.push(&drawn)?;
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    bad.warn();
    points.finish()?;
    Ok(Done::Finished)
}

/// `f` of rows, on the threads of the pool, `[B, D]`.
fn decoded(
    pool: &Pool,
    rows: &Tensor,
    context: Option<&Tensor>,
    f: impl Fn(&Tensor, Option<&Tensor>) -> core::Result<Tensor> + Sync + Send,
) -> Result<Tensor> {
    Ok(pool.by_rows(rows.device(), rows.dim(0)?, |range| {
        let part = |t: &Tensor| t.narrow(0, range.start, range.len());
        f(&part(rows)?, context.map(part).transpose()?.as_ref())
    })?)
}

/// The contexts of some rows, of a table with one for each row or one for all.
fn contexts_of(all: &Tensor, first: usize, count: usize) -> Result<Tensor> {
    Ok(match all.dims2()? {
        (1, cols) => all.broadcast_as((count, cols))?.contiguous()?,
        _ => all.narrow(0, first, count)?.contiguous()?,
    })
}
