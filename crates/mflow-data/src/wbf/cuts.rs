//! Which events are kept.

use super::detector::COORDINATES;
use super::features::objects;

/// What an event must fulfil. In GeV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cuts {
    /// The least transverse momentum of the second jet.
    pub jet_pt: f64,
    /// The least transverse momentum of the second photon.
    pub photon_pt: f64,
    /// The least invariant mass of the two jets.
    pub jets_mass: f64,
    /// The least difference between the pseudorapidities of the two jets.
    pub jets_delta_eta: f64,
}

impl Default for Cuts {
    /// As published: 20 GeV and 10 GeV, no more.
    fn default() -> Self {
        Self { jet_pt: 20.0, photon_pt: 10.0, jets_mass: 0.0, jets_delta_eta: 0.0 }
    }
}

impl Cuts {
    /// Whether an event is kept.
    #[must_use]
    pub fn keep(&self, z: &[f64; COORDINATES]) -> bool {
        z[10] > self.jet_pt.ln()
            && z[3] > self.photon_pt.ln()
            && (z[7] - z[11]).abs() >= self.jets_delta_eta
            && (self.jets_mass <= 0.0 || {
                let [_, _, first, second] = objects(z);
                (first + second).mass() >= self.jets_mass
            })
    }

    /// Whether it can have been seen: kept, with photons and jets by falling transverse momentum.
    pub(super) fn allow(&self, z: &[f64; COORDINATES]) -> bool {
        z[0] >= z[3] && z[6] >= z[10] && self.keep(z)
    }
}
