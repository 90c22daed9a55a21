//! What the features of events are standardised with.
//!
//! Means and standard deviations of 200,000 events at parameters from the prior, after the published cuts, to four digits.
//! Symmetries are exact: what they make 0 is 0, x and y are alike, and angles of uniform distribution have the standard
//! deviation `π/√3`. The tests in `tests/it/wbf/events.rs` compare with events, and print the table.

use super::features::ALL;

/// Of all 48 features, in GeV: E, `p_x`, `p_y`, `p_z`, `p_T`, η, φ of objects, E, `p_x`, `p_y`, `p_z`, `p_T`, m, η, φ, Δη, Δφ of pairs.
#[rustfmt::skip]
pub(super) const MEANS: [f64; ALL] = [
    // a1
    521.2, 0.0, 0.0, 0.0, 307.4, 0.0, 0.0,
    // a2
    203.6, 0.0, 0.0, 0.0, 108.9, 0.0, 0.0,
    // j1
    913.4, 0.0, 0.0, 0.0, 372.8, 0.0, 0.0,
    // j2
    739.1, 0.0, 0.0, 0.0, 95.21, 0.0, 0.0,
    // aa
    724.9, 0.0, 0.0, 0.0, 396.8, 125.0, 0.0, 0.0, 0.0, 0.0,
    // jj
    1652.0, 0.0, 0.0, 0.0, 397.9, 1153.0, 0.0, 0.0, 0.0, 0.0,
];

/// As [`MEANS`].
#[rustfmt::skip]
pub(super) const SCALES: [f64; ALL] = [
    // a1
    420.5, 283.1, 283.1, 536.8, 256.6, 1.226, 1.814,
    // a2
    206.7, 109.4, 109.4, 245.4, 110.0, 1.353, 1.814,
    // j1
    738.1, 353.1, 353.1, 1061.0, 332.2, 1.736, 1.814,
    // j2
    727.1, 89.3, 89.3, 1029.0, 82.95, 2.724, 1.814,
    // aa
    534.4, 368.2, 368.2, 724.1, 337.1, 1.931, 1.411, 1.814, 0.8672, 1.238,
    // jj
    1044.0, 369.6, 369.6, 1165.0, 338.9, 927.8, 1.888, 1.814, 3.896, 1.64,
];
