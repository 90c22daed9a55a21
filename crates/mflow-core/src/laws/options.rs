//! How embeddings and models are tried.
use super::Tolerances;
use candle_core::Device;

/// How an embedding or a model is tried; `L` is the kind of law, which the compiler finds out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options<L> {
    /// Size of the random parameters: the standard deviation of what a matrix of them makes of normal numbers.
    pub gain: f64,
    /// Size of coordinates and latents, real numbers or what becomes of them in their domain.
    pub spread: f64,
    /// How far off the manifold data lie, in data units. The nearest point is unique only so near to a manifold that curves.
    pub off: f64,
    /// Real coordinates as large as this are tried.
    pub reach: f64,
    /// Draws that integrals and samples are judged by.
    pub draws: usize,
    /// How closely laws have to hold.
    pub tolerances: Tolerances,
    /// Inputs that each law is tried on; laws of many draws and of files are tried once.
    pub cases: u32,
    /// Rows of each input at most.
    pub rows: usize,
    /// The seed of parameters and inputs.
    pub seed: u64,
    /// Laws that are left out.
    pub without: Vec<L>,
    /// Where it is computed.
    pub device: Device,
    /// The source file whose `proptest-regressions` keep the inputs that broke a law; the macros set it.
    pub source: Option<&'static str>,
}

impl<L> Default for Options<L> {
    fn default() -> Self {
        Self {
            gain: 0.6,
            spread: 1.,
            off: 0.2,
            reach: 1e3,
            draws: 1000,
            tolerances: Tolerances::default(),
            cases: 4,
            rows: 6,
            seed: 20_260,
            without: vec![],
            device: Device::Cpu,
            source: None,
        }
    }
}

impl<L> Options<L> {
    /// With random parameters of this size.
    #[must_use]
    pub fn gain(self, gain: f64) -> Self {
        Self { gain, ..self }
    }
    /// With coordinates and latents of this size.
    #[must_use]
    pub fn spread(self, spread: f64) -> Self {
        Self { spread, ..self }
    }
    /// With data so far off the manifold.
    #[must_use]
    pub fn off(self, off: f64) -> Self {
        Self { off, ..self }
    }
    /// With far coordinates no larger than this.
    #[must_use]
    pub fn reach(self, reach: f64) -> Self {
        Self { reach, ..self }
    }
    /// With every tolerance multiplied.
    #[must_use]
    pub fn looser(self, factor: f64) -> Self {
        let Tolerances { exact, difference, single, single_derivative } = self.tolerances;
        let tolerances = Tolerances {
            exact: exact * factor,
            difference: difference * factor,
            single: single * factor,
            single_derivative: single_derivative * factor,
        };
        Self { tolerances, ..self }
    }
    /// With so many inputs for each law.
    #[must_use]
    pub fn cases(self, cases: u32) -> Self {
        Self { cases, ..self }
    }
    /// Without a law.
    #[must_use]
    pub fn without(mut self, law: L) -> Self {
        self.without.push(law);
        self
    }
    /// On another device.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        Self { device: device.clone(), ..self }
    }
    /// With regressions beside this source file.
    #[must_use]
    pub fn source(self, file: &'static str) -> Self {
        Self { source: Some(file), ..self }
    }

    /// The same for laws of another kind.
    pub(super) fn of<M>(&self) -> Options<M> {
        Options {
            gain: self.gain,
            spread: self.spread,
            off: self.off,
            reach: self.reach,
            draws: self.draws,
            tolerances: self.tolerances,
            cases: self.cases,
            rows: self.rows,
            seed: self.seed,
            without: vec![],
            device: self.device.clone(),
            source: self.source,
        }
    }
}
