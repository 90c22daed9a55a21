//! The scene that is nearest to an image.
use super::Scenes;
use crate::Result;
use crate::simulator::points;
use crate::simulators::nearest::{Until, descend};
use rand::Rng;
use rayon::prelude::*;

/// Scenes that are drawn to start from, and the most numbers that their images have together.
const DRAWN: usize = 4096;
const NUMBERS: usize = 1 << 24;
/// Local searches for each image.
const SEARCHES: usize = 8;
/// A thousandth of the distance: a search for a distance ends here.
const UNTIL: Until = Until { steps: 200, step: 1e-10, gain: 1e-6 };

/// The nearest scenes that were found of a batch of images.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct NearestScenes {
    /// Their factors, `[n, K]`.
    pub factors: Vec<f64>,
    /// Their distances to the images, `[n]`, in pixel values.
    pub distances: Vec<f64>,
}

impl Scenes {
    /// For each of the images `x`, `[n, D]`, the factors in `[-1, 1]` of the nearest scene: by Levenberg-Marquardt steps from the
    /// best eight of many scenes that `rng` draws, of which the nearest end counts. It is an upper bound of the
    /// distance: a scene may be nearer that no search leads to. The same whatever the number of threads.
    ///
    /// # Errors
    ///
    /// [`Error::PartialRow`](crate::Error::PartialRow) where `x` is not whole images, and
    /// [`Error::Coordinate`](crate::Error::Coordinate) for a pixel that is not finite.
    #[expect(clippy::integer_division_remainder_used, reason = "an image has a pixel or more")]
    pub fn nearest(&self, x: &[f64], rng: &mut dyn Rng) -> Result<NearestScenes> {
        let dim = self.shape().iter().product();
        let rows = points(x, dim)?;
        let drawn = self.draw_factors(DRAWN.min(NUMBERS / dim), rng);
        let images = self.render(&drawn)?;
        let starts: Vec<(&[f64], &[f64])> =
            drawn.chunks_exact(self.factors()).zip(images.chunks_exact(dim)).collect();
        let found: Vec<(f64, Vec<f64>)> =
            rows.par_iter().map(|x| self.search(x, &starts)).collect();
        Ok(NearestScenes {
            distances: found.iter().map(|(square, _)| square.sqrt()).collect(),
            factors: found.into_iter().flat_map(|(_, z)| z).collect(),
        })
    }

    /// The squared distance of one image, and the factors.
    fn search(&self, x: &[f64], starts: &[(&[f64], &[f64])]) -> (f64, Vec<f64>) {
        let square =
            |image: &[f64]| -> f64 { image.iter().zip(x).map(|(a, b)| (a - b) * (a - b)).sum() };
        let mut order: Vec<(f64, &[f64])> =
            starts.iter().map(|(z, image)| (square(image), *z)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let ends = order.iter().take(SEARCHES).map(|(_, z)| descend(self, x, z, UNTIL));
        ends.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::NAN, vec![]))
    }
}
