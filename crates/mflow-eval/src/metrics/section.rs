//! Densities along the curve in which a plane cuts a surface in space.
#![expect(
    clippy::indexing_slicing,
    reason = "two points of three numbers for each segment, and windows of two edges"
)]
use super::Evaluated;
use crate::statistics::Field;
use crate::{Error, Estimate, Result};
use mflow_data::Lorenz;

/// Bins along the curve in which the plane `x_3 = height` cuts a surface, by `x_1`.
///
/// With a density `p` per area of a surface `M`, that of `x_1` where `x_3 = c` is, by the coarea formula,
///
/// ```text
/// q(bin) ∝ ∫ 1[x_1 in bin] p(x) / |∇_M x_3| dℓ     over the curve M ∩ {x_3 = c}
/// ```
///
/// the limit of thin slabs `|x_3 - c| < δ`, in which points are counted. It is normalised over all bins: what
/// is outside of them does not count.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// The height `c` of the plane.
    pub height: f64,
    /// The ends of the bins, upwards.
    pub edges: Vec<f64>,
}

impl Section {
    /// Equal bins from `low` to `high`.
    ///
    /// # Errors
    /// [`Error::Table`] for bounds that are none, or less than 1 bin.
    pub fn new(height: f64, [low, high]: [f64; 2], bins: usize) -> Result<Self> {
        if bins == 0 || !(low < high && low.is_finite() && high.is_finite()) {
            return Err(Error::Table { low, high, points: bins.saturating_add(1) });
        }
        let edge = |k: usize| low + (high - low) * k as f64 / bins as f64;
        Ok(Self { height, edges: (0..=bins).map(edge).collect() })
    }

    /// The shares of the bins among points within `half_width` of the plane.
    ///
    /// # Errors
    /// [`Error::NoSamples`] if no point is in a bin.
    pub fn of_points(&self, points: &[[f64; 3]], half_width: f64) -> Result<Vec<f64>> {
        let mut counts = self.empty();
        for point in points.iter().filter(|x| (x[2] - self.height).abs() < half_width) {
            self.add(&mut counts, point[0], 1.);
        }
        normalized(counts)
    }

    /// The shares of the bins for the surface of a model, from its decoder. In latents the area cancels from
    /// the formula above: `q ∝ ∫ 1[x_1 in bin] p(ũ) / |∇_ũ x_3| |dũ|` over the level set `x_3(ũ) = c`. It
    /// comes from marching squares on a grid of `cells` x `cells` within 4.5 of the latents' origin, and
    /// gradients from the decoder's Jacobian. If the surface folds over `x_1`, its sheets are summed, as
    /// samples are.
    ///
    /// # Errors
    /// If the model is not one of a surface in space without a context, or cannot be evaluated;
    /// [`Error::NoSamples`] if its surface does not meet the plane in a bin.
    pub fn of_model(&self, of: Evaluated<'_>, cells: usize) -> Result<Vec<f64>> {
        /// Latents reach as far: 1e-5 of a standard normal lies beyond.
        const REACH: f64 = 4.5;
        let s = of.model.signature();
        let sizes = (s.data_dim, s.manifold_dim, s.charts, s.context_dim);
        if sizes != (3, 2, 1, None) {
            let expected =
                "an unconditional model of a surface of one chart in 3 dimensions".to_owned();
            let found =
                format!("{sizes:?} features, manifold dimensions, charts and context features");
            return Err(Error::Model { what: "section", expected, found });
        }
        let decode = |latents: &[f64]| {
            of.by_rows(&of.tensor(latents, 2)?, None, |z, c| of.model.decode(z, c))
        };
        let side: Vec<f64> =
            (0..=cells).map(|k| REACH * (2. * k as f64 / cells as f64 - 1.)).collect();
        let grid: Vec<f64> =
            side.iter().flat_map(|&a| side.iter().flat_map(move |&b| [a, b])).collect();
        let values = decode(&grid)?.as_chunks::<3>().0.iter().map(|x| x[2]).collect();
        let lines = Field { x: side.clone(), y: side, values }.contour(self.height)?;
        let segments = lines.iter().flat_map(|line| line.windows(2));
        let segments: Vec<[f64; 4]> =
            segments.map(|ends| [ends[0].0, ends[0].1, ends[1].0, ends[1].1]).collect();
        if segments.is_empty() {
            return Err(Error::NoSamples);
        }
        let middles: Vec<f64> =
            segments.iter().flat_map(|&[a, b, c, d]| [a.midpoint(c), b.midpoint(d)]).collect();
        let middles = of.tensor(&middles, 2)?;
        let log_probs = of.by_rows(&middles, None, |z, _| of.model.latent_log_prob(z))?;
        let rows = of.by_rows(&middles, None, |z, c| of.model.decode_jacobian(z, c))?;
        let ends = decode(segments.as_flattened())?;
        let mut masses = self.empty();
        for (k, &[a, b, c, d]) in segments.iter().enumerate() {
            let gradient = rows[6 * k + 2].hypot(rows[6 * k + 5]);
            let mass = log_probs[k].exp() * (c - a).hypot(d - b) / gradient;
            if !mass.is_finite() {
                continue;
            }
            self.spread(&mut masses, [ends[6 * k], ends[6 * k + 3]], mass);
        }
        normalized(masses)
    }

    fn empty(&self) -> Vec<f64> {
        vec![0.; self.edges.len().saturating_sub(1)]
    }

    /// Add `mass` to the bin that holds `x`, if there is one.
    fn add(&self, masses: &mut [f64], x: f64, mass: f64) {
        let after = self.edges.partition_point(|&edge| edge <= x);
        if let Some(bin) = after.checked_sub(1).and_then(|bin| masses.get_mut(bin)) {
            *bin += mass;
        }
    }

    /// Add `mass`, equally between two ends, to the bins that these reach.
    fn spread(&self, masses: &mut [f64], [a, b]: [f64; 2], mass: f64) {
        let (low, high) = (a.min(b), a.max(b));
        if high - low <= 1e-12 * high.abs() {
            return self.add(masses, low, mass);
        }
        for (bin, edges) in masses.iter_mut().zip(self.edges.windows(2)) {
            let inside = high.min(edges[1]) - low.max(edges[0]);
            *bin += mass * inside.max(0.) / (high - low);
        }
    }
}

fn normalized(mut masses: Vec<f64>) -> Result<Vec<f64>> {
    let total: f64 = masses.iter().sum();
    if total <= 0. {
        return Err(Error::NoSamples);
    }
    masses.iter_mut().for_each(|mass| *mass /= total);
    Ok(masses)
}

/// `½ Σ |p - q|`: the total variation distance between shares of the same bins, 0 to 1.
pub fn total_variation(p: &[f64], q: &[f64]) -> f64 {
    0.5 * p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum::<f64>()
}

/// Half the thickness of the slab in which points of the Lorenz attractor are counted, standardised.
pub const LORENZ_SLAB: f64 = 0.1;
/// Cells of the grid of latents along each axis, for [`Section::of_model`].
pub const SECTION_CELLS: usize = 180;

/// The curves in which the plane through both fixed points of the Lorenz system cuts the wings of its
/// attractor: that of `x_1 < 0` and that of `x_1 > 0`, before all is standardised.
///
/// # Errors
/// Never, in truth.
pub fn lorenz_sections() -> Result<[Section; 2]> {
    /// Bins of each.
    const BINS: usize = 44;
    /// The wings end before.
    const REACH: f64 = 2.2;
    // 28 - 1 is the height of the fixed points.
    let height = Lorenz::standardize([0., 0., 27.])[2];
    let middle = Lorenz::standardize([0.; 3])[0];
    Ok([
        Section::new(height, [middle - REACH, middle], BINS)?,
        Section::new(height, [middle, middle + REACH], BINS)?,
    ])
}

/// The total variation distance, along each of [`lorenz_sections`], between points of long trajectories and
/// the surface of a model. Two halves of the trajectories are 0.03 apart.
///
/// # Errors
/// As [`Section::of_model`]; a model whose surface does not meet the plane has the distance 1.
pub fn lorenz_section_tv(of: Evaluated<'_>) -> Result<[Estimate; 2]> {
    let [left, right] = lorenz_sections()?;
    let one = |section: &Section| -> Result<Estimate> {
        let truth = section.of_points(Lorenz::trajectories(), LORENZ_SLAB)?;
        let value = match section.of_model(of, SECTION_CELLS) {
            Ok(model) => total_variation(&truth, &model),
            Err(Error::NoSamples) => 1.,
            Err(error) => return Err(error),
        };
        let near = |point: &&[f64; 3]| (point[2] - section.height).abs() < LORENZ_SLAB;
        let count = Lorenz::trajectories().iter().filter(near).count();
        Ok(Estimate { value, standard_error: None, count })
    };
    Ok([one(&left)?, one(&right)?])
}
