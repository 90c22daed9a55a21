//! What features must fulfil to be those of an event: 26 identities, and how far a row is from them.

use super::features::FeatureSet;

/// Identities.
pub const IDENTITIES: usize = 26;

/// What the violation of each identity is multiplied by, as published (Brehmer and Cranmer's repository): GeV and pure
/// numbers become comparable.
const WEIGHTS: [f64; IDENTITIES] = [
    0.005_733_124_397,
    0.019_373_627_499,
    0.005_601_847_358,
    0.013_246_297_554,
    0.005_149_271_810,
    0.005_285_928_756,
    0.751_120_437_331,
    0.683_745_034_764,
    0.479_495_732_489,
    0.354_115_600_847,
    0.694_440_391_430,
    0.458_106_562_064,
    0.003_383_151_275,
    0.008_990_040_231,
    0.002_944_373_170,
    0.001_150_977_632,
    0.002_706_695_320,
    0.001_018_199_731,
    0.003_762_394_136,
    0.003_735_274_411,
    0.003_774_514_059,
    0.003_723_547_158,
    0.001_899_523_968,
    0.000_785_022_740,
    1.108_382_399_444,
    0.472_020_922_131,
];

/// A weighted violation counts as this at most, as published: one row must not hide all others.
const CLIP: f64 = 10.0;

/// The violations of the 26 identities by a row of the 40 features, in GeV where they are of energies and momenta:
///
/// - `p_T² = p_x² + p_y²` of a1, a2, j1, j2, aa, jj;
/// - the pseudorapidity of the direction, of the same;
/// - `E² = p² + m²` of a1 and a2, without a mass, and of aa and jj, with theirs;
/// - E, `p_x`, `p_y`, `p_z` of aa and of jj are sums of the two, each component in turn;
/// - Δη of aa and of jj, up to a sign.
#[must_use]
pub fn violations(standardised: &[f64]) -> [f64; IDENTITIES] {
    let [means, scales] = FeatureSet::Smooth.standardization();
    // A row that is too short fulfils nothing.
    let features = standardised.iter().copied().chain(std::iter::repeat(f64::NAN));
    let units = scales.iter().zip(&means).zip(features);
    let raw: Vec<f64> = units.map(|((scale, mean), x)| x * scale + mean).collect();
    const OBJECT: usize = 6;
    const PAIR: usize = 8;
    let starts = [0, 1, 2, 3].map(|i| i * OBJECT);
    let pairs = [0, 1].map(|i| 4 * OBJECT + i * PAIR);
    let all = [starts.as_slice(), pairs.as_slice()].concat();
    let of_pair = |at: usize| at >= 4 * OBJECT;
    let eta_at = |at: usize| if of_pair(at) { at + 6 } else { at + 5 };
    let mut found = Vec::with_capacity(IDENTITIES);
    for &at in &all {
        found.push(raw[at + 4] - raw[at + 1].hypot(raw[at + 2]));
    }
    for &at in &all {
        let pt = raw[at + 1].hypot(raw[at + 2]);
        found.push(raw[eta_at(at)] - (raw[at + 3] / pt).asinh());
    }
    for at in [starts[0], starts[1], pairs[0], pairs[1]] {
        let momentum = raw[at + 1].hypot(raw[at + 2]).hypot(raw[at + 3]);
        let mass = if of_pair(at) { raw[at + 5] } else { 0.0 };
        found.push(raw[at] - momentum.hypot(mass));
    }
    for component in 0..4 {
        for (pair, at) in pairs.iter().enumerate() {
            let sum = raw[starts[2 * pair] + component] + raw[starts[2 * pair + 1] + component];
            found.push(raw[at + component] - sum);
        }
    }
    for (pair, at) in pairs.iter().enumerate() {
        let difference = raw[eta_at(starts[2 * pair])] - raw[eta_at(starts[2 * pair + 1])];
        found.push(raw[at + 7].abs() - difference.abs());
    }
    std::array::from_fn(|i| found[i])
}

/// The mean of the weighted violations, each 10 at most: the closure test of the paper.
#[must_use]
pub fn closure(standardised: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "26")]
    let count = IDENTITIES as f64;
    let weighted = violations(standardised).into_iter().zip(WEIGHTS);
    // What is not a number is as bad as can be.
    weighted.map(|(v, w)| (w * v.abs()).min(CLIP)).sum::<f64>() / count
}
