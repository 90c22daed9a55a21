//! From partons and photons to what a detector sees of them: 14 numbers.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::vector::FourVector;

/// Coordinates of an event: `ln p_T`, pseudorapidity and azimuth of two photons, then `ln p_T`, pseudorapidity, azimuth and
/// `ln m` of two jets, photons and jets by falling transverse momentum. In GeV.
pub const COORDINATES: usize = 14;

/// Where the coordinates of an object start: photon 1, photon 2, jet 1, jet 2.
pub(super) const STARTS: [usize; 4] = [0, 3, 6, 10];

/// How well directions and energies are measured. Everything is Gaussian: `ln p_T` of photons and jets, their directions, and
/// the logarithm of the mass of a jet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detector {
    /// `a` and `b` of the relative energy resolution of a photon, `(a²/E + b²)^½`, E in GeV.
    pub photon_energy: [f64; 2],
    /// Of pseudorapidity and azimuth of a photon.
    pub photon_direction: f64,
    /// `a` and `b` of the relative resolution of the transverse momentum of a jet, `(a²/p_T + b²)^½`, in GeV.
    pub jet_momentum: [f64; 2],
    /// Of pseudorapidity and azimuth of a jet.
    pub jet_direction: f64,
    /// The median mass of a jet over the transverse momentum of its parton, and the standard deviation of the logarithm.
    pub jet_mass: [f64; 2],
}

impl Default for Detector {
    /// About what a detector at the Large Hadron Collider has.
    fn default() -> Self {
        Self {
            photon_energy: [0.1, 0.01],
            photon_direction: 0.005,
            jet_momentum: [0.8, 0.05],
            jet_direction: 0.03,
            jet_mass: [0.12, 0.4],
        }
    }
}

/// `(a²/scale + b²)^½`.
fn resolution([a, b]: [f64; 2], scale: f64) -> f64 {
    (a * a / scale + b * b).sqrt()
}

impl Detector {
    /// Means and standard deviations of the coordinates of a photon.
    pub(super) fn photon(&self, p: FourVector) -> [(f64, f64); 3] {
        let of_energy = resolution(self.photon_energy, p.e);
        let direction = self.photon_direction;
        [(p.pt().ln(), of_energy), (p.eta(), direction), (p.phi(), direction)]
    }

    /// Means and standard deviations of the coordinates of the jet that a parton becomes.
    pub(super) fn jet(&self, log_pt: f64, rapidity: f64, phi: f64) -> [(f64, f64); 4] {
        let [share, deviation] = self.jet_mass;
        let of_momentum = resolution(self.jet_momentum, log_pt.exp());
        let direction = self.jet_direction;
        [
            (log_pt, of_momentum),
            (rapidity, direction),
            (phi, direction),
            (share.ln() + log_pt, deviation),
        ]
    }

    /// What is seen of two photons and two massless partons.
    pub(super) fn observe(
        &self,
        photons: [FourVector; 2],
        partons: [FourVector; 2],
        rng: &mut dyn Rng,
    ) -> [f64; COORDINATES] {
        let mut draw =
            |(mean, deviation): (f64, f64)| mean + deviation * rng.sample::<f64, _>(StandardNormal);
        let mut photons = photons.map(|p| self.photon(p).map(&mut draw));
        let mut jets = partons.map(|p| self.jet(p.pt().ln(), p.eta(), p.phi()).map(&mut draw));
        if photons[0][0] < photons[1][0] {
            photons.swap(0, 1);
        }
        if jets[0][0] < jets[1][0] {
            jets.swap(0, 1);
        }
        let mut all = [0.0; COORDINATES];
        for (to, from) in all.iter_mut().zip(photons.iter().flatten().chain(jets.iter().flatten()))
        {
            *to = *from;
        }
        all
    }
}

/// The photons of a Higgs that decays: their directions in its rest frame are uniform.
pub(super) fn decay(higgs: FourVector, rng: &mut dyn Rng) -> [FourVector; 2] {
    let cos = 2.0 * rng.random::<f64>() - 1.0;
    let sin = (1.0 - cos * cos).sqrt();
    let phi = std::f64::consts::TAU * rng.random::<f64>();
    let e = 0.5 * higgs.mass();
    let first = FourVector { e, x: e * sin * phi.cos(), y: e * sin * phi.sin(), z: e * cos };
    let second = FourVector { e, ..-first };
    [first.boosted(higgs), second.boosted(higgs)]
}
