//! `mflow serve`: a model that other programs ask over HTTP.
mod answer;
mod connection;
mod media;
mod metrics;
mod question;
mod refusal;
mod route;
mod service;
mod task;

pub(super) use service::Limits;

use super::exit::Done;
use super::model::{self, Opened};
use super::options::{Place, Precision, Threads};
use super::output::{message, result};
use super::{interrupt, threads};
use anyhow::{Context, Result};
use clap::Args;
use mflow::core::candle::DType;
use service::Service;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Answer other programs' questions to a model, over HTTP
///
/// POST rows to /score, /encode or /project, latents to /decode, and to /sample how many points to draw; the answers have
/// the numbers of the verbs of these names. Bodies are JSON, as {"x": [[0.1, 0.2]], "context": [[1.0]]}, or an array in
/// NumPy's format (Content-Type: application/x-npy), of a conditional model with the context in the columns after the
/// data's. An answer has the format of its question, or the one that the header Accept names. Infinite or undefined results
/// are null in JSON. GET /model describes the model, GET /health says that it answers, and GET /metrics counts, for
/// Prometheus.
///
/// There is no password and no encryption: who reaches the address may ask. SIGINT and SIGTERM end it once what was asked
/// is answered.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mflow serve run &\n  \
    curl -s localhost:8077/score -H 'Content-Type: application/json' -d '{\"x\": [[0.1, 0.2, 0.3]]}'\n\n\
    In Python:\n  \
    r = requests.post('http://localhost:8077/score', json={'x': x.tolist()}); r.json()['log_prob']")]
pub(super) struct Options {
    /// A run folder, or a model file
    model: PathBuf,
    /// Address and port to listen at; port 0 takes a free one, which is printed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8077")]
    address: SocketAddr,
    /// Largest body of a question, and largest array of an answer, in MiB; four of each are in memory at a time
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    max_body: u32,
    /// Seconds that a question may take to arrive, and as many to be answered
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    time_limit: u32,
    /// Connections at a time; more wait
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    connections: u32,
    /// Precision of computation and answers [default: that of the model file]
    #[arg(long, value_enum)]
    dtype: Option<Precision>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    threads: Threads,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    let dtype = options.dtype.map(Into::into);
    let device = options.place.device.open(dtype.unwrap_or(DType::F32))?;
    let opened = model::open(&options.model, dtype, &device)?;
    let limits = Limits {
        body: usize::try_from(options.max_body)? << 20,
        time: Duration::from_secs(options.time_limit.into()),
        connections: usize::try_from(options.connections)?,
    };
    listen(opened, None, options.address, limits, options.threads)
}

/// Answer at `address`, with `page` for browsers if there is one, until a signal ends it.
pub(super) fn listen(
    opened: Opened,
    page: Option<String>,
    address: SocketAddr,
    limits: Limits,
    threads: Threads,
) -> Result<Done> {
    let listening = || format!("listening at {address}");
    let listener = TcpListener::bind(address).with_context(listening)?;
    listener.set_nonblocking(true).with_context(listening)?;
    let address = listener.local_addr().with_context(listening)?;
    let stop = interrupt::flag()?;
    let service = Arc::new(Service::new(opened, page, threads::pool(threads)?, limits));
    if !address.ip().is_loopback() {
        message(format_args!(
            "warning: {address} can be reached from other machines, and whoever reaches it may ask: there is no password \
             and no encryption; put a proxy that has them before it"
        ));
    }
    result(format_args!("http://{address}"))?;
    if service.page.is_some() {
        message(format_args!("Open this address in a browser. Ctrl-C ends the program."));
    }
    let cut_off = connection::serve(listener, &service, &|| stop.load(Ordering::Relaxed))
        .with_context(listening)?;
    match cut_off {
        0 => message(format_args!("stopped: all questions are answered")),
        n => message(format_args!(
            "stopped: {n} connections were cut off, as they took more than {} s",
            limits.time.as_secs()
        )),
    }
    Ok(Done::Finished)
}
