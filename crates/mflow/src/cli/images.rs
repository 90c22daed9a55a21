//! `mflow data images`: pictures as an array.
use super::exit::{Done, Usage};
use super::output::{message, result};
use anyhow::{Result, bail};
use clap::Args;
use mflow::bijectors::Stream;
use mflow::data::io::{BadImages, Colours, ImageOptions, Images, NpyWriter};
use mflow::data::pixels::{dequantise, flip, reduce_bits};
use std::path::PathBuf;

/// Make an array of images: bytes [n, H, W, C] of a folder of PNG and JPEG files, an idx file (as MNIST), or another array
///
/// Images are read in the order of their files' names, and written as they are read, so that they need not fit into memory. All
/// need the same height, width and colours; --crop, --size, --grey and --rgb make them so. A row is one image, its pixels in the
/// order height, width, channel, from 0 to 255. `mflow fit` takes the file, and gives images of the same shape back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mflow data images photos --size 32 --out photos.npy\n  \
    mflow data images photos --crop 148 --size 64 --skip-bad --out photos.npy\n  \
    mflow data images train-images-idx3-ubyte.gz --out train.npy\n  \
    mflow data images train.npy --bits 5 --dequantise --out train-5.npy")]
pub(super) struct Options {
    /// A folder of .png, .jpg and .jpeg files, an idx file (.gz or not), or an .npy array [n, H, W] or [n, H, W, C]
    source: PathBuf,
    /// The array: .npy
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Cut a square of this many pixels a side out of the centre [default with --size: the largest]
    #[arg(long, value_name = "PIXELS")]
    crop: Option<usize>,
    /// Resample the square to this many pixels a side (Lanczos filter)
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Make all images grey: 1 channel
    #[arg(long, visible_alias = "gray", conflicts_with = "rgb")]
    grey: bool,
    /// Give all images red, green and blue: 3 channels
    #[arg(long)]
    rgb: bool,
    /// Turn 16 bits of each channel into 8 instead of refusing them
    #[arg(long)]
    to_8_bits: bool,
    /// Leave out images that cannot be used, and name them: damaged ones, and those of another shape than most
    #[arg(long)]
    skip_bad: bool,
    /// Keep the highest N bits of each byte: numbers from 0 to 2^N - 1 [default: 8]
    #[arg(long, value_name = "N")]
    bits: Option<u32>,
    /// Write the mirror images too, left for right, after all others: twice as many rows
    #[arg(long)]
    flips: bool,
    /// Add uniform noise in [0, 1) to each number, which is then written in single precision
    #[arg(long, visible_alias = "dequantize")]
    dequantise: bool,
    /// Seed of the noise
    #[arg(long, default_value_t = 0, requires = "dequantise")]
    seed: u64,
}

impl Options {
    fn reading(&self) -> ImageOptions {
        let colours = match (self.grey, self.rgb) {
            (true, _) => Colours::Grey,
            (_, true) => Colours::Rgb,
            _ => Colours::Keep,
        };
        let bad = if self.skip_bad { BadImages::Skip } else { BadImages::Refuse };
        let Self { crop, size, to_8_bits, .. } = *self;
        ImageOptions { crop, size, colours, to_8_bits, bad }
    }
}

pub(super) fn run(options: &Options) -> Result<Done> {
    let Options { source, out, bits, .. } = options;
    if !out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy")) {
        bail!(Usage(format!("--out {}: expected the extension .npy", out.display())));
    }
    if bits.is_some_and(|bits| !(1..=8).contains(&bits)) {
        bail!(Usage(format!("--bits: expected 1 to 8, found {}", bits.unwrap_or_default())));
    }
    let images = Images::open(source, &options.reading())?;
    if let Some(warning) = images.warning() {
        message(format_args!("warning: {warning}"));
    }
    let row = images.shape();
    let passes: &[bool] = if options.flips { &[false, true] } else { &[false] };
    let shape = [images.rows() * passes.len(), row[0], row[1], row[2]];
    let mut writer = match options.dequantise {
        true => NpyWriter::create_single(out, &shape)?,
        false => NpyWriter::create_bytes(out, &shape)?,
    };
    let noise = &mut Stream::new(options.seed, "dequantise");
    for mirrored in passes {
        images.for_each_block(&mut |block| {
            let mut block = block.to_vec();
            if *mirrored {
                flip(&mut block, row)?;
            }
            if let Some(bits) = bits {
                reduce_bits(&mut block, row.iter().product(), *bits)?;
            }
            if options.dequantise {
                dequantise(&mut block, noise);
            }
            writer.write(&block)
        })?;
    }
    writer.finish()?;
    result(format_args!("{}: {shape:?}", out.display()))?;
    Ok(Done::Finished)
}
