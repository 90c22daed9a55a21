//! `mflow score`: density, distance to the manifold and latent of each row.
use super::evaluate::{by_rows, warn_of_non_finite};
use super::exit::Done;
use super::model::Opened;
use super::options::ModelOptions;
use super::output::{OutFile, latent_names, precision, values};
use super::threads;
use anyhow::Result;
use clap::Args;
use mflow::core::candle::Tensor;
use mflow::data::io::{Array, write_csv, write_npz};
use std::path::PathBuf;

/// Score points: log-density on the manifold and distance to it
///
/// Writes three arrays: `log_prob` [B], in nats, the log-density with respect to volume on the
/// manifold, in data units, at the projection of the point; `reconstruction_error` [B], the
/// Euclidean distance to the projection, in data units; `latent` [B, N], standard normal under the
/// model. A point is unlikely if its density is low or its distance large: look at both.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mflow score run data.csv --out scores.npz\n\n\
    In Python:\n  s = numpy.load('scores.npz'); s['log_prob'].mean()")]
pub(super) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    /// Points, [B, D]: .npy, .npz or .csv
    data: PathBuf,
    /// File for the scores: .npz, or .csv with one column for each number
    #[arg(long, value_parser = OutFile::arrays)]
    out: OutFile,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    options.out.check()?;
    let opened = Opened::from_options(&options.model)?;
    let x = opened.data(&options.data)?;
    let context = opened.context(options.model.context.as_deref(), x.dim(0)?)?;
    let pool = threads::pool(options.model.threads)?;
    let model = opened.model();
    let scores = by_rows(&pool, &x, context.as_ref(), |x, c| {
        let log_prob = model.log_prob(x, c)?.unsqueeze(1)?;
        let distance = model.reconstruction_error(x, c)?.unsqueeze(1)?;
        Ok(Tensor::cat(&[log_prob, distance, model.encode(x, c)?], 1)?)
    })?;
    warn_of_non_finite(&scores)?;
    write(&options.out, &scores)?;
    Ok(Done::Finished)
}

/// Write the columns `log_prob`, `reconstruction_error`, `latent..` of `scores`.
fn write(out: &OutFile, scores: &Tensor) -> Result<()> {
    let (rows, columns) = scores.dims2()?;
    let (n, dtype) = (columns - 2, precision(scores));
    if out.is_csv() {
        let mut names = vec!["log_prob".to_owned(), "reconstruction_error".to_owned()];
        names.extend(latent_names(n));
        let values = values(scores)?;
        let array = Array::matrix(rows, columns, &values, dtype)?.with_columns(&names)?;
        write_csv(out.path(), &array)?;
        return out.announce(format_args!("columns {}, {rows} rows", names.join(", ")));
    }
    let column = |start, len| values(&scores.narrow(1, start, len)?.contiguous()?);
    let (log_prob, distance, latent) = (column(0, 1)?, column(1, 1)?, column(2, n)?);
    let arrays = [
        ("log_prob", Array::vector(&log_prob, dtype)),
        ("reconstruction_error", Array::vector(&distance, dtype)),
        ("latent", Array::matrix(rows, n, &latent, dtype)?),
    ];
    write_npz(out.path(), &arrays)?;
    out.announce(format_args!(
        "log_prob [{rows}], reconstruction_error [{rows}], latent [{rows}, {n}]"
    ))
}
