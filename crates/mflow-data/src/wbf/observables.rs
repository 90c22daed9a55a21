//! What one looks at: a few numbers of an event that tell about its kind.

use super::vector::{FourVector, angle_between};

/// Observables of the two jets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observables {
    /// Their invariant mass in GeV.
    pub jets_mass: f64,
    /// The size of the difference of their pseudorapidities.
    pub delta_eta: f64,
    /// The azimuth of the jet of larger pseudorapidity less that of the other, from -pi to pi. A reflection changes its sign,
    /// which makes it sensitive to what is odd: Hankele, Klämke, Zeppenfeld and Figy (2006), arXiv:hep-ph/0609075.
    pub delta_phi: f64,
}

impl Observables {
    /// Of two jets, in any order.
    #[must_use]
    pub fn of_jets(jets: [FourVector; 2]) -> Self {
        let [a, b] = jets;
        let [forward, backward] = if a.eta() >= b.eta() { [a, b] } else { [b, a] };
        Self {
            jets_mass: (a + b).mass(),
            delta_eta: forward.eta() - backward.eta(),
            delta_phi: angle_between(backward.phi(), forward.phi()),
        }
    }
}
