//! Particles of an event by their kinds.

use std::fmt;
use std::str::FromStr;

use super::{LheEvent, LheParticle};

/// The status of particles in the final state.
const FINAL: i64 = 1;
/// The heaviest quark that makes a jet: the top decays first.
const BOTTOM: i64 = 5;
const GLUON: i64 = 21;

/// Which particles are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Species {
    /// Those with this number of the Particle Data Group; antiparticles have a number of their own.
    Id(i64),
    /// Quarks and antiquarks but the top, and gluons.
    Jet,
}

impl Species {
    fn has(self, particle: &LheParticle) -> bool {
        match self {
            Self::Id(id) => particle.pdg_id == id,
            Self::Jet => {
                let id = particle.pdg_id;
                (1..=BOTTOM).contains(&id) || (-BOTTOM..=-1).contains(&id) || id == GLUON
            }
        }
    }
}

impl FromStr for Species {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "jet" => Ok(Self::Jet),
            id => id.parse().map(Self::Id).map_err(|_| {
                format!(
                    "expected a particle's number, as 22 for a photon, or `jet`, found `{text}`"
                )
            }),
        }
    }
}

impl fmt::Display for Species {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Jet => f.write_str("jet"),
        }
    }
}

impl LheEvent {
    /// The momenta `[E, px, py, pz]` of final-state particles, one for each of `wanted`, in that order. Of several of
    /// a kind the one with the largest transverse momentum comes first, and those that are not wanted are left out. No
    /// particle is taken twice: where a number and `jet` both mean it, the number has it. None if there are too few.
    #[must_use]
    pub fn momenta(&self, wanted: &[Species]) -> Option<Vec<[f64; 4]>> {
        let mut hardest_first: Vec<&LheParticle> =
            self.particles.iter().filter(|particle| particle.status == FINAL).collect();
        hardest_first.sort_by(|a, b| b.transverse_momentum().total_cmp(&a.transverse_momentum()));
        let mut momenta = vec![None; wanted.len()];
        let is_jet = |species: &Species| *species == Species::Jet;
        for jets in [false, true] {
            for (species, place) in wanted.iter().zip(&mut momenta) {
                if is_jet(species) == jets {
                    let found = hardest_first.iter().position(|particle| species.has(particle))?;
                    *place = Some(hardest_first.remove(found).momentum);
                }
            }
        }
        momenta.into_iter().collect()
    }
}
