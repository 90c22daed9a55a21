//! Events: a grid adapted to the process, rates, and unweighting.

use std::sync::Arc;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

use super::cuts::Cuts;
use super::detector::{COORDINATES, Detector, decay};
use super::hard::{Flavours, Hard};
use super::partons::{AnalyticDensities, PartonDensities};
use super::phase_space::{DIM, Point, Variables};
use super::quadratic::Quadratic;
use super::rate::{Rate, Sums};
use super::vector::FourVector;
use super::vegas::{Grid, Seen};

/// The physics of a simulation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which events are kept.
    pub cuts: Cuts,
    /// What a detector sees.
    pub detector: Detector,
    /// Densities of partons.
    pub densities: Arc<dyn PartonDensities>,
}

impl Default for Settings {
    /// The published cuts, our detector and our densities.
    fn default() -> Self {
        Self {
            cuts: Cuts::default(),
            detector: Detector::default(),
            densities: Arc::new(AnalyticDensities),
        }
    }
}

/// An event with all that lies behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// What was seen.
    pub coordinates: [f64; COORDINATES],
    /// Which partons met.
    pub flavours: Flavours,
    /// Their momenta.
    pub incoming: [FourVector; 2],
    /// What they became, before it was measured.
    pub outgoing: [FourVector; 2],
    /// The photons, before they were measured.
    pub photons: [FourVector; 2],
    /// `|M|²` for these momenta and flavours as a polynomial in θ, in 1/GeV².
    pub squared_amplitude: Quadratic,
    /// 1, or by how much the event was more likely than the largest weight that unweighting allows for.
    pub weight: f64,
}

/// Draws events.
#[derive(Clone, Debug)]
pub struct Generator {
    settings: Settings,
    levels: Vec<Level>,
    total: Rate,
    selected: Rate,
}

/// Trials that suit parameters of a size: the larger they are, the more energy events have.
#[derive(Clone, Debug)]
struct Level {
    /// The size.
    scale: f64,
    grid: Grid<DIM>,
    /// The largest weight, that of [`Quadratic::bound`].
    most: f64,
    /// The share of weights beyond it.
    excess: f64,
}

impl Level {
    /// What no weight at θ exceeds, but for the excess: in proportion to the number of trials that an event takes.
    fn bound(&self, theta: [f64; 2]) -> f64 {
        let squared = theta[0] * theta[0] + theta[1] * theta[1];
        (1.0 + squared / (self.scale * self.scale)) * self.most
    }
}

/// Their sizes.
const SCALES: [f64; 3] = [0.1, 0.4, 1.5];

/// Points of a block: what one thread does at a time, with a random stream of its own.
const BLOCK: usize = 4096;
/// Blocks of each pass that adapts the grid.
const PASS: usize = 12;
const PASSES: usize = 8;
/// Blocks of the pass that measures rates, at each level.
const SURVEY: usize = 192;
/// The seed of grid and rates: they are part of the simulator, not of a sample.
const SEED: u64 = 2003;

/// What a block of the survey finds.
#[derive(Clone, Debug)]
struct Surveyed {
    seen: Seen<DIM>,
    weights: Vec<f64>,
    total: Sums,
    selected: Sums,
}

impl Generator {
    /// Adapts the grid and measures rates: a second or two on two cores.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::with_survey(settings, SURVEY)
    }

    /// The same with rates from so many blocks of 4096 points.
    #[must_use]
    pub fn with_survey(settings: Settings, blocks: usize) -> Self {
        let mut levels = Vec::with_capacity(SCALES.len());
        let (mut total, mut selected) = (Rate::default(), Rate::default());
        for scale in SCALES {
            let mut grid = Grid::uniform();
            for pass in 0..PASSES {
                let found = survey(&settings, &grid, scale, pass, PASS, false);
                grid = grid.refined(&found.seen);
            }
            let mut found = survey(&settings, &grid, scale, PASSES, blocks, true);
            let (most, excess) = largest(&mut found.weights);
            levels.push(Level { scale, grid, most, excess });
            total = total + found.total.rate();
            selected = selected + found.selected.rate();
        }
        // Each level knows the rates without bias.
        let [total, selected] = [total, selected].map(|rate| rate * (1.0 / SCALES.len() as f64));
        Self { settings, levels, total, selected }
    }

    /// The physics.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The cross section of `p p -> H j j` before cuts, in picobarn, without the branching ratio of the decay.
    #[must_use]
    pub fn total(&self) -> &Rate {
        &self.total
    }

    /// That of events which are kept.
    #[must_use]
    pub fn selected(&self) -> &Rate {
        &self.selected
    }

    /// The share of the cross section that lies beyond the largest weight, at the worst parameters.
    #[must_use]
    pub fn excess(&self) -> f64 {
        self.levels.iter().map(|level| level.excess).fold(0.0, f64::max)
    }

    /// The level that takes the fewest trials at θ.
    fn level(&self, theta: [f64; 2]) -> &Level {
        let bound = |level: &Level| level.bound(theta);
        let better = |a, b| if bound(b) < bound(a) { b } else { a };
        self.levels.iter().fold(&self.levels[0], better)
    }

    /// One event at θ, with the number of trials that it took.
    pub fn draw(&self, theta: [f64; 2], rng: &mut dyn Rng) -> (Event, u64) {
        let level = self.level(theta);
        let bound = level.bound(theta);
        let mut trials = 0;
        loop {
            trials += 1;
            let Some(trial) = Trial::draw(&self.settings, &level.grid, rng).1 else { continue };
            let weight = trial.cross_section.at(theta) * trial.volume / bound;
            if rng.random::<f64>() >= weight {
                continue;
            }
            let Point { momenta, higgs, .. } = trial.point;
            let photons = decay(higgs, rng);
            let coordinates = self.settings.detector.observe(photons, momenta.outgoing, rng);
            if !self.settings.cuts.keep(&coordinates) {
                continue;
            }
            let (flavours, squared_amplitude) = trial.hard.draw(theta, rng);
            let event = Event {
                coordinates,
                flavours,
                incoming: momenta.incoming,
                outgoing: momenta.outgoing,
                photons,
                squared_amplitude,
                weight: weight.max(1.0),
            };
            return (event, trials);
        }
    }

    /// `n` events, the i-th at `theta(i)`: the same ones on any number of threads, those of the rayon pool that this
    /// is called on.
    pub fn events(
        &self,
        n: usize,
        theta: impl Fn(usize) -> [f64; 2] + Sync,
        rng: &mut dyn Rng,
    ) -> Vec<Event> {
        self.events_of(Self::key(rng), 0..n, theta)
    }

    /// What names a sequence of events: the next number of a generator.
    pub fn key(rng: &mut dyn Rng) -> u64 {
        rng.next_u64()
    }

    /// Events of the numbers `rows` out of the sequence `key`. Cheapest where they start at a multiple of [`Self::ROWS`].
    pub fn events_of(
        &self,
        key: u64,
        rows: std::ops::Range<usize>,
        theta: impl Fn(usize) -> [f64; 2] + Sync,
    ) -> Vec<Event> {
        let blocks = rows.start / Self::ROWS..rows.end.div_ceil(Self::ROWS);
        let block = |block: usize| {
            let mut rng = stream(key, block as u64);
            let first = block * Self::ROWS;
            let all = first..(first + Self::ROWS).min(rows.end);
            let events = all.map(|row| self.draw(theta(row), &mut rng).0);
            events.skip(rows.start.saturating_sub(first)).collect::<Vec<_>>()
        };
        blocks.into_par_iter().flat_map_iter(block).collect()
    }

    /// Events of one random stream.
    pub const ROWS: usize = 256;
}

/// The random stream of a block.
fn stream(key: u64, block: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(key);
    rng.set_stream(block);
    rng
}

/// A point drawn from the grid, within the reach of the protons.
struct Trial {
    point: Point,
    hard: Hard,
    cross_section: Quadratic,
    /// Of phase space per number between 0 and 1.
    volume: f64,
}

impl Trial {
    fn draw(
        settings: &Settings,
        grid: &Grid<DIM>,
        rng: &mut dyn Rng,
    ) -> ([f64; DIM], Option<Self>) {
        let quantiles: [f64; DIM] = std::array::from_fn(|_| rng.random());
        let (unit, density) = grid.point(&quantiles);
        let (variables, volume) = Variables::from_unit(&unit, rng.random());
        let trial = variables.point().map(|point| {
            let hard = Hard::new(&point, settings.densities.as_ref());
            let cross_section = hard.cross_section();
            Self { point, hard, cross_section, volume: volume * density }
        });
        (quantiles, trial)
    }
}

/// Looks at `blocks` blocks of points: how much is where, and, if asked for, what passes the cuts.
fn survey(
    settings: &Settings,
    grid: &Grid<DIM>,
    scale: f64,
    pass: usize,
    blocks: usize,
    rates: bool,
) -> Surveyed {
    let one = |block: usize| {
        let mut rng = stream(SEED, (pass * 1_000_000 + block) as u64);
        let mut found = Surveyed {
            seen: Seen::new(),
            weights: Vec::with_capacity(BLOCK),
            total: Sums::default(),
            selected: Sums::default(),
        };
        for _ in 0..BLOCK {
            let (quantiles, trial) = Trial::draw(settings, grid, &mut rng);
            let weight = trial.as_ref().map(|t| t.cross_section * t.volume).unwrap_or_default();
            found.seen.add(&quantiles, weight.bound(scale));
            if !rates {
                continue;
            }
            found.weights.push(weight.bound(scale));
            found.total.add(weight);
            let kept = trial.is_some_and(|trial| {
                let photons = decay(trial.point.higgs, &mut rng);
                let outgoing = trial.point.momenta.outgoing;
                settings.cuts.keep(&settings.detector.observe(photons, outgoing, &mut rng))
            });
            found.selected.add(if kept { weight } else { Quadratic::default() });
        }
        found
    };
    let mut all = (0..blocks).into_par_iter().map(one).collect::<Vec<_>>().into_iter();
    let mut sum = all.next().unwrap_or_else(|| one(0));
    for found in all {
        sum.seen.merge(&found.seen);
        sum.weights.extend(found.weights);
        sum.total.merge(&found.total);
        sum.selected.merge(&found.selected);
    }
    sum
}

/// The share of the cross section that may lie beyond the largest weight.
const EXCESS: f64 = 1e-4;

/// The weight beyond which lies at most the share [`EXCESS`] of all weights, and that share.
fn largest(weights: &mut [f64]) -> (f64, f64) {
    weights.sort_unstable_by(|a, b| b.total_cmp(a));
    let total: f64 = weights.iter().sum();
    let (mut sum, mut beyond) = (0.0, 0.0);
    let mut most = weights.first().copied().unwrap_or_default();
    for (count, weight) in weights.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let excess = sum - weight * count as f64;
        if excess > EXCESS * total {
            break;
        }
        (most, beyond) = (*weight, excess);
        sum += weight;
    }
    (most, beyond / total)
}
