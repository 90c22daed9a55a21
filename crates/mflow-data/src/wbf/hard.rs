//! The hard process: the differential cross section, summed and by flavours.

use rand::{Rng, RngExt};

use super::amplitude::{Amplitudes, Line};
use super::partons::{Parton, PartonDensities, QuarkMomenta};
use super::phase_space::Point;
use super::quadratic::Quadratic;

/// One choice of partons, of which one emits a W+ and the other a W-.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flavours {
    /// The partons that come in, from the first beam and from the second.
    pub incoming: [Parton; 2],
}

impl Flavours {
    /// What comes out.
    #[must_use]
    pub fn outgoing(&self) -> [Parton; 2] {
        self.incoming.map(Parton::partner)
    }

    /// Whether quarks or antiquarks run along the lines.
    #[must_use]
    pub fn lines(&self) -> [Line; 2] {
        self.incoming.map(|parton| match parton {
            Parton::Down(_) | Parton::Up(_) => Line::Quark,
            Parton::AntiDown(_) | Parton::AntiUp(_) => Line::Antiquark,
        })
    }
}

/// A parton that can emit a W of the charge.
fn emitter(plus: bool, line: Line, generation: usize) -> Parton {
    match (plus, line) {
        (true, Line::Quark) => Parton::Up(generation),
        (true, Line::Antiquark) => Parton::AntiDown(generation),
        (false, Line::Quark) => Parton::Down(generation),
        (false, Line::Antiquark) => Parton::AntiUp(generation),
    }
}

/// `x f(x)` of all of these, both generations.
fn emitters(of: &QuarkMomenta, plus: bool, line: Line) -> f64 {
    (0..2).map(|generation| of.of(emitter(plus, line, generation))).sum()
}

/// The cross section at a point of phase space in all its parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hard {
    momenta: [QuarkMomenta; 2],
    /// `|M|²` where the same runs along both lines, and where a quark and an antiquark do: conjugation of both currents
    /// changes nothing.
    same: Quadratic,
    mixed: Quadratic,
    measure: f64,
}

impl Hard {
    pub(super) fn new(point: &Point, densities: &dyn PartonDensities) -> Self {
        let amplitudes = Amplitudes::new(point.momenta);
        Self {
            momenta: point.fractions.map(|x| densities.momentum(x)),
            same: amplitudes.squared([Line::Quark, Line::Quark]),
            mixed: amplitudes.squared([Line::Quark, Line::Antiquark]),
            measure: point.measure,
        }
    }

    /// `dσ` per unit of [`Variables`](super::phase_space::Variables), in picobarn, summed over flavours.
    pub(super) fn cross_section(&self) -> Quadratic {
        let [first, second] = &self.momenta;
        let luminosity = |a: Line, b: Line| {
            emitters(first, true, a) * emitters(second, false, b)
                + emitters(first, false, a) * emitters(second, true, b)
        };
        let [quark, antiquark] = Line::ALL;
        let same = luminosity(quark, quark) + luminosity(antiquark, antiquark);
        let mixed = luminosity(quark, antiquark) + luminosity(antiquark, quark);
        (self.same * same + self.mixed * mixed) * self.measure
    }

    /// `|M|²` for what runs along the lines.
    fn amplitude(&self, [a, b]: [Line; 2]) -> Quadratic {
        if a == b { self.same } else { self.mixed }
    }

    /// Flavours, drawn in proportion to their parts of the cross section at θ, with `|M|²` for them.
    pub(super) fn draw(&self, theta: [f64; 2], rng: &mut dyn Rng) -> (Flavours, Quadratic) {
        let mut all = Vec::with_capacity(32);
        for a in Line::ALL {
            for b in Line::ALL {
                let amplitude = self.amplitude([a, b]);
                let squared = amplitude.at(theta);
                for plus in [true, false] {
                    for (g, h) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        let incoming = [emitter(plus, a, g), emitter(!plus, b, h)];
                        let share =
                            self.momenta[0].of(incoming[0]) * self.momenta[1].of(incoming[1]);
                        all.push((share * squared, Flavours { incoming }, amplitude));
                    }
                }
            }
        }
        let mut left = rng.random::<f64>() * all.iter().map(|(share, ..)| share).sum::<f64>();
        let reached = all.iter().find(|(share, ..)| {
            left -= share;
            left < 0.0
        });
        // Rounding can leave the sum a little short.
        let (_, flavours, amplitude) = reached.unwrap_or(&all[0]);
        (*flavours, *amplitude)
    }
}
