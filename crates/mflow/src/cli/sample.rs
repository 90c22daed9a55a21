//! `mflow sample`: draws from a model.
use super::evaluate::NonFinite;
use super::exit::{Done, Usage};
use super::model::Opened;
use super::options::ModelOptions;
use super::output::{OutFile, Points};
use super::{progress, threads};
use anyhow::{Result, bail};
use clap::Args;
use mflow::ask::Draws;

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
    draws.draw(opened.model(), &pool, &|| anyhow::Ok(()), &mut |drawn| {
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
