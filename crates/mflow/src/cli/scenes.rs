//! `mflow data scenes-K`: images with their factors.
use super::data::{CONTEXT, LOG_PROB};
use super::exit::{Done, Usage};
use super::output::result;
use super::threads;
use anyhow::{Result, bail};
use clap::Args;
use mflow::bijectors::Stream;
use mflow::data::Scenes;
use mflow::data::io::NpyWriter;
use std::path::Path;

/// What only scenes have.
#[derive(Debug, Args)]
#[command(next_help_heading = "For scenes-K")]
pub(super) struct Options {
    /// Pixels a side, 16 to 64 [default: 16]
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// 1 for grey images, 3 for red, green and blue [default: 1]
    #[arg(long, value_name = "C")]
    channels: Option<usize>,
    /// Round pixels to bytes: a quarter of the space, and off the manifold by 0.3 in each pixel
    #[arg(long)]
    bytes: bool,
}

impl Options {
    /// Refuse them for another simulator.
    pub(super) fn check_unused(&self, name: &str) -> Result<()> {
        let given = [
            ("--size", self.size.is_some()),
            ("--channels", self.channels.is_some()),
            ("--bytes", self.bytes),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => bail!(Usage(format!(
                "{option} is for scenes-K, the simulators of images; leave it out for {name}"
            ))),
            None => Ok(()),
        }
    }

    /// The scenes of this name, if they are some.
    pub(super) fn scenes(&self, name: &str) -> Result<Option<Scenes>> {
        let Some(scenes) = Scenes::by_name(name) else { return Ok(None) };
        let [size, _, channels] = scenes.shape();
        let (size, channels) = (self.size.unwrap_or(size), self.channels.unwrap_or(channels));
        Ok(Some(Scenes::new(scenes.factors(), size, channels)?))
    }
}

/// What is wanted of scenes.
pub(super) struct Wanted<'a> {
    pub(super) rows: usize,
    pub(super) seed: u64,
    pub(super) log_prob: bool,
    pub(super) threads: super::options::Threads,
    pub(super) out: &'a Path,
}

/// Images that are in memory at a time.
const AT_ONCE: usize = 256;

pub(super) fn run(scenes: &Scenes, options: &Options, wanted: &Wanted<'_>) -> Result<Done> {
    let Wanted { rows, log_prob, out, .. } = *wanted;
    let pool = threads::pool(wanted.threads)?;
    let stale = [(CONTEXT, true), (LOG_PROB, !log_prob)];
    if let Some((name, _)) = stale.iter().find(|(name, stale)| *stale && out.join(name).exists()) {
        bail!(Usage(format!(
            "{}: there is a file of other data, which would not fit these images; remove it or choose another --out",
            out.join(name).display()
        )));
    }
    mflow::core::create_folder(out)?;
    let [height, width, channels] = scenes.shape();
    let shape = [rows, height, width, channels];
    let paths = ["x.npy", "factors.npy", LOG_PROB].map(|name| out.join(name));
    let mut images = match options.bytes {
        true => NpyWriter::create_bytes(&paths[0], &shape)?,
        false => NpyWriter::create_single(&paths[0], &shape)?,
    };
    let mut factors = NpyWriter::create(&paths[1], rows, Some(scenes.factors()))?;
    let density = |_| NpyWriter::create(&paths[2], rows, None);
    let mut density = log_prob.then_some(()).map(density).transpose()?;
    let stream = &mut Stream::new(wanted.seed, "data");
    for start in (0..rows).step_by(AT_ONCE) {
        let z = scenes.draw_factors(AT_ONCE.min(rows - start), stream);
        images.write(&pool.install(|| scenes.render(&z))?)?;
        factors.write(&z)?;
        if let Some(density) = &mut density {
            density.write(&pool.install(|| scenes.log_prob_of(&z))?)?;
        }
    }
    images.finish()?;
    factors.finish()?;
    result(format_args!("{}: {shape:?}", paths[0].display()))?;
    result(format_args!("{}: {:?}", paths[1].display(), [rows, scenes.factors()]))?;
    if let Some(density) = density {
        density.finish()?;
        result(format_args!("{}: {:?}", paths[2].display(), [rows]))?;
    }
    Ok(Done::Finished)
}
