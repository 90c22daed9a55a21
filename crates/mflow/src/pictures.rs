//! Images that models draw, and what they make of others: pictures for figures and for reports.
use crate::Result;
use crate::experiment::drawn;
use mflow_bijectors::Stream;
use mflow_core::Model;
use mflow_core::candle::Tensor;
use mflow_eval::figures::{Images, animation_of_images, sheet_of_images};
use mflow_eval::metrics::Evaluated;
use statrs::distribution::{ContinuousCDF, Normal};

/// Images side by side.
const COLUMNS: usize = 12;
/// Rows of samples of a model that is alone, and of each of several.
const ROWS: [usize; 2] = [6, 2];
/// Images that are shown at most.
pub(crate) const SHOWN: usize = COLUMNS * ROWS[0];
/// Latents in each direction of a grid.
const GRID: u32 = 9;
/// Images of a tour through latents.
const FRAMES: u32 = 60;
/// Lines between two images each.
const LINES: usize = 2;

/// A format of pictures of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PictureFormat {
    Png,
    Gif,
}

impl PictureFormat {
    /// How the names of its files end.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Gif => "gif",
        }
    }
}

/// A picture, ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) name: &'static str,
    /// What is seen, in words.
    pub(crate) caption: &'static str,
    pub(crate) format: PictureFormat,
    pub(crate) bytes: Vec<u8>,
}

/// Images that no model made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Originals<'a> {
    /// `[H, W, C]`.
    pub(crate) shape: [usize; 3],
    /// `[n, D]`, with an image at least.
    pub(crate) values: &'a [f64],
    /// The context of each, `[n, C]`; empty where models have none.
    pub(crate) context: &'a [f64],
    /// The value of white; 0 is black.
    pub(crate) white: f64,
    /// Of what models draw.
    pub(crate) seed: u64,
}

/// All there is to see of `models`, one below the other in this order: samples; what they
/// project images to; images between others. Of one model also its first two latents, and a tour through all.
pub(crate) fn pictures(models: &[Evaluated<'_>], originals: Originals<'_>) -> Result<Vec<Picture>> {
    let alone = models.len() == 1;
    let rows = if alone { ROWS[0] } else { ROWS[1] };
    let mut samples = originals.first(rows * COLUMNS).to_vec();
    let mut reconstructed = originals.first(COLUMNS).to_vec();
    let mut between = vec![];
    for of in models {
        let context = originals.contexts(rows * COLUMNS);
        samples.extend(drawn(*of, originals.seed, rows * COLUMNS, &context)?);
        reconstructed.extend(originals.projected(*of)?);
        between.extend(originals.between(*of)?);
    }
    let mut all = vec![
        originals.sheet(
            "images-samples",
            "Above data, as many rows as of each model; below what the model draws.",
            &samples,
            COLUMNS,
        )?,
        originals.sheet(
            "images-reconstructed",
            "In the first row data, below it the nearest points that the model finds on its manifold.",
            &reconstructed,
            COLUMNS,
        )?,
    ];
    if !between.is_empty() {
        all.push(originals.sheet(
            "images-between",
            "From one image of the data to another, along a straight line of latents.",
            &between,
            COLUMNS,
        )?);
    }
    if let [of] = models {
        let grid = originals.decoded(*of, &grid(of.model))?;
        all.push(originals.sheet(
            "images-latents",
            "The first two latents, each at nine even parts of its distribution; the others are 0.",
            &grid,
            GRID as usize,
        )?);
        let tour = originals.decoded(*of, &tour(of.model, originals.seed)?)?;
        all.push(Picture {
            name: "images-tour",
            caption: "A round trip through latents, on a great circle of the sphere where nearly all of them lie.",
            format: PictureFormat::Gif,
            bytes: animation_of_images(originals.images(&originals.bytes(&tour))?)?,
        });
    }
    Ok(all)
}

impl<'a> Originals<'a> {
    fn dim(self) -> usize {
        self.shape.iter().product()
    }

    #[expect(
        clippy::integer_division_remainder_used,
        reason = "images of a pixel or more, and tensors with two axes"
    )]
    fn count(self) -> usize {
        self.values.len() / self.dim()
    }

    /// The first images, `count` of them or as many as there are.
    #[expect(
        clippy::indexing_slicing,
        reason = "images of a pixel or more, and tensors with two axes"
    )]
    fn first(self, count: usize) -> &'a [f64] {
        &self.values[..self.values.len().min(count * self.dim())]
    }

    /// The contexts of the first images, again from the first where there are more rows than images.
    fn contexts(self, rows: usize) -> Vec<f64> {
        let features = self.context.len() / self.count().max(1);
        self.context.iter().copied().cycle().take(rows * features).collect()
    }

    fn context(self, of: Evaluated<'_>, rows: usize) -> Result<Option<Tensor>> {
        Ok(of.context(&self.contexts(rows))?)
    }

    /// The points of the manifold for the first images; all of space is none.
    #[expect(
        clippy::indexing_slicing,
        reason = "images of a pixel or more, and tensors with two axes"
    )]
    fn projected(self, of: Evaluated<'_>) -> Result<Vec<f64>> {
        let x = of.tensor(self.first(COLUMNS), self.dim())?;
        let context = self.context(of, x.dims()[0])?;
        Ok(of.by_rows(&x, context.as_ref(), |x, c| of.model.project(x, c))?)
    }

    /// A row of images between the first and the second, another between the third and the fourth, as far as there are so
    /// many.
    #[expect(
        clippy::indexing_slicing,
        reason = "images of a pixel or more, and tensors with two axes"
    )]
    fn between(self, of: Evaluated<'_>) -> Result<Vec<f64>> {
        let x = of.tensor(self.first(2 * LINES), self.dim())?;
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

    #[expect(
        clippy::indexing_slicing,
        reason = "images of a pixel or more, and tensors with two axes"
    )]
    fn decoded(self, of: Evaluated<'_>, latents: &[f64]) -> Result<Vec<f64>> {
        let latents = of.tensor(latents, of.model.signature().latent_dim())?;
        let context = self.context(of, latents.dims()[0])?;
        Ok(of.by_rows(&latents, context.as_ref(), |u, c| of.model.decode(u, c))?)
    }

    /// In units in which white is 255.
    fn bytes(self, values: &[f64]) -> Vec<f64> {
        values.iter().map(|v| v / self.white * 255.).collect()
    }

    fn images(self, bytes: &[f64]) -> Result<Images<'_>> {
        Ok(Images::new(bytes, self.shape)?)
    }

    fn sheet(
        self,
        name: &'static str,
        caption: &'static str,
        values: &[f64],
        columns: usize,
    ) -> Result<Picture> {
        let bytes = sheet_of_images(self.images(&self.bytes(values))?, columns)?;
        Ok(Picture { name, caption, format: PictureFormat::Png, bytes })
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
