//! Images from a trained generator, whose manifold is known: converts its weights, draws data sets, measures the
//! distance of images to the true manifold.
//!
//! `cargo xtask data faces` runs it. It is an example and not a command of `mflow`: only here does a file of PyTorch
//! have to be read, and only for data sets of this repository. Without arguments it tries itself on a small generator
//! with random weights.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "an example shows its results, and may panic"
)]
mod sample;
mod toy;

use clap::{Parser, Subcommand};
use mflow::core::candle::{DType, Tensor, pickle};
use mflow::core::{DeviceName, Embedding, Generator, NearestConfig, write_tensors};
use mflow::data::io::{Array, Dtype, NpyFile, write_npy};
use mflow::train::RowReader;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Images from a trained generator
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the weights of a PyTorch file as safetensors; counts of batches are left out
    Convert {
        /// The file
        source: PathBuf,
        /// The entry that has the weights, if they are not the whole file
        #[arg(long)]
        key: Option<String>,
        /// The safetensors file
        #[arg(long)]
        out: PathBuf,
    },
    /// Draw a data set: images, their latents, and the generators of exactly these manifolds
    Sample(sample::Options),
    /// The distance of images to the manifold of a generator
    Nearest {
        /// The TOML file of the generator
        generator: PathBuf,
        /// Images of its shape, `.npy`
        images: PathBuf,
        /// How many of them, from the first
        #[arg(long, default_value_t = 10)]
        rows: usize,
        /// How many starts a search has
        #[arg(long, default_value_t = 4)]
        starts: usize,
        /// Where the generator runs
        #[arg(long, default_value_t = DeviceName::Cpu)]
        device: DeviceName,
        /// A file for the distances, `.npy`
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

fn main() -> Result<()> {
    match Options::parse().command {
        Some(Command::Convert { source, key, out }) => convert(&source, key.as_deref(), &out),
        Some(Command::Sample(options)) => sample::run(&options),
        Some(Command::Nearest { generator, images, rows, starts, device, out }) => {
            let generator = Generator::load(&generator, DType::F32, &device.open(DType::F32)?)?;
            let begin = Instant::now();
            let found = nearest(&generator, &images, rows, starts)?;
            let seconds = begin.elapsed().as_secs_f64();
            let mean = found.iter().sum::<f64>() / found.len() as f64;
            let largest = found.iter().copied().fold(0., f64::max);
            println!("{} images: mean distance {mean:.3}, largest {largest:.3}", found.len());
            println!("{:.2} s each", seconds / found.len() as f64);
            if let Some(out) = out {
                write_npy(&out, &Array::vector(&found, Dtype::F64))?;
            }
            Ok(())
        }
        None => toy::run(),
    }
}

fn convert(source: &Path, key: Option<&str>, out: &Path) -> Result<()> {
    let all = pickle::read_all_with_key(source, key)?;
    let tensors: BTreeMap<String, Tensor> =
        all.into_iter().filter(|(_, t)| t.dtype().is_float()).collect();
    let numbers: usize = tensors.values().map(Tensor::elem_count).sum();
    write_tensors(out, &tensors, BTreeMap::new())?;
    println!("{}: {} tensors, {numbers} numbers", out.display(), tensors.len());
    Ok(())
}

/// The distances of the first images of a file.
fn nearest(generator: &Generator, images: &Path, rows: usize, starts: usize) -> Result<Vec<f64>> {
    let file = NpyFile::open(images)?;
    let rows: Vec<usize> = (0..rows.min(file.rows())).collect();
    let x = Tensor::from_vec(
        file.read(&rows)?,
        (rows.len(), generator.data_dim()),
        &mflow::core::candle::Device::Cpu,
    )?;
    let x = x.to_dtype(generator.dtype())?.to_device(generator.device())?;
    let config = NearestConfig::default();
    Ok(generator.nearest(&x, &config.with_starts(starts, config.drawn))?.distances)
}
