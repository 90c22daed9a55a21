//! What a table has of an event: 40 or 48 functions of the 14 coordinates.

use super::detector::{COORDINATES, STARTS};
use super::standardization::{MEANS, SCALES};
use super::vector::FourVector;
use crate::simulators::number::Number;

/// Which features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeatureSet {
    /// The 40 of the paper: of photons and jets `a1, a2, j1, j2` the energy, `p_x`, `p_y`, `p_z`, `p_T` and the pseudorapidity η; of the
    /// pairs `aa, jj` these, the mass, and the difference of the η of the two. All of them are smooth.
    #[default]
    Smooth,
    /// These and the azimuths φ: of the four objects, of the pairs, and the difference of the two of a pair. They jump at ±π.
    WithAzimuths,
}

/// Features of an object, and of a pair, in order; the flag says which are azimuths.
const OF_OBJECT: [(&str, bool); 7] = [
    ("E", false),
    ("px", false),
    ("py", false),
    ("pz", false),
    ("pT", false),
    ("eta", false),
    ("phi", true),
];
const OF_PAIR: [(&str, bool); 10] = [
    ("E", false),
    ("px", false),
    ("py", false),
    ("pz", false),
    ("pT", false),
    ("m", false),
    ("eta", false),
    ("phi", true),
    ("deltaeta", false),
    ("deltaphi", true),
];
const OBJECTS: [&str; 4] = ["a1", "a2", "j1", "j2"];
const PAIRS: [&str; 2] = ["aa", "jj"];

/// All 48.
pub(super) const ALL: usize = OBJECTS.len() * OF_OBJECT.len() + PAIRS.len() * OF_PAIR.len();

impl FeatureSet {
    /// How many.
    #[must_use]
    pub fn count(self) -> usize {
        self.pick(&names()).len()
    }

    /// Their names, as `pT_j1` and `m_aa`.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        self.pick(&names())
    }

    /// Those of all 48 that are in the set.
    fn pick<T: Clone>(self, all: &[T]) -> Vec<T> {
        let is_azimuth = OBJECTS
            .iter()
            .flat_map(|_| OF_OBJECT.iter())
            .chain(PAIRS.iter().flat_map(|_| OF_PAIR.iter()))
            .map(|(_, is_azimuth)| *is_azimuth);
        let kept = all.iter().zip(is_azimuth);
        kept.filter(|(_, is_azimuth)| self == Self::WithAzimuths || !is_azimuth)
            .map(|(value, _)| value.clone())
            .collect()
    }

    /// What the features are standardised with: the means, and the standard deviations.
    #[must_use]
    pub fn standardization(self) -> [Vec<f64>; 2] {
        [self.pick(&MEANS), self.pick(&SCALES)]
    }

    /// The features of an event, standardised.
    pub(crate) fn of<T: Number>(self, z: &[T]) -> Vec<T> {
        let standard =
            |((value, mean), scale): ((T, &f64), &f64)| value.shift(-mean).scale(1.0 / scale);
        let all: Vec<T> = raw(z).into_iter().zip(&MEANS).zip(&SCALES).map(standard).collect();
        self.pick(&all)
    }
}

/// The names of all 48.
fn names() -> Vec<String> {
    let of = |features: &'static [(&str, bool)], names: &'static [&str]| {
        names.iter().flat_map(move |name| features.iter().map(move |(f, _)| format!("{f}_{name}")))
    };
    of(&OF_OBJECT, &OBJECTS).chain(of(&OF_PAIR, &PAIRS)).collect()
}

/// A momentum with what it was made of.
#[derive(Clone, Copy)]
struct Seen<T> {
    p: [T; 4],
    pt: T,
    eta: T,
    phi: T,
}

/// `asinh(t)`: odd also in what it rounds to.
fn asinh<T: Number>(t: T) -> T {
    let sign = t.signum();
    let size = t * sign;
    sign * (size + (size * size).shift(1.0).sqrt()).ln()
}

/// From coordinates: `ln p_T`, η, φ, and of jets `ln m`.
fn seen<T: Number>(z: &[T], has_mass: bool) -> Seen<T> {
    let (pt, eta, phi) = (z[0].exp(), z[1], z[2]);
    let (up, down) = (eta.exp(), (-eta).exp());
    let (cosh, sinh) = ((up + down).scale(0.5), (up - down).scale(0.5));
    let mut e = pt * cosh;
    if has_mass {
        let mass = z[3].exp();
        e = (e * e + mass * mass).sqrt();
    }
    Seen { p: [e, pt * phi.cos(), pt * phi.sin(), pt * sinh], pt, eta, phi }
}

/// Photon 1, photon 2, jet 1, jet 2.
fn all_seen<T: Number>(z: &[T]) -> [Seen<T>; 4] {
    std::array::from_fn(|i| seen(&z[STARTS[i]..], i >= 2))
}

/// All 48 features, as they are, in GeV.
fn raw<T: Number>(z: &[T]) -> Vec<T> {
    let objects = all_seen(z);
    let mut all = Vec::with_capacity(ALL);
    for Seen { p, pt, eta, phi } in objects {
        all.extend(p);
        all.extend([pt, eta, phi.wrapped()]);
    }
    for [a, b] in [[&objects[0], &objects[1]], [&objects[2], &objects[3]]] {
        let p: [T; 4] = std::array::from_fn(|i| a.p[i] + b.p[i]);
        let [e, x, y, pz] = p;
        let pt = (x * x + y * y).sqrt();
        let mass = (e * e - pt * pt - pz * pz).sqrt();
        all.extend(p);
        all.extend([pt, mass, asinh(pz / pt), y.atan2(x)]);
        all.extend([a.eta - b.eta, (a.phi - b.phi).wrapped()]);
    }
    all
}

/// The momenta that were seen: photon 1, photon 2, jet 1, jet 2.
#[must_use]
pub fn objects(z: &[f64; COORDINATES]) -> [FourVector; 4] {
    all_seen(&z[..]).map(|Seen { p: [e, x, y, z], .. }| FourVector { e, x, y, z })
}

/// The coordinates of four momenta: photons, then jets, as they are ordered there.
#[must_use]
pub fn coordinates(objects: [FourVector; 4]) -> [f64; COORDINATES] {
    let mut z = [0.0; COORDINATES];
    for (i, p) in objects.into_iter().enumerate() {
        let of = [p.pt().ln(), p.eta(), p.phi(), p.mass().ln()];
        let len = if i < 2 { 3 } else { 4 };
        z[STARTS[i]..STARTS[i] + len].copy_from_slice(&of[..len]);
    }
    z
}
