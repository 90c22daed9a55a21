//! Metrics of models of collisions, the data of [`WeakBosonFusion`].
use super::Evaluated;
use super::manifold::model_samples;
use crate::statistics::kolmogorov_smirnov;
use crate::{Estimate, Result};
use mflow_bijectors::Stream;
use mflow_data::Simulator;
use mflow_data::wbf::{Observables, WeakBosonFusion, closure};

/// The mean closure of `samples` samples, their parameters from the prior: how far they are from fulfilling the 26 identities
/// that features of events fulfil. Brehmer & Cranmer (2020), section 4.D.
///
/// # Errors
/// If the model is not one of the simulator's features or cannot be evaluated.
pub fn closure_of_samples(
    of: Evaluated<'_>,
    simulator: &WeakBosonFusion,
    samples: usize,
    stream: &mut Stream,
) -> Result<Estimate> {
    let x = model_samples(of, simulator, samples, stream)?;
    let rows: Vec<f64> = x.chunks_exact(simulator.data_dim()).map(closure).collect();
    Estimate::mean(&rows)
}

/// How far the distributions of observables are from those of events: the largest difference between distribution functions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObservableDistances {
    /// Of the invariant mass of the two jets.
    pub jets_mass: f64,
    /// Of the angle between them across the beams.
    pub delta_phi: f64,
    /// Of the same between two samples of events: what no model can fall below but by chance.
    pub floor: f64,
}

/// Compare as many samples of the model at the parameters `theta`, `[P]`, with the events `x`, `[n, D]`, drawn there.
///
/// # Errors
/// If the model cannot be evaluated.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "two observables, of events that have features"
)]
pub fn observable_distances(
    of: Evaluated<'_>,
    simulator: &WeakBosonFusion,
    x: &[f64],
    theta: &[f64],
    stream: &mut Stream,
) -> Result<ObservableDistances> {
    let rows = x.len() / simulator.data_dim();
    let again = of.pool.install(|| simulator.sample(rows, &theta.repeat(rows), stream))?;
    let context = of.context(&theta.repeat(rows))?;
    let latent = of.model.sample_latent(rows, stream)?;
    let samples = of.by_rows(&latent, context.as_ref(), |z, c| of.model.decode(z, c))?;
    let observed = |x: &[f64]| {
        let all: Vec<Observables> =
            x.chunks_exact(simulator.data_dim()).map(|x| simulator.observables(x)).collect();
        let column = |of: fn(&Observables) -> f64| all.iter().map(of).collect::<Vec<f64>>();
        [column(|o| o.jets_mass), column(|o| o.delta_phi)]
    };
    let (events, samples, again) = (observed(x), observed(&samples), observed(&again));
    let floor = |k: usize| kolmogorov_smirnov(&events[k], &again[k]);
    Ok(ObservableDistances {
        jets_mass: kolmogorov_smirnov(&events[0], &samples[0]),
        delta_phi: kolmogorov_smirnov(&events[1], &samples[1]),
        floor: floor(0).max(floor(1)),
    })
}
