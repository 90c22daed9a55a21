//! Images of scenes whose factors are known exactly: data sets of images with a known intrinsic dimension.

mod body;
mod factor;
mod nearest;
mod simulator;

use std::sync::LazyLock;

use rand::{Rng, RngExt};
use rayon::prelude::*;

use crate::simulators::charted::{Embedding, jacobian, log_volume};
use crate::simulators::number::Number;
use crate::{Error, Result};
use body::{Body, Canvas};
use factor::{Factor, PER_SHAPE, Values};
pub use nearest::NearestScenes;

/// Images `[H, W, C]` of soft-edged shapes on a background, given by `K` factors `z`, each uniform in `[-1, 1]`.
///
/// Each shape has eight factors, and the first `K` of all are free; the others stay at 0.
///
/// | factor | of the first shape | of the others |
/// | --- | --- | --- |
/// | 1, 2 | position, right and down | the same, within their own part of the image |
/// | 3 | size | the same |
/// | 4 | elongation; both axes are equal where it is not free | the same |
/// | 5 | angle, within 60 degrees to either side, clockwise | the same |
/// | 6 | brightness, in colour the hue | the same |
/// | 7, 8 | brightness of the background, and how it changes from top to bottom | how brightness changes along the two axes of the shape |
///
/// So 2 factors move a disc, 8 are all of a scene with one ellipse, and 64 are eight shapes, ellipses and rounded rectangles in
/// turns, each in its own ninth of the image.
///
/// Pixels are real numbers from 0 to 255, and functions of the factors with two continuous derivatives: an edge is a ramp of two
/// pixels' width in the signed distance (to first order) from the outline, and not a count of covered points, which would be constant
/// but for steps. So the image has an exact Jacobian, and [`log_prob_of`](Self::log_prob_of) is exact. Bytes are a
/// rounded copy, off the manifold by 0.3 in each pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenes {
    factors: usize,
    size: usize,
    channels: usize,
}

/// The names of all numbers of factors.
static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| (1..=Scenes::MOST).map(|k| format!("scenes-{k}")).collect());

impl Scenes {
    /// The greatest number of factors.
    pub const MOST: usize = 64;
    /// The least and the greatest side of an image, in pixels.
    pub const SIZES: [usize; 2] = [16, 64];
    /// The side of an image, in pixels, where nobody says another.
    pub const SIZE: usize = 16;

    /// Scenes with this many free factors (1 to 64), `size` pixels a side (16 to 64), and 1 channel (grey) or 3 (red, green, blue).
    ///
    /// # Errors
    ///
    /// [`Error::ImageSetting`] for anything else.
    pub fn new(factors: usize, size: usize, channels: usize) -> Result<Self> {
        let [least, most] = Self::SIZES;
        let check = |what, found, is_right: bool, expected: String| match is_right {
            true => Ok(()),
            false => Err(Error::ImageSetting { what, expected, found }),
        };
        let right = (1..=Self::MOST).contains(&factors);
        check("factors of a scene", factors, right, format!("1 to {}", Self::MOST))?;
        let right = (least..=most).contains(&size);
        check("the side of a scene", size, right, format!("{least} to {most} pixels"))?;
        let right = [1, 3].contains(&channels);
        check("channels of a scene", channels, right, "1 (grey) or 3 (colour)".to_owned())?;
        Ok(Self { factors, size, channels })
    }

    /// The scenes called `scenes-K`, of grey images of 16 pixels a side; none for any other name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let factors = NAMES.iter().position(|known| known == name)? + 1;
        Self::new(factors, Self::SIZE, 1).ok()
    }

    /// `K`.
    #[must_use]
    pub fn factors(&self) -> usize {
        self.factors
    }

    /// `[H, W, C]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        [self.size, self.size, self.channels]
    }

    /// What each factor does: `shape 1: right`.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a remainder below the factors of a shape")]
    pub fn factor_names(&self) -> Vec<String> {
        let name = |k: usize| {
            let shape = k / PER_SHAPE;
            format!("shape {}: {}", shape + 1, Factor::of(shape)[k % PER_SHAPE].name())
        };
        (0..self.factors).map(name).collect()
    }

    /// Draws the factors of `n` scenes: `[n, K]`, each uniform in `[-1, 1)`.
    pub fn draw_factors(&self, n: usize, rng: &mut dyn Rng) -> Vec<f64> {
        (0..n * self.factors).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    /// The images with these factors, `[n, K]`: `[n, D]`, each in the order height, width, channel, from 0 to 255. The same
    /// whatever the number of threads.
    ///
    /// # Errors
    ///
    /// [`Error::PartialRow`] where there are no whole rows, [`Error::Factor`] for a factor that is not from -1 to 1.
    pub fn render(&self, factors: &[f64]) -> Result<Vec<f64>> {
        let rows = self.rows(factors)?;
        let images: Vec<Vec<f64>> = rows.par_iter().map(|z| self.point(z)).collect();
        Ok(images.concat())
    }

    /// The logarithm of the density of the image with these factors, `[n, K]`: `[n]`, in nats per volume of the manifold in
    /// units of pixel values, `-K ln 2 - 1/2 log det(J^T J)` with the exact Jacobian `J` of the image.
    ///
    /// It takes `K` images' time for each.
    ///
    /// # Errors
    ///
    /// As [`render`](Self::render).
    pub fn log_prob_of(&self, factors: &[f64]) -> Result<Vec<f64>> {
        #[expect(clippy::cast_precision_loss, reason = "at most 64")]
        let of_factors = -(self.factors as f64) * std::f64::consts::LN_2;
        let density = |z: &&[f64]| of_factors - log_volume(&jacobian(self, z));
        Ok(self.rows(factors)?.par_iter().map(density).collect())
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::integer_division_remainder_used,
        reason = "a scene has a factor or more"
    )]
    fn rows<'a>(&self, factors: &'a [f64]) -> Result<Vec<&'a [f64]>> {
        let cols = self.factors;
        if !factors.len().is_multiple_of(cols) {
            return Err(Error::PartialRow { what: "factors", cols, found: factors.len() });
        }
        match factors.iter().position(|z| !(-1.0..=1.0).contains(z)) {
            None => Ok(factors.chunks_exact(cols).collect()),
            Some(at) => {
                Err(Error::Factor { row: at / cols, factor: at % cols, found: factors[at] })
            }
        }
    }

    /// Shapes of which a factor is free.
    fn shapes(&self) -> usize {
        self.factors.div_ceil(PER_SHAPE)
    }

    fn name(&self) -> &'static str {
        NAMES.get(self.factors - 1).map_or("scenes", String::as_str)
    }
}

impl Embedding for Scenes {
    fn point<T: Number>(&self, z: &[T]) -> Vec<T> {
        let values = |shape| Values::new(z, shape);
        let mut canvas = Canvas::background(self.size, self.channels, &values(0));
        for shape in 0..self.shapes() {
            Body::new(&values(shape), shape, self.shapes(), self.size).paint(&mut canvas);
        }
        canvas.pixels
    }
    fn limit(&self, z: &mut [f64]) {
        z.iter_mut().for_each(|z| *z = z.clamp(-1.0, 1.0));
    }
}
