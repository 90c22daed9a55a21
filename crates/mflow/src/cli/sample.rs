//! `mflow sample`: draws from a model.
use super::evaluate::{NonFinite, by_rows};
use super::exit::{Done, Usage};
use super::model::Opened;
use super::options::ModelOptions;
use super::output::{OutFile, Points};
use super::{progress, threads};
use anyhow::{Result, bail};
use clap::Args;
use mflow::bijectors::Stream;
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
    let mut points = Points::new(&options.out, rows, opened.signature(), &opened.loaded.card)?;
    let mut bad = NonFinite::default();
    let bar = progress::of_rows(rows);
    let Options { seed, on_manifold, .. } = *options;
    let draws = Draws { rows, context, seed, on_manifold };
    draw(&draws, &opened, &pool, &|| Ok(()), &mut |drawn| {
        bad.see(drawn)?;
        points.push(drawn)?;
        bar.inc(drawn.dim(0)? as u64);
        Ok(())
    })?;
    bar.finish_and_clear();
    bad.warn();
    points.finish()?;
    Ok(Done::Finished)
}

/// What is to be drawn.
#[derive(Debug)]
pub(super) struct Draws {
    pub(super) rows: usize,
    /// One for each point, or one for all.
    pub(super) context: Option<Tensor>,
    pub(super) seed: u64,
    pub(super) on_manifold: bool,
}

/// Draw points a block at a time, and give each block, `[B, D]`, to `see`. `check` is called for each part of a block, and ends the
/// work where it fails.
pub(super) fn draw(
    draws: &Draws,
    opened: &Opened,
    pool: &Pool,
    check: &(dyn Fn() -> Result<()> + Sync),
    see: &mut dyn FnMut(&Tensor) -> Result<()>,
) -> Result<()> {
    let (model, data_dim) = (opened.model(), opened.signature().data_dim);
    let stream = &mut Stream::new(draws.seed, "sample");
    let at_once = (NUMBERS / data_dim).clamp(1, ROWS);
    for first in (0..draws.rows).step_by(at_once) {
        let count = at_once.min(draws.rows - first);
        let context =
            draws.context.as_ref().map(|all| contexts_of(all, first, count)).transpose()?;
        let latents = model.sample_latent(count, stream)?;
        let noise = model.sample_noise(count, stream)?.filter(|_| !draws.on_manifold);
        let drawn = match noise {
            None => by_rows(pool, &latents, context.as_ref(), |u, c| {
                check()?;
                Ok(model.decode(u, c)?)
            })?,
            Some(noise) => {
                let (n, k) = (latents.dim(1)?, noise.dim(1)?);
                let both = Tensor::cat(&[latents, noise], 1)?;
                by_rows(pool, &both, context.as_ref(), |both, c| {
                    check()?;
                    let part = |start, len| both.narrow(1, start, len)?.contiguous();
                    Ok(model.decode_noisy(&part(0, n)?, &part(n, k)?, c)?)
                })?
            }
        };
        see(&drawn)?;
    }
    Ok(())
}

/// The contexts of some rows, of a table with one for each row or one for all.
fn contexts_of(all: &Tensor, first: usize, count: usize) -> Result<Tensor> {
    Ok(match all.dims2()? {
        (1, cols) => all.broadcast_as((count, cols))?.contiguous()?,
        _ => all.narrow(0, first, count)?.contiguous()?,
    })
}
