//! `mflow explore`: a page that asks a model.
use super::exit::Done;
use super::model::{self, Opened};
use super::options::{Place, Precision, Threads};
use super::serve::{Limits, listen};
use anyhow::Result;
use clap::Args;
use mflow::core::candle::DType;
use mflow::data::io::read_npy;
use mflow::fit::POINTS_FILE;
use mflow::html::{Explored, explorer};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Explore a model in the browser: move a latent and see its point, move a point and see its projection
///
/// It prints an address; open it in a browser on this machine. The page shows samples, some rows of the data of a fit, and
/// the manifold if it is a line or a surface. It asks this program for every number, and nothing else: no network is
/// needed. What you have chosen is part of the page's address, so that you can keep it. Ctrl-C ends the program.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mflow explore run")]
pub(super) struct Options {
    /// A run folder, or a model file
    model: PathBuf,
    /// Address and port of the page; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// Precision of computation [default: that of the model file]
    #[arg(long, value_enum)]
    dtype: Option<Precision>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    threads: Threads,
}

/// What one reader asks for is small.
const LIMITS: Limits = Limits { body: 16 << 20, time: Duration::from_secs(60), connections: 16 };

pub(super) fn run(options: &Options) -> Result<Done> {
    let dtype = options.dtype.map(Into::into);
    let device = options.place.device.open(dtype.unwrap_or(DType::F32))?;
    let opened = model::open(&options.model, dtype, &device)?;
    opened.check_generative("points to explore")?;
    let page = page(&options.model, &opened)?;
    listen(opened, Some(page), options.address, LIMITS, options.threads)
}

fn page(path: &Path, opened: &Opened) -> Result<String> {
    let card = &opened.loaded.card;
    let data_dim = opened.signature().data_dim;
    let points = path.join(POINTS_FILE);
    let points = match points.is_file() {
        true => Some(read_npy(&points)?).filter(|points| points.cols() == data_dim),
        false => None,
    };
    Ok(explorer(&Explored {
        name: format!("{}, {}", path.display(), opened.signature().name),
        points: points.as_ref().map_or(&[], |points| points.values()),
        data_dim,
        contexts: card.config.sizes.context_normalization.as_ref(),
    })?)
}
