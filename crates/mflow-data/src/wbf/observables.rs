//! What one looks at: a few numbers of an event that tell about its kind.

use std::f64::consts::PI;

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

/// One of them, as it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Observable {
    /// What it is, with its unit.
    pub label: &'static str,
    /// Where most events are.
    pub range: [f64; 2],
    /// Its value.
    pub of: fn(&Observables) -> f64,
}

impl Observables {
    /// All of them.
    pub const ALL: [Observable; 3] = [
        Observable {
            label: "invariant mass of the two jets, GeV",
            range: [0.0, 3000.0],
            of: |o| o.jets_mass,
        },
        Observable {
            label: "difference of their pseudorapidities",
            range: [0.0, 9.0],
            of: |o| o.delta_eta,
        },
        Observable {
            label: "angle between them, with a sign",
            range: [-PI, PI],
            of: |o| o.delta_phi,
        },
    ];

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
