//! `mflow score`: density, distance to the manifold and latent of each row.
use super::evaluate::map_rows;
use super::exit::{Done, Usage};
use super::model::Opened;
use super::options::{ModelOptions, Resume};
use super::output::{OutFile, latent_names, message, precision, values};
use super::reading::PartOptions;
use super::score_stream;
use anyhow::{Result, bail};
use clap::Args;
use mflow::ask::Scores;
use mflow::core::ModelSignature;
use mflow::core::candle::Tensor;
use mflow::data::io::{Array, write_csv, write_npz};
use std::path::PathBuf;

/// Score points: log-density and distance to the manifold
///
/// Writes `log_prob` [B], in nats, the log-density with respect to volume on the manifold, in data
/// units, at the projection of the point; `reconstruction_error` [B], the Euclidean distance to the
/// projection, in data units; `latent` [B, N], distributed under the model as `mflow info` says. A
/// point is unlikely if its density is low or its distance large: look at both.
///
/// The `log_prob` of af and pie is with respect to volume of the whole space, at the point itself; pie
/// adds `log_prob_manifold`. That of me-flow and free-form is exact only where their encoder inverts their
/// decoder; `mflow info` tells how nearly it does. pae, vae and rif have no density, and write no `log_prob`. ratio
/// writes `log_ratio` [B] alone, in nats: the log-likelihood ratio of the context to the reference that it was fitted
/// with.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mflow score run data.csv --out scores.npz\n\n\
    In Python:\n  s = numpy.load('scores.npz'); s['log_prob'].mean()")]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) model: ModelOptions,
    /// Points, [B, D]: .npy, .npz, .csv, .tsv or .parquet
    pub(super) data: PathBuf,
    #[command(flatten)]
    pub(super) part: PartOptions,
    /// Read rows from DATA when they are needed, and write scores as they come: for data that do not fit in memory, .npy or .parquet.
    /// OUT is a folder then, with a .npy file for each score
    #[arg(long)]
    stream: bool,
    /// Go on with the scores that OUT holds if they are not finished, else start
    #[arg(long, value_enum, requires = "stream")]
    pub(super) resume: Option<Resume>,
    /// File for the scores: .npz, or .csv with one column for each number; with --stream a folder
    #[arg(long, value_parser = OutFile::arrays)]
    pub(super) out: OutFile,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    match (options.stream, options.out.is_folder()) {
        (true, true) => return score_stream::run(options),
        (true, false) => bail!(Usage("expected a folder for --out beside --stream".to_owned())),
        (false, true) => bail!(Usage(
            "expected the extension .npz or .csv of --out, found none; with --stream it is a folder".to_owned()
        )),
        (false, false) => {}
    }
    options.out.check()?;
    let opened = Opened::from_options(&options.model.fitted)?;
    let x = opened.rows(&options.data, &options.part, options.model.context.as_deref())?;
    let columns = Scores::of(opened.signature());
    tell_of_none(&columns, opened.signature());
    let scores = map_rows(&opened, &options.model, &x, |model, x, c| columns.of_rows(model, x, c))?;
    let latents = match opened.signature().is_generative() {
        true => Some(latent_names(opened.signature())),
        false => None,
    };
    write(&options.out, &scores, &columns, latents.as_deref())?;
    Ok(Done::Finished)
}

/// Say so if a model has no density.
pub(super) fn tell_of_none(scores: &Scores, signature: &ModelSignature) {
    if scores.is_empty() {
        message(format_args!(
            "note: {} has no density of data, so there is no log_prob",
            signature.name
        ));
    }
}

/// Write the densities of `scores`, and `reconstruction_error` and the latents if there are some.
fn write(
    out: &OutFile,
    scores: &Tensor,
    columns: &Scores,
    latents: Option<&[String]>,
) -> Result<()> {
    let (rows, width) = scores.dims2()?;
    let mut names: Vec<&str> = columns.names().collect();
    names.extend(latents.map(|_| "reconstruction_error"));
    let (n, dtype) = (width - names.len(), precision(scores));
    if out.is_csv() {
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.extend_from_slice(latents.unwrap_or_default());
        let values = values(scores)?;
        let array = Array::matrix(rows, width, &values, dtype)?.with_columns(&names)?;
        write_csv(out.path(), &array)?;
        return out.announce(format_args!("columns {}, {rows} rows", names.join(", ")));
    }
    let column = |start, len| values(&scores.narrow(1, start, len)?.contiguous()?);
    let vectors: Vec<Vec<f64>> = (0..names.len()).map(|i| column(i, 1)).collect::<Result<_>>()?;
    let latent = if latents.is_some() { column(names.len(), n)? } else { vec![] };
    let mut arrays: Vec<(&str, Array<'_>)> = vec![];
    for (name, values) in names.iter().zip(&vectors) {
        arrays.push((name, Array::vector(values, dtype)));
    }
    let mut shapes: Vec<String> = names.iter().map(|name| format!("{name} [{rows}]")).collect();
    if latents.is_some() {
        arrays.push(("latent", Array::matrix(rows, n, &latent, dtype)?));
        shapes.push(format!("latent [{rows}, {n}]"));
    }
    write_npz(out.path(), &arrays)?;
    out.announce(format_args!("{}", shapes.join(", ")))
}
