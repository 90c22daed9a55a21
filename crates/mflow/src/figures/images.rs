//! Images that models draw, and what they make of others.
use super::{Drawn, Sheet};
use crate::Result;
use crate::experiment::{ImageData, ImagesConfig, generated};
use mflow_bijectors::Stream;
use mflow_core::Model;
use mflow_core::candle::Tensor;
use mflow_eval::figures::{Images, animate_images, draw_images};
use mflow_eval::metrics::Evaluated;
use statrs::distribution::{ContinuousCDF, Normal};

/// Images side by side.
const COLUMNS: usize = 12;
/// Rows of samples of a run that is alone, and of each of several.
const ROWS: [usize; 2] = [6, 2];
/// Latents in each direction of a grid.
const GRID: u32 = 9;
/// Images of a tour through latents.
const FRAMES: u32 = 60;

/// `images-samples`: test images, then samples of each model. `images-reconstructed`: test images, then the points that each
/// model projects them to. `images-between`: from one test image to another, along straight lines of latents. Of
/// one run also `images-latents`, a grid of its first two latents at even parts of their distribution, and
/// `images-tour`, a round trip through latents.
pub(super) fn draw(sheet: &mut Sheet<'_>, config: &ImagesConfig) -> Result<()> {
    let data = ImageData::read(config, COLUMNS * ROWS[0])?;
    let test = Test { data: &data, parameters: data.test_parameters() };
    let runs = sheet.runs.clone();
    let alone = runs.len() == 1;
    let rows = if alone { ROWS[0] } else { ROWS[1] };
    let write = |sheet: &mut Sheet<'_>, name: &str, values: &[f64], columns: usize| -> Result<()> {
        let path = sheet.picture(name, "png");
        Ok(draw_images(Images::new(values, data.shape)?, columns, &path)?)
    };
    let mut samples = test.first(rows * COLUMNS).to_vec();
    let mut reconstructed = test.first(COLUMNS).to_vec();
    let mut between = vec![];
    for Drawn { of, .. } in &runs {
        let drawn = generated(sheet.experiment, &data, *of, rows * COLUMNS)?;
        samples.extend(drawn);
        reconstructed.extend(test.projected(*of)?);
        between.extend(test.between(*of)?);
    }
    write(sheet, "images-samples", &samples, COLUMNS)?;
    write(sheet, "images-reconstructed", &reconstructed, COLUMNS)?;
    if !between.is_empty() {
        write(sheet, "images-between", &between, COLUMNS)?;
    }
    if let [Drawn { of, .. }] = runs.as_slice() {
        let grid = test.decoded(*of, &grid(of.model))?;
        write(sheet, "images-latents", &grid, GRID as usize)?;
        let tour = test.decoded(*of, &tour(of.model, sheet.experiment.seed)?)?;
        let path = sheet.picture("images-tour", "gif");
        animate_images(Images::new(&tour, data.shape)?, &path)?;
    }
    Ok(())
}

/// Test images, with their parameters if there are some.
#[derive(Clone, Copy)]
struct Test<'a> {
    data: &'a ImageData,
    parameters: &'a [f64],
}

impl<'a> Test<'a> {
    /// The first images, `count` of them or as many as there are.
    fn first(self, count: usize) -> &'a [f64] {
        let test = &self.data.test;
        &test[..test.len().min(count * self.data.dim())]
    }

    fn context(self, of: Evaluated<'_>, rows: usize) -> Result<Option<Tensor>> {
        let parameters = self.parameters.iter().copied().cycle().take(rows);
        Ok(of.context(&parameters.collect::<Vec<_>>())?)
    }

    /// The points of the manifold for the first test images; all of space is none.
    fn projected(self, of: Evaluated<'_>) -> Result<Vec<f64>> {
        let x = of.tensor(self.first(COLUMNS), self.data.dim())?;
        let context = self.context(of, x.dims()[0])?;
        Ok(of.by_rows(&x, context.as_ref(), |x, c| of.model.project(x, c))?)
    }

    /// A row of images between the first test image and the second, another between the third and the fourth, as far as there
    /// are so many.
    fn between(self, of: Evaluated<'_>) -> Result<Vec<f64>> {
        const LINES: usize = 2;
        let dim = self.data.dim();
        let x = of.tensor(self.first(2 * LINES), dim)?;
        let rows = x.dims()[0];
        let context = self.context(of, rows)?;
        let ends = of.by_rows(&x, context.as_ref(), |x, c| of.model.encode(x, c))?;
        let n = ends.len() / rows.max(1);
        let mut latents = vec![];
        for line in ends.chunks_exact((2 * n).max(1)) {
            let (from, to) = line.split_at(n);
            for step in 0..COLUMNS {
                let t = step as f64 / (COLUMNS - 1) as f64;
                latents.extend(from.iter().zip(to).map(|(a, b)| a + t * (b - a)));
            }
        }
        self.decoded(of, &latents)
    }

    fn decoded(self, of: Evaluated<'_>, latents: &[f64]) -> Result<Vec<f64>> {
        let latents = of.tensor(latents, of.model.signature().latent_dim())?;
        let context = self.context(of, latents.dims()[0])?;
        Ok(of.by_rows(&latents, context.as_ref(), |u, c| of.model.decode(u, c))?)
    }
}

/// The first two latents at even parts of their normal distribution, from the lower left; the others are 0.
fn grid(model: &dyn Model) -> Vec<f64> {
    let n = model.signature().latent_dim();
    let at = |i: u32| {
        let part = (f64::from(i) + 0.5) / f64::from(GRID);
        Normal::standard().inverse_cdf(part)
    };
    let mut latents = vec![];
    for row in (0..GRID).rev() {
        for column in 0..GRID {
            let place = [at(column), at(row)];
            latents.extend((0..n).map(|k| place.get(k).copied().unwrap_or(0.)));
        }
    }
    latents
}

/// A closed way through latents, on a great circle of the sphere on which nearly all of them lie.
fn tour(model: &dyn Model, seed: u64) -> Result<Vec<f64>> {
    let n = model.signature().latent_dim();
    let drawn = Stream::new(seed, "latent tour").normal(2 * n);
    let (a, b) = drawn.split_at(n);
    let length = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let along = a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / length(a).powi(2);
    let b: Vec<f64> = b.iter().zip(a).map(|(b, a)| b - along * a).collect();
    let radius = (n as f64).sqrt();
    let [unit_a, unit_b] = [radius / length(a), radius / length(&b).max(f64::MIN_POSITIVE)];
    let frame = |i: u32| {
        let angle = std::f64::consts::TAU * f64::from(i) / f64::from(FRAMES);
        let place = |(a, b): (&f64, &f64)| angle.cos() * unit_a * a + angle.sin() * unit_b * b;
        a.iter().zip(&b).map(place).collect::<Vec<f64>>()
    };
    Ok((0..FRAMES).flat_map(frame).collect())
}
