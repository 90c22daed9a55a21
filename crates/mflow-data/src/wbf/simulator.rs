//! The simulator.

use std::sync::OnceLock;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

use super::detector::COORDINATES;
use super::features::{FeatureSet, coordinates};
use super::generator::{Event, Generator, Settings};
use super::likelihood::{Evidence, evidence};
use super::observables::Observables;
use super::vector::FourVector;
use crate::simulator::{JointSample, Likelihood, Parameter, Simulator, parameter_rows, points};
use crate::simulators::charted::{Embedding, jacobian, log_volume};
use crate::simulators::nearest::{Until, descend};
use crate::simulators::number::Number;
use crate::{Prior, Result};

/// Events of weak-boson fusion as points: 40 or 48 standardised features of 14 numbers that a detector sees. Its
/// parameters are the coefficients `θ_1` and `θ_2` of the two operators, normal before any data.
///
/// The density is that of the 14 numbers over the volume of the features: an integral over what was not seen, by importance
/// sampling with the same points every time. [`Self::log_prob_with_error`] tells how well it is known. It is zero, and its
/// logarithm negative infinity, where cuts or the order of momenta forbid an event.
#[derive(Debug)]
pub struct WeakBosonFusion {
    features: FeatureSet,
    settings: Settings,
    points: usize,
    generator: OnceLock<Generator>,
}

impl Default for WeakBosonFusion {
    /// With the 40 features of the paper.
    fn default() -> Self {
        Self::new(FeatureSet::Smooth, Settings::default())
    }
}

/// The prior of the paper.
const NORMAL: Prior = Prior::Normal { mean: 0.0, std: 1.0 };
const PARAMETERS: &[Parameter] = &[
    Parameter { name: "theta_1", prior: NORMAL, default: 0.0 },
    Parameter { name: "theta_2", prior: NORMAL, default: 0.0 },
];

/// Points by which the density of an event is integrated, for each of the two ways to explain it.
const POINTS: usize = 1000;
/// The seed of these points.
const SEED: u64 = 13_000;

impl WeakBosonFusion {
    /// The name with 40 features.
    pub const NAME: &'static str = "wbf";
    /// The name with 48.
    pub const NAME_WITH_AZIMUTHS: &'static str = "wbf-48";
    /// The parameters that published posteriors are for.
    pub const TRUTHS: [[f64; 2]; 3] = [[0.0, 0.0], [0.5, 0.0], [-1.0, -1.0]];

    /// With features and physics of one's choice. Nothing is computed yet.
    #[must_use]
    pub fn new(features: FeatureSet, settings: Settings) -> Self {
        Self { features, settings, points: POINTS, generator: OnceLock::new() }
    }

    /// With a generator that is at hand.
    #[must_use]
    pub fn with_generator(features: FeatureSet, generator: Generator) -> Self {
        let settings = generator.settings().clone();
        Self { features, settings, points: POINTS, generator: generator.into() }
    }

    /// With so many points for the integral of a density, for each of the two ways to explain an event; 1000 else. The error
    /// falls with their square root.
    #[must_use]
    pub fn with_points(self, points: usize) -> Self {
        Self { points, ..self }
    }

    /// Which features a row has.
    #[must_use]
    pub fn features(&self) -> FeatureSet {
        self.features
    }

    /// What draws events: adapted to the process when it is first asked for, which takes a second or two.
    pub fn generator(&self) -> &Generator {
        self.generator.get_or_init(|| Generator::new(self.settings.clone()))
    }

    /// The features of an event, standardised: `[D]`.
    #[must_use]
    pub fn embed(&self, z: &[f64; COORDINATES]) -> Vec<f64> {
        self.features.of(z)
    }

    /// The coordinates of the point of the manifold nearest to each of the points `x`, `[n, D]`: `[n, 14]`.
    ///
    /// # Errors
    ///
    /// As [`project`](Simulator::project).
    pub fn coordinates(&self, x: &[f64]) -> Result<Vec<[f64; COORDINATES]>> {
        Ok(points(x, self.data_dim())?.into_par_iter().map(|x| self.nearest(x)).collect())
    }

    /// The logarithm of the density, as [`log_prob`](Simulator::log_prob), of each point with its standard error;
    /// infinite where no point of the integral explains the event.
    ///
    /// # Errors
    ///
    /// As [`log_prob`](Simulator::log_prob).
    pub fn log_prob_with_error(&self, x: &[f64], theta: [f64; 2]) -> Result<Vec<(f64, f64)>> {
        Ok(self.evidence(x, SEED)?.iter().map(|of| of.log_prob(self.generator(), theta)).collect())
    }

    /// `log sqrt(det JᵀJ)` of the map from coordinates to features: what the density per unit of coordinates is divided by.
    #[must_use]
    pub fn log_volume(&self, z: &[f64; COORDINATES]) -> f64 {
        log_volume(&jacobian(&Events { features: self.features, massless: [false; 2] }, z))
    }

    /// The joint score of an event, `∂ log p(x, z|θ)/∂θ`: with the rate after cuts, as only events that pass are seen.
    #[must_use]
    pub fn joint_score(&self, event: &Event, theta: [f64; 2]) -> [f64; 2] {
        let of_rate = self.generator().selected().mean().score(theta);
        let of_event = event.squared_amplitude.score(theta);
        [of_event[0] - of_rate[0], of_event[1] - of_rate[1]]
    }

    /// `log p(x, z|θ) - log p(x, z|θ')` of an event.
    #[must_use]
    pub fn joint_log_ratio(&self, event: &Event, theta: [f64; 2], other: [f64; 2]) -> f64 {
        let rate = self.generator().selected().mean();
        let of = |theta| event.squared_amplitude.at(theta).ln() - rate.at(theta).ln();
        of(theta) - of(other)
    }

    /// Events at the parameters of each row.
    fn events(&self, n: usize, parameters: &[f64], rng: &mut dyn Rng) -> Result<Vec<Event>> {
        let rows = pairs(parameters, n)?;
        Ok(self.generator().events(n, |row| rows[row], rng))
    }

    fn nearest(&self, x: &[f64]) -> [f64; COORDINATES] {
        let mut events = Events { features: self.features, massless: [false; 2] };
        let mut z = self.start(x);
        loop {
            let (_, found) = descend(&events, x, &events.free(&z), Until::EXACT);
            z = events.all(&found);
            let at_end = MASSES.map(|at| z[at] <= LEAST_MASS.ln());
            if at_end == events.massless {
                return z;
            }
            // The rest is free to move along the edge.
            events.massless = [0, 1].map(|i| at_end[i] || events.massless[i]);
        }
    }

    /// The momenta among the features of a row, as they stand there: photons, then jets, in GeV; NaN where the row ends
    /// before them.
    #[must_use]
    pub fn momenta(&self, x: &[f64]) -> [FourVector; 4] {
        let [means, scales] = self.features.standardization();
        let of_object = if self.features == FeatureSet::WithAzimuths { 7 } else { 6 };
        std::array::from_fn(|i| {
            let feature = |k: usize| {
                let at = of_object * i + k;
                x.get(at).map_or(f64::NAN, |x| x * scales[at] + means[at])
            };
            FourVector { e: feature(0), x: feature(1), y: feature(2), z: feature(3) }
        })
    }

    /// Observables of the jets of a row of features, by their momenta there.
    #[must_use]
    pub fn observables(&self, x: &[f64]) -> Observables {
        let [_, _, a, b] = self.momenta(x);
        Observables::of_jets([a, b])
    }

    /// Coordinates as the momenta among the features have them.
    fn start(&self, x: &[f64]) -> [f64; COORDINATES] {
        coordinates(self.momenta(x).map(|mut p| {
            // What is off the manifold may have no transverse momentum, and less energy than momentum.
            const LEAST: f64 = 0.01;
            if p.pt() < LEAST {
                p.x += LEAST;
            }
            let momentum = p.pt().hypot(p.z);
            FourVector { e: p.e.max(momentum.hypot(LEAST * momentum)), ..p }
        }))
    }

    /// The likelihood of each point by the points of a seed, with the factor from coordinates to features.
    fn evidence(&self, x: &[f64], seed: u64) -> Result<Vec<Seen>> {
        let cuts = &self.settings.cuts;
        let one = |x: &[f64]| {
            let z = self.nearest(x);
            if !cuts.allow(&z) {
                return Seen(None);
            }
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let evidence = evidence(&self.settings, &z, self.points, rng);
            Seen(Some((evidence, self.log_volume(&z))))
        };
        Ok(points(x, self.data_dim())?.into_par_iter().map(one).collect())
    }
}

/// The least mass of a jet in GeV that the search for a nearest point goes to: eight standard deviations below any.
const LEAST_MASS: f64 = 0.05;

/// Where the masses of jets are among the coordinates.
const MASSES: [usize; 2] = [9, 13];

/// The map from coordinates to features; where jets have no mass, which is where the manifold ends, from the others.
struct Events {
    features: FeatureSet,
    massless: [bool; 2],
}

impl Events {
    /// Whether a coordinate can move.
    fn is_free(&self, at: usize) -> bool {
        MASSES.iter().zip(self.massless).all(|(mass, massless)| *mass != at || !massless)
    }

    /// The coordinates that can move.
    fn free(&self, z: &[f64; COORDINATES]) -> Vec<f64> {
        (0..COORDINATES).filter(|at| self.is_free(*at)).map(|at| z[at]).collect()
    }

    /// All coordinates.
    fn all<T: Number>(&self, free: &[T]) -> [T; COORDINATES] {
        let mut free = free.iter();
        let least = T::constant(LEAST_MASS.ln());
        std::array::from_fn(|at| match self.is_free(at) {
            true => free.next().copied().unwrap_or(least),
            false => least,
        })
    }
}

impl Embedding for Events {
    fn point<T: Number>(&self, z: &[T]) -> Vec<T> {
        self.features.of(&self.all(z))
    }

    fn limit(&self, z: &mut [f64]) {
        let free = (0..COORDINATES).filter(|at| self.is_free(*at));
        for (z, _) in z.iter_mut().zip(free).filter(|(_, at)| MASSES.contains(at)) {
            *z = z.max(LEAST_MASS.ln());
        }
    }
}

/// What one point says of the parameters; nothing if it cannot be an event.
#[derive(Clone, Copy, Debug)]
struct Seen(Option<(Evidence, f64)>);

impl Seen {
    /// The log-density at θ in features, and its standard error.
    fn log_prob(&self, generator: &Generator, theta: [f64; 2]) -> (f64, f64) {
        let Some((Evidence { rate, log_scale }, log_volume)) = &self.0 else {
            return (f64::NEG_INFINITY, 0.0);
        };
        let (value, error) = rate.at(theta);
        if value <= 0.0 {
            // No point was near enough to explain it: nothing is known of how small it is.
            return (f64::NEG_INFINITY, f64::INFINITY);
        }
        let selected = generator.selected().mean().at(theta);
        (value.ln() + log_scale - selected.ln() - log_volume, error / value)
    }
}

/// The likelihood function of some points.
#[derive(Debug)]
struct Observed<'a> {
    of: &'a WeakBosonFusion,
    points: Vec<Seen>,
}

impl Likelihood for Observed<'_> {
    fn log_prob(&self, theta: &[f64]) -> Result<Vec<f64>> {
        let theta = pairs(theta, 1)?[0];
        let generator = self.of.generator();
        Ok(self.points.iter().map(|seen| seen.log_prob(generator, theta).0).collect())
    }
}

/// `n` rows of two parameters.
fn pairs(parameters: &[f64], n: usize) -> Result<Vec<[f64; 2]>> {
    let rows = parameter_rows(PARAMETERS, parameters, n)?;
    Ok(rows.into_iter().map(|row| [row[0], row[1]]).collect())
}

impl Simulator for WeakBosonFusion {
    fn name(&self) -> &'static str {
        match self.features {
            FeatureSet::Smooth => Self::NAME,
            FeatureSet::WithAzimuths => Self::NAME_WITH_AZIMUTHS,
        }
    }

    fn data_dim(&self) -> usize {
        self.features.count()
    }

    fn manifold_dim(&self) -> usize {
        COORDINATES
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn has_scores(&self) -> bool {
        true
    }

    fn sample(&self, n: usize, parameters: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        let events = self.events(n, parameters, rng)?;
        Ok(events.iter().flat_map(|event| self.embed(&event.coordinates)).collect())
    }

    fn sample_joint(
        &self,
        n: usize,
        parameters: &[f64],
        hypotheses: &[f64],
        rng: &mut dyn Rng,
    ) -> Result<JointSample> {
        let hypotheses = pairs(hypotheses, n)?;
        let events = self.events(n, parameters, rng)?;
        let mut sample = JointSample::default();
        for (event, theta) in events.iter().zip(hypotheses) {
            sample.x.extend(self.embed(&event.coordinates));
            sample.scores.extend(self.joint_score(event, theta));
            sample.log_ratios.push(self.joint_log_ratio(event, theta, [0.0, 0.0]));
        }
        Ok(sample)
    }

    fn log_prob(&self, x: &[f64], parameters: &[f64]) -> Result<Vec<f64>> {
        let seen = self.evidence(x, SEED)?;
        let rows = pairs(parameters, seen.len())?;
        let generator = self.generator();
        Ok(seen.iter().zip(rows).map(|(seen, theta)| seen.log_prob(generator, theta).0).collect())
    }

    fn likelihood<'a>(&'a self, x: &'a [f64]) -> Result<Box<dyn Likelihood + 'a>> {
        Ok(Box::new(Observed { of: self, points: self.evidence(x, SEED)? }))
    }

    fn likelihood_again<'a>(&'a self, x: &'a [f64]) -> Result<Option<Box<dyn Likelihood + 'a>>> {
        Ok(Some(Box::new(Observed { of: self, points: self.evidence(x, SEED + 1)? })))
    }

    fn project(&self, x: &[f64]) -> Result<Vec<f64>> {
        let nearest = self.coordinates(x)?;
        Ok(nearest.iter().flat_map(|z| self.embed(z)).collect())
    }
}
