//! Adaptive importance sampling on a product of one-dimensional grids: Lepage (1978), "A new algorithm for adaptive
//! multidimensional integration", Journal of Computational Physics 27.

/// Bins of each variable. Each holds the same share of what is sampled.
const BINS: usize = 64;

/// How fast the grid follows what it has seen, Lepage's α: smaller is slower and steadier.
const DAMPING: f64 = 0.7;

/// A density on the unit cube in `N` dimensions: a product of piecewise constant ones.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grid<const N: usize> {
    /// Edges of the bins of each variable, from 0 to 1.
    edges: Vec<[f64; BINS + 1]>,
}

/// What is known of an integrand where it was evaluated: the sum of its squared weights, by variable and bin.
#[derive(Clone, Debug)]
pub(super) struct Seen<const N: usize>(Vec<[f64; BINS]>);

impl<const N: usize> Grid<N> {
    /// The uniform density.
    #[expect(clippy::cast_precision_loss, reason = "a few bins")]
    pub(super) fn uniform() -> Self {
        Self { edges: vec![std::array::from_fn(|i| i as f64 / BINS as f64); N] }
    }

    /// The point at the quantiles `u` of the density, and the inverse of the density there.
    pub(super) fn point(&self, u: &[f64; N]) -> ([f64; N], f64) {
        let mut volume = 1.0;
        let x = std::array::from_fn(|i| {
            let (bin, share) = split(u[i]);
            let edges = &self.edges[i];
            let width = edges[bin + 1] - edges[bin];
            volume *= width * BINS as f64;
            edges[bin] + share * width
        });
        (x, volume)
    }

    /// The grid that is better for what was seen: bins become narrower where squared weights are large.
    pub(super) fn refined(&self, seen: &Seen<N>) -> Self {
        let edges = self.edges.iter().zip(&seen.0).map(|(edges, seen)| refine(edges, seen));
        Self { edges: edges.collect() }
    }
}

impl<const N: usize> Seen<N> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self(vec![[0.0; BINS]; N])
    }

    /// Adds the weight (integrand over density) at the quantiles `u`.
    pub(super) fn add(&mut self, u: &[f64; N], weight: f64) {
        for (of, u) in self.0.iter_mut().zip(u) {
            of[split(*u).0] += weight * weight;
        }
    }

    /// Adds what was seen elsewhere.
    pub(super) fn merge(&mut self, other: &Self) {
        for (a, b) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            *a += b;
        }
    }
}

/// The bin of a quantile, and where in the bin it is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the whole part of a number from 0 to 64"
)]
fn split(u: f64) -> (usize, f64) {
    let place = u * BINS as f64;
    let bin = (place as usize).min(BINS - 1);
    (bin, place - bin as f64)
}

/// New edges between which there is as much importance each: smoothed and damped squared weights.
#[expect(clippy::cast_precision_loss, reason = "a few bins")]
fn refine(edges: &[f64; BINS + 1], seen: &[f64; BINS]) -> [f64; BINS + 1] {
    // A bin and its neighbours.
    let smooth: Vec<f64> = (0..BINS)
        .map(|i| {
            let near = &seen[i.saturating_sub(1)..(i + 2).min(BINS)];
            near.iter().sum::<f64>() / near.len() as f64
        })
        .collect();
    let total: f64 = smooth.iter().sum();
    if total <= 0.0 {
        return *edges;
    }
    let importance = |s: &f64| match s / total {
        share if share <= 0.0 => 0.0,
        share if share >= 1.0 => 1.0,
        share => ((share - 1.0) / share.ln()).powf(DAMPING),
    };
    let importances: Vec<f64> = smooth.iter().map(importance).collect();
    let each = importances.iter().sum::<f64>() / BINS as f64;
    let (mut bin, mut before) = (0, 0.0);
    let mut at = |i: usize| {
        let level = each * i as f64;
        while bin + 1 < BINS && before + importances[bin] < level {
            before += importances[bin];
            bin += 1;
        }
        let share = ((level - before) / importances[bin].max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        edges[bin] + share * (edges[bin + 1] - edges[bin])
    };
    std::array::from_fn(|i| match i {
        0 => 0.0,
        BINS => 1.0,
        i => at(i),
    })
}
