//! How well chains have mixed: Vehtari, Gelman, Simpson, Carpenter and Burkner (2021), "Rank-normalization,
//! folding, and localization: an improved R-hat for assessing convergence of MCMC", Bayesian Analysis 16.
#![expect(
    clippy::indexing_slicing,
    reason = "chains of one length, of 4 draws or more, as `halves` makes them"
)]
use crate::{Error, Result};
use statrs::distribution::{ContinuousCDF, Normal};

/// Halves of chains need some draws.
const LEAST_DRAWS: usize = 8;

/// Chains of one parameter, split into halves: the middle draw of an odd number is left out.
fn halves<'a>(chains: &[&'a [f64]]) -> Result<Vec<&'a [f64]>> {
    let draws = chains.first().map_or(0, |chain| chain.len());
    if draws < LEAST_DRAWS || chains.iter().any(|chain| chain.len() != draws) {
        let lengths: Vec<usize> = chains.iter().map(|chain| chain.len()).collect();
        let found = format!("{} of {lengths:?}", chains.len());
        return Err(Error::Chains { chains: 1, draws: LEAST_DRAWS, found });
    }
    let all = chains.iter().flat_map(|chain| chain.iter());
    if let Some((index, &value)) = all.enumerate().find(|(_, v)| !v.is_finite()) {
        return Err(Error::NonFiniteSample { index, count: draws * chains.len(), value });
    }
    Ok(chains.iter().flat_map(|chain| [&chain[..draws / 2], &chain[draws - draws / 2..]]).collect())
}

/// Values replaced by the normal quantiles of their ranks among all (their equation 14), ties by the mean
/// rank.
fn rank_normalize(chains: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = chains[0].len();
    let flat: Vec<f64> = chains.iter().flatten().copied().collect();
    let mut order: Vec<usize> = (0..flat.len()).collect();
    order.sort_unstable_by(|&a, &b| flat[a].total_cmp(&flat[b]));
    let mut quantiles = vec![0.; flat.len()];
    let normal = Normal::standard();
    for tied in order.chunk_by(|&a, &b| flat[a] == flat[b]).scan(0, |start, tied| {
        let first = *start;
        *start += tied.len();
        Some((first, tied))
    }) {
        let (first, tied) = tied;
        let rank = first as f64 + (tied.len() as f64 + 1.) / 2.;
        let quantile = normal.inverse_cdf((rank - 0.375) / (flat.len() as f64 + 0.25));
        tied.iter().for_each(|&i| quantiles[i] = quantile);
    }
    quantiles.chunks(n).map(<[f64]>::to_vec).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// With the divisor `n - 1`.
fn variance(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (values.len() as f64 - 1.)
}

/// The mean variance within chains, and the estimate of the variance of all draws (their equations 2 and 3).
fn variances(chains: &[Vec<f64>]) -> (f64, f64) {
    let n = chains[0].len() as f64;
    let within = mean(&chains.iter().map(|chain| variance(chain)).collect::<Vec<_>>());
    let means: Vec<f64> = chains.iter().map(|chain| mean(chain)).collect();
    (within, (n - 1.) / n * within + variance(&means))
}

fn plain_r_hat(chains: &[Vec<f64>]) -> f64 {
    let (within, total) = variances(chains);
    (total / within).sqrt()
}

/// The potential scale reduction of one parameter from `chains`, all of the same length: the larger one of
/// the rank-normalised bulk and folded values of split chains (their section 4.2). Near 1, at most 1.01,
/// where chains agree; NaN of chains that all stay at one value.
///
/// # Errors
/// If there are less than 8 draws, chains differ in length, or a draw is not finite.
pub fn r_hat(chains: &[&[f64]]) -> Result<f64> {
    let halves: Vec<Vec<f64>> = halves(chains)?.into_iter().map(<[f64]>::to_vec).collect();
    let mut all: Vec<f64> = halves.iter().flatten().copied().collect();
    let median = crate::statistics::median(&mut all);
    let folded: Vec<Vec<f64>> =
        halves.iter().map(|h| h.iter().map(|v| (v - median).abs()).collect()).collect();
    let of = |chains: &[Vec<f64>]| plain_r_hat(&rank_normalize(chains));
    Ok(of(&halves).max(of(&folded)))
}

/// The number of independent draws that tell as much of the middle of one parameter's distribution: the bulk
/// effective sample size of split chains (their section 3), with Geyer's monotone sequence of pairs of
/// autocorrelations.
///
/// # Errors
/// As [`r_hat`].
pub fn effective_sample_size(chains: &[&[f64]]) -> Result<f64> {
    let halves: Vec<Vec<f64>> = halves(chains)?.into_iter().map(<[f64]>::to_vec).collect();
    let chains = rank_normalize(&halves);
    let n = chains[0].len();
    let count = (n * chains.len()) as f64;
    let (within, total) = variances(&chains);
    if total == 0. {
        return Ok(count);
    }
    // Their equation 10.
    let correlation = |lag: usize| {
        let all: Vec<f64> = chains.iter().map(|chain| autocovariance(chain, lag)).collect();
        1. - (within - mean(&all)) / total
    };
    let mut time = 0.;
    let mut last = f64::INFINITY;
    let mut lag = 0;
    let mut even = 1.;
    loop {
        let pair = even + correlation(lag + 1);
        if pair <= 0. || lag + 4 >= n {
            // Half a pair improves the estimate where chains anticorrelate.
            time += f64::max(even, 0.);
            break;
        }
        last = pair.min(last);
        time += 2. * last;
        lag += 2;
        even = correlation(lag);
    }
    // At most what antithetic chains can be worth.
    let time = (time - 1.).max(1. / count.log10());
    Ok(count / time)
}

/// The covariance of a chain with itself `lag` draws later, with the divisor n.
fn autocovariance(chain: &[f64], lag: usize) -> f64 {
    let centre = mean(chain);
    let n = chain.len() as f64;
    let products = chain.iter().zip(&chain[lag..]).map(|(a, b)| (a - centre) * (b - centre));
    products.sum::<f64>() / n
}
