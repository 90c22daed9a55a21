//! Data sets: images with all but some inputs of the generator fixed.
use crate::Result;
use clap::Args;
use mflow::bijectors::{Stream, host};
use mflow::core::candle::{DType, Device, Tensor};
use mflow::core::{DeviceName, FixedInputs, Generator, GeneratorConfig};
use mflow::data::io::NpyWriter;
use mflow::eval::figures::{Images, sheet_of_images};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The parameter of the images that share one.
const SHARED: f64 = 1.;
/// Where the grid of two inputs ends.
const REACH: f64 = 2.;
/// Images that are in memory at a time.
const BLOCK: usize = 100;
/// Images in a row, and rows, of the picture of samples.
const SHEET: usize = 5;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The TOML file of the generator; its values are those of pixels, 0 to 255, its images `[H, W, C]`
    pub(crate) generator: PathBuf,
    /// Folder for the files; data.json comes last
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// How many inputs are free, the first ones; the others stay at numbers drawn once
    #[arg(long)]
    pub(crate) free: usize,
    /// Images to train on
    #[arg(long)]
    pub(crate) train: usize,
    /// Images to test with
    #[arg(long)]
    pub(crate) test: usize,
    /// Images along each side of a grid of the two free inputs, from -2 to 2
    #[arg(long)]
    pub(crate) grid: Option<usize>,
    /// Shift the first free input by a parameter, and add as many test images that share one parameter
    #[arg(long)]
    pub(crate) parameter: bool,
    /// Also write images with so many times fewer pixels a side
    #[arg(long, value_delimiter = ',')]
    pub(crate) average: Vec<usize>,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where the generator runs
    #[arg(long, default_value_t = DeviceName::Cpu)]
    pub(crate) device: DeviceName,
}

/// What data.json says.
#[derive(Serialize)]
struct Card<'a> {
    seed: u64,
    free_inputs: usize,
    fixed_inputs: usize,
    /// How the free inputs are distributed.
    latents: &'a str,
    context: Option<&'a str>,
    images: &'a str,
    /// Pixels a side, of each file and generator.
    sizes: Vec<usize>,
    parts: Vec<PartCard>,
}

#[derive(Serialize)]
struct PartCard {
    folder: &'static str,
    rows: usize,
}

/// A folder of images.
struct Part {
    folder: &'static str,
    rows: usize,
    /// The free inputs, row after row.
    latents: Vec<f64>,
    context: Option<Vec<f64>>,
}

impl Options {
    fn parts(&self) -> Vec<Part> {
        let mut parts =
            vec![self.drawn("train", self.train, None), self.drawn("test", self.test, None)];
        if self.parameter {
            parts.push(self.drawn("shared", self.test, Some(SHARED)));
        }
        if let Some(side) = self.grid {
            let at = |i: usize| REACH * (2. * i as f64 / (side.max(2) - 1) as f64 - 1.);
            let latents = (0..side * side).flat_map(|i| [at(i / side), at(i % side)]).collect();
            parts.push(Part { folder: "grid", rows: side * side, latents, context: None });
        }
        parts
    }

    fn drawn(&self, folder: &'static str, rows: usize, theta: Option<f64>) -> Part {
        let stream = |of: &str| Stream::new(self.seed, &format!("{of} of {folder}"));
        let mut latents = stream("latents").normal(rows * self.free);
        let context = self.parameter.then(|| match theta {
            Some(theta) => vec![theta; rows],
            None => stream("parameters").normal(rows),
        });
        if let Some(thetas) = &context {
            latents.chunks_mut(self.free).zip(thetas).for_each(|(z, theta)| z[0] += theta);
        }
        Part { folder, rows, latents, context }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let config = GeneratorConfig::read(&options.generator)?;
    if options.free == 0 || options.free > config.inputs {
        return Err(
            format!("--free: expected 1 to {}, found {}", config.inputs, options.free).into()
        );
    }
    if options.grid.is_some() && options.free != 2 {
        return Err(format!("--grid: expected 2 free inputs, found {}", options.free).into());
    }
    fs::create_dir_all(&options.out)?;
    let device = options.device.open(DType::F32)?;
    let fixed = FixedInputs {
        free: (0..options.free).collect(),
        values: Stream::new(options.seed, "fixed inputs").normal(config.inputs),
    };
    let config = config.with_fixed(fixed);
    let file = mflow::core::read_tensors(&config.weights)?;
    let generator = Generator::build(&config, file.tensors, DType::F32, &device)?;
    let &[side, wide, channels] = generator.shape() else {
        return Err(format!("expected images [H, W, C], found {:?}", generator.shape()).into());
    };
    let factors: Vec<usize> = std::iter::once(1).chain(options.average.iter().copied()).collect();
    if let Some(bad) = factors.iter().find(|f| **f == 0 || side % **f != 0 || wide % **f != 0) {
        return Err(format!("--average: {bad} does not divide {side} and {wide}").into());
    }
    let weights = config.weights.clone();
    for factor in &factors {
        let mut of_size =
            if *factor == 1 { config.clone() } else { config.clone().averaged(*factor) };
        of_size.weights = beside(&weights, &options.out)?;
        of_size.write(&options.out.join(format!("generator-{}.toml", side / factor)))?;
    }
    let begin = Instant::now();
    let parts = options.parts();
    for part in &parts {
        write(&generator, part, [side, wide, channels], &factors, options)?;
    }
    let images: usize = parts.iter().map(|part| part.rows).sum();
    let seconds = begin.elapsed().as_secs_f64();
    println!("{images} images in {seconds:.0} s, {:.1} s for 1000", 1e3 * seconds / images as f64);
    let card = Card {
        seed: options.seed,
        free_inputs: options.free,
        fixed_inputs: config.inputs - options.free,
        latents: match options.parameter {
            true => "standard normal, the first one with mean theta",
            false => "standard normal; on the grid from -2 to 2, the first input from image row to row",
        },
        context: options.parameter.then_some(
            "theta, standard normal; 1 in the part `shared`. Given a latent, the posterior of theta is normal with mean \
             latent[0] / 2 and variance 1/2; given n images, with mean sum / (n + 1) and variance 1 / (n + 1)",
        ),
        images: "bytes 0 to 255, [n, H, W, C]; means over squares are taken before the rounding",
        sizes: factors.iter().map(|factor| side / factor).collect(),
        parts: parts.iter().map(|p| PartCard { folder: p.folder, rows: p.rows }).collect(),
    };
    fs::write(options.out.join("data.json"), serde_json::to_string_pretty(&card)? + "\n")?;
    Ok(())
}

/// The path of a file as seen from a folder: relative where they are neighbours, so that both can be moved.
fn beside(file: &Path, folder: &Path) -> Result<PathBuf> {
    let (file, folder) = (fs::canonicalize(file)?, fs::canonicalize(folder)?);
    match file.file_name() {
        Some(name) if folder.parent() == file.parent() => Ok(Path::new("..").join(name)),
        _ => Ok(file),
    }
}

fn write(
    generator: &Generator,
    part: &Part,
    [side, wide, channels]: [usize; 3],
    factors: &[usize],
    options: &Options,
) -> Result<()> {
    let folder = options.out.join(part.folder);
    fs::create_dir_all(&folder)?;
    let write_all = |name: &str, values: &[f64], columns: usize| -> Result<()> {
        let mut writer = NpyWriter::create(&folder.join(name), part.rows, Some(columns))?;
        writer.write(values)?;
        Ok(writer.finish()?)
    };
    write_all("latents.npy", &part.latents, options.free)?;
    if let Some(context) = &part.context {
        write_all("context.npy", context, 1)?;
    }
    let create = |factor: &usize| {
        let (high, wide) = (side / factor, wide / factor);
        let path = folder.join(format!("x{high}.npy"));
        Ok((*factor, NpyWriter::create_bytes(&path, &[part.rows, high, wide, channels])?))
    };
    let mut writers = factors.iter().map(create).collect::<Result<Vec<_>>>()?;
    // The picture is made of the first images.
    let shown = match part.folder {
        "grid" => part.rows,
        _ => part.rows.min(SHEET * SHEET),
    };
    let mut picture = Vec::new();
    for latents in part.latents.chunks(BLOCK * options.free) {
        let rows = latents.len() / options.free;
        let u = Tensor::from_vec(latents.to_vec(), (rows, options.free), &Device::Cpu)?;
        let u = host::place(&u, generator.dtype(), generator.device())?;
        let images = host::values_f64(&generator.forward(&u)?)?;
        if let Some(bad) = images.iter().find(|value| !(-0.5..255.5).contains(*value)) {
            return Err(format!("expected pixels of 0 to 255, found {bad}").into());
        }
        let size = side * wide * channels;
        let left = (shown * size).saturating_sub(picture.len());
        picture.extend(images.iter().take(left));
        for (factor, writer) in &mut writers {
            for image in images.chunks(size) {
                writer.write(&average(image, [side, wide, channels], *factor))?;
            }
        }
    }
    for (_, writer) in writers {
        writer.finish()?;
    }
    let columns = if part.folder == "grid" { options.grid.unwrap_or(SHEET) } else { SHEET };
    let path = options.out.join(format!("{}.png", part.folder));
    Ok(fs::write(path, sheet_of_images(Images::new(&picture, [side, wide, channels])?, columns)?)?)
}

/// The means over squares of `factor` by `factor` pixels of an image `[H, W, C]`.
fn average(image: &[f64], [side, wide, channels]: [usize; 3], factor: usize) -> Vec<f64> {
    let (high, across) = (side / factor, wide / factor);
    let mut means = vec![0.; high * across * channels];
    for (i, value) in image.iter().enumerate() {
        let (y, x, c) = (i / channels / wide, i / channels % wide, i % channels);
        means[((y / factor) * across + x / factor) * channels + c] += value;
    }
    means.iter_mut().for_each(|mean| *mean /= (factor * factor) as f64);
    means
}
