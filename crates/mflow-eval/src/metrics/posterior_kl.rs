//! The divergence between two densities of one or two parameters.
use crate::Result;
use crate::mcmc::{Target, tabulated_plane, tabulated_window};
use crate::statistics::Field;
use mflow_data::Prior;

/// Points of a table of one parameter, and to a side of one of two.
const POINTS: usize = 401;
const SIDE: usize = 41;

/// `∫ p log(p/q)` in nats of the densities in proportion to two targets, on a grid that holds both. None for more than two
/// parameters.
///
/// # Errors
/// Those of the targets and their tables.
pub(super) fn posterior_kl(
    p: &dyn Target,
    q: &dyn Target,
    priors: &[Prior],
) -> Result<Option<f64>> {
    Ok(match priors {
        [prior] => {
            let [low, high] = prior.range();
            let share = |i: usize| i as f64 / (POINTS - 1) as f64;
            let grid: Vec<f64> =
                (0..POINTS).map(|i| (low + (high - low) * share(i)).clamp(low, high)).collect();
            Some(divergence(&p.log_probs(&grid)?, &q.log_probs(&grid)?))
        }
        [a, b] => {
            let windows =
                [tabulated_plane(p, &[*a, *b], SIDE)?, tabulated_plane(q, &[*a, *b], SIDE)?];
            let side = |of: fn(&Field) -> &Vec<f64>| {
                let ends = windows.iter().map(|field| {
                    let values = of(field);
                    [values.first().copied().unwrap_or(0.), values.last().copied().unwrap_or(0.)]
                });
                ends.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]).unwrap_or([0., 0.])
            };
            let bounds = [side(|field| &field.x), side(|field| &field.y)];
            let of = |target| Ok::<_, crate::Error>(tabulated_window(target, bounds, SIDE)?.values);
            Some(divergence(&of(p)?, &of(q)?))
        }
        _ => None,
    })
}

/// Of two tables of log-densities on the same equidistant points. Where q has nothing and p has something, it is infinite.
fn divergence(p: &[f64], q: &[f64]) -> f64 {
    let normalised = |of: &[f64]| -> Vec<f64> {
        let top = of.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = of.iter().map(|v| (v - top).exp()).sum();
        of.iter().map(|v| v - top - total.ln()).collect()
    };
    let pairs = normalised(p).into_iter().zip(normalised(q));
    pairs.filter(|(p, _)| *p > f64::NEG_INFINITY).map(|(p, q)| p.exp() * (p - q)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Gaussian {
        mean: Vec<f64>,
        std: f64,
    }

    impl Target for Gaussian {
        fn dim(&self) -> usize {
            self.mean.len()
        }
        fn log_prob(&self, theta: &[f64]) -> Result<f64> {
            let squares = self.mean.iter().zip(theta).map(|(m, t)| ((m - t) / self.std).powi(2));
            Ok(-0.5 * squares.sum::<f64>())
        }
    }

    /// `log(σ_q/σ_p) + (σ_p² + Δ²)/(2 σ_q²) - 1/2`, for each parameter.
    #[test]
    fn of_gaussians_it_has_a_closed_form() {
        let prior = Prior::Normal { mean: 0., std: 1. };
        for means in [vec![0.1], vec![0.1, -0.2]] {
            let p = Gaussian { mean: means.clone(), std: 0.2 };
            let q = Gaussian { mean: means.iter().map(|m| m + 0.15).collect(), std: 0.3 };
            let each = (0.3_f64 / 0.2).ln() + (0.04 + 0.15 * 0.15) / (2. * 0.09) - 0.5;
            let priors = vec![prior; means.len()];
            let found = posterior_kl(&p, &q, &priors).unwrap().unwrap();
            let expected = each * means.len() as f64;
            assert!((found - expected).abs() < 0.01 * expected, "{found}, expected {expected}");
            assert!(posterior_kl(&p, &p, &priors).unwrap().unwrap().abs() < 1e-12);
        }
    }
}
