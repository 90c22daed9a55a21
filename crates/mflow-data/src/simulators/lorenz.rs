//! The Lorenz attractor.

mod dormand_prince;

use std::sync::OnceLock;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::StandardNormal;

use crate::simulator::{Parameter, Simulator, parameter_rows};
use crate::{Error, Result};
use dormand_prince::DormandPrince;

/// Points on trajectories of the Lorenz system, standardised: Brehmer and Cranmer (2020),
/// arXiv:2003.13913, section 4.C.
///
/// ```text
/// dy_1/dt = 10 (y_2 - y_1),   dy_2/dt = y_1 (28 - y_3) - y_2,   dy_3/dt = y_1 y_2 - 8/3 y_3
/// ```
///
/// from 100 starts at `(1, 1, 1) + 0.1 N(0, I)`, each followed to t = 1000; data are points at random
/// times after t = 50, of trajectories at random, less the mean and over the standard deviation that
/// the authors found. Trajectories are integrated with a tolerance of 1e-6 per step, once in a process,
/// in less than a second, and the same ones in all; points are kept every 0.095 units of time. A row of data
/// goes on from one of these for a random part of that time, so that no two rows are the same.
///
/// The attractor has the dimension 2.06, so that a surface is an approximation, and neither its density
/// nor the distance from it has a formula: [`log_prob`](Simulator::log_prob),
/// [`project`](Simulator::project) and [`distance`](Simulator::distance) are errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lorenz;

const MEANS: [f64; 3] = [-0.681_706_59, -0.554_215_54, 23.719_242_85];
const DEVIATIONS: [f64; 3] = [7.982_032_67, 9.088_004_8, 8.319_792_51];

const TRAJECTORIES: usize = 100;
const POINTS: usize = 10_000;
const BURN_IN: f64 = 50.0;
const END: f64 = 1000.0;
const TOLERANCE: f64 = 1e-6;
const SEED: u64 = 711;

/// Time between points that are kept.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
const EVERY: f64 = (END - BURN_IN) / POINTS as f64;

/// The slope of the system at y.
fn slope(y: [f64; 3]) -> [f64; 3] {
    [10.0 * (y[1] - y[0]), y[0] * (28.0 - y[2]) - y[1], y[0] * y[1] - 8.0 / 3.0 * y[2]]
}

/// All points, standardised, trajectory by trajectory.
fn points() -> &'static [[f64; 3]] {
    static ALL: OnceLock<Vec<[f64; 3]>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let mut all = Vec::with_capacity(TRAJECTORIES * POINTS);
        for _ in 0..TRAJECTORIES {
            let start = [1.0; 3].map(|one| one + 0.1 * rng.sample::<f64, _>(StandardNormal));
            let mut solution = DormandPrince::new(slope, start, TOLERANCE);
            solution.advance(BURN_IN);
            // Each of them begins its piece of the trajectory.
            let point = |_| {
                let y = solution.advance(0.0);
                solution.advance(EVERY);
                Lorenz::standardize(y)
            };
            all.extend((0..POINTS).map(point));
        }
        all
    })
}

impl Lorenz {
    /// Points of all trajectories, equally far in time: `100 * 10_000` of them, those of a trajectory in the
    /// order of time.
    #[must_use]
    pub fn trajectories() -> &'static [[f64; 3]] {
        points()
    }

    /// A state of the system in the units of data.
    #[must_use]
    pub fn standardize(y: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|d| (y[d] - MEANS[d]) / DEVIATIONS[d])
    }

    /// The state of the system behind a point of data.
    fn state(x: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|d| MEANS[d] + DEVIATIONS[d] * x[d])
    }

    fn lacks<T>(self, what: &'static str) -> Result<T> {
        Err(Error::Intractable { simulator: self.name(), what })
    }
}

impl Simulator for Lorenz {
    fn name(&self) -> &'static str {
        "lorenz"
    }
    fn data_dim(&self) -> usize {
        3
    }
    fn manifold_dim(&self) -> usize {
        2
    }
    fn parameters(&self) -> &'static [Parameter] {
        &[]
    }
    fn is_tractable(&self) -> bool {
        false
    }
    fn sample(&self, n: usize, parameters: &[f64], rng: &mut dyn Rng) -> Result<Vec<f64>> {
        parameter_rows(&[], parameters, n)?;
        let all = points();
        let draw = |_| {
            let start = Self::state(all[rng.random_range(0..all.len())]);
            let time = EVERY * rng.random::<f64>();
            Self::standardize(DormandPrince::new(slope, start, TOLERANCE).advance(time))
        };
        Ok((0..n).flat_map(draw).collect())
    }
    fn log_prob(&self, _: &[f64], _: &[f64]) -> Result<Vec<f64>> {
        self.lacks("log_prob")
    }
    fn project(&self, _: &[f64]) -> Result<Vec<f64>> {
        self.lacks("project")
    }
}
