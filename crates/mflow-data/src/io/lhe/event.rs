//! One event, from the lines of its block.

use std::path::Path;

use super::weights::weights;
use crate::{Error, Result};

/// A particle of an event. Energies are in gigaelectronvolts, lifetimes in millimetres.
#[derive(Debug, Clone, PartialEq)]
pub struct LheParticle {
    /// Its kind, by the numbers of the Particle Data Group: 22 a photon, 21 a gluon, 1 to 6 quarks.
    pub pdg_id: i64,
    /// 1 in the final state, -1 incoming, 2 an intermediate resonance.
    pub status: i64,
    /// Its first and last mother, counted from 1 in the order of the event; 0 is none.
    pub mothers: [usize; 2],
    /// The labels of its colour and anticolour lines; 0 is none.
    pub colours: [i64; 2],
    /// Energy and momentum, `[E, px, py, pz]`.
    pub momentum: [f64; 4],
    /// The mass.
    pub mass: f64,
    /// The proper lifetime.
    pub lifetime: f64,
    /// The cosine of the angle between its spin and its mother's momentum; 9 is unknown.
    pub spin: f64,
}

impl LheParticle {
    /// The momentum across the beam.
    #[must_use]
    pub fn transverse_momentum(&self) -> f64 {
        let [_, x, y, _] = self.momentum;
        x.hypot(y)
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct LheEvent {
    /// The line of the file at which it starts, from 1.
    pub line: u64,
    /// The number of its process.
    pub process: i64,
    /// Its weight.
    pub weight: f64,
    /// The scale of the parton densities.
    pub scale: f64,
    /// The electromagnetic coupling.
    pub alpha_qed: f64,
    /// The strong coupling.
    pub alpha_qcd: f64,
    /// Its particles.
    pub particles: Vec<LheParticle>,
    /// Further weights with their names: of `<rwgt>` by the id of each, of `<weights>` by the ids in the file's
    /// header, or where these are not as many by their position, counted from 0.
    pub weights: Vec<(String, f64)>,
}

/// A line of text with its number.
pub(super) type Line = (u64, String);

/// What the first line of an event holds.
const FIELDS: [&str; 6] = ["NUP", "IDPRUP", "XWGTUP", "SCALUP", "AQEDUP", "AQCDUP"];
/// What the line of a particle holds.
const PARTICLE: [&str; 13] = [
    "IDUP",
    "ISTUP",
    "MOTHUP(1)",
    "MOTHUP(2)",
    "ICOLUP(1)",
    "ICOLUP(2)",
    "PUP(1)",
    "PUP(2)",
    "PUP(3)",
    "PUP(4)",
    "PUP(5)",
    "VTIMUP",
    "SPINUP",
];

/// The event whose block has these lines: those between `<event>` and `</event>`. `ids` are those of the weights in
/// the header.
pub(super) fn parse(path: &Path, lines: &[Line], ids: &[String]) -> Result<LheEvent> {
    let start = lines.first().map_or(0, |(line, _)| *line);
    let end = lines.last().map_or(0, |(line, _)| *line);
    let mut rest = lines.iter();
    // Blank lines and remarks may stand anywhere.
    let mut next =
        || rest.by_ref().map(|(line, text)| (*line, data(text))).find(|(_, t)| !t.is_empty());
    let ended = |expected: String| malformed(path, end, expected, "`</event>`");
    let names = FIELDS.join(" ");
    let Some((line, text)) = next() else { return Err(ended(format!("the numbers {names}"))) };
    let fields = Fields::new(path, line, text, &FIELDS)?;
    let count: usize = fields.whole(0)?;
    let mut particles = Vec::new();
    for i in 1..=count {
        let expected = || format!("particle {i} of {count}");
        let Some((line, text)) = next() else { return Err(ended(expected())) };
        if text.starts_with('<') {
            return Err(malformed(path, line, expected(), &quoted(text)));
        }
        particles.push(particle(&Fields::new(path, line, text, &PARTICLE)?, count)?);
    }
    // What is left is optional, but a further particle says that NUP is wrong.
    let tail = rest.as_slice();
    if let Some((line, text)) = tail.iter().map(|(l, t)| (*l, data(t))).find(|(_, t)| !t.is_empty())
        && Fields::new(path, line, text, &PARTICLE).is_ok_and(|f| particle(&f, usize::MAX).is_ok())
    {
        let expected = format!("{count} particles, as the event says in line {}", fields.line);
        return Err(malformed(path, line, expected, "a further one"));
    }
    Ok(LheEvent {
        line: start,
        process: fields.whole(1)?,
        weight: fields.number(2)?,
        scale: fields.number(3)?,
        alpha_qed: fields.number(4)?,
        alpha_qcd: fields.number(5)?,
        particles,
        weights: weights(path, tail, ids)?,
    })
}

fn particle(fields: &Fields<'_>, count: usize) -> Result<LheParticle> {
    let mother = |i: usize| -> Result<usize> {
        let mother = fields.whole(i)?;
        match mother <= count {
            true => Ok(mother),
            false => {
                let (name, _) = fields.at(i);
                let expected = format!("{name}, a particle from 1 to {count} or 0");
                Err(malformed(fields.path, fields.line, expected, &mother.to_string()))
            }
        }
    };
    let [x, y, z, e] = [fields.number(6)?, fields.number(7)?, fields.number(8)?, fields.number(9)?];
    Ok(LheParticle {
        pdg_id: fields.whole(0)?,
        status: fields.whole(1)?,
        mothers: [mother(2)?, mother(3)?],
        colours: [fields.whole(4)?, fields.whole(5)?],
        momentum: [e, x, y, z],
        mass: fields.number(10)?,
        lifetime: fields.number(11)?,
        spin: fields.number(12)?,
    })
}

/// What a line holds beside remarks.
fn data(text: &str) -> &str {
    // In a tag, a # is part of a name.
    let text = text.trim();
    if text.starts_with('<') { text } else { text.split('#').next().unwrap_or_default().trim() }
}

/// The numbers of a line, which have names.
struct Fields<'a> {
    path: &'a Path,
    line: u64,
    names: &'a [&'static str],
    texts: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    fn new(path: &'a Path, line: u64, text: &'a str, names: &'a [&'static str]) -> Result<Self> {
        let texts: Vec<&str> = text.split_whitespace().collect();
        if texts.len() == names.len() {
            return Ok(Self { path, line, names, texts });
        }
        let expected = format!("the {} numbers {}", names.len(), names.join(" "));
        Err(malformed(path, line, expected, &format!("{} in {}", texts.len(), quoted(text))))
    }

    /// The name and the text of a number.
    fn at(&self, i: usize) -> (&'static str, &'a str) {
        let at = self.names.iter().zip(&self.texts).nth(i);
        at.map_or(("", ""), |(name, text)| (*name, *text))
    }

    fn number(&self, i: usize) -> Result<f64> {
        number(self.at(i).1).ok_or_else(|| self.wrong(i, "a finite number"))
    }

    fn whole<T: std::str::FromStr>(&self, i: usize) -> Result<T> {
        let text = self.at(i).1.trim_start_matches('+');
        text.parse().map_err(|_| self.wrong(i, "a whole number in range"))
    }

    fn wrong(&self, i: usize, what: &str) -> Error {
        let (name, text) = self.at(i);
        malformed(self.path, self.line, format!("{what} for {name}"), &quoted(text))
    }
}

/// A finite number; Fortran marks exponents of double precision with a D.
pub(super) fn number(text: &str) -> Option<f64> {
    let number = text.parse().or_else(|_| text.replace(['D', 'd'], "E").parse());
    number.ok().filter(|number: &f64| number.is_finite())
}

/// A piece of a file for a message: its first line, cut if it is long.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let text = text.lines().next().unwrap_or_default();
    match text.char_indices().nth(SHOWN).and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("`{start}...`"),
        None => format!("`{text}`"),
    }
}

/// An error at a line.
pub(super) fn malformed(path: &Path, line: u64, expected: String, found: &str) -> Error {
    Error::Lhe { path: path.to_path_buf(), line, expected, found: found.to_owned() }
}
